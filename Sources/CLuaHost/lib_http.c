// `http` and `resolve`: what a hook waits for while others go on. The owner looks it up; here is only what a rule may ask.
#include "utf8.h"
#include "waiting.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LOOKUPS = 16, MAX_TARGET = 2048, MAX_HEADERS = 32, MAX_HEADER_BYTES = 8192, MAX_BODY = 256 * 1024 };
static const double MAX_CACHE = 86400, MAX_TIMEOUT = 60;

static char key_response_type;
static const char *const looking_hooks[] = {"on_connect", "on_auth", "on_register", "on_subscribe"};

// MARK: who may ask

static bool may_look_up(shunt_hook hook) {
    for (size_t i = 0; i < sizeof looking_hooks / sizeof looking_hooks[0]; i++) {
        if (strcmp(looking_hooks[i], shunt_hook_name(hook)) == 0) { return true; }
    }
    return false;
}

static void check_place(lua_State *L, shunt_host *host, const char *what) {
    if (!may_look_up(host->hook)) {
        luaL_error(L, "%s can't be called in %s, where nobody waits: it is for on_connect, on_auth, on_register and on_subscribe", what,
                   shunt_hook_name(host->hook));
    }
    if (!host->rule->looks_up) { luaL_error(L, "%s: this rule may look nothing up: see rules.lookups in the configuration", what); }
    if (L != host->waiter) { luaL_error(L, "%s can't be called in a coroutine of the rule's own: call it from the hook itself", what); }
    if (!lua_isyieldable(L)) {
        luaL_error(L, "%s can't wait inside of a function that a library calls, as table.sort, string.gsub, a metamethod or require do", what);
    }
    if (host->waiting->lookups >= MAX_LOOKUPS) { luaL_error(L, "%s: a call makes at most %d look-ups", what, (int)MAX_LOOKUPS); }
    host->waiting->lookups++;
}

// MARK: options

/// Seconds, from a number or a text such as "2s" or "500ms".
static double check_seconds(lua_State *L, int index, const char *what, double most) {
    double seconds = -1;
    if (lua_type(L, index) == LUA_TNUMBER) {
        seconds = lua_tonumber(L, index);
    } else if (lua_type(L, index) == LUA_TSTRING && lua_rawlen(L, index) < 16) {
        static const struct { const char *name; double seconds; } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
        const char *text = lua_tostring(L, index);
        char *end = (char *)text;
        double number = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (strcmp(end, units[i].name) == 0) { seconds = number * units[i].seconds; }
        }
    }
    if (!(seconds > 0 && seconds <= most)) { luaL_error(L, "%s is a duration of up to %d s, as in \"2s\" or \"500ms\"", what, (int)most); }
    return seconds;
}

static bool is_token(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isalnum((unsigned char)text[i]) && (text[i] == 0 || strchr("!#$%&'*+-.^_`|~", text[i]) == NULL)) { return false; }
    }
    return count > 0;
}

/// Those are the transfer's own.
static bool is_own_header(const char *name) {
    static const char *const own[] = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer",
                                      "keep-alive", "proxy-authorization", "proxy-connection"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcasecmp(name, own[i]) == 0) { return true; }
    }
    return false;
}

/// Adds the header at the top of the stack, its name below it, as a line that ends with a zero byte.
static void add_header(lua_State *L, shunt_host *host, size_t base) {
    size_t name_count, count;
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) { luaL_error(L, "http: headers are names with texts"); }
    const char *name = lua_tolstring(L, -2, &name_count), *text = lua_tolstring(L, -1, &count);
    if (!is_token(name, name_count)) { luaL_error(L, "http: a header's name has letters, digits and -"); }
    if (is_own_header(name)) { luaL_error(L, "http: the header %s is not a rule's to set", name); }
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)text[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7F) { luaL_error(L, "http: the header %s has a control character in it", name); }
    }
    for (size_t at = 0, length; at < count; at += length) {
        length = utf8_sequence(text + at, text + count);
        if (length == 0) { luaL_error(L, "http: the header %s has bytes that are not UTF-8", name); }
    }
    if (host->scratch.count - base + name_count + count > MAX_HEADER_BYTES) {
        luaL_error(L, "http: the headers have more than %d bytes", (int)MAX_HEADER_BYTES);
    }
    scratch_add(L, host, name, name_count);
    // An empty value has a sign of its own in libcurl.
    scratch_add(L, host, count == 0 ? ";" : ": ", count == 0 ? 1 : 2);
    scratch_add(L, host, text, count);
    scratch_char(L, host, 0);
}

static size_t add_headers(lua_State *L, shunt_host *host, int index) {
    size_t base = host->scratch.count;
    int number = 0;
    if (!lua_istable(L, index)) { luaL_error(L, "http: headers are a table, as in { Accept = \"text/plain\" }"); }
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        budget_check(L, host);
        if (++number > MAX_HEADERS) { luaL_error(L, "http: more than %d headers", (int)MAX_HEADERS); }
        add_header(L, host, base);
    }
    return host->scratch.count - base;
}

/// Reads the options at an index. Headers are put on the scratch.
static void read_options(lua_State *L, shunt_host *host, int index, const char *what, bool has_headers, shunt_lookup *lookup) {
    if (lua_isnoneornil(L, index)) { return; }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        int value = lua_gettop(L);
        if (key_is(L, -2, "timeout")) {
            lookup->timeout = check_seconds(L, value, "timeout", MAX_TIMEOUT);
        } else if (key_is(L, -2, "cache")) {
            lookup->cache = check_seconds(L, value, "cache", MAX_CACHE);
        } else if (has_headers && key_is(L, -2, "headers")) {
            lookup->headers.count = add_headers(L, host, value);
        } else {
            luaL_error(L, "%s has the options %stimeout and cache, not %s", what, has_headers ? "headers, " : "", key_shown(L, -2));
        }
    }
}

// MARK: asking

/// Asks the owner, and waits if it does not know.
static int look_up(lua_State *L, shunt_host *host, const char *what, shunt_lookup *lookup, size_t base) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    shunt_buffer *answer = &host->record;
    lookup->headers.start = lookup->headers.count > 0 ? host->scratch.bytes + base : NULL;
    answer->count = 0;
    answer->full = false;
    shunt_look found = callbacks->look_up == NULL ? SHUNT_LOOK_REFUSED
                                                  : callbacks->look_up(callbacks->context, host->rule->index, lookup, answer);
    host->scratch.count = base;
    switch (found) {
    case SHUNT_LOOK_WAITS: return lua_yield(L, 0);
    case SHUNT_LOOK_KNOWN: return push_lookup_answer(L, (shunt_bytes){answer->bytes, answer->count});
    default:
        lua_pushlstring(L, answer->count > 0 ? answer->bytes : "", answer->count);
        return luaL_error(L, "%s: %s", what, lua_tostring(L, -1));
    }
}

static shunt_bytes check_target(lua_State *L, const char *what) {
    shunt_bytes target;
    if (lua_type(L, 1) != LUA_TSTRING) { luaL_error(L, "%s takes a text, not a %s", what, luaL_typename(L, 1)); }
    target.start = lua_tolstring(L, 1, &target.count);
    if (target.count == 0 || target.count > MAX_TARGET) { luaL_error(L, "%s takes a text of 1 to %d bytes", what, (int)MAX_TARGET); }
    return target;
}

static int http_get(lua_State *L) {
    shunt_host *host = host_of(L);
    check_place(L, host, "http.get");
    size_t base = host->scratch.count;
    shunt_lookup lookup = {.kind = SHUNT_GET, .target = check_target(L, "http.get")};
    lua_settop(L, 2);
    read_options(L, host, 2, "http.get", true, &lookup);
    return look_up(L, host, "http.get", &lookup, base);
}

/// The body is a text, or a table that goes as JSON.
static int http_post(lua_State *L) {
    shunt_host *host = host_of(L);
    check_place(L, host, "http.post");
    shunt_lookup lookup = {.kind = SHUNT_POST, .target = check_target(L, "http.post")};
    lua_settop(L, 3);
    if (lua_istable(L, 2)) {
        json_encode(L, 2);
        lua_replace(L, 2);
    }
    if (lua_type(L, 2) != LUA_TSTRING) { return luaL_error(L, "http.post: the body is a text or a table, not a %s", luaL_typename(L, 2)); }
    lookup.body.start = lua_tolstring(L, 2, &lookup.body.count);
    if (lookup.body.count > MAX_BODY) { return luaL_error(L, "http.post: the body has more than %d bytes", (int)MAX_BODY); }
    size_t base = host->scratch.count;
    read_options(L, host, 3, "http.post", true, &lookup);
    return look_up(L, host, "http.post", &lookup, base);
}

static int base_resolve(lua_State *L) {
    shunt_host *host = host_of(L);
    check_place(L, host, "resolve");
    shunt_lookup lookup = {.kind = SHUNT_RESOLVE, .target = check_target(L, "resolve")};
    lua_settop(L, 2);
    read_options(L, host, 2, "resolve", false, &lookup);
    return look_up(L, host, "resolve", &lookup, host->scratch.count);
}

// MARK: answers

int push_lookup_answer(lua_State *L, shunt_bytes answer) {
    const char *cursor = answer.start;
    if (!value_push(L, &cursor, cursor + answer.count, 0)) { lua_pushliteral(L, "no answer"); }
    if (lua_type(L, -1) == LUA_TSTRING) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (lua_istable(L, -1) && push_raw_field(L, -1, "status") != LUA_TNIL) {
        lua_pop(L, 1);
        set_type(L, &key_response_type);
    } else if (lua_istable(L, -2)) {
        lua_pop(L, 1);
    }
    return 1;
}

static int response_json(lua_State *L) {
    size_t count;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (push_raw_field(L, 1, "body") != LUA_TSTRING) { return luaL_error(L, "json() is for an answer of http.get or http.post"); }
    const char *text = lua_tolstring(L, 2, &count);
    return json_decode(L, text, count);
}

void open_responses(lua_State *L) {
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "response");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, response_json);
    lua_setfield(L, -2, "json");
    lua_setfield(L, -2, "__index");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_response_type);
}

void open_http(lua_State *L) {
    static const luaL_Reg functions[] = {{"get", http_get}, {"post", http_post}, {NULL, NULL}};
    luaL_newlib(L, functions);
}

/// Adds `resolve` to the table on the top of the stack.
void open_resolve(lua_State *L) {
    lua_pushcfunction(L, base_resolve);
    lua_setfield(L, -2, "resolve");
}
