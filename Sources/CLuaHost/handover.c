// What on_unload returned goes to the next version's on_load, from one state to another.
//
// The state that it comes from runs nothing, so there is no place for its errors: nothing that allocates or looks at the budget is asked of it.
// A table that is not filled yet goes over as its text.
#include "lazy.h"

/// As deep as values go; a table that occurs again, or within itself, does so in the copy.
enum { MAX_DEPTH = 100 };

typedef struct {
    lua_State *L, *from;
    shunt_host *host;
    /// On L's stack: from the address of a table in the other state to its copy.
    int copies;
    size_t left_out;
} handover;

static bool copy_top(handover *h, int depth);

/// Whether the table on the top of the other stack is one of JSON's arrays.
static bool is_json_array(lua_State *from) {
    if (!lua_getmetatable(from, -1)) { return false; }
    lua_rawgetp(from, LUA_REGISTRYINDEX, &key_json_array);
    bool marked = lua_rawequal(from, -1, -2);
    lua_pop(from, 2);
    return marked;
}

static void copy_members(handover *h, int depth) {
    lua_State *L = h->L, *from = h->from;
    int table = lua_gettop(L);
    for (lua_pushnil(from); lua_next(from, -2) != 0; lua_pop(from, 1)) {
        budget_check(L, h->host);
        lua_pushvalue(from, -2);
        bool copied = copy_top(h, depth);
        lua_pop(from, 1);
        if (copied && copy_top(h, depth)) { lua_rawset(L, table); }
        lua_settop(L, table);
    }
}

static void copy_table(handover *h, int depth) {
    lua_State *L = h->L, *from = h->from;
    const void *address = lua_topointer(from, -1);
    if (lua_rawgetp(L, h->copies, address) == LUA_TTABLE) { return; }
    lua_pop(L, 1);
    const lua_table *t = address;
    if (is_lazy(t)) {
        const lua_text *text = t->nodes->bits.pointer;
        lazy_push(L, text->contents, text->long_length);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, h->copies, address);
        return;
    }
    lua_createtable(L, (int)(lua_rawlen(from, -1) & INT32_MAX), 0);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, h->copies, address);
    if (is_json_array(from)) { set_type(L, &key_json_array); }
    copy_members(h, depth + 1);
}

/// Pushes a copy of what is on the top of the other stack; false, and nothing, where that is left out.
static bool copy_top(handover *h, int depth) {
    lua_State *L = h->L, *from = h->from;
    int type = lua_type(from, -1);
    size_t count;
    shunt_bytes digits = big_integer_digits(from, -1);
    luaL_checkstack(L, LUA_MINSTACK, "saved");
    if (type == LUA_TBOOLEAN) {
        lua_pushboolean(L, lua_toboolean(from, -1));
    } else if (type == LUA_TNUMBER && lua_isinteger(from, -1)) {
        lua_pushinteger(L, lua_tointeger(from, -1));
    } else if (type == LUA_TNUMBER) {
        lua_pushnumber(L, lua_tonumber(from, -1));
    } else if (type == LUA_TSTRING) {
        const char *text = lua_tolstring(from, -1, &count);
        lua_pushlstring(L, text, count);
    } else if (type == LUA_TLIGHTUSERDATA && lua_touserdata(from, -1) == NULL) {
        lua_pushlightuserdata(L, NULL);
    } else if (digits.count > 0) {
        push_big_integer(L, digits.start, digits.count);
    } else if (type == LUA_TTABLE && depth < MAX_DEPTH && lua_checkstack(from, LUA_MINSTACK)) {
        copy_table(h, depth);
    } else if (!copy_counter(L, from)) {
        h->left_out++;
        return false;
    }
    return true;
}

size_t copy_value(lua_State *L, lua_State *from) {
    lua_newtable(L);
    handover h = {.L = L, .from = from, .host = host_of(L), .copies = lua_gettop(L)};
    if (!copy_top(&h, 0)) { lua_pushnil(L); }
    lua_remove(L, h.copies);
    return h.left_out;
}
