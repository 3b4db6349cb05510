// on_message, on_broadcast, on_chat, on_will: each rule in turn, and what comes of what they return.
#include "call.h"
#include "made.h"
#include "senders.h"
#include "trial.h"

static inline void stop(message_chain *chain, shunt_verdict verdict, const shunt_rule *rule, shunt_bytes why) {
    chain->outcome->verdict = verdict;
    chain->outcome->rule = rule->index;
    chain->outcome->why = why;
    chain->stopped = true;
}

/// Notes that a verdict holds for all messages of the topic. False, with the error set, where it can't.
static bool stand(shunt_host *host, const shunt_rule *rule, message_chain *chain, shunt_verdict verdict) {
    if (chain->hook != SHUNT_ON_MESSAGE) {
        hook_error(host, rule, chain->hook, "route.always is for on_message: what it decides is kept with a topic");
        return false;
    }
    if (host->marks.emits > 0) {
        hook_error(host, rule, chain->hook, "route.always after ctx:emit: what was emitted would not be sent again; use route.fanout");
        return false;
    }
    // A rule before has changed what this one saw: that may be another topic.
    bool is_own_topic = (host->changes & (SHUNT_TOPIC_CHANGED | SHUNT_KIND_CHANGED)) == 0;
    if (verdict == SHUNT_VERDICT_PASS) {
        if (is_own_topic) { chain->outcome->passing |= (uint64_t)1 << rule->index; }
    } else {
        chain->outcome->always = is_own_topic;
    }
    return true;
}

/// Applies the verdict on the top of the stack. False, with the error set, where the value is no verdict.
static bool apply_verdict(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    static const shunt_bytes none = {0};
    static const char expected[] = "nothing, msg:with{}, or a verdict of route";
    lua_State *L = rule->L;
    const verdict_object *object = (const verdict_object *)object_of(top_of(L));
    if (object == NULL || object->tag != TAG_VERDICT) { return unexpected(host, rule, chain->hook, expected); }
    if (object->always && !stand(host, rule, chain, object->verdict)) { return false; }
    switch (object->verdict) {
    case SHUNT_VERDICT_PASS:
        count(rule, chain->hook, SHUNT_VERDICT_PASS);
        return true;
    case SHUNT_VERDICT_DROP:
    case SHUNT_VERDICT_REJECT:
        stop(chain, object->verdict, rule, verdict_why(L, host, -1));
        break;
    case SHUNT_VERDICT_DONE:
        stop(chain, SHUNT_VERDICT_PASS, rule, none);
        break;
    case SHUNT_VERDICT_CONTINUE: return unexpected(host, rule, chain->hook, expected);
    case SHUNT_VERDICT_REDIRECT:
        if (chain->hook != SHUNT_ON_CHAT) { return unexpected(host, rule, chain->hook, expected); }
        stop(chain, SHUNT_VERDICT_REDIRECT, rule, verdict_why(L, host, -1));
        break;
    default: {
        const char *wrong = verdict_collect(host, top_of(L), rule->index);
        if (wrong != NULL) {
            hook_error(host, rule, chain->hook, wrong);
            return false;
        }
        // One that takes the message's place is not one more.
        wrong = host->routed_count > 1 ? room_problem(host) : NULL;
        if (wrong != NULL) {
            hook_error(host, rule, chain->hook, wrong);
            host->failure = SHUNT_FANOUT;
            return false;
        }
        stop(chain, SHUNT_VERDICT_ROUTE, rule, none);
    }
    }
    chain->outcome->decision = object->verdict;
    count(rule, chain->hook, object->verdict);
    return true;
}

/// Why a copy can't stand for the message, or NULL.
static const char *replacement_problem(const shunt_host *host, const copy_object *copy) {
    if (copy->message.kind != host->kind) {
        return "a msg:with{} of another kind can't replace this: send it by ctx:emit, route.to, route.push or route.chat";
    }
    const char *wrong = copy_problem(host, copy);
    return wrong == NULL ? text_problem(&copy->message, copy_changes(host, copy)) : wrong;
}

/// The common verdict: the message goes to another topic, as it is.
static inline bool route(shunt_host *host, shunt_rule *rule, shunt_hook hook, message_chain *chain, const verdict_object *verdict) {
    if (verdict->verdict != SHUNT_VERDICT_ROUTE || verdict->always || verdict->has_message) { return false; }
    if (hook != SHUNT_ON_MESSAGE || host->routed_count > 0 || host->routed_capacity == 0) { return false; }
    shunt_routed *routed = &host->routed[host->routed_count++];
    routed->message = host->message;
    routed->message.topic = verdict->text;
    routed->changes = host->changes | SHUNT_TOPIC_CHANGED;
    note_senders(host, routed, rule->index, true);
    stop(chain, SHUNT_VERDICT_ROUTE, rule, (shunt_bytes){0});
    chain->outcome->decision = SHUNT_VERDICT_ROUTE;
    count(rule, hook, SHUNT_VERDICT_ROUTE);
    return true;
}

static inline __attribute__((always_inline)) bool apply_result(shunt_host *host, shunt_rule *rule, shunt_hook hook, message_chain *chain) {
    lua_State *L = rule->L;
    const lua_value *result = top_of(L);
    const uint32_t *object = object_of(result);
    if (object == NULL ? (result->type & LUA_BASE_TYPE) == LUA_TNIL : *object == TAG_MESSAGE) {
        count(rule, hook, SHUNT_VERDICT_PASS);
        return true;
    }
    if (object != NULL && *object == TAG_VERDICT && route(host, rule, hook, chain, (const verdict_object *)object)) { return true; }
    if (object == NULL || *object != TAG_COPY) { return apply_verdict(host, rule, chain); }
    const copy_object *copy = (const copy_object *)object;
    const char *wrong = replacement_problem(host, copy);
    if (wrong != NULL) {
        hook_error(host, rule, hook, wrong);
        return false;
    }
    host->changes = note_renamed(host, chain, rule, copy);
    host->message = copy->message;
    host->payload_inflated = false;
    chain->replaced_by = rule;
    chain->current = (int)(result - thread_of(L)->stack);
    chain->outcome->decision = SHUNT_VERDICT_REPLACE;
    count(rule, hook, SHUNT_VERDICT_REPLACE);
    return true;
}

static void failed(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    hook_failed(host, rule, chain->hook);
    shunt_on_error action = rule->policy.on_error[chain->hook];
    if (action == SHUNT_PASS_ON_ERROR) { return; }
    stop(chain, action == SHUNT_DROP_ON_ERROR ? SHUNT_VERDICT_DROP : SHUNT_VERDICT_REJECT, rule, failure_why(host, rule));
}

/// Arguments: the client's record, the hook, msg, ctx. conn is made within the protected call.
static int will_body(lua_State *L) {
    const shunt_bytes *record = lua_touserdata(L, 1);
    push_connection(L, *record);
    lua_insert(L, 4);
    lua_call(L, 3, 1);
    return 1;
}

static bool call_will(shunt_host *host, shunt_rule *rule) {
    lua_pushcfunction(rule->L, will_body);
    lua_pushlightuserdata(rule->L, &host->will_client);
    push_hook(rule, SHUNT_ON_WILL);
    push_slot(rule, SLOT_MESSAGE);
    push_context(rule);
    return call_hook(host, rule, SHUNT_ON_WILL, 4);
}

/// Pushes a rule's hook and its arguments, which there is room for: msg, chat where there is one, ctx. - Returns: how many arguments.
static inline __attribute__((always_inline)) uint32_t push_call(const shunt_rule *rule, lua_State *L, shunt_hook hook) {
    lua_thread *thread = thread_of(L);
    lua_value *top = thread->top;
    *top++ = rule->entries[hook].function;
    *top++ = thread->stack[SLOT_MESSAGE];
    if (hook == SHUNT_ON_CHAT) { *top++ = thread->stack[SLOT_CHAT]; }
    *top++ = rule->context_value;
    thread->top = top;
    return hook == SHUNT_ON_CHAT ? 3 : 2;
}

/// Calls a rule's hook. - Returns: where its result is on the stack.
static bool call(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    return hook == SHUNT_ON_WILL ? call_will(host, rule) : call_hook(host, rule, hook, (int)push_call(rule, rule->L, hook));
}

/// Does what a rule has decided in its call, which began with the stack so high, and so much sent. It may have failed, or what it returned does.
/// - Returns: whether the rule decided something, be it to pass.
static inline __attribute__((always_inline)) bool take_result(shunt_host *host, shunt_rule *rule, shunt_hook hook, message_chain *chain, bool ran,
                                                              ptrdiff_t top, size_t before) {
    lua_thread *thread = thread_of(rule->L);
    ran = ran && apply_result(host, rule, hook, chain);
    if (__builtin_expect(!ran, 0)) {
        take_back(host, before);
        chain->outcome->always = false;
        failed(host, rule, chain);
    }
    // What is sent points into the result that stops the chain, and into copies, whatever replaces them.
    bool keeps = chain->stopped | (chain->replaced_by == rule);
    if (!keeps) { thread->top = thread->stack + top; }
    if (keeps | (rule->emitted > 0)) { host->holding |= (uint64_t)1 << rule->index; }
    return ran;
}

/// - Returns: whether the rule decided something, be it to pass.
static bool run_applied(shunt_host *host, shunt_rule *rule, shunt_hook hook, message_chain *chain) {
    size_t before = host->routed_count;
    ptrdiff_t top = thread_of(rule->L)->top - thread_of(rule->L)->stack;
    return take_result(host, rule, hook, chain, call(host, rule, hook), top, before);
}

/// What a rule has decided, with the messages that it sends.
static trial_decision decision_of(const shunt_host *host, const shunt_rule *rule, const message_chain *chain, bool ran, size_t before) {
    trial_decision decision;
    bool replaces = !chain->stopped && chain->replaced_by == rule;
    trial_begin(&decision, replaces ? SHUNT_VERDICT_REPLACE : chain->stopped ? (int)chain->outcome->decision : SHUNT_VERDICT_PASS);
    if (!ran) {
        decision.verdict = TRIAL_FAILED;
        return decision;
    }
    if (chain->stopped) { trial_add(&decision, TRIAL_WHY, chain->outcome->why); }
    if (replaces) { trial_add_message(&decision, &host->message); }
    for (size_t i = before; i < host->routed_count; i++) { trial_add_message(&decision, &host->routed[i].message); }
    return decision;
}

/// Calls a rule whose decision is not applied: the message is then as it was before, and what the rule would send is not sent.
static void observe(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    shunt_message message = host->message;
    uint16_t changes = host->changes;
    size_t before = host->routed_count;
    lua_State *L = rule->L;
    int top = lua_gettop(L);
    shunt_outcome outcome = {.verdict = SHUNT_VERDICT_PASS, .rule = -1};
    message_chain own = {.hook = hook, .outcome = &outcome};
    bool ran = call(host, rule, hook) && apply_result(host, rule, hook, &own);
    if (!ran) { hook_failed(host, rule, hook); }
    trial_decision decision = decision_of(host, rule, &own, ran, before);
    host->message = message;
    host->changes = changes;
    host->payload_inflated = false;
    take_back(host, before);
    lua_settop(L, top);
    for (; rule->emitted > 0; rule->emitted--) {
        lua_pushnil(L);
        lua_rawseti(L, SLOT_ANCHORS, (lua_Integer)rule->emitted);
    }
    trial_observed(host, rule, hook, &decision, message.topic);
}

/// Of a rule that is on trial, or beside one that is. False for all others.
static __attribute__((noinline)) bool run_on_trial(shunt_host *host, shunt_rule *rule, shunt_hook hook, message_chain *chain) {
    if (is_observed(host, rule)) {
        observe(host, rule, hook);
        return true;
    }
    if (!is_awaited(host, rule)) { return false; }
    shunt_bytes topic = host->message.topic;
    size_t before = host->routed_count;
    bool ran = run_applied(host, rule, hook, chain);
    trial_decision decision = decision_of(host, rule, chain, ran, before);
    trial_decided(host, rule, hook, &decision, topic);
    return true;
}

/// Does what a rule has decided in a call of `ask_all`: apart from it, so that what most messages go through is short.
static __attribute__((noinline)) void decide(shunt_host *host, shunt_rule *rule, message_chain *chain, bool ran) {
    take_result(host, rule, SHUNT_ON_MESSAGE, chain, ran, chain->call.place / (ptrdiff_t)sizeof(lua_value), chain->before);
}

/// The call that runs has ended by an error.
static __attribute__((noinline)) void decide_broken(shunt_host *host, int status) {
    shunt_rule *rule = host->rule;
    call_broke(host, rule, SHUNT_ON_MESSAGE, &host->chain.call, status, rule->policy.nanoseconds, rule->policy.memory);
    decide(host, rule, &host->chain, false);
}

/// Asks each rule in turn: for all hooks but on_message, and while rules are on trial.
static void ask_each(shunt_host *host, shunt_hook hook, message_chain *chain) {
    shunt_rule *rule;
    while (!chain->stopped && (rule = next_rule(host, &chain->rules, hook)) != NULL) {
        if (__builtin_expect(host->observed != 0, 0) && run_on_trial(host, rule, hook, chain)) { continue; }
        run_applied(host, rule, hook, chain);
    }
}

static __attribute__((noinline)) void finish(shunt_host *host) {
    const message_chain *chain = &host->chain;
    shunt_outcome *outcome = chain->outcome;
    if (!chain->stopped) { outcome->why = (shunt_bytes){0}; }
    if (outcome->verdict == SHUNT_VERDICT_PASS && chain->replaced_by != NULL) {
        const shunt_rule *rule = chain->replaced_by;
        outcome->verdict = SHUNT_VERDICT_ROUTE;
        if (outcome->rule < 0) { outcome->rule = rule->index; }
        // One that is renamed belongs to the rule that did it, whatever others have changed since.
        uint8_t sender = is_renamed(host) ? chain->renamed_by : rule->index;
        if (verdict_collect(host, thread_of(rule->L)->stack + chain->current, sender) == NULL) {
            host->routed[host->routed_count - 1].changes = host->changes;
        } else {
            outcome->verdict = SHUNT_VERDICT_DROP;
        }
    }
    outcome->messages = host->routed;
    outcome->count = host->routed_count;
}

/// Begins a chain, for the host's message. - Returns: false where a rule calls, which no message is for.
static inline bool begin_chain(shunt_host *host, shunt_hook hook, uint64_t rules, double now, shunt_outcome *outcome) {
    outcome->verdict = SHUNT_VERDICT_PASS;
    outcome->decision = SHUNT_VERDICT_PASS;
    outcome->rule = -1;
    outcome->always = false;
    outcome->passing = 0;
    if (__builtin_expect(host->rule != NULL, 0)) { return false; }
    message_chain *chain = &host->chain;
    chain->hook = hook;
    chain->rules = rules & host->having[hook] & ~host->skipped;
    chain->outcome = outcome;
    chain->replaced_by = NULL;
    chain->stopped = false;
    if (__builtin_expect((host->holding | host->delivering) != 0, 0)) { release_results(host); }
    host->routed_count = 0;
    begin_message(host, now);
    host->selected = rules;
    return true;
}

/// - Returns: whether there is more to do than to let the message pass.
static inline bool end_chain(shunt_host *host) {
    const message_chain *chain = &host->chain;
    bool is_more = chain->stopped || chain->replaced_by != NULL || host->routed_count > 0 || chain->outcome->passing != 0;
    if (__builtin_expect(is_more, 0)) { finish(host); }
    host->in_message = false;
    return is_more;
}

/// Runs a chain that has begun, of on_message. Errors of all rules come to one place: to mark one for each call would cost as much as a small rule
/// does.
static inline __attribute__((always_inline)) void ask_all(shunt_host *host, lua_jump *jump) {
    message_chain *chain = &host->chain;
    while (chain->rules != 0) {
        shunt_rule *rule = host->rules[__builtin_ctzll(chain->rules)];
        lua_State *L = rule->L;
        lua_thread *thread = thread_of(L);
        lua_value *function = thread->top;
        chain->rules &= chain->rules - 1;
        chain->before = host->routed_count;
        uint32_t arguments = push_call(rule, L, SHUNT_ON_MESSAGE);
        budget_bound(host, rule, rule->policy.memory);
        if (!call_begin(host, rule, L, SHUNT_ON_MESSAGE, function, rule->policy.nanoseconds, jump, &chain->call)) {
            failed(host, rule, chain);
            if (chain->stopped) { return; }
            continue;
        }
        call_run_hook(L, &rule->entries[SHUNT_ON_MESSAGE], function, arguments);
        call_ran(host, rule, L, SHUNT_ON_MESSAGE, &chain->call);
        // Most return nothing, and have sent nothing.
        lua_value *result = thread->top - 1;
        if (__builtin_expect((result->type & LUA_BASE_TYPE) == LUA_TNIL && rule->emitted == 0, 1)) {
            thread->top = result;
            count(rule, SHUNT_ON_MESSAGE, SHUNT_VERDICT_PASS);
            continue;
        }
        decide(host, rule, chain, true);
        if (chain->stopped) { return; }
    }
}

static __attribute__((noinline)) bool on_message(shunt_host *host, uint64_t rules, double now, shunt_outcome *outcome) {
    lua_jump jump;
    if (!begin_chain(host, SHUNT_ON_MESSAGE, rules, now, outcome)) { return false; }
    if (__builtin_expect(host->observed != 0, 0)) {
        ask_each(host, SHUNT_ON_MESSAGE, &host->chain);
        return end_chain(host);
    }
    shunt_host *outer = budget_enter(host);
    // After a jump, only what is in the host is as it was left.
    if (MARK_PLACE(jump) != 0) { decide_broken(host, jump.status); }
    jump.status = LUA_OK;
    if (!host->chain.stopped) { ask_all(host, &jump); }
    budget_leave(outer);
    return end_chain(host);
}

static bool run(shunt_host *host, shunt_hook hook, const shunt_message *message, uint64_t rules, double now, shunt_outcome *outcome) {
    take_message(host, message);
    if (!begin_chain(host, hook, rules, now, outcome)) { return false; }
    ask_each(host, hook, &host->chain);
    return end_chain(host);
}

bool shunt_on_message(shunt_host *host, const shunt_message *message, uint64_t rules, double now, shunt_outcome *outcome) {
    take_message(host, message);
    return on_message(host, rules, now, outcome);
}

bool shunt_on_published(shunt_host *host, uint64_t rules, double now, shunt_outcome *outcome) {
    begin_turn(host);
    return on_message(host, rules, now, outcome);
}

bool shunt_on_broadcast(shunt_host *host, const shunt_message *push, uint64_t rules, double now, shunt_outcome *outcome) {
    return run(host, SHUNT_ON_BROADCAST, push, rules, now, outcome);
}

bool shunt_on_will(shunt_host *host, const shunt_message *message, shunt_bytes record, uint64_t rules, double now,
                   shunt_outcome *outcome) {
    host->will_client = record;
    return run(host, SHUNT_ON_WILL, message, rules, now, outcome);
}

bool shunt_on_chat(shunt_host *host, const shunt_message *message, shunt_bytes chat, uint64_t rules, double now,
                   shunt_outcome *outcome) {
    shunt_bytes before = host->chat;
    host->chat = chat;
    bool is_more = run(host, SHUNT_ON_CHAT, message, rules, now, outcome);
    host->chat = before;
    return is_more;
}
