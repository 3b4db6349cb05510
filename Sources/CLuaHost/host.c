// A loop's host, and what each rule's Lua state has from the start.
#include "lazy.h"
#include "made.h"
#include "waiting.h"
#include "memory.h"
#include "pattern.h"

#include <stdlib.h>
#include <sys/random.h>

/// What rules may say in a call, in bytes.
enum { MAX_LINES = 32 * 1024, ASKED_GRACE = 250 };

char key_anchors, key_routes, key_strings, key_json_array, key_math, key_utf8;

/// Leaves what stays at the bottom of the stack: the anchors of emitted verdicts, msg, chat.
static int set_up(lua_State *L) {
    // The string library's own table stays behind the metatable of strings; rules get copies.
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_strings);
    static const luaL_Reg replaced[] = {
        {"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch}, {"gsub", string_gsub},
        {"format", string_format}, {"rep", string_rep}, {NULL, NULL},
    };
    luaL_setfuncs(L, replaced, 0);
    bound_strings(L);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_settop(L, 0);
    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_math);
    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 0);
    bound_utf8(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_utf8);
    // Nothing may be reached by other names than those that rules are given.
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_createtable(L, 16, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_anchors);
    lua_createtable(L, KEPT_ROUTES, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_routes);
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_json_array);
    lua_settop(L, 0);
    open_message(L);
    open_chat(L);
    open_members(L);
    open_peers(L);
    open_verdicts(L);
    open_context(L);
    open_counter_type(L);
    open_big_integers(L);
    open_responses(L);
    open_packed_type(L);
    open_lazy(L);
    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_anchors);
    push_message(L);
    push_chat(L);
    return 3;
}

bool state_open(shunt_rule *rule) {
    rule->ceiling = rule->ceiling_used = SIZE_MAX;
    rule->L = lua_newstate(state_allocate, rule);
    if (rule->L == NULL) { return false; }
    *(shunt_host **)lua_getextraspace(rule->L) = rule->host;
    lua_pushcfunction(rule->L, set_up);
    // A rule may leave a copy that stood for the message, or what it returned, and one for the last recipient.
    if (lua_pcall(rule->L, 0, 3, 0) != LUA_OK || !lua_checkstack(rule->L, 3 * LUA_MINSTACK)) { return false; }
    rule->depth = thread_of(rule->L)->depth;
    note_message(rule, SLOT_MESSAGE);
    rule->array_type = json_array_type(rule->L);
    rule->lazy_type = lazy_type(rule->L);
    rule->connection_type = connection_type(rule->L);
    return true;
}

shunt_host *shunt_host_create(const shunt_options *options) {
    shunt_host *host = calloc(1, sizeof *host);
    if (host == NULL) { return NULL; }
    host->options = *options;
    host->record.limit = host->secret.limit = 1 << 20;
    host->lines.limit = MAX_LINES;
    if (getrandom(&host->guard_seed, sizeof host->guard_seed, GRND_NONBLOCK) < 0) { host->guard_seed = (uint64_t)(uintptr_t)host; }
    host->worker = strdup(options->worker);
    if (host->worker == NULL) {
        free(host);
        return NULL;
    }
    share_memory(host);
    shunt_host_end_turn(host);
    budget_attach(host);
    return host;
}

void shunt_host_free(shunt_host *host) {
    if (host == NULL) { return; }
    budget_detach(host);
    while (host->waits != NULL) { shunt_waiting_free(host, host->waits); }
    pattern_free_kept(host);
    free(host->routed);
    free(host->worker);
    shunt_buffer_free(&host->inflated);
    shunt_buffer_free(&host->record);
    shunt_buffer_free(&host->secret);
    shunt_buffer_free(&host->scratch);
    shunt_buffer_free(&host->lines);
    free(host);
}

bool shunt_host_is_overdue(shunt_host *host) {
    shunt_budget *budget = &host->budget;
    if (budget->killed != KILL_NONE) { return true; }
    if (budget->grace == 0) { return false; }
    // What it does between two questions is as much as many instructions.
    budget->grace = budget->grace > ASKED_GRACE ? budget->grace - ASKED_GRACE : 1;
    return budget->grace == 1;
}

shunt_message *shunt_host_message(shunt_host *host) { return &host->message; }

size_t shunt_host_memory(const shunt_host *host) {
    size_t used = 0;
    for (const shunt_rule *rule = host->all; rule != NULL; rule = rule->next) { used += rule->used; }
    return used;
}

shunt_bytes shunt_host_error(const shunt_host *host) { return (shunt_bytes){host->error, host->error_count}; }
shunt_failure shunt_host_failure(const shunt_host *host) { return host->failure; }

void shunt_host_activate(shunt_host *host, shunt_rule *const *rules, size_t count) {
    release_results(host);
    host->rule_count = count < MAX_RULES ? count : MAX_RULES;
    for (size_t i = 0; i < host->rule_count; i++) {
        host->rules[i] = rules[i];
        rules[i]->index = (uint8_t)i;
    }
    for (int hook = 0; hook < SHUNT_HOOKS; hook++) {
        host->having[hook] = 0;
        for (size_t i = 0; i < host->rule_count; i++) {
            if (shunt_rule_has(rules[i], hook)) { host->having[hook] |= (uint64_t)1 << i; }
        }
    }
    share_memory(host);
}

// MARK: types

/// Upvalues: the type's name, and what gives a changed one or nil.
static int type_newindex(lua_State *L) {
    const char *name = lua_tostring(L, lua_upvalueindex(1)), *with = lua_tostring(L, lua_upvalueindex(2));
    const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "topic";
    if (with == NULL) { return luaL_error(L, "%s can't be changed", name); }
    return luaL_error(L, "%s can't be changed in place: return %s{ %s = … }", name, with, field);
}

void new_type(lua_State *L, void *key, const char *name, const char *with, lua_CFunction index, const luaL_Reg *methods) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    int count = 0;
    for (; methods != NULL && methods[count].name != NULL; count++) { lua_pushcfunction(L, methods[count].func); }
    lua_pushcclosure(L, index, count);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushstring(L, with);
    lua_pushcclosure(L, type_newindex, 2);
    lua_setfield(L, -2, "__newindex");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void set_type(lua_State *L, void *key) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    lua_setmetatable(L, -2);
}

void shunt_host_set_limits(shunt_host *host, size_t state_memory, size_t inflated_bytes, uint32_t fanout, size_t topic_bytes,
                           uint64_t turn_nanoseconds, bool tells_payloads) {
    host->options.turn_nanoseconds = turn_nanoseconds;
    host->options.tells_payloads = tells_payloads;
    host->options.state_memory = state_memory;
    share_memory(host);
    host->options.fanout = fanout;
    host->options.inflated_bytes = inflated_bytes;
    host->options.topic_bytes = topic_bytes;
}
