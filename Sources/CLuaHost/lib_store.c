// kv.get/set/delete/incr, of this loop and this rule, which has a store of its own; shared, the same for all rules and loops of the worker.
#include "arguments.h"
#include "store.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_KEY = 512, MAX_VALUE = 64 * 1024 };

/// A rule's store has no more use once no version of the rule is left.
void release_locals(shunt_host *host) {
    for (local_store **link = &host->locals; *link != NULL;) {
        local_store *local = *link;
        const shunt_rule *rule = host->all;
        while (rule != NULL && strcmp(rule->name, local->rule) != 0) { rule = rule->next; }
        if (rule != NULL) {
            link = &local->next;
            continue;
        }
        *link = local->next;
        shunt_store_free(local->store);
        free(local);
    }
}

shunt_store *local_store_of(shunt_host *host, const shunt_rule *rule) {
    for (local_store *local = host->locals; local != NULL; local = local->next) {
        if (strcmp(local->rule, rule->name) == 0) { return local->store; }
    }
    local_store *local = calloc(1, sizeof *local);
    if (local == NULL) { return NULL; }
    local->store = shunt_store_create(host->options.local_entries, host->options.local_bytes);
    if (local->store == NULL) {
        free(local);
        return NULL;
    }
    store_keep_to_thread(local->store);
    memcpy(local->rule, rule->name, sizeof local->rule);
    local->next = host->locals;
    host->locals = local;
    return local->store;
}

/// Upvalue of each function: whether it is of `shared`.
static shunt_store *store_of(lua_State *L) {
    shunt_host *host = host_of(L);
    shunt_rule *rule = host->rule;
    if (lua_toboolean(L, lua_upvalueindex(1))) { return is_apart(host) && host->options.apart != NULL ? host->options.apart : host->options.shared; }
    if (rule->kv == NULL) { rule->kv = local_store_of(host, rule); }
    if (rule->kv == NULL) { luaL_error(L, "kv: no memory"); }
    return rule->kv;
}

static const char *check_key(lua_State *L, size_t *count) {
    const lua_value *key = argument(L, 1);
    if (key == NULL || key->type != LUA_SHORT_TEXT) { check_text(L, 1, "the key", MAX_KEY); }
    return check_bytes(L, 1, count);
}

static double expiry(lua_State *L, int index) {
    if (argument(L, index) == NULL) { return HUGE_VAL; }
    double ttl = luaL_checknumber(L, index);
    luaL_argcheck(L, ttl > 0, index, "the time to live is in seconds, over 0");
    return host_of(L)->now + ttl;
}

static int push_full(lua_State *L) {
    lua_pushnil(L);
    lua_pushliteral(L, "full");
    return 2;
}

static void push_value(lua_State *L, const store_value *value) {
    switch (value->type) {
    case STORE_TEXT: lua_pushlstring(L, value->count == 0 ? "" : value->text, value->count); break;
    case STORE_INTEGER: lua_pushinteger(L, value->integer); break;
    case STORE_NUMBER: lua_pushnumber(L, value->number); break;
    default: lua_pushboolean(L, value->integer != 0);
    }
}

static store_value number_at(lua_State *L, int index) {
    if (lua_isinteger(L, index)) { return (store_value){.type = STORE_INTEGER, .integer = lua_tointeger(L, index)}; }
    return (store_value){.type = STORE_NUMBER, .number = luaL_checknumber(L, index)};
}

static int get(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count;
    store_value value;
    const char *key = check_key(L, &count);
    if (store_get(store_of(L), key, count, host->now, &value, &host->record)) { push_value(L, &value); } else { lua_pushnil(L); }
    return 1;
}

static int set(lua_State *L) {
    size_t count;
    store_value value = {0};
    double expires = expiry(L, 3);
    if (big_integer_digits(L, 2).count > 0) {
        luaL_tolstring(L, 2, NULL);
        lua_replace(L, 2);
    }
    const char *key = check_key(L, &count);
    switch (lua_type(L, 2)) {
    case LUA_TNIL:
        store_delete(store_of(L), key, count, host_of(L)->now);
        lua_pushboolean(L, 1);
        return 1;
    case LUA_TSTRING:
        check_text(L, 2, "the value", MAX_VALUE);
        value.type = STORE_TEXT;
        value.text = lua_tolstring(L, 2, &value.count);
        break;
    case LUA_TNUMBER:
        value = number_at(L, 2);
        break;
    case LUA_TBOOLEAN:
        value.type = STORE_BOOLEAN;
        value.integer = lua_toboolean(L, 2);
        break;
    default: return luaL_argerror(L, 2, "a value is a text, a number, a boolean or nil (json.encode makes a text of a table)");
    }
    if (!store_set(store_of(L), key, count, &value, expires, host_of(L)->now)) { return push_full(L); }
    lua_pushboolean(L, 1);
    return 1;
}

static int delete(lua_State *L) {
    size_t count;
    const char *key = check_key(L, &count);
    store_delete(store_of(L), key, count, host_of(L)->now);
    return 0;
}

static int increase(lua_State *L) {
    size_t count;
    double expires = expiry(L, 3);
    store_value by = {.type = STORE_INTEGER, .integer = 1}, result;
    if (argument(L, 2) != NULL) {
        luaL_checktype(L, 2, LUA_TNUMBER);
        by = number_at(L, 2);
    }
    const char *key = check_key(L, &count);
    switch (store_add(store_of(L), key, count, &by, expires, host_of(L)->now, &result)) {
    case STORE_FULL: return push_full(L);
    case STORE_NO_NUMBER: return luaL_error(L, "incr: the key has a text or a boolean: only numbers are added to");
    case STORE_ADDED: break;
    }
    push_value(L, &result);
    return 1;
}

void open_stores(lua_State *L) {
    static const luaL_Reg functions[] = {{"get", get}, {"set", set}, {"delete", delete}, {"incr", increase}, {NULL, NULL}};
    for (int shared = 0; shared < 2; shared++) {
        luaL_newlibtable(L, functions);
        lua_pushboolean(L, shared);
        luaL_setfuncs(L, functions, 1);
        lua_setfield(L, -2, shared ? "shared" : "kv");
    }
}
