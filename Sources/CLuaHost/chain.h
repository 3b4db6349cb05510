// What the chains of hooks share. For hooks_*.c.
#ifndef SHUNT_CHAIN_H
#define SHUNT_CHAIN_H

#include "host.h"

static inline void count(shunt_rule *rule, shunt_hook hook, shunt_verdict verdict) { rule->figures[hook].verdicts[verdict]++; }

/// Pushes a value that the state has, where there is room: a state has some from its start.
static inline void push_value(const shunt_rule *rule, lua_value value) { *thread_of(rule->L)->top++ = value; }
static inline void push_hook(const shunt_rule *rule, shunt_hook hook) { push_value(rule, rule->entries[hook].function); }
static inline void push_context(const shunt_rule *rule) { push_value(rule, rule->context_value); }
/// Pushes what is at the base of the rule's stack.
static inline void push_slot(const shunt_rule *rule, int slot) { push_value(rule, thread_of(rule->L)->stack[slot]); }

/// Takes a call's result off the rule's stack, or leaves it there until the next chain.
static inline void keep_result(shunt_host *host, shunt_rule *rule, int top, bool keeps) {
    if (keeps) {
        host->holding |= (uint64_t)1 << rule->index;
    } else {
        lua_settop(rule->L, top);
    }
}

/// Takes the next rule that has the hook off the mask; NULL at the end.
static inline shunt_rule *next_rule(shunt_host *host, uint64_t *rules, shunt_hook hook) {
    uint64_t left = *rules & host->having[hook] & ~host->skipped;
    if (left == 0) { return NULL; }
    *rules = left & (left - 1);
    return host->rules[__builtin_ctzll(left)];
}

/// Keeps a message as the host's, where it is not that already. Not while a rule calls: its message stays.
static inline void take_message(shunt_host *host, const shunt_message *message) {
    if (message != &host->message && host->rule == NULL) { host->message = *message; }
}

/// Makes `msg` stand for the host's message, until `in_message` is taken back.
static inline void begin_message(shunt_host *host, double now) {
    host->now = now;
    host->kind = host->message.kind;
    host->changes = 0;
    host->room = host->message.room;
    host->room_bytes = host->message.room_bytes;
    host->message_serial++;
    host->payload_inflated = false;
    host->in_message = true;
}

/// Takes what a rule has returned, where that is a changed client, or a changed subscription; else false.
/// - Parameter registers: only tags and alias may be changed.
bool connection_change(lua_State *L, int index, bool registers, shunt_connect_outcome *outcome);
/// Of a changed client: a field that on_register can't change; NULL where there is none.
const char *unregistered_field(lua_State *L, int index);
bool subscription_change(lua_State *L, int index, shunt_subscription *subscription);
void push_subscription(lua_State *L, const shunt_subscription *subscription);
/// Lets go of what the last chain sent.
void release_results(shunt_host *host);
/// A hook begins that is about no message: what rules send in it is their own.
void begin_own(shunt_host *host, double now);
/// A rule's call in such a hook is over: what it has sent stays if it has not failed.
/// - Parameter before: how much had been sent when it began.
void keep_emitted(shunt_host *host, const shunt_rule *rule, size_t before, bool failed);
/// The same for a hook whose results mean nothing: calls it and takes its results off.
void call_to_tell(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments);
/// The failed rule's reason for a drop or reject by `on_error`; a client learns no more.
shunt_bytes failure_why(shunt_host *host, const shunt_rule *rule);
/// Sets the error for a result, on the top of the stack, that the hook can't return.
bool unexpected(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const char *expected);

#endif
