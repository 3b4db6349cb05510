// What the chains of hooks share.
#include "trial.h"

#include <stdio.h>

/// Bytes of what rules may send of their own at once.
enum { MADE_BYTES = 64 << 20 };

static void release(shunt_rule *rule) {
    lua_State *L = rule->L;
    thread_of(L)->top = thread_of(L)->stack + SLOT_BASE + 1;
    for (; rule->emitted > 0; rule->emitted--) {
        lua_pushnil(L);
        lua_rawseti(L, SLOT_ANCHORS, (lua_Integer)rule->emitted);
    }
    rule->deliveries = 0;
}

void release_results(shunt_host *host) {
    uint64_t left = host->holding | host->delivering;
    host->routed_count = 0;
    host->has_emitted = false;
    if (left == 0) { return; }
    host->holding = host->delivering = 0;
    for (; left != 0; left &= left - 1) { release(host->rules[__builtin_ctzll(left)]); }
}

void begin_own(shunt_host *host, double now) {
    release_results(host);
    host->chain_number = ++host->chains;
    host->now = now;
    host->kind = SHUNT_TOPIC;
    host->changes = 0;
    host->room = host->options.fanout;
    host->room_bytes = MADE_BYTES;
    // Copies of the last message that do not have all of its bytes are not good here.
    host->message_serial++;
    host->has_emitted = true;
}

void keep_emitted(shunt_host *host, const shunt_rule *rule, size_t before, bool failed) {
    if (failed) { take_back(host, before); }
    if (rule->emitted > 0) { host->holding |= (uint64_t)1 << rule->index; }
}

void call_to_tell(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments) {
    size_t before = host->routed_count;
    int top = lua_gettop(rule->L) - arguments - 1;
    bool ran = call_hook(host, rule, hook, arguments);
    if (ran) { count(rule, hook, SHUNT_VERDICT_PASS); } else { hook_failed(host, rule, hook); }
    keep_emitted(host, rule, before, !ran || is_observed(host, rule));
    lua_settop(rule->L, top);
}

shunt_bytes failure_why(shunt_host *host, const shunt_rule *rule) {
    int length = snprintf(host->why, sizeof host->why, "rule %s failed", rule->name);
    return (shunt_bytes){host->why, (size_t)length};
}

/// Of these hooks a rule may return a changed client: the one that it is called for.
static bool lets_in(shunt_hook hook) { return hook == SHUNT_ON_CONNECT || hook == SHUNT_ON_REGISTER || hook == SHUNT_ON_AUTH; }

bool unexpected(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const char *expected) {
    char text[256];
    lua_State *L = rule->L;
    const verdict_object *verdict = tagged(L, -1, TAG_VERDICT);
    const char *returned = verdict != NULL ? "verdict that it can't" : luaL_typename(L, -1);
    const uint32_t *object = object_at(L, -1);
    switch (object != NULL ? *object : 0) {
    case TAG_MESSAGE:
    case TAG_COPY: returned = "message"; break;
    case TAG_CONNECTION: returned = "conn as it is"; break;
    case TAG_CONNECTION_CHANGE: returned = lets_in(hook) ? "conn:with{} of another client" : "conn:with{}"; break;
    case TAG_SUBSCRIPTION: returned = "sub as it is"; break;
    case TAG_SUBSCRIPTION_CHANGE: returned = hook == SHUNT_ON_SUBSCRIBE ? "sub:with{} of another call" : "sub:with{}"; break;
    default: break;
    }
    snprintf(text, sizeof text, "%s returned a %s: it may return %s", shunt_hook_name(hook), returned, expected);
    hook_error(host, rule, hook, text);
    return false;
}
