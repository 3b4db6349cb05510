// A rule in a state: its own globals, its table, its hooks.
#include "call.h"
#include "lazy.h"
#include "schema.h"
#include "waiting.h"

#include <stdio.h>
#include <stdlib.h>

static const struct { const char *name; uint8_t kinds; } hooks[SHUNT_HOOKS] = {
#define HOOK(constant, name, kinds) {name, kinds},
    SHUNT_HOOK_TABLE(HOOK)
#undef HOOK
};
static const char *const verdict_names[SHUNT_VERDICTS] = {
#define VERDICT(constant, name) name,
    SHUNT_VERDICT_TABLE(VERDICT)
#undef VERDICT
};
static char key_context_type;

const char *shunt_hook_name(shunt_hook hook) { return hooks[hook].name; }
uint8_t shunt_hook_kinds(shunt_hook hook) { return hooks[hook].kinds; }
const char *shunt_verdict_name(shunt_verdict verdict) { return verdict_names[verdict]; }

// MARK: globals

/// Pushes the globals of a rule: libraries of its own, so that what it does to them is its own affair.
static void push_environment(lua_State *L) {
    static const struct { const char *name; void (*open)(lua_State *); } libraries[] = {
        {"string", open_string}, {"table", open_table}, {"coroutine", open_coroutine}, {"json", open_json},
        {"hash", open_hash}, {"base64", open_base64}, {"time", open_time}, {"log", open_log}, {"route", open_route},
        {"counter", open_counter}, {"re", open_re}, {"http", open_http}, {"msgpack", open_msgpack}, {"cbor", open_cbor},
        {"sessions", open_sessions},
    };
    lua_createtable(L, 0, 48);
    open_base(L);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        libraries[i].open(L);
        lua_setfield(L, -2, libraries[i].name);
    }
    open_stores(L);
    open_resolve(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
}

// MARK: loading

typedef struct {
    shunt_rule *rule;
    const char *folder;
    const shunt_source *sources;
    size_t count;
} load_request;

/// Pushes the rule file's chunk with the globals at `environment`.
static void load_chunk(lua_State *L, const char *folder, const shunt_source *source, int environment) {
    lua_pushfstring(L, "@%s/%s", folder, source->path);
    load_text(L, without_mark(source->text), lua_tostring(L, -1));
    lua_pushvalue(L, environment);
    lua_setupvalue(L, -2, 1);
    lua_remove(L, -2);
}

static void set_require(lua_State *L, const load_request *request, int environment) {
    lua_createtable(L, 0, (int)request->count);
    for (size_t i = 1; i < request->count; i++) {
        lua_pushlstring(L, request->sources[i].path, strlen(request->sources[i].path) - strlen(".lua"));
        push_bytes(L, request->sources[i].text);
        lua_rawset(L, -3);
    }
    lua_newtable(L);
    lua_pushvalue(L, environment);
    lua_pushstring(L, request->folder);
    lua_pushcclosure(L, base_require, 4);
    lua_setfield(L, environment, "require");
}

static int load_body(lua_State *L) {
    load_request *request = lua_touserdata(L, 1);
    shunt_rule *rule = request->rule;
    push_environment(L);
    set_require(L, request, 2);
    schema_open(L, 2);
    load_chunk(L, request->folder, &request->sources[0], 2);
    lua_call(L, 0, 1);
    schema_close(L, 2, 3);
    lua_remove(L, 3);
    if (!lua_istable(L, -1)) {
        return luaL_error(L, "%s/%s:1: a rule file returns its table, not a %s", request->folder, request->sources[0].path,
                          luaL_typename(L, -1));
    }
    for (int hook = 0; hook < SHUNT_HOOKS; hook++) {
        lua_pushstring(L, hooks[hook].name);
        if (lua_rawget(L, 3) == LUA_TFUNCTION) {
            note_function(rule, hook, top_of(L));
            rule->hooks[hook] = luaL_ref(L, LUA_REGISTRYINDEX);
        } else {
            lua_pop(L, 1);
        }
    }
    rule->table = luaL_ref(L, LUA_REGISTRYINDEX);
    rule->environment = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static shunt_rule *create(shunt_host *host, const char *name) {
    shunt_rule *rule = calloc(1, sizeof *rule);
    if (rule == NULL) {
        set_error(host, SHUNT_MEMORY, "no memory for a rule");
        return NULL;
    }
    rule->host = host;
    rule->serial = ++host->rules_made;
    snprintf(rule->name, sizeof rule->name, "%s", name);
    rule->environment = rule->table = rule->settings = rule->context = rule->saved = LUA_NOREF;
    for (int hook = 0; hook < SHUNT_HOOKS; hook++) { rule->hooks[hook] = LUA_NOREF; }
    rule->next = host->all;
    host->all = rule;
    if (state_open(rule)) { return rule; }
    shunt_rule_free(host, rule);
    set_error(host, SHUNT_MEMORY, "no memory for a rule's Lua state");
    return NULL;
}

static bool run_loading(shunt_host *host, shunt_rule *rule, lua_CFunction body, void *context) {
    return run_protected(host, rule, body, context, host->options.load_nanoseconds, host->options.load_memory);
}

shunt_rule *shunt_rule_load(shunt_host *host, const char *name, const char *folder, const shunt_source *sources, size_t count) {
    shunt_rule *rule = create(host, name);
    load_request request = {rule, folder, sources, count};
    if (rule == NULL || run_loading(host, rule, load_body, &request)) { return rule; }
    shunt_rule_free(host, rule);
    return NULL;
}

void shunt_rule_free(shunt_host *host, shunt_rule *rule) {
    if (rule == NULL) { return; }
    for (size_t i = 0; i < host->rule_count; i++) {
        // Nothing of it is called any more.
        if (host->rules[i] == rule) { shunt_host_activate(host, NULL, 0); }
    }
    for (shunt_rule **link = &host->all; *link != NULL; link = &(*link)->next) {
        if (*link == rule) {
            *link = rule->next;
            break;
        }
    }
    forget_waiting(host, rule);
    if (rule->L != NULL) { lua_close(rule->L); }
    free_kept(rule);
    free_counters(rule);
    free(rule);
    release_locals(host);
}

bool shunt_rule_has(const shunt_rule *rule, shunt_hook hook) { return rule->hooks[hook] != LUA_NOREF; }
const shunt_figures *shunt_rule_figures(const shunt_rule *rule, shunt_hook hook) { return &rule->figures[hook]; }

size_t shunt_rule_memory(const shunt_rule *rule) { return rule->used; }
shunt_bytes shunt_host_topic(const shunt_host *host) { return host->in_message ? host->message.topic : (shunt_bytes){0}; }

void shunt_rule_failed(shunt_rule *rule, shunt_hook hook, shunt_failure failure) { rule->figures[hook].failures[failure]++; }
void shunt_rule_decided(shunt_rule *rule, shunt_verdict verdict) { rule->figures[SHUNT_ON_MESSAGE].verdicts[verdict]++; }

// MARK: describing and configuring

typedef struct {
    shunt_rule *rule;
    shunt_buffer *value;
    shunt_bytes settings;
} value_request;

static int describe_body(lua_State *L) {
    value_request *request = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->rule->table);
    value_write(L, 2, request->value, 0);
    return 0;
}

bool shunt_rule_describe(shunt_host *host, shunt_rule *rule, shunt_buffer *value) {
    value_request request = {.rule = rule, .value = value};
    return run_loading(host, rule, describe_body, &request);
}

static int configure_body(lua_State *L) {
    value_request *request = lua_touserdata(L, 1);
    const char *cursor = request->settings.start;
    if (!value_push(L, &cursor, cursor + request->settings.count, 0)) { return luaL_error(L, "settings nested too deeply"); }
    uint32_t *context = lua_newuserdatauv(L, sizeof *context, 1);
    *context = TAG_CONTEXT;
    set_type(L, &key_context_type);
    push_frozen_copy(L, 2);
    lua_setiuservalue(L, 3, 1);
    request->rule->context_value = *top_of(L);
    request->rule->context = luaL_ref(L, LUA_REGISTRYINDEX);
    request->rule->settings = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

bool shunt_rule_configure(shunt_host *host, shunt_rule *rule, shunt_bytes settings, shunt_rule_policy policy) {
    value_request request = {.rule = rule, .settings = settings};
    rule->policy = policy;
    rule->ceiling_used = SIZE_MAX;
    return run_loading(host, rule, configure_body, &request);
}

static int match_body(lua_State *L) {
    value_request *request = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->rule->table);
    lua_pushliteral(L, "match");
    lua_rawget(L, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->rule->settings);
    lua_call(L, 1, 1);
    value_write(L, 3, request->value, 0);
    return 0;
}

bool shunt_rule_match(shunt_host *host, shunt_rule *rule, shunt_buffer *value) {
    value_request request = {.rule = rule, .value = value};
    return run_loading(host, rule, match_body, &request);
}

bool shunt_rule_takes_self(const shunt_rule *rule, shunt_hook hook) {
    lua_State *L = rule->L;
    int top = lua_gettop(L);
    const char *name = NULL;
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, rule->hooks[hook]) == LUA_TFUNCTION) { name = lua_getlocal(L, NULL, 1); }
    bool takes = name != NULL && strcmp(name, "self") == 0;
    lua_settop(L, top);
    return takes;
}

// MARK: starting and stopping

/// Gives ctx the settings as on_load has left them.
static void settle_settings(lua_State *L, const shunt_rule *rule) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, rule->context);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rule->settings);
    push_frozen_copy(L, -1);
    lua_setiuservalue(L, -3, 1);
    lua_pop(L, 2);
}

/// Arguments: the hook, settings, the version before or NULL.
static int start_body(lua_State *L) {
    shunt_rule *before = lua_touserdata(L, 3);
    size_t left_out = 0;
    lua_pop(L, 1);
    if (before == NULL) {
        lua_pushnil(L);
    } else if (before->L == host_of(L)->rule->L) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, before->saved);
    } else if (lua_rawgeti(before->L, LUA_REGISTRYINDEX, before->saved) == LUA_TNIL) {
        lua_pushnil(L);
    } else {
        left_out = copy_value(L, before->L);
    }
    if (left_out > 0) {
        char text[256];
        snprintf(text, sizeof text, "rule %s: on_unload handed on %zu values that stay behind, such as functions", before->name, left_out);
        log_notice(host_of(L), text);
    }
    lua_call(L, 2, 0);
    settle_settings(L, host_of(L)->rule);
    return 0;
}

bool shunt_rule_start(shunt_host *host, shunt_rule *rule, shunt_rule *before, double now) {
    if (!shunt_rule_has(rule, SHUNT_ON_LOAD)) { return true; }
    lua_State *L = rule->L;
    int top = before == NULL ? 0 : lua_gettop(before->L);
    host->now = now;
    lua_pushcfunction(L, start_body);
    push_hook(rule, SHUNT_ON_LOAD);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rule->settings);
    lua_pushlightuserdata(L, before);
    bool started = call_hook(host, rule, SHUNT_ON_LOAD, 3);
    if (started) { lua_pop(L, 1); } else { rule->figures[SHUNT_ON_LOAD].failures[host->failure]++; }
    // If the copy was given up.
    if (before != NULL && before != rule) { lua_settop(before->L, top); }
    return started;
}

static int keep_saved(lua_State *L) {
    shunt_rule *rule = host_of(L)->rule;
    lua_rawgeti(L, LUA_REGISTRYINDEX, rule->hooks[SHUNT_ON_UNLOAD]);
    // What an earlier on_unload has returned, before the rule was started again, is nothing that this one hands on.
    luaL_unref(L, LUA_REGISTRYINDEX, rule->saved);
    rule->saved = LUA_NOREF;
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) { return 0; }
    if (!lua_istable(L, -1)) { return luaL_error(L, "it returned a %s, and may return a table", luaL_typename(L, -1)); }
    rule->saved = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

bool shunt_rule_stop(shunt_host *host, shunt_rule *rule, double now) {
    if (!shunt_rule_has(rule, SHUNT_ON_UNLOAD)) { return true; }
    host->now = now;
    lua_pushcfunction(rule->L, keep_saved);
    if (!call_hook(host, rule, SHUNT_ON_UNLOAD, 0)) {
        rule->figures[SHUNT_ON_UNLOAD].failures[host->failure]++;
        return false;
    }
    lua_pop(rule->L, 1);
    return true;
}

// MARK: ctx

/// Upvalue: emit. The rule that runs is the one whose ctx this is: no other can reach it.
static int context_index(lua_State *L) {
    luaL_argexpected(L, tagged(L, 1, TAG_CONTEXT) != NULL, 1, "ctx");
    shunt_host *host = host_of(L);
    const char *name = luaL_checkstring(L, 2);
    if (key_is(L, 2, "emit")) {
        lua_pushvalue(L, lua_upvalueindex(1));
    } else if (key_is(L, 2, "settings")) {
        lua_getiuservalue(L, 1, 1);
    } else if (key_is(L, 2, "now")) {
        lua_pushnumber(L, host->now);
    } else if (key_is(L, 2, "rule")) {
        lua_pushstring(L, host->rule->name);
    } else if (key_is(L, 2, "worker")) {
        lua_pushstring(L, host->worker);
    } else if (key_is(L, 2, "loop")) {
        lua_pushinteger(L, host->options.loop);
    } else {
        return luaL_error(L, "ctx has no '%s': it has rule, settings, worker, loop, now, emit()", name);
    }
    return 1;
}

void open_context(lua_State *L) {
    static const luaL_Reg methods[] = {{"emit", context_emit}, {NULL, NULL}};
    new_type(L, &key_context_type, "ctx", NULL, context_index, methods);
}

// MARK: rule tests

typedef struct {
    shunt_rule *tests;
    const char *prelude, *folder;
    shunt_bytes name;
    const shunt_source *sources;
    size_t count;
    shunt_buffer *names;
} test_request;

static int test_load_body(lua_State *L) {
    test_request *request = lua_touserdata(L, 1);
    load_request sources = {request->tests, request->folder, request->sources, request->count};
    push_environment(L);
    set_require(L, &sources, 2);
    load_chunk(L, request->folder, &(shunt_source){"prelude", {request->prelude, strlen(request->prelude)}}, 2);
    lua_pushcfunction(L, test_call);
    lua_call(L, 1, 1);
    load_chunk(L, request->folder, &request->sources[0], 2);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1)) { return luaL_error(L, "%s/rule_test.lua:1: a test file returns a table of tests", request->folder); }
    lua_newtable(L);
    lua_Integer count = 0;
    for (lua_pushnil(L); lua_next(L, 4) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isfunction(L, -1)) {
            const char *type = luaL_typename(L, -1);
            bool is_text = lua_type(L, -2) == LUA_TSTRING;
            lua_pushvalue(L, -2);
            const char *key = luaL_tolstring(L, -1, NULL);
            return luaL_error(L, "%s/rule_test.lua:1: a test file returns [\"what is promised\"] = function(t), not [%s%s%s] = a %s",
                              request->folder, is_text ? "\"" : "", key, is_text ? "\"" : "", type);
        }
        lua_pushvalue(L, -2);
        lua_rawseti(L, 5, ++count);
    }
    value_write(L, 5, request->names, 0);
    lua_settop(L, 4);
    request->tests->table = luaL_ref(L, LUA_REGISTRYINDEX);
    request->tests->context = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

shunt_rule *shunt_test_load(shunt_host *host, const char *folder, const char *prelude, const shunt_source *sources, size_t count,
                            shunt_buffer *names) {
    shunt_rule *tests = create(host, folder);
    test_request request = {.tests = tests, .prelude = prelude, .folder = folder, .sources = sources, .count = count, .names = names};
    if (tests == NULL || run_loading(host, tests, test_load_body, &request)) { return tests; }
    shunt_rule_free(host, tests);
    return NULL;
}

static int test_run_body(lua_State *L) {
    test_request *request = lua_touserdata(L, 1);
    // What the prelude gave runs a test.
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->tests->context);
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->tests->table);
    push_bytes(L, request->name);
    lua_rawget(L, 3);
    lua_remove(L, 3);
    lua_call(L, 1, 0);
    return 0;
}

bool shunt_test_run(shunt_host *host, shunt_rule *tests, shunt_bytes name, double now) {
    test_request request = {.tests = tests, .name = name};
    host->now = now;
    return run_loading(host, tests, test_run_body, &request);
}
