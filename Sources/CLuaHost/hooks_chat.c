// on_chat_open, on_chat_join, on_chat_close.
#include "trial.h"

/// Arguments: the client's record, the hook, chat, ctx. conn is made within the protected call.
static int entry_body(lua_State *L) {
    const shunt_bytes *record = lua_touserdata(L, 1);
    push_connection(L, *record);
    lua_insert(L, 4);
    lua_call(L, 3, 1);
    return 1;
}

static bool apply_entry_result(shunt_host *host, shunt_rule *rule, shunt_hook hook, shunt_connect_outcome *outcome, bool *done) {
    lua_State *L = rule->L;
    const verdict_object *object = tagged(L, -1, TAG_VERDICT);
    shunt_verdict verdict = object == NULL ? SHUNT_VERDICT_PASS : object->verdict;
    if (verdict == SHUNT_VERDICT_REJECT || verdict == SHUNT_VERDICT_DROP || verdict == SHUNT_VERDICT_REDIRECT) {
        // A client that asks for a chat gets an answer: a drop refuses, too.
        outcome->verdict = verdict == SHUNT_VERDICT_REDIRECT ? verdict : SHUNT_VERDICT_REJECT;
        outcome->why = verdict_why(L, host, -1);
    } else if (!lua_isnil(L, -1) && verdict != SHUNT_VERDICT_DONE) {
        return unexpected(host, rule, hook, "nothing, route.reject(), route.drop(), route.done() or route.redirect()");
    }
    *done = verdict != SHUNT_VERDICT_PASS;
    if (*done) { outcome->rule = rule->index; }
    count(rule, hook, verdict);
    return true;
}

void shunt_on_chat_entry(shunt_host *host, shunt_hook hook, shunt_bytes chat, shunt_bytes record, uint64_t rules, double now,
                         shunt_connect_outcome *outcome) {
    *outcome = (shunt_connect_outcome){.verdict = SHUNT_VERDICT_PASS, .rule = -1, .record = record};
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    host->chat = chat;
    bool done = false;
    shunt_rule *rule;
    while (!done && (rule = next_rule(host, &rules, hook)) != NULL) {
        lua_State *L = rule->L;
        size_t sent = host->routed_count;
        lua_pushcfunction(L, entry_body);
        lua_pushlightuserdata(L, &record);
        push_hook(rule, hook);
        push_slot(rule, SLOT_CHAT);
        push_context(rule);
        shunt_connect_outcome own = *outcome;
        bool own_done = false, ran = call_hook(host, rule, hook, 4) && apply_entry_result(host, rule, hook, &own, &own_done);
        keep_emitted(host, rule, sent, !ran || is_observed(host, rule));
        trial_note(host, rule, hook, ran ? (int)own.verdict : TRIAL_FAILED, own.why, (shunt_bytes){0});
        if (!ran) {
            hook_failed(host, rule, hook);
            if (rule->policy.on_error[hook] != SHUNT_PASS_ON_ERROR) {
                own.verdict = SHUNT_VERDICT_REJECT;
                own.rule = rule->index;
                own.why = failure_why(host, rule);
                own_done = true;
            }
        }
        lua_settop(L, SLOT_BASE);
        if (is_observed(host, rule)) { continue; }
        *outcome = own;
        done = own_done;
    }
    host->chat = (shunt_bytes){0};
}

/// Arguments: the reason, the hook, chat, ctx.
static int close_body(lua_State *L) {
    const shunt_bytes *why = lua_touserdata(L, 1);
    push_bytes(L, *why);
    lua_insert(L, 4);
    lua_call(L, 3, 0);
    return 0;
}

void shunt_on_chat_close(shunt_host *host, shunt_bytes chat, shunt_bytes why, uint64_t rules, double now) {
    if (host->rule != NULL) { return; }
    begin_own(host, now);
    host->chat = chat;
    shunt_rule *rule;
    while ((rule = next_rule(host, &rules, SHUNT_ON_CHAT_CLOSE)) != NULL) {
        lua_State *L = rule->L;
        lua_pushcfunction(L, close_body);
        lua_pushlightuserdata(L, &why);
        push_hook(rule, SHUNT_ON_CHAT_CLOSE);
        push_slot(rule, SLOT_CHAT);
        push_context(rule);
        call_to_tell(host, rule, SHUNT_ON_CHAT_CLOSE, 4);
    }
    host->chat = (shunt_bytes){0};
}
