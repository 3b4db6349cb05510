// What the chains of hooks share.
#include "chain.h"

#include <stdio.h>

void release_results(shunt_host *host) {
    lua_State *L = host->L;
    lua_settop(L, SLOT_BASE);
    for (; host->emitted > 0; host->emitted--) {
        lua_pushnil(L);
        lua_rawseti(L, SLOT_ANCHORS, (lua_Integer)host->emitted);
    }
    host->routed_count = 0;
    host->deliveries = 0;
}

shunt_bytes failure_why(shunt_host *host, const shunt_rule *rule) {
    int length = snprintf(host->why, sizeof host->why, "rule %s failed", rule->name);
    return (shunt_bytes){host->why, (size_t)length};
}

bool unexpected(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const char *expected) {
    char text[256];
    lua_State *L = host->L;
    const verdict_object *verdict = tagged(L, -1, TAG_VERDICT);
    const char *returned = verdict != NULL ? "verdict that it can't" : luaL_typename(L, -1);
    snprintf(text, sizeof text, "%s returned a %s: it may return %s", hook_names[hook], returned, expected);
    hook_error(host, rule, hook, text);
    return false;
}
