// on_deliver, on_undelivered and on_acked: called while what the last chain sent is being delivered, so they leave that alone. Their own
// results come above it on the stack, where the copies for a recipient stay until the next one is asked about.
#include "call.h"
#include "made.h"
#include "trial.h"

typedef struct {
    shunt_deliver_outcome *outcome;
    /// Whose copy stands for the message, on its rule's stack; NULL while none does.
    const shunt_rule *current;
    bool stopped;
} delivery;

/// Calls a rule's hook for a recipient who is there. A conn is made within the protected call.
static bool call_deliver(shunt_host *host, shunt_rule *rule, uint64_t recipient) {
    const shunt_rule_policy *policy = &rule->policy;
    lua_State *L = rule->L;
    lua_thread *thread = thread_of(L);
    lua_value *function = thread->top;
    lua_jump jump = {.status = LUA_OK};
    running_call call = {0};
    const lua_value *known = last_peer(rule, recipient), nobody = {.type = LUA_NOTHING};
    push_hook(rule, SHUNT_ON_DELIVER);
    push_slot(rule, SLOT_MESSAGE);
    push_value(rule, known != NULL ? *known : nobody);
    push_context(rule);
    shunt_host *outer = budget_enter(host);
    budget_bound(host, rule, policy->memory);
    if (!call_begin(host, rule, L, SHUNT_ON_DELIVER, function, policy->nanoseconds, &jump, &call)) {
        budget_leave(outer);
        return false;
    }
    if (_setjmp(jump.place) == 0) {
        if (known == NULL) {
            push_new_peer(L, rule, recipient);
            thread->top -= 1;
            thread->top[-2] = *thread->top;
        }
        call_run_hook(L, &rule->entries[SHUNT_ON_DELIVER], function_of(rule, &call), 3);
        call_ran(host, rule, L, SHUNT_ON_DELIVER, &call);
    } else {
        call_broke(host, rule, SHUNT_ON_DELIVER, &call, jump.status, policy->nanoseconds, policy->memory);
    }
    budget_leave(outer);
    return jump.status == LUA_OK;
}

static void stop(delivery *chain, shunt_verdict verdict, shunt_bytes why) {
    chain->outcome->verdict = verdict;
    chain->outcome->why = why;
    chain->stopped = true;
}

/// What a copy changes of the message. Its properties give back the key, too: the same one is no change.
static uint16_t changes_of(const shunt_host *host, const copy_object *copy) {
    uint16_t changes = copy_changes(host, copy);
    const shunt_message *old = &host->message, *new = &copy->message;
    bool has_same_key = old->has_key == new->has_key && old->key.count == new->key.count
        && (old->key.count == 0 || memcmp(old->key.start, new->key.start, old->key.count) == 0);
    return has_same_key ? changes & ~SHUNT_KEY_CHANGED : changes;
}

static bool replace(shunt_host *host, shunt_rule *rule, delivery *chain, const copy_object *copy) {
    const char *wrong = copy_problem(host, copy);
    uint16_t changes = changes_of(host, copy);
    if (changes & ~(SHUNT_PAYLOAD_CHANGED | SHUNT_FORMAT_CHANGED | SHUNT_PROPERTIES_CHANGED)) {
        wrong = "on_deliver may change a message's payload, format and properties, of the message that it was given";
    }
    if (wrong == NULL) { wrong = text_problem(&copy->message, changes); }
    if (wrong != NULL) {
        hook_error(host, rule, SHUNT_ON_DELIVER, wrong);
        return false;
    }
    host->message = copy->message;
    host->changes = changes;
    host->payload_inflated = false;
    chain->current = rule;
    chain->outcome->verdict = SHUNT_VERDICT_REPLACE;
    chain->outcome->routed = (shunt_routed){.message = copy->message, .changes = changes, .rule = rule->index, .topic_rule = rule->index};
    count(rule, SHUNT_ON_DELIVER, SHUNT_VERDICT_REPLACE);
    return true;
}

static bool apply_result(shunt_host *host, shunt_rule *rule, delivery *chain) {
    lua_State *L = rule->L;
    const lua_value *result = top_of(L);
    const uint32_t *object = object_of(result);
    if (object != NULL && *object == TAG_COPY) { return replace(host, rule, chain, (const copy_object *)object); }
    if (object != NULL && *object == TAG_VERDICT && ((const verdict_object *)object)->verdict == SHUNT_VERDICT_DROP) {
        stop(chain, SHUNT_VERDICT_DROP, verdict_why(L, host, -1));
    } else if (object == NULL ? (result->type & LUA_BASE_TYPE) != LUA_TNIL : *object != TAG_MESSAGE) {
        return unexpected(host, rule, SHUNT_ON_DELIVER, "nothing, msg:with{payload}, or route.drop()");
    }
    count(rule, SHUNT_ON_DELIVER, chain->stopped ? SHUNT_VERDICT_DROP : SHUNT_VERDICT_PASS);
    return true;
}

/// Lets go of the copies for the last recipient.
static void release_deliveries(shunt_host *host) {
    for (uint64_t left = host->delivering; left != 0; left &= left - 1) {
        shunt_rule *rule = host->rules[__builtin_ctzll(left)];
        lua_settop(rule->L, rule->deliveries - 1);
        rule->deliveries = 0;
    }
    host->delivering = 0;
}

/// A rule beside one that is on trial has decided. One that failed counts as what its `on_error` makes of it.
static void note_delivery(shunt_host *host, const shunt_rule *rule, const delivery *chain) {
    if (!is_awaited(host, rule)) { return; }
    int verdict = chain->stopped ? SHUNT_VERDICT_DROP : chain->current == rule ? SHUNT_VERDICT_REPLACE : SHUNT_VERDICT_PASS;
    trial_note(host, rule, SHUNT_ON_DELIVER, verdict, chain->stopped ? chain->outcome->why : host->message.payload, host->message.topic);
}

/// Calls a rule whose decision is not applied. False, and nothing done, for any other.
static bool deliver_on_trial(shunt_host *host, shunt_rule *rule, uint64_t recipient, const delivery *chain) {
    if (!is_observed(host, rule)) { return false; }
    shunt_message message = host->message;
    uint16_t changes = host->changes;
    shunt_deliver_outcome outcome = *chain->outcome;
    delivery own = {.outcome = &outcome};
    begin_trial_turn(host);
    bool ran = call_deliver(host, rule, recipient);
    end_trial_turn(host);
    ran = ran && apply_result(host, rule, &own);
    if (!ran) { hook_failed(host, rule, SHUNT_ON_DELIVER); }
    int verdict = !ran ? TRIAL_FAILED : own.stopped ? SHUNT_VERDICT_DROP : own.current != NULL ? SHUNT_VERDICT_REPLACE : SHUNT_VERDICT_PASS;
    trial_note(host, rule, SHUNT_ON_DELIVER, verdict, own.stopped ? outcome.why : host->message.payload, message.topic);
    host->message = message;
    host->changes = changes;
    host->payload_inflated = false;
    return true;
}

void shunt_on_deliver(shunt_host *host, const shunt_message *message, uint64_t recipient, uint64_t rules, double now,
                      shunt_deliver_outcome *outcome) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    outcome->verdict = SHUNT_VERDICT_PASS;
    outcome->why = (shunt_bytes){0};
    if (host->rule != NULL) { return; }
    if (host->delivering != 0) { release_deliveries(host); }
    delivery chain = {.outcome = outcome};
    take_message(host, message);
    begin_message(host, now);
    shunt_rule *rule;
    for (bool is_first = true; !chain.stopped && (rule = next_rule(host, &rules, SHUNT_ON_DELIVER)) != NULL; is_first = false) {
        // The rule before may have closed the recipient's connection. The host asks no rule about a recipient who has gone.
        if (!is_first && !callbacks->has_peer(callbacks->context, recipient)) { break; }
        lua_thread *thread = thread_of(rule->L);
        ptrdiff_t top = thread->top - thread->stack;
        if (__builtin_expect(host->observed != 0, 0) && deliver_on_trial(host, rule, recipient, &chain)) {
            thread->top = thread->stack + top;
            continue;
        }
        if (!call_deliver(host, rule, recipient) || !apply_result(host, rule, &chain)) {
            hook_failed(host, rule, SHUNT_ON_DELIVER);
            if (rule->policy.on_error[SHUNT_ON_DELIVER] != SHUNT_PASS_ON_ERROR) {
                stop(&chain, SHUNT_VERDICT_DROP, failure_why(host, rule));
            }
        }
        note_delivery(host, rule, &chain);
        if (chain.current == rule) {
            rule->deliveries = (int)top;
            host->delivering |= (uint64_t)1 << rule->index;
        } else {
            thread->top = thread->stack + top;
        }
    }
    host->in_message = false;
}

/// Arguments: the reason, the hook, msg, ctx.
static int undelivered_body(lua_State *L) {
    const shunt_bytes *why = lua_touserdata(L, 1);
    push_bytes(L, *why);
    lua_insert(L, 4);
    lua_call(L, 3, 0);
    return 0;
}

void shunt_on_undelivered(shunt_host *host, const shunt_message *message, shunt_bytes why, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    take_message(host, message);
    begin_message(host, now);
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_UNDELIVERED)) != NULL) {
        lua_State *L = rule->L;
        lua_pushcfunction(L, undelivered_body);
        lua_pushlightuserdata(L, &why);
        push_hook(rule, SHUNT_ON_UNDELIVERED);
        push_slot(rule, SLOT_MESSAGE);
        push_context(rule);
        call_to_tell(host, rule, SHUNT_ON_UNDELIVERED, 4);
    }
    host->in_message = false;
}

/// Arguments: the recipient, the hook, msg, ctx. A client that has gone meanwhile is not told of.
static int acked_body(lua_State *L) {
    const uint64_t *recipient = lua_touserdata(L, 1);
    push_peer(L, host_of(L), *recipient);
    if (lua_isnil(L, -1)) { return 0; }
    lua_insert(L, 4);
    lua_call(L, 3, 0);
    return 0;
}

void shunt_on_acked(shunt_host *host, const shunt_message *message, uint64_t recipient, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    take_message(host, message);
    begin_message(host, now);
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_ACKED)) != NULL) {
        lua_pushcfunction(rule->L, acked_body);
        lua_pushlightuserdata(rule->L, &recipient);
        push_hook(rule, SHUNT_ON_ACKED);
        push_slot(rule, SLOT_MESSAGE);
        push_context(rule);
        call_to_tell(host, rule, SHUNT_ON_ACKED, 4);
    }
    host->in_message = false;
}
