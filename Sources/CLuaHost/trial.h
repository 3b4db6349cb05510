// Rules on trial: what they decide is measured, compared with what the rule that runs decides, and not applied. For hooks_*.c.
#ifndef SHUNT_TRIAL_H
#define SHUNT_TRIAL_H

#include "chain.h"

/// Whether what the rule decides in this call is not applied.
static inline bool is_observed(const shunt_host *host, const shunt_rule *rule) {
    return __builtin_expect(host->observed != 0, 0) && (host->observed >> rule->index & 1) != 0;
}

/// A rule's call whose decision is not applied is about to begin: until it has ended the host's `turn` is the turn of such calls (budget.c).
void begin_trial_turn(shunt_host *host);
void end_trial_turn(shunt_host *host);

/// What a hook decided: a verdict, or TRIAL_FAILED, and its parts as hashes.
static inline void trial_begin(trial_decision *decision, int verdict) { *decision = (trial_decision){.verdict = verdict}; }
void trial_add(trial_decision *decision, int part, shunt_bytes bytes);
void trial_add_message(trial_decision *decision, const shunt_message *message);

/// A rule on trial has decided: compared at once if the rule beside it is not asked, else once that has decided, too.
void trial_observed(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const trial_decision *decision, shunt_bytes topic);
/// A rule that runs has decided: compared with what the rule on trial beside it has, if there is one.
void trial_decided(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const trial_decision *decision, shunt_bytes topic);

/// Of hooks without messages: notes what a rule has decided, if it or the one beside it is on trial.
void trial_note(shunt_host *host, const shunt_rule *rule, shunt_hook hook, int verdict, shunt_bytes what, shunt_bytes topic);

/// Whether a rule's decision is waited for by the one on trial beside it.
static inline bool is_awaited(const shunt_host *host, const shunt_rule *rule) {
    return __builtin_expect(host->awaiting != NULL, 0) && host->awaiting->index + 1 == rule->index;
}

#endif
