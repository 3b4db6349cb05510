// on_connect, on_register, on_disconnect, on_subscribe, on_unsubscribe, on_session, on_tick: each rule in turn, and what comes of what they
// return.
#include "trial.h"

#include <stdio.h>

#include <math.h>

// MARK: on_connect, on_register and on_disconnect

/// Arguments: what to make conn of, the hook, ctx. Objects are made within the protected call.
static int connect_body(lua_State *L) {
    const shunt_bytes *record = lua_touserdata(L, 1);
    lua_pushvalue(L, 2);
    push_connection(L, *record);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 1);
    return 1;
}

static bool apply_connect_result(shunt_host *host, shunt_rule *rule, shunt_hook hook, shunt_connect_outcome *outcome) {
    bool registers = hook == SHUNT_ON_REGISTER;
    lua_State *L = rule->L;
    verdict_object *object = tagged(L, -1, TAG_VERDICT);
    shunt_verdict verdict = object == NULL ? SHUNT_VERDICT_PASS : object->verdict;
    if (lua_isnil(L, -1)) {
    } else if (verdict == SHUNT_VERDICT_REJECT || (verdict == SHUNT_VERDICT_REDIRECT && !registers)) {
        outcome->verdict = verdict;
        outcome->why = verdict_why(L, host, -1);
    } else if (connection_change(L, -1, registers, outcome)) {
        verdict = outcome->verdict = SHUNT_VERDICT_REPLACE;
    } else if (registers) {
        return unexpected(host, rule, hook, "nothing, conn:with{tags, alias} or route.reject()");
    } else {
        return unexpected(host, rule, hook, "nothing, conn:with{}, route.reject() or route.redirect()");
    }
    if (verdict != SHUNT_VERDICT_PASS) { outcome->rule = rule->index; }
    count(rule, hook, verdict);
    return true;
}

static bool call_with_connection(shunt_host *host, shunt_rule *rule, shunt_hook hook, shunt_bytes *record) {
    lua_State *L = rule->L;
    lua_pushcfunction(L, connect_body);
    lua_pushlightuserdata(L, record);
    push_hook(rule, hook);
    push_context(rule);
    return call_hook(host, rule, hook, 3);
}

static void run_connection(shunt_host *host, shunt_hook hook, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    *outcome = (shunt_connect_outcome){
        .verdict = SHUNT_VERDICT_PASS, .rule = -1, .record = record, .expires_at = INFINITY, .messages = -1, .bytes = -1};
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, hook)) != NULL) {
        shunt_connect_outcome own = *outcome;
        own.verdict = SHUNT_VERDICT_PASS;
        size_t sent = host->routed_count;
        bool ran = call_with_connection(host, rule, hook, &own.record) && apply_connect_result(host, rule, hook, &own);
        keep_emitted(host, rule, sent, !ran || is_observed(host, rule));
        shunt_bytes what = own.verdict == SHUNT_VERDICT_REPLACE ? own.record : own.why;
        trial_note(host, rule, hook, ran ? (int)own.verdict : TRIAL_FAILED, what, (shunt_bytes){0});
        if (!ran) {
            hook_failed(host, rule, hook);
            if (rule->policy.on_error[hook] != SHUNT_PASS_ON_ERROR) {
                own.verdict = SHUNT_VERDICT_REJECT;
                own.rule = rule->index;
                own.why = failure_why(host, rule);
            }
        }
        if (is_observed(host, rule)) {
            lua_settop(rule->L, SLOT_BASE);
            continue;
        }
        keep_result(host, rule, SLOT_BASE, own.record.start != outcome->record.start);
        if (own.verdict == SHUNT_VERDICT_PASS) { own.verdict = outcome->verdict; }
        *outcome = own;
        if (outcome->verdict == SHUNT_VERDICT_REJECT || outcome->verdict == SHUNT_VERDICT_REDIRECT) { return; }
    }
}

void shunt_on_connect(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    run_connection(host, SHUNT_ON_CONNECT, record, rules, now, outcome);
}

void shunt_on_register(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    run_connection(host, SHUNT_ON_REGISTER, record, rules, now, outcome);
}

typedef struct {
    shunt_bytes record, why;
} disconnect_arguments;

static int disconnect_body(lua_State *L) {
    disconnect_arguments *arguments = lua_touserdata(L, 1);
    push_connection(L, arguments->record);
    push_bytes(L, arguments->why);
    push_value(host_of(L)->rule, host_of(L)->rule->context_value);
    lua_call(L, 3, 0);
    return 0;
}

void shunt_on_disconnect(shunt_host *host, shunt_bytes record, shunt_bytes why, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    disconnect_arguments arguments = {record, why};
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_DISCONNECT)) != NULL) {
        lua_State *L = rule->L;
        lua_pushcfunction(L, disconnect_body);
        lua_pushlightuserdata(L, &arguments);
        push_hook(rule, SHUNT_ON_DISCONNECT);
        call_to_tell(host, rule, SHUNT_ON_DISCONNECT, 2);
    }
}

// MARK: on_subscribe and on_unsubscribe

static int subscribe_body(lua_State *L) {
    const shunt_subscription *subscription = lua_touserdata(L, 1);
    lua_pushvalue(L, 2);
    push_subscription(L, subscription);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 1);
    return 1;
}

static bool apply_subscribe_result(shunt_host *host, shunt_rule *rule, shunt_subscription *now, shunt_subscribe_outcome *outcome) {
    lua_State *L = rule->L;
    verdict_object *object = tagged(L, -1, TAG_VERDICT);
    shunt_verdict verdict = SHUNT_VERDICT_PASS;
    if (lua_isnil(L, -1)) {
    } else if (object != NULL && object->verdict == SHUNT_VERDICT_REJECT) {
        verdict = outcome->verdict = SHUNT_VERDICT_REJECT;
        outcome->why = verdict_why(L, host, -1);
    } else if (subscription_change(L, -1, now)) {
        verdict = outcome->verdict = SHUNT_VERDICT_REPLACE;
    } else {
        return unexpected(host, rule, SHUNT_ON_SUBSCRIBE, "nothing, sub:with{} or route.reject()");
    }
    if (verdict != SHUNT_VERDICT_PASS) { outcome->rule = rule->index; }
    count(rule, SHUNT_ON_SUBSCRIBE, verdict);
    return true;
}

/// Its topic and its QoS say what a rule has made of a subscription.
static void note_subscription(shunt_host *host, const shunt_rule *rule, const shunt_subscribe_outcome *own, const shunt_subscription *changed,
                              bool ran, shunt_bytes topic) {
    char text[MAX_WHY];
    shunt_bytes what = own->why;
    if (own->verdict == SHUNT_VERDICT_REPLACE) {
        int count = snprintf(text, sizeof text, "%d %.*s %.*s", changed->qos, (int)(changed->group.count & 0xFF), (const char *)changed->group.start,
                             (int)(changed->topic.count & 0xFF), (const char *)changed->topic.start);
        what = (shunt_bytes){text, (size_t)count < sizeof text ? (size_t)count : sizeof text - 1};
    }
    trial_note(host, rule, SHUNT_ON_SUBSCRIBE, ran ? (int)own->verdict : TRIAL_FAILED, what, topic);
}

void shunt_on_subscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now,
                        shunt_subscribe_outcome *outcome) {
    *outcome = (shunt_subscribe_outcome){.verdict = SHUNT_VERDICT_PASS, .rule = -1};
    if (host->rule != NULL) { return; }
    shunt_subscription current = *subscription;
    begin_own(host, now);
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_SUBSCRIBE)) != NULL) {
        lua_State *L = rule->L;
        shunt_subscription changed = current;
        shunt_subscribe_outcome own = *outcome;
        own.verdict = SHUNT_VERDICT_PASS;
        size_t sent = host->routed_count;
        lua_pushcfunction(L, subscribe_body);
        lua_pushlightuserdata(L, &current);
        push_hook(rule, SHUNT_ON_SUBSCRIBE);
        push_context(rule);
        bool ran = call_hook(host, rule, SHUNT_ON_SUBSCRIBE, 3) && apply_subscribe_result(host, rule, &changed, &own);
        keep_emitted(host, rule, sent, !ran || is_observed(host, rule));
        note_subscription(host, rule, &own, &changed, ran, current.topic);
        if (!ran) {
            hook_failed(host, rule, SHUNT_ON_SUBSCRIBE);
            if (rule->policy.on_error[SHUNT_ON_SUBSCRIBE] != SHUNT_PASS_ON_ERROR) {
                own.verdict = SHUNT_VERDICT_REJECT;
                own.rule = rule->index;
                own.why = failure_why(host, rule);
            }
        }
        if (is_observed(host, rule)) {
            lua_settop(L, SLOT_BASE);
            continue;
        }
        keep_result(host, rule, SLOT_BASE, changed.topic.start != current.topic.start);
        if (own.verdict == SHUNT_VERDICT_PASS) { own.verdict = outcome->verdict; }
        current = changed;
        *outcome = own;
        if (outcome->verdict == SHUNT_VERDICT_REJECT) { return; }
    }
    outcome->topic = current.topic;
    outcome->group = current.group;
    outcome->qos = current.qos;
}

void shunt_on_unsubscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_UNSUBSCRIBE)) != NULL) {
        lua_pushcfunction(rule->L, subscribe_body);
        lua_pushlightuserdata(rule->L, (void *)subscription);
        push_hook(rule, SHUNT_ON_UNSUBSCRIBE);
        push_context(rule);
        call_to_tell(host, rule, SHUNT_ON_UNSUBSCRIBE, 3);
    }
}

// MARK: on_session

typedef struct {
    shunt_bytes event;
    const shunt_session *session;
} session_arguments;

static void push_session(lua_State *L, const shunt_session *session) {
    lua_createtable(L, 0, 8);
    push_bytes(L, session->client_id);
    lua_setfield(L, -2, "client_id");
    push_bytes(L, session->uid);
    lua_setfield(L, -2, "uid");
    push_bytes(L, session->version);
    lua_setfield(L, -2, "version");
    if (session->expiry != UINT32_MAX) {
        lua_pushinteger(L, session->expiry);
        lua_setfield(L, -2, "expiry");
    }
    lua_pushboolean(L, session->is_connected);
    lua_setfield(L, -2, "connected");
    lua_pushinteger(L, (lua_Integer)session->subscriptions);
    lua_setfield(L, -2, "subscriptions");
    lua_pushinteger(L, (lua_Integer)session->waiting);
    lua_setfield(L, -2, "waiting");
    lua_pushinteger(L, (lua_Integer)session->inflight);
    lua_setfield(L, -2, "inflight");
}

/// Arguments: what to tell, the hook, ctx.
static int session_body(lua_State *L) {
    const session_arguments *arguments = lua_touserdata(L, 1);
    push_bytes(L, arguments->event);
    lua_insert(L, 3);
    push_session(L, arguments->session);
    lua_insert(L, 4);
    lua_call(L, 3, 0);
    return 0;
}

void shunt_on_session(shunt_host *host, shunt_bytes event, const shunt_session *session, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    session_arguments arguments = {event, session};
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_SESSION)) != NULL) {
        lua_pushcfunction(rule->L, session_body);
        lua_pushlightuserdata(rule->L, &arguments);
        push_hook(rule, SHUNT_ON_SESSION);
        push_context(rule);
        call_to_tell(host, rule, SHUNT_ON_SESSION, 3);
    }
}

// MARK: on_tick

void shunt_on_tick(shunt_host *host, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_TICK)) != NULL) {
        push_hook(rule, SHUNT_ON_TICK);
        push_context(rule);
        call_to_tell(host, rule, SHUNT_ON_TICK, 1);
    }
}
