// json.encode, json.decode, json.null, json.array.
#include "host.h"

static int encode(lua_State *L) {
    luaL_checkany(L, 1);
    json_encode(L, 1);
    return 1;
}

static int decode(lua_State *L) {
    size_t count;
    luaL_checktype(L, 1, LUA_TSTRING);
    const char *text = lua_tolstring(L, 1, &count);
    return json_decode(L, text, count);
}

/// Marks a table as an array, which matters where it is empty.
static int array(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &key_json_array);
        if (!lua_rawequal(L, -1, -2)) { return luaL_error(L, "json.array: the table has a metatable of its own"); }
        lua_settop(L, 1);
        return 1;
    }
    set_type(L, &key_json_array);
    return 1;
}

void open_json(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", encode}, {"decode", decode}, {"array", array}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
