// The words of a rule's `settings`, such as integer and list. A word stands for a type as it is; called, it gives a plain table that
// says the type, its arguments, and where it was called. Swift reads these, and says what is wrong with them.
#include "schema.h"

static const char *const words[] = {
#define WORD(name, doc) name,
    SHUNT_SCHEMA_TABLE(WORD)
#undef WORD
};
static const char *const docs[] = {
#define WORD(name, doc) doc,
    SHUNT_SCHEMA_TABLE(WORD)
#undef WORD
};
enum { WORDS = sizeof words / sizeof words[0], MAX_ARGUMENTS = 200, MAX_MISSED = 16 };
/// What `schema_open` keeps besides the words: the library that is a word, its metatable; what is missed, the globals' metatable.
enum { LIBRARY = 1, LIBRARY_TYPE, MISSED, GLOBALS_TYPE, KEPT = GLOBALS_TYPE };

const char *shunt_schema_word(size_t index) { return index < WORDS ? words[index] : NULL; }
const char *shunt_schema_doc(size_t index) { return index < WORDS ? docs[index] : NULL; }

/// Pushes the place of the Lua function that calls, as far as there is one.
static bool push_place(lua_State *L) {
    lua_Debug frame;
    if (!lua_getstack(L, 1, &frame) || !lua_getinfo(L, "Sl", &frame)) { return false; }
    if (frame.currentline <= 0 || frame.source[0] != '@') { return false; }
    lua_pushfstring(L, "%s:%d", frame.source + 1, frame.currentline);
    return true;
}

/// Upvalue: the type's name. The first argument is the word itself.
static int word_call(lua_State *L) {
    int count = lua_gettop(L) - 1;
    luaL_argcheck(L, count <= MAX_ARGUMENTS, MAX_ARGUMENTS + 1, "a type takes fewer arguments; many values stand in a table");
    lua_createtable(L, count, 2);
    lua_replace(L, 1);
    for (int i = count; i >= 1; i--) { lua_rawseti(L, 1, i); }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, 1, SHUNT_SCHEMA_TYPE);
    if (push_place(L)) { lua_setfield(L, 1, SHUNT_SCHEMA_PLACE); }
    return 1;
}

/// What is read of a global that is not there. Upvalue: the list of what was missed.
static int global_missing(lua_State *L) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, lua_upvalueindex(1));
    if (count < 2 * MAX_MISSED && lua_type(L, 2) == LUA_TSTRING && push_place(L)) {
        lua_rawseti(L, lua_upvalueindex(1), count + 2);
        lua_pushvalue(L, 2);
        lua_rawseti(L, lua_upvalueindex(1), count + 1);
    }
    lua_pushnil(L);
    return 1;
}

/// Pushes what makes a table callable as this word.
static void push_metatable(lua_State *L, const char *word) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, word);
    lua_pushcclosure(L, word_call, 1);
    lua_setfield(L, -2, "__call");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

/// A word that is a library's name too: the library goes on working, and can be called. Pushes the library, and its metatable.
static bool open_library(lua_State *L, int environment, const char *word) {
    if (push_raw_field(L, environment, word) != LUA_TTABLE) {
        lua_pop(L, 1);
        return false;
    }
    push_metatable(L, word);
    lua_pushvalue(L, -1);
    lua_setmetatable(L, -3);
    return true;
}

void schema_open(lua_State *L, int environment) {
    environment = lua_absindex(L, environment);
    luaL_checkstack(L, 8, "settings");
    lua_createtable(L, KEPT, WORDS);
    int own = lua_gettop(L);
    for (int i = 0; i < WORDS; i++) {
        if (open_library(L, environment, words[i])) {
            lua_rawseti(L, own, LIBRARY_TYPE);
            lua_rawseti(L, own, LIBRARY);
            continue;
        }
        lua_createtable(L, 0, 1);
        lua_pushstring(L, words[i]);
        lua_setfield(L, -2, SHUNT_SCHEMA_TYPE);
        push_metatable(L, words[i]);
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_setfield(L, own, words[i]);
        lua_setfield(L, environment, words[i]);
    }
    lua_createtable(L, 0, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, own, MISSED);
    lua_pushcclosure(L, global_missing, 1);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -1);
    lua_rawseti(L, own, GLOBALS_TYPE);
    lua_setmetatable(L, environment);
}

/// Takes a table's metatable off, if it is still the one that was kept at `place`.
static void take_metatable(lua_State *L, int table, int own, int place) {
    if (!lua_istable(L, table) || !lua_getmetatable(L, table)) { return; }
    lua_rawgeti(L, own, place);
    bool is_own = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (!is_own) { return; }
    lua_pushnil(L);
    lua_setmetatable(L, table);
}

static void note_missed(lua_State *L, int result, int own) {
    if (!lua_istable(L, result)) { return; }
    if (push_raw_field(L, result, "settings") == LUA_TTABLE) {
        lua_pushliteral(L, SHUNT_SCHEMA_MISSED);
        lua_rawgeti(L, own, MISSED);
        if (lua_rawlen(L, -1) > 0) { lua_rawset(L, -3); } else { lua_pop(L, 2); }
    }
    lua_pop(L, 1);
}

void schema_close(lua_State *L, int environment, int own) {
    environment = lua_absindex(L, environment);
    own = lua_absindex(L, own);
    luaL_checkstack(L, 8, "settings");
    note_missed(L, lua_gettop(L), own);
    take_metatable(L, environment, own, GLOBALS_TYPE);
    for (int i = 0; i < WORDS; i++) {
        // What the rule has set itself stays.
        bool is_own = push_raw_field(L, own, words[i]) == LUA_TTABLE;
        push_raw_field(L, environment, words[i]);
        is_own = is_own && lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (!is_own) { continue; }
        lua_pushstring(L, words[i]);
        lua_pushnil(L);
        lua_rawset(L, environment);
    }
    lua_rawgeti(L, own, LIBRARY);
    take_metatable(L, lua_gettop(L), own, LIBRARY_TYPE);
    lua_pop(L, 1);
}

// MARK: patterns

typedef struct {
    shunt_bytes pattern, text;
    bool found;
} find_request;

/// By the library's own function, whatever the rule has made of its globals.
static int find_body(lua_State *L) {
    find_request *request = lua_touserdata(L, 1);
    lua_pushcfunction(L, string_find);
    push_bytes(L, request->text);
    push_bytes(L, request->pattern);
    lua_call(L, 2, 1);
    request->found = !lua_isnil(L, -1);
    return 0;
}

bool shunt_rule_finds(shunt_host *host, shunt_rule *rule, shunt_bytes pattern, shunt_bytes text, bool *found) {
    find_request request = {pattern, text, false};
    bool ran = run_protected(host, rule, find_body, &request, host->options.load_nanoseconds, host->options.load_memory);
    *found = request.found;
    return ran;
}
