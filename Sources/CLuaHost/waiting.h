// Calls that wait for a look-up. For hooks_*.c and lib_http.c.
#ifndef SHUNT_WAITING_H
#define SHUNT_WAITING_H

#include "chain.h"

struct shunt_waiting {
    shunt_host *host;
    shunt_waiting *previous, *next;
    /// NULL once the rule has been freed.
    shunt_rule *rule;
    shunt_hook hook;
    /// The coroutine, in the registry of the rule's state.
    int thread;
    bool is_suspended;
    /// The rules that come after this one.
    uint64_t rules;
    /// The host's `chain_number`, and how many messages the call has emitted.
    uint64_t chain_number;
    uint32_t emits;
    /// What it has taken of its budget.
    uint64_t spent;
    size_t grown;
    uint32_t lookups;
    /// What the chain has come to, and the bytes that it points to.
    union {
        struct {
            shunt_connect_outcome outcome;
            shunt_bytes record, data;
        } connect;
        struct {
            shunt_subscription asked;
            shunt_subscribe_outcome outcome;
        } subscribe;
    } state;
    shunt_buffer kept;
    /// The host's `secret`, while the call waits.
    shunt_buffer secret;
    /// What the chain knew of rules on trial (host.h).
    struct {
        uint64_t observed, skipped, selected;
        shunt_rule *awaiting;
        trial_decision awaited;
    } trial;
};

typedef enum { CALL_FAILED, CALL_RAN, CALL_WAITS } call_end;

/// Pushes what a hook gets before `ctx`, and returns how many values that is. May raise.
typedef int (*push_argument)(lua_State *L, const void *what);

/// Calls a rule's hook where it may wait.
/// - Parameter waiting: gets the call where it waits.
call_end begin_call(shunt_host *host, shunt_rule *rule, shunt_hook hook, push_argument push, const void *what, shunt_waiting **waiting);
/// Goes on with a call whose look-up has an answer. The owner frees it, unless it waits again.
call_end resume_call(shunt_host *host, shunt_waiting *waiting, shunt_bytes answer);
/// There is no memory to let a call wait: it has failed. - Returns: false.
bool give_up_call(shunt_host *host, shunt_waiting *waiting);
/// What the call's chain knows of rules on trial waits with it: the client keeps its share in a canary.
void keep_trial(const shunt_host *host, shunt_waiting *waiting);
void restore_trial(shunt_host *host, const shunt_waiting *waiting);
/// A rule goes: its calls are resumed no more.
void forget_waiting(shunt_host *host, const shunt_rule *rule);

/// What lua_resume does, for a coroutine that a kill goes through: the number of values that it gave; -1 with the error on L's stack.
int coroutine_go_on(lua_State *L, lua_State *co, int arguments);
/// Pushes what a look-up has found: a table, or nil and why there is none. - Returns: how many values.
int push_lookup_answer(lua_State *L, shunt_bytes answer);
void open_http(lua_State *L);
void open_resolve(lua_State *L);
void open_responses(lua_State *L);

#endif
