// on_message, on_broadcast, on_chat: each rule in turn, and what comes of what they return.
#include "chain.h"

typedef struct {
    shunt_hook hook;
    shunt_outcome *outcome;
    /// Whose copy stands for the message now, and where it is on that rule's stack; NULL while it is as it came.
    const shunt_rule *replaced_by;
    int current;
    bool stopped;
} message_chain;

static void stop(message_chain *chain, shunt_verdict verdict, const shunt_rule *rule, shunt_bytes why) {
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
    if (host->call_emits > 0) {
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

/// Applies the verdict on the top of the stack. False, with the error set, where it is none.
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
    return copy_problem(host, copy);
}

static inline bool apply_result(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    lua_State *L = rule->L;
    const lua_value *result = top_of(L);
    const uint32_t *object = object_of(result);
    if (object == NULL ? (result->type & LUA_BASE_TYPE) == LUA_TNIL : *object == TAG_MESSAGE) {
        count(rule, chain->hook, SHUNT_VERDICT_PASS);
        return true;
    }
    if (object == NULL || *object != TAG_COPY) { return apply_verdict(host, rule, chain); }
    const copy_object *copy = (const copy_object *)object;
    const char *wrong = replacement_problem(host, copy);
    if (wrong != NULL) {
        hook_error(host, rule, chain->hook, wrong);
        return false;
    }
    host->message = copy->message;
    host->changes = copy_changes(host, copy);
    host->payload_inflated = false;
    chain->replaced_by = rule;
    chain->current = (int)(result - thread_of(L)->stack);
    chain->outcome->decision = SHUNT_VERDICT_REPLACE;
    count(rule, chain->hook, SHUNT_VERDICT_REPLACE);
    return true;
}

static void failed(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    hook_failed(host, rule, chain->hook);
    shunt_on_error action = rule->policy.on_error[chain->hook];
    if (action == SHUNT_PASS_ON_ERROR) { return; }
    stop(chain, action == SHUNT_DROP_ON_ERROR ? SHUNT_VERDICT_DROP : SHUNT_VERDICT_REJECT, rule, failure_why(host, rule));
}

static inline void run_rule(shunt_host *host, shunt_rule *rule, message_chain *chain) {
    lua_State *L = rule->L;
    size_t before = host->routed_count;
    int arguments = 2, top = (int)(thread_of(L)->top - thread_of(L)->stack);
    push_hook(rule, chain->hook);
    push_slot(rule, SLOT_MESSAGE);
    if (chain->hook == SHUNT_ON_CHAT) {
        push_slot(rule, SLOT_CHAT);
        arguments = 3;
    }
    push_context(rule);
    if (!call_hook(host, rule, chain->hook, arguments) || !apply_result(host, rule, chain)) {
        host->routed_count = before;
        chain->outcome->always = false;
        failed(host, rule, chain);
    }
    // What is sent points into the result that stops the chain, and into copies, whatever replaces them.
    if (chain->stopped || chain->replaced_by == rule) {
        host->holding |= (uint64_t)1 << rule->index;
    } else {
        thread_of(L)->top = thread_of(L)->stack + top;
    }
    if (rule->emitted > 0) { host->holding |= (uint64_t)1 << rule->index; }
}

static void finish(shunt_host *host, message_chain *chain) {
    shunt_outcome *outcome = chain->outcome;
    if (outcome->verdict == SHUNT_VERDICT_PASS && chain->replaced_by != NULL) {
        const shunt_rule *rule = chain->replaced_by;
        outcome->verdict = SHUNT_VERDICT_ROUTE;
        if (outcome->rule < 0) { outcome->rule = rule->index; }
        if (verdict_collect(host, thread_of(rule->L)->stack + chain->current, rule->index) != NULL) { outcome->verdict = SHUNT_VERDICT_DROP; }
    }
    outcome->messages = host->routed;
    outcome->count = host->routed_count;
}

static void run(shunt_host *host, shunt_hook hook, const shunt_message *message, uint64_t rules, double now, shunt_outcome *outcome) {
    *outcome = (shunt_outcome){.verdict = SHUNT_VERDICT_PASS, .rule = -1};
    if (host->rule != NULL) { return; }
    message_chain chain = {.hook = hook, .outcome = outcome};
    release_results(host);
    begin_message(host, message, now);
    shunt_rule *rule;
    while (!chain.stopped && (rule = next_rule(host, &rules, hook)) != NULL) { run_rule(host, rule, &chain); }
    finish(host, &chain);
    host->in_message = false;
}

void shunt_on_message(shunt_host *host, const shunt_message *message, uint64_t rules, double now, shunt_outcome *outcome) {
    run(host, SHUNT_ON_MESSAGE, message, rules, now, outcome);
}

void shunt_on_broadcast(shunt_host *host, const shunt_message *push, uint64_t rules, double now, shunt_outcome *outcome) {
    run(host, SHUNT_ON_BROADCAST, push, rules, now, outcome);
}

void shunt_on_chat(shunt_host *host, const shunt_message *message, shunt_bytes chat, uint64_t rules, double now,
                   shunt_outcome *outcome) {
    shunt_bytes before = host->chat;
    host->chat = chat;
    run(host, SHUNT_ON_CHAT, message, rules, now, outcome);
    host->chat = before;
}
