// The globals that rules have: what is here and in the other libraries, and nothing else.
#include "host.h"
#include "raised.h"
#include "utf8.h"

#include <ctype.h>

/// What of a file is parsed between two looks at the budget, in bytes.
enum { MAX_NUMBER_TEXT = 4096, PIECE = 1024 };

void rethrow_kill(lua_State *L, shunt_host *host, int status) {
    if (status == LUA_ERRMEM) { budget_out_of_memory(host); }
    budget_check(L, host);
}

// MARK: pcall and xpcall

/// What lua_pcallk and its continuation end with: `below` values under the results belong to the caller.
static int end_protected(lua_State *L, int status, int below, size_t scratch) {
    shunt_host *host = host_of(L);
    rethrow_kill(L, host, status);
    if (status == LUA_OK || status == LUA_YIELD) { return lua_gettop(L) - below; }
    host->scratch.count = scratch;
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}

/// After a yield, or an error in a coroutine: no function that uses scratch is between here and the resume.
static int continue_protected(lua_State *L, int status, lua_KContext below) {
    return end_protected(L, status, (int)below, host_of(L)->resume_scratch);
}

static int base_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    size_t scratch = host_of(L)->scratch.count;
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, continue_protected);
    return end_protected(L, status, 0, scratch);
}

/// Between Lua and a rule's message handler: Lua calls it while hooks are off, so a killed call must not enter it.
static int handle_error(lua_State *L) {
    if (host_of(L)->budget.killed != KILL_NONE) { return 1; }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int base_xpcall(lua_State *L) {
    int count = lua_gettop(L);
    size_t scratch = host_of(L)->scratch.count;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_error, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    int status = lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, continue_protected);
    return end_protected(L, status, 2, scratch);
}

// MARK: the rest

/// Finalizers would run with hooks off, out of the budget's reach; a chain of weak keys costs the collector the square of its
/// length, in one step that nothing can end.
static int base_setmetatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) { return luaL_error(L, "cannot change a protected metatable"); }
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) { return luaL_error(L, "a rule's metatable can't have __gc"); }
        lua_pushliteral(L, "__concat");
        if (lua_rawget(L, 2) != LUA_TNIL) { return luaL_error(L, "a rule's metatable can't have __concat"); }
        lua_pushliteral(L, "__mode");
        if (lua_rawget(L, 2) == LUA_TSTRING && strchr(lua_tostring(L, -1), 'k') != NULL) {
            return luaL_error(L, "a rule's table can't have weak keys (__mode \"k\"); \"v\" is for weak values");
        }
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int base_collectgarbage(lua_State *L) {
    const char *what = luaL_optstring(L, 1, "collect");
    if (strcmp(what, "count") != 0) { return luaL_error(L, "collectgarbage has \"count\" only, not \"%s\"", what); }
    lua_pushnumber(L, (lua_Number)host_of(L)->rule->used / 1024);
    return 1;
}

const char *push_text_of(lua_State *L, int index, size_t *count) {
    int type = lua_type(L, index);
    bool has_text = type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING;
    if (!has_text && luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) {
        lua_pushstring(L, type == LUA_TLIGHTUSERDATA ? "null" : luaL_typename(L, index));
        return lua_tolstring(L, -1, count);
    }
    if (!has_text) { lua_pop(L, 1); }
    return luaL_tolstring(L, index, count);
}

static int base_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    push_text_of(L, 1, NULL);
    return 1;
}

/// Upvalue: Lua's own. Of an integer beyond 64 bits the nearest float; a text that is longer than any number is none.
static int base_tonumber(lua_State *L) {
    shunt_bytes digits = big_integer_digits(L, 1);
    if (digits.count > 0 && lua_isnoneornil(L, 2)) {
        lua_stringtonumber(L, digits.start);
        return 1;
    }
    if (lua_type(L, 1) == LUA_TSTRING && lua_rawlen(L, 1) > MAX_NUMBER_TEXT) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/// The character after the one at a place. Lua's own passes over continuation bytes that belong to none.
static int next_code(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count), *end = text + count;
    lua_Integer before = luaL_checkinteger(L, 2);
    size_t at = 0;
    if (before > 0) {
        if ((size_t)before > count) { return 0; }
        size_t length = utf8_sequence(text + before - 1, end);
        if (length == 0) { return luaL_error(L, "invalid UTF-8 code"); }
        at = (size_t)before - 1 + length;
    }
    if (at >= count) { return 0; }
    size_t length = utf8_sequence(text + at, end);
    if (length == 0) { return luaL_error(L, "invalid UTF-8 code"); }
    uint32_t code = length == 1 ? (unsigned char)text[at] : (unsigned char)text[at] & 0x7Fu >> length;
    for (size_t i = 1; i < length; i++) { code = code << 6 | ((unsigned char)text[at + i] & 0x3F); }
    lua_pushinteger(L, (lua_Integer)at + 1);
    lua_pushinteger(L, code);
    return 2;
}

/// Upvalue: Lua's own, for texts that are not UTF-8 by intent.
static int base_codes(lua_State *L) {
    luaL_checkstring(L, 1);
    lua_settop(L, 2);
    if (lua_toboolean(L, 2)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, 2, 3);
        return 3;
    }
    lua_pushcfunction(L, next_code);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

static int base_print(lua_State *L) {
    shunt_host *host = host_of(L);
    int count = lua_gettop(L);
    size_t base = host->scratch.count, length;
    for (int i = 1; i <= count; i++) {
        const char *text = push_text_of(L, i, &length);
        scratch_add(L, host, text, length);
        if (i < count) { scratch_char(L, host, '\t'); }
        lua_pop(L, 1);
    }
    scratch_push(L, host, base);
    const char *text = lua_tolstring(L, -1, &length);
    log_write(L, SHUNT_INFO, text, length, 0);
    return 0;
}

static int base_match(lua_State *L) {
    size_t topic_count = 0, filter_count;
    // What has no topic, such as a broadcast's or a client's, is in no filter.
    bool has_topic = !lua_isnoneornil(L, 1);
    const char *topic = has_topic ? luaL_checklstring(L, 1, &topic_count) : "", *filter = luaL_checklstring(L, 2, &filter_count);
    if (!shunt_filter_is_valid(filter, filter_count)) {
        return luaL_error(L, "invalid topic filter '%s': + and # stand alone between slashes, # comes last", filter);
    }
    lua_pushboolean(L, has_topic && shunt_topic_matches(filter, filter_count, topic, topic_count));
    return 1;
}

// MARK: require

/// Of the table of loaded modules: the last call that loaded one. A module that is being loaded is the table itself, which no rule
/// has.
enum { LOADED_BY = 1 };

/// What a call that was ended left marked.
static void forget_unfinished(lua_State *L) {
    for (lua_pushnil(L); lua_next(L, lua_upvalueindex(2)) != 0; lua_pop(L, 1)) {
        if (!lua_rawequal(L, -1, lua_upvalueindex(2))) { continue; }
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, lua_upvalueindex(2));
    }
}

typedef struct {
    shunt_host *host;
    shunt_bytes left;
} text_reader;

static const char *read_piece(lua_State *L, void *context, size_t *count) {
    text_reader *reader = context;
    const char *piece = reader->left.start;
    budget_check(L, reader->host);
    *count = reader->left.count < PIECE ? reader->left.count : PIECE;
    reader->left = (shunt_bytes){piece + *count, reader->left.count - *count};
    return *count > 0 ? piece : NULL;
}

void load_text(lua_State *L, shunt_bytes text, const char *name) {
    text_reader reader = {host_of(L), text};
    if (lua_load(L, read_piece, &reader, name, "t") != LUA_OK) { lua_error(L); }
}

/// `require "sub/name"` or `"sub.name"`: a file sub/name.lua of the plugin. Dots are slashes.
int base_require(lua_State *L) {
    size_t count;
    const char *asked = luaL_checklstring(L, 1, &count);
    luaL_argcheck(L, count > 0 && count < MAX_NAME, 1, "a module's name has 1 to 127 characters");
    char name[MAX_NAME];
    for (size_t i = 0; i <= count; i++) { name[i] = asked[i] == '.' ? '/' : asked[i]; }
    lua_settop(L, 1);
    luaL_argcheck(L, strlen(name) == count, 1, "a module's name has no zero bytes");
    bool marked = lua_getfield(L, lua_upvalueindex(2), name) != LUA_TNIL;
    if (marked && !lua_rawequal(L, -1, lua_upvalueindex(2))) { return 1; }
    // What another call has marked it did not load to its end: it was killed.
    if (lua_rawgeti(L, lua_upvalueindex(2), LOADED_BY) != LUA_TNUMBER || lua_tointeger(L, -1) != (lua_Integer)host_of(L)->serial) {
        forget_unfinished(L);
        lua_pushinteger(L, (lua_Integer)host_of(L)->serial);
        lua_rawseti(L, lua_upvalueindex(2), LOADED_BY);
    } else if (marked) {
        return luaL_error(L, "module '%s' requires itself", asked);
    }
    lua_settop(L, 1);
    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TSTRING) {
        return luaL_error(L, "no module '%s': require finds the plugin's own files, by their path without .lua", asked);
    }
    shunt_bytes text;
    text.start = lua_tolstring(L, -1, &text.count);
    text = without_mark(text);
    lua_pushfstring(L, "@%s/%s.lua", lua_tostring(L, lua_upvalueindex(4)), name);
    load_text(L, text, lua_tostring(L, -1));
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_setupvalue(L, -2, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setfield(L, lua_upvalueindex(2), name);
    lua_pushstring(L, asked);
    int status = lua_pcall(L, 1, 1, 0);
    if (status != LUA_OK) {
        lua_pushnil(L);
        lua_setfield(L, lua_upvalueindex(2), name);
        rethrow_kill(L, host_of(L), status);
        return lua_error(L);
    }
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, lua_upvalueindex(2), name);
    return 1;
}

// MARK: a rule's globals

static void copy_fields(lua_State *L, void *key, const char *const *without) {
    lua_createtable(L, 0, 32);
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
    for (; *without != NULL; without++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *without);
    }
}

/// Fills the table on the top of the stack with the base library and what else has no table of its own.
void open_base(lua_State *L) {
    static const char *const taken[] = {"assert", "getmetatable", "ipairs", "next", "pairs", "rawequal", "rawget",
                                        "rawlen", "rawset", "select", "type", "_VERSION"};
    static const luaL_Reg own[] = {
        {"error", base_error}, {"pcall", base_pcall}, {"xpcall", base_xpcall}, {"setmetatable", base_setmetatable},
        {"collectgarbage", base_collectgarbage}, {"tostring", base_tostring}, {"print", base_print}, {"match", base_match}, {NULL, NULL},
    };
    static const char *const math_without[] = {"randomseed", NULL}, *const utf8_without[] = {NULL};
    lua_pushglobaltable(L);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        lua_getfield(L, -1, taken[i]);
        lua_setfield(L, -3, taken[i]);
    }
    lua_getfield(L, -1, "tonumber");
    lua_pushcclosure(L, base_tonumber, 1);
    lua_setfield(L, -3, "tonumber");
    lua_pop(L, 1);
    luaL_setfuncs(L, own, 0);
    copy_fields(L, &key_math, math_without);
    lua_setfield(L, -2, "math");
    copy_fields(L, &key_utf8, utf8_without);
    lua_getfield(L, -1, "codes");
    lua_pushcclosure(L, base_codes, 1);
    lua_setfield(L, -2, "codes");
    lua_setfield(L, -2, "utf8");
}
