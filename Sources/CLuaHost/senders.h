// Which rule has sent a message to its topic. For hooks_message.c and verdict.c.
#ifndef SHUNT_SENDERS_H
#define SHUNT_SENDERS_H

#include "host.h"

static inline bool is_renamed(const shunt_host *host) { return (host->changes & SHUNT_TOPIC_CHANGED) != 0; }

/// Whether a message has the topic that the rules see at present.
static inline bool has_current_topic(const shunt_host *host, const shunt_message *message) {
    const shunt_bytes topic = message->topic, current = host->message.topic;
    if (message->kind != host->kind || topic.count != current.count) { return false; }
    return topic.count == 0 || topic.start == current.start || memcmp(topic.start, current.start, topic.count) == 0;
}

/// The rules that have been asked about the message since a rule renamed it, and are not to see it again; all once one has said `route.done()`.
static inline uint64_t asked_since(const shunt_host *host, uint8_t rule) {
    const message_chain *chain = &host->chain;
    if (chain->outcome->decision == SHUNT_VERDICT_DONE) { return UINT64_MAX; }
    uint64_t after = ~(((uint64_t)2 << rule) - 1);
    return host->selected & host->having[chain->hook] & ~host->skipped & ~chain->rules & after;
}

/// Notes which rules have sent a message on. One that a rule before has renamed belongs to that rule, as long as it keeps the topic.
/// - Parameter rule: sends it.
/// - Parameter names_target: the rule sends it by a verdict, which says where to.
static inline void note_senders(const shunt_host *host, shunt_routed *routed, uint8_t rule, bool names_target) {
    routed->rule = routed->topic_rule = rule;
    routed->sent_on = (uint64_t)1 << rule;
    routed->seen_by = 0;
    if (__builtin_expect(!is_renamed(host), 1)) { return; }
    routed->sent_on |= host->chain.renamers;
    if (names_target || !has_current_topic(host, &routed->message)) { return; }
    routed->topic_rule = host->chain.renamed_by;
    routed->seen_by = asked_since(host, routed->topic_rule);
}

/// Adds the message that the rules see at present to the host's results, which have room for it.
static inline void add_current(shunt_host *host, uint8_t rule) {
    shunt_routed *routed = &host->routed[host->routed_count++];
    routed->message = host->message;
    routed->changes = host->changes;
    note_senders(host, routed, rule, false);
}

/// A rule's copy takes the place of the message.
/// - Returns: what of it differs from the message as it came; the topic does not where the rule gave it the topic that it had.
static inline uint16_t note_renamed(const shunt_host *host, message_chain *chain, const shunt_rule *rule, const copy_object *copy) {
    uint16_t changes = copy_changes(host, copy);
    if ((changes & SHUNT_TOPIC_CHANGED) == 0) { return changes; }
    bool was_renamed = is_renamed(host);
    if (has_current_topic(host, &copy->message)) { return was_renamed ? changes : changes & ~SHUNT_TOPIC_CHANGED; }
    chain->renamers = (was_renamed ? chain->renamers : 0) | (uint64_t)1 << rule->index;
    chain->renamed_by = rule->index;
    return changes;
}

#endif
