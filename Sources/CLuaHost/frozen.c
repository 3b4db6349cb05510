// `ctx.settings`: tables that a rule reads as any others, and cannot change.
//
// Such a table has one entry, under a key that no rule has: a table with the settings, which its metatable reads from. Functions of Lua's
// interface that read tables as they are go to that table (lazy.c), and those that write them raise an error. They are made of a copy, once
// on_load has run: what that was given is the rule's own.
#include "lazy.h"

char frozen_mark;

enum { MOST_LEVELS = 64 };

/// Lua's `#` asks the metatable.
static int frozen_len(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

_Noreturn void frozen_refuse(lua_State *L) {
    luaL_error(L, "ctx.settings can't be changed: keep what differs in a local of the rule, in kv or in shared");
    __builtin_unreachable();
}

static int frozen_newindex(lua_State *L) { frozen_refuse(L); }

/// Pushes a table that reads from the one on the top of the stack.
static void push_frozen(lua_State *L) {
    int source = lua_gettop(L);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, source);
    lua_rawsetp(L, -2, &frozen_mark);
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, source);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, frozen_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, frozen_len);
    lua_setfield(L, -2, "__len");
    lua_setmetatable(L, -2);
}

/// Pushes an empty copy of the table at an index: marked as a list where that is. - Returns: false, and nothing pushed, where the table has
/// another metatable, and so stays what on_load has made of it.
static bool push_copy_of(lua_State *L, int table) {
    bool has_type = lua_getmetatable(L, table);
    if (has_type) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &key_json_array);
        bool is_list = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (!is_list) {
            lua_pop(L, 1);
            return false;
        }
    }
    lua_createtable(L, (int)lua_rawlen(L, table), 0);
    if (!has_type) { return true; }
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    return true;
}

/// Puts a frozen copy in the place of the table on the top of the stack. `made` has those that were made, by what they are copies of.
static void freeze_one(lua_State *L, int made, int level) {
    luaL_checkstack(L, 10, "settings");
    int table = lua_gettop(L);
    if (!lua_istable(L, table) || level > MOST_LEVELS) { return; }
    lua_pushvalue(L, table);
    if (lua_rawget(L, made) != LUA_TNIL) {
        lua_replace(L, table);
        return;
    }
    lua_pop(L, 1);
    if (!push_copy_of(L, table)) { return; }
    int copy = lua_gettop(L);
    push_frozen(L);
    lua_pushvalue(L, table);
    lua_pushvalue(L, -2);
    lua_rawset(L, made);
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        freeze_one(L, made, level + 1);
        lua_rawset(L, copy);
    }
    lua_replace(L, table);
    lua_settop(L, table);
}

void push_frozen_copy(lua_State *L, int table) {
    table = lua_absindex(L, table);
    lua_newtable(L);
    lua_pushvalue(L, table);
    freeze_one(L, lua_gettop(L) - 1, 0);
    lua_remove(L, -2);
}
