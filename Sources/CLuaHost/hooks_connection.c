// on_connect, on_register, on_auth, on_disconnect, on_subscribe, on_unsubscribe, on_session, on_tick: each rule in turn, and what comes of
// what they return.
#include "guard.h"
#include "trial.h"
#include "waiting.h"

#include <math.h>
#include <stdio.h>

// MARK: on_connect, on_register and on_auth

typedef struct {
    shunt_hook hook;
    /// What a client has sent to prove who it is: of on_auth.
    shunt_bytes record, data;
} entry;

/// Objects are made within the protected call.
static int push_entry(lua_State *L, const void *what) {
    const entry *given = what;
    push_connection(L, given->record);
    if (given->hook != SHUNT_ON_AUTH) { return 1; }
    note_secret(host_of(L), given->data);
    push_bytes(L, given->data);
    return 2;
}

/// Arguments: what to make conn of, the hook, ctx.
static int connect_body(lua_State *L) {
    lua_pushvalue(L, 2);
    int count = push_entry(L, lua_touserdata(L, 1));
    lua_pushvalue(L, 3);
    lua_call(L, count + 1, 1);
    return 1;
}

static const char *expected_of(shunt_hook hook) {
    if (hook == SHUNT_ON_REGISTER) { return "nothing, conn:with{tags, alias} or route.reject()"; }
    return hook == SHUNT_ON_AUTH ? "nothing, route.continue(), conn:with{} or route.reject()"
                                 : "nothing, conn:with{}, route.reject() or route.redirect()";
}

static bool apply_connect_result(shunt_host *host, shunt_rule *rule, shunt_hook hook, shunt_connect_outcome *outcome) {
    bool registers = hook == SHUNT_ON_REGISTER;
    lua_State *L = rule->L;
    verdict_object *object = tagged(L, -1, TAG_VERDICT);
    shunt_verdict verdict = object == NULL ? SHUNT_VERDICT_PASS : object->verdict;
    if (lua_isnil(L, -1)) {
    } else if (verdict == SHUNT_VERDICT_REJECT || (verdict == SHUNT_VERDICT_REDIRECT && hook == SHUNT_ON_CONNECT)) {
        outcome->verdict = verdict;
        outcome->why = verdict_why(L, host, -1);
    } else if (verdict == SHUNT_VERDICT_CONTINUE && hook == SHUNT_ON_AUTH) {
        outcome->verdict = verdict;
        outcome->data = object->text;
    } else if (connection_change(L, -1, registers, outcome)) {
        verdict = outcome->verdict = SHUNT_VERDICT_REPLACE;
    } else {
        char text[160];
        const char *field = registers ? unregistered_field(L, -1) : NULL;
        if (field == NULL) { return unexpected(host, rule, hook, expected_of(hook)); }
        snprintf(text, sizeof text, "on_register can't change the %s of a client: conn:with{} takes tags and alias there", field);
        hook_error(host, rule, hook, text);
        return false;
    }
    if (verdict != SHUNT_VERDICT_PASS) { outcome->rule = rule->index; }
    count(rule, hook, verdict);
    return true;
}

static call_end call_with_connection(shunt_host *host, shunt_rule *rule, const entry *given, shunt_waiting **waiting) {
    lua_State *L = rule->L;
    if (rule->looks_up) { return begin_call(host, rule, given->hook, push_entry, given, waiting); }
    lua_pushcfunction(L, connect_body);
    lua_pushlightuserdata(L, (void *)given);
    push_hook(rule, given->hook);
    push_context(rule);
    return call_hook(host, rule, given->hook, 3) ? CALL_RAN : CALL_FAILED;
}

/// Copies what the chain has come to: the rules before lose what they have returned.
/// - Returns: false where there is no memory: then the call has failed.
static bool keep_connect(shunt_host *host, shunt_waiting *waiting, uint64_t rules, const entry *given, shunt_connect_outcome *outcome) {
    shunt_buffer kept = {.limit = waiting->kept.limit};
    bool fits = shunt_buffer_append(&kept, given->record.start, given->record.count)
        && (given->data.count == 0 || shunt_buffer_append(&kept, given->data.start, given->data.count));
    if (!fits) {
        shunt_buffer_free(&kept);
        return give_up_call(host, waiting);
    }
    shunt_buffer_free(&waiting->kept);
    waiting->kept = kept;
    waiting->rules = rules;
    keep_trial(host, waiting);
    waiting->state.connect.outcome = *outcome;
    waiting->state.connect.record = (shunt_bytes){kept.bytes, given->record.count};
    waiting->state.connect.data = (shunt_bytes){kept.bytes + given->record.count, given->data.count};
    outcome->waiting = waiting;
    return true;
}

static void refuse_connect(shunt_host *host, shunt_rule *rule, shunt_hook hook, shunt_connect_outcome *outcome) {
    hook_failed(host, rule, hook);
    if (rule->policy.on_error[hook] == SHUNT_PASS_ON_ERROR) { return; }
    outcome->verdict = SHUNT_VERDICT_REJECT;
    outcome->rule = rule->index;
    outcome->why = failure_why(host, rule);
}

/// Whether no other rule is asked. What proves who a client is, is one rule's affair.
static bool ends_entry(shunt_hook hook, shunt_verdict verdict) {
    return verdict == SHUNT_VERDICT_REJECT || verdict == SHUNT_VERDICT_REDIRECT || (hook == SHUNT_ON_AUTH && verdict != SHUNT_VERDICT_PASS);
}

static void note_connect(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const shunt_connect_outcome *own, bool ran) {
    shunt_bytes what = own->verdict == SHUNT_VERDICT_REPLACE ? own->record : own->verdict == SHUNT_VERDICT_CONTINUE ? own->data : own->why;
    trial_note(host, rule, hook, ran ? (int)own->verdict : TRIAL_FAILED, what, (shunt_bytes){0});
}

/// - Parameter waiting: the call that it goes on with; NULL: none.
static void run_connect(shunt_host *host, entry given, uint64_t rules, shunt_waiting *waiting, shunt_bytes answer,
                        shunt_connect_outcome *outcome) {
    for (;;) {
        shunt_rule *rule = waiting != NULL ? waiting->rule : next_rule(host, &rules, given.hook);
        if (rule == NULL) { return; }
        given.record = outcome->record;
        shunt_connect_outcome own = *outcome;
        own.verdict = SHUNT_VERDICT_PASS;
        size_t sent = host->routed_count;
        bool resumes = waiting != NULL;
        call_end ended = resumes ? resume_call(host, waiting, answer) : call_with_connection(host, rule, &given, &waiting);
        if (ended == CALL_WAITS) {
            if (keep_connect(host, waiting, rules, &given, outcome)) { return keep_emitted(host, rule, sent, is_observed(host, rule)); }
            if (!resumes) { shunt_waiting_free(host, waiting); }
        }
        waiting = NULL;
        bool ran = ended == CALL_RAN && apply_connect_result(host, rule, given.hook, &own);
        keep_emitted(host, rule, sent, !ran || is_observed(host, rule));
        note_connect(host, rule, given.hook, &own, ran);
        if (!ran) { refuse_connect(host, rule, given.hook, &own); }
        if (is_observed(host, rule)) {
            lua_settop(rule->L, SLOT_BASE);
            continue;
        }
        keep_result(host, rule, SLOT_BASE, own.record.start != outcome->record.start || own.verdict == SHUNT_VERDICT_CONTINUE);
        if (own.verdict == SHUNT_VERDICT_PASS) { own.verdict = outcome->verdict; }
        *outcome = own;
        if (ends_entry(given.hook, outcome->verdict)) { return; }
    }
}

static void begin_connect(shunt_host *host, entry given, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    *outcome = (shunt_connect_outcome){
        .verdict = SHUNT_VERDICT_PASS, .rule = -1, .record = given.record, .expires_at = INFINITY, .messages = -1, .bytes = -1};
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    run_connect(host, given, rules, NULL, (shunt_bytes){0}, outcome);
}

void shunt_on_connect(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    begin_connect(host, (entry){.hook = SHUNT_ON_CONNECT, .record = record}, rules, now, outcome);
}

void shunt_on_register(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    begin_connect(host, (entry){.hook = SHUNT_ON_REGISTER, .record = record}, rules, now, outcome);
}

void shunt_on_auth(shunt_host *host, shunt_bytes record, shunt_bytes data, uint64_t rules, double now, shunt_connect_outcome *outcome) {
    begin_connect(host, (entry){SHUNT_ON_AUTH, record, data}, rules, now, outcome);
}

void shunt_connect_resume(shunt_host *host, shunt_waiting *waiting, shunt_bytes answer, uint64_t off, double now,
                          shunt_connect_outcome *outcome) {
    *outcome = waiting->state.connect.outcome;
    outcome->record = waiting->state.connect.record;
    if (host->rule != NULL || waiting->rule == NULL) { return; }
    begin_own(host, now);
    host->chain_number = waiting->chain_number;
    restore_trial(host, waiting);
    run_connect(host, (entry){.hook = waiting->hook, .data = waiting->state.connect.data}, waiting->rules & ~off, waiting, answer, outcome);
}

// MARK: on_disconnect

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

static int push_asked(lua_State *L, const void *subscription) {
    push_subscription(L, subscription);
    return 1;
}

static call_end call_with_subscription(shunt_host *host, shunt_rule *rule, shunt_subscription *asked, shunt_waiting **waiting) {
    lua_State *L = rule->L;
    if (rule->looks_up) { return begin_call(host, rule, SHUNT_ON_SUBSCRIBE, push_asked, asked, waiting); }
    lua_pushcfunction(L, subscribe_body);
    lua_pushlightuserdata(L, asked);
    push_hook(rule, SHUNT_ON_SUBSCRIBE);
    push_context(rule);
    return call_hook(host, rule, SHUNT_ON_SUBSCRIBE, 3) ? CALL_RAN : CALL_FAILED;
}

/// The same of a subscription.
static bool keep_subscribe(shunt_host *host, shunt_waiting *waiting, uint64_t rules, const shunt_subscription *asked,
                           shunt_subscribe_outcome *outcome) {
    shunt_buffer kept = {.limit = waiting->kept.limit};
    const shunt_bytes texts[] = {asked->topic, asked->group, asked->key};
    bool fits = true;
    for (int i = 0; i < 3; i++) { fits &= texts[i].count == 0 || shunt_buffer_append(&kept, texts[i].start, texts[i].count); }
    if (!fits || kept.bytes == NULL) {
        shunt_buffer_free(&kept);
        return give_up_call(host, waiting);
    }
    shunt_buffer_free(&waiting->kept);
    waiting->kept = kept;
    waiting->rules = rules;
    keep_trial(host, waiting);
    shunt_subscription *copy = &waiting->state.subscribe.asked;
    *copy = *asked;
    copy->topic.start = kept.bytes;
    copy->group.start = kept.bytes + copy->topic.count;
    copy->key.start = kept.bytes + copy->topic.count + copy->group.count;
    waiting->state.subscribe.outcome = *outcome;
    outcome->waiting = waiting;
    return true;
}

static void refuse_subscribe(shunt_host *host, shunt_rule *rule, shunt_subscribe_outcome *outcome) {
    hook_failed(host, rule, SHUNT_ON_SUBSCRIBE);
    if (rule->policy.on_error[SHUNT_ON_SUBSCRIBE] == SHUNT_PASS_ON_ERROR) { return; }
    outcome->verdict = SHUNT_VERDICT_REJECT;
    outcome->rule = rule->index;
    outcome->why = failure_why(host, rule);
}

static void run_subscribe(shunt_host *host, shunt_subscription current, uint64_t rules, shunt_waiting *waiting, shunt_bytes answer,
                          shunt_subscribe_outcome *outcome) {
    shunt_rule *rule;
    while ((rule = waiting != NULL ? waiting->rule : next_rule(host, &rules, SHUNT_ON_SUBSCRIBE)) != NULL) {
        shunt_subscription changed = current;
        shunt_subscribe_outcome own = *outcome;
        own.verdict = SHUNT_VERDICT_PASS;
        size_t sent = host->routed_count;
        bool resumes = waiting != NULL;
        call_end ended = resumes ? resume_call(host, waiting, answer) : call_with_subscription(host, rule, &current, &waiting);
        if (ended == CALL_WAITS) {
            if (keep_subscribe(host, waiting, rules, &current, outcome)) { return keep_emitted(host, rule, sent, is_observed(host, rule)); }
            if (!resumes) { shunt_waiting_free(host, waiting); }
        }
        waiting = NULL;
        bool ran = ended == CALL_RAN && apply_subscribe_result(host, rule, &changed, &own);
        keep_emitted(host, rule, sent, !ran || is_observed(host, rule));
        note_subscription(host, rule, &own, &changed, ran, current.topic);
        if (!ran) { refuse_subscribe(host, rule, &own); }
        if (is_observed(host, rule)) {
            lua_settop(rule->L, SLOT_BASE);
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

void shunt_on_subscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now,
                        shunt_subscribe_outcome *outcome) {
    *outcome = (shunt_subscribe_outcome){.verdict = SHUNT_VERDICT_PASS, .rule = -1};
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    run_subscribe(host, *subscription, rules, NULL, (shunt_bytes){0}, outcome);
}

void shunt_subscribe_resume(shunt_host *host, shunt_waiting *waiting, shunt_bytes answer, uint64_t off, double now,
                            shunt_subscribe_outcome *outcome) {
    *outcome = waiting->state.subscribe.outcome;
    if (host->rule != NULL || waiting->rule == NULL) { return; }
    begin_own(host, now);
    host->chain_number = waiting->chain_number;
    restore_trial(host, waiting);
    run_subscribe(host, waiting->state.subscribe.asked, waiting->rules & ~off, waiting, answer, outcome);
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
