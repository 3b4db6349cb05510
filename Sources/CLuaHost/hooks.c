// The chains: each hook of each rule in turn, and what comes of what they return.
#include "host.h"

#include <stdio.h>

/// The base stack: emitted verdicts, msg, and the copy that stands for the message now. The result comes on top.
enum { SLOT_ANCHORS = 1, SLOT_MESSAGE, SLOT_CURRENT, SLOT_RESULT };

static void count(shunt_rule *rule, shunt_hook hook, shunt_verdict verdict) { rule->figures[hook].verdicts[verdict]++; }

static void push_hook(shunt_host *host, const shunt_rule *rule, shunt_hook hook) {
    lua_rawgeti(host->L, LUA_REGISTRYINDEX, rule->hooks[hook]);
}

static void release_results(shunt_host *host) {
    lua_State *L = host->L;
    lua_settop(L, SLOT_MESSAGE);
    for (; host->emitted > 0; host->emitted--) {
        lua_pushnil(L);
        lua_rawseti(L, SLOT_ANCHORS, (lua_Integer)host->emitted);
    }
    host->routed_count = 0;
}

/// The failed rule's reason for a drop or reject by `on_error`; a client learns no more.
static shunt_bytes failure_why(shunt_host *host, const shunt_rule *rule) {
    int length = snprintf(host->why, sizeof host->why, "rule %s failed", rule->name);
    return (shunt_bytes){host->why, (size_t)length};
}

static bool unexpected(shunt_host *host, const char *hook, const char *expected) {
    char text[256];
    lua_State *L = host->L;
    const verdict_object *verdict = tagged(L, -1, TAG_VERDICT);
    const char *returned = verdict != NULL ? "verdict that it can't" : luaL_typename(L, -1);
    snprintf(text, sizeof text, "%s returned a %s: it may return %s", hook, returned, expected);
    set_error(host, SHUNT_FAILED, text);
    return false;
}

// MARK: on_message

typedef struct {
    shunt_outcome *outcome;
    int replaced_by;
    bool stopped;
} message_chain;

static void stop(message_chain *chain, shunt_verdict verdict, const shunt_rule *rule, shunt_bytes why) {
    chain->outcome->verdict = verdict;
    chain->outcome->rule = rule->index;
    chain->outcome->why = why;
    chain->stopped = true;
}

/// Applies the verdict on the top of the stack. False, with the error set, where it is none.
static bool apply_verdict(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    static const shunt_bytes none = {0};
    lua_State *L = host->L;
    verdict_object *object = tagged(L, SLOT_RESULT, TAG_VERDICT);
    if (object == NULL) { return unexpected(host, "on_message", "nothing, msg:with{}, or a verdict of route"); }
    switch (object->verdict) {
    case SHUNT_VERDICT_DROP:
    case SHUNT_VERDICT_REJECT:
        stop(chain, object->verdict, rule, verdict_why(L, host, SLOT_RESULT));
        break;
    case SHUNT_VERDICT_DONE:
        stop(chain, SHUNT_VERDICT_PASS, rule, none);
        break;
    case SHUNT_VERDICT_REDIRECT:
        return unexpected(host, "on_message", "nothing, msg:with{}, or a verdict of route");
    default: {
        const char *wrong = verdict_collect(L, host, SLOT_RESULT, rule->index);
        if (wrong != NULL) {
            set_error(host, SHUNT_FAILED, wrong);
            return false;
        }
        stop(chain, SHUNT_VERDICT_ROUTE, rule, none);
    }
    }
    chain->outcome->decision = object->verdict;
    count(rule, SHUNT_ON_MESSAGE, object->verdict);
    return true;
}

static bool apply_message_result(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    lua_State *L = host->L;
    if (lua_isnil(L, SLOT_RESULT) || tagged(L, SLOT_RESULT, TAG_MESSAGE) != NULL) {
        count(rule, SHUNT_ON_MESSAGE, SHUNT_VERDICT_PASS);
        return true;
    }
    const copy_object *copy = tagged(L, SLOT_RESULT, TAG_COPY);
    if (copy == NULL) { return apply_verdict(host, rule, chain); }
    const char *wrong = copy_problem(host, copy);
    if (wrong != NULL) {
        set_error(host, SHUNT_FAILED, wrong);
        return false;
    }
    host->message = copy->message;
    host->changes = copy_changes(host, copy);
    host->payload_inflated = false;
    chain->replaced_by = rule->index;
    lua_copy(L, SLOT_RESULT, SLOT_CURRENT);
    chain->outcome->decision = SHUNT_VERDICT_REPLACE;
    count(rule, SHUNT_ON_MESSAGE, SHUNT_VERDICT_REPLACE);
    return true;
}

static void message_failed(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    hook_failed(host, rule, SHUNT_ON_MESSAGE);
    shunt_on_error action = rule->policy.on_error[SHUNT_ON_MESSAGE];
    if (action == SHUNT_PASS_ON_ERROR) { return; }
    stop(chain, action == SHUNT_DROP_ON_ERROR ? SHUNT_VERDICT_DROP : SHUNT_VERDICT_REJECT, rule, failure_why(host, rule));
}

static void run_message_rule(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    lua_State *L = host->L;
    size_t before = host->routed_count;
    push_hook(host, rule, SHUNT_ON_MESSAGE);
    lua_pushvalue(L, SLOT_MESSAGE);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rule->context);
    if (!call_hook(host, rule, SHUNT_ON_MESSAGE, 2) || !apply_message_result(host, rule, chain)) {
        host->routed_count = before;
        message_failed(host, rule, chain);
    }
    // The result that stops the chain stays: what is sent points into it.
    if (!chain->stopped) { lua_settop(L, SLOT_CURRENT); }
}

static void finish_message(shunt_host *host, message_chain *chain) {
    shunt_outcome *outcome = chain->outcome;
    if (outcome->verdict == SHUNT_VERDICT_PASS && chain->replaced_by >= 0) {
        outcome->verdict = SHUNT_VERDICT_ROUTE;
        if (outcome->rule < 0) { outcome->rule = chain->replaced_by; }
        if (verdict_collect(host->L, host, SLOT_CURRENT, (uint8_t)chain->replaced_by) != NULL) { outcome->verdict = SHUNT_VERDICT_DROP; }
    }
    outcome->messages = host->routed;
    outcome->count = host->routed_count;
}

void shunt_on_message(shunt_host *host, const shunt_message *message, uint64_t rules, double now, shunt_outcome *outcome) {
    *outcome = (shunt_outcome){.verdict = SHUNT_VERDICT_PASS, .rule = -1};
    if (host->rule != NULL) { return; }
    message_chain chain = {.outcome = outcome, .replaced_by = -1};
    release_results(host);
    lua_pushnil(host->L);
    host->now = now;
    host->message = *message;
    host->changes = 0;
    host->message_serial++;
    host->payload_inflated = false;
    host->in_message = true;
    for (; rules != 0 && !chain.stopped; rules &= rules - 1) {
        size_t index = (size_t)__builtin_ctzll(rules);
        if (index < host->rule_count && shunt_rule_has(host->rules[index], SHUNT_ON_MESSAGE)) {
            run_message_rule(host, host->rules[index], &chain);
        }
    }
    finish_message(host, &chain);
    host->in_message = false;
}

// MARK: on_connect and on_disconnect

/// Arguments: what to make conn of, the hook, ctx. Objects are made within the protected call.
static int connect_body(lua_State *L) {
    const shunt_bytes *record = lua_touserdata(L, 1);
    lua_pushvalue(L, 2);
    push_connection(L, *record);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 1);
    return 1;
}

static bool apply_connect_result(shunt_host *host, shunt_rule *rule, shunt_connect_outcome *outcome) {
    lua_State *L = host->L;
    verdict_object *object = tagged(L, -1, TAG_VERDICT);
    shunt_verdict verdict = object == NULL ? SHUNT_VERDICT_PASS : object->verdict;
    if (lua_isnil(L, -1)) {
    } else if (verdict == SHUNT_VERDICT_REJECT || verdict == SHUNT_VERDICT_REDIRECT) {
        outcome->verdict = verdict;
        outcome->why = verdict_why(L, host, -1);
    } else if (connection_change(L, -1, outcome)) {
        verdict = outcome->verdict = SHUNT_VERDICT_REPLACE;
        lua_copy(L, -1, SLOT_CURRENT);
    } else {
        return unexpected(host, "on_connect", "nothing, conn:with{}, route.reject() or route.redirect()");
    }
    if (verdict != SHUNT_VERDICT_PASS) { outcome->rule = rule->index; }
    count(rule, SHUNT_ON_CONNECT, verdict);
    return true;
}

static bool call_with_connection(shunt_host *host, shunt_rule *rule, shunt_hook hook, shunt_bytes *record) {
    lua_State *L = host->L;
    lua_pushcfunction(L, connect_body);
    lua_pushlightuserdata(L, record);
    push_hook(host, rule, hook);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rule->context);
    return call_hook(host, rule, hook, 3);
}

void shunt_on_connect(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    *outcome = (shunt_connect_outcome){.verdict = SHUNT_VERDICT_PASS, .rule = -1, .record = record};
    if (host->rule != NULL) { return; }
    release_results(host);
    lua_pushnil(host->L);
    host->now = now;
    for (; rules != 0; rules &= rules - 1) {
        size_t index = (size_t)__builtin_ctzll(rules);
        if (index >= host->rule_count || !shunt_rule_has(host->rules[index], SHUNT_ON_CONNECT)) { continue; }
        shunt_rule *rule = host->rules[index];
        bool ran = call_with_connection(host, rule, SHUNT_ON_CONNECT, &outcome->record);
        if (!ran || !apply_connect_result(host, rule, outcome)) {
            hook_failed(host, rule, SHUNT_ON_CONNECT);
            if (rule->policy.on_error[SHUNT_ON_CONNECT] != SHUNT_PASS_ON_ERROR) {
                outcome->verdict = SHUNT_VERDICT_REJECT;
                outcome->rule = (int)index;
                outcome->why = failure_why(host, rule);
            }
        }
        lua_settop(host->L, SLOT_CURRENT);
        if (outcome->verdict == SHUNT_VERDICT_REJECT || outcome->verdict == SHUNT_VERDICT_REDIRECT) { return; }
    }
}

typedef struct {
    shunt_bytes record, why;
} disconnect_arguments;

static int disconnect_body(lua_State *L) {
    disconnect_arguments *arguments = lua_touserdata(L, 1);
    push_connection(L, arguments->record);
    push_bytes(L, arguments->why);
    lua_call(L, 2, 0);
    return 0;
}

void shunt_on_disconnect(shunt_host *host, shunt_bytes record, shunt_bytes why, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    lua_State *L = host->L;
    release_results(host);
    host->now = now;
    disconnect_arguments arguments = {record, why};
    for (; rules != 0; rules &= rules - 1) {
        size_t index = (size_t)__builtin_ctzll(rules);
        if (index >= host->rule_count || !shunt_rule_has(host->rules[index], SHUNT_ON_DISCONNECT)) { continue; }
        lua_pushcfunction(L, disconnect_body);
        lua_pushlightuserdata(L, &arguments);
        push_hook(host, host->rules[index], SHUNT_ON_DISCONNECT);
        if (call_hook(host, host->rules[index], SHUNT_ON_DISCONNECT, 2)) {
            count(host->rules[index], SHUNT_ON_DISCONNECT, SHUNT_VERDICT_PASS);
        } else {
            hook_failed(host, host->rules[index], SHUNT_ON_DISCONNECT);
        }
        lua_settop(L, SLOT_MESSAGE);
    }
}

// MARK: on_subscribe

static int subscribe_body(lua_State *L) {
    const shunt_subscription *subscription = lua_touserdata(L, 1);
    lua_pushvalue(L, 2);
    push_subscription(L, subscription);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 1);
    return 1;
}

static bool apply_subscribe_result(shunt_host *host, shunt_rule *rule, shunt_subscription *now, shunt_subscribe_outcome *outcome) {
    lua_State *L = host->L;
    verdict_object *object = tagged(L, -1, TAG_VERDICT);
    shunt_verdict verdict = SHUNT_VERDICT_PASS;
    if (lua_isnil(L, -1)) {
    } else if (object != NULL && object->verdict == SHUNT_VERDICT_REJECT) {
        verdict = outcome->verdict = SHUNT_VERDICT_REJECT;
        outcome->why = verdict_why(L, host, -1);
    } else if (subscription_change(L, -1, &now->topic, &now->group)) {
        verdict = outcome->verdict = SHUNT_VERDICT_REPLACE;
        lua_copy(L, -1, SLOT_CURRENT);
    } else {
        return unexpected(host, "on_subscribe", "nothing, sub:with{} or route.reject()");
    }
    if (verdict != SHUNT_VERDICT_PASS) { outcome->rule = rule->index; }
    count(rule, SHUNT_ON_SUBSCRIBE, verdict);
    return true;
}

void shunt_on_subscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now,
                        shunt_subscribe_outcome *outcome) {
    *outcome = (shunt_subscribe_outcome){.verdict = SHUNT_VERDICT_PASS, .rule = -1};
    if (host->rule != NULL) { return; }
    lua_State *L = host->L;
    shunt_subscription current = *subscription;
    release_results(host);
    lua_pushnil(L);
    host->now = now;
    for (; rules != 0; rules &= rules - 1) {
        size_t index = (size_t)__builtin_ctzll(rules);
        if (index >= host->rule_count || !shunt_rule_has(host->rules[index], SHUNT_ON_SUBSCRIBE)) { continue; }
        shunt_rule *rule = host->rules[index];
        lua_pushcfunction(L, subscribe_body);
        lua_pushlightuserdata(L, &current);
        push_hook(host, rule, SHUNT_ON_SUBSCRIBE);
        lua_rawgeti(L, LUA_REGISTRYINDEX, rule->context);
        if (!call_hook(host, rule, SHUNT_ON_SUBSCRIBE, 3) || !apply_subscribe_result(host, rule, &current, outcome)) {
            hook_failed(host, rule, SHUNT_ON_SUBSCRIBE);
            if (rule->policy.on_error[SHUNT_ON_SUBSCRIBE] != SHUNT_PASS_ON_ERROR) {
                outcome->verdict = SHUNT_VERDICT_REJECT;
                outcome->rule = (int)index;
                outcome->why = failure_why(host, rule);
            }
        }
        lua_settop(L, SLOT_CURRENT);
        if (outcome->verdict == SHUNT_VERDICT_REJECT) { return; }
    }
    outcome->topic = current.topic;
    outcome->group = current.group;
}
