// The table functions. They respect metamethods as Lua's do, so a length may be anything: every loop looks at the budget.
#include "host.h"

static lua_Integer length(lua_State *L, int index) {
    luaL_checkany(L, index);
    int type = lua_type(L, index);
    if (type != LUA_TTABLE && luaL_getmetafield(L, index, "__len") == LUA_TNIL) { luaL_checktype(L, index, LUA_TTABLE); }
    lua_settop(L, type == LUA_TTABLE ? lua_gettop(L) : lua_gettop(L) - 1);
    return luaL_len(L, index);
}

static int table_insert(lua_State *L) {
    shunt_host *host = host_of(L);
    int arguments = lua_gettop(L);
    lua_Integer next = (lua_Integer)((lua_Unsigned)length(L, 1) + 1);
    if (arguments == 2) {
        lua_seti(L, 1, next);
        return 0;
    }
    if (arguments != 3) { return luaL_error(L, "wrong number of arguments to 'insert'"); }
    lua_Integer place = luaL_checkinteger(L, 2);
    luaL_argcheck(L, (lua_Unsigned)place - 1u < (lua_Unsigned)next, 2, "position out of bounds");
    for (lua_Integer i = next; i > place; i--) {
        budget_check(L, host);
        lua_geti(L, 1, i - 1);
        lua_seti(L, 1, i);
    }
    lua_seti(L, 1, place);
    return 0;
}

static int table_remove(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_Integer size = length(L, 1), place = luaL_optinteger(L, 2, size);
    if (place != size) {
        luaL_argcheck(L, (lua_Unsigned)place - 1u <= (lua_Unsigned)size, 2, "position out of bounds");
    }
    lua_geti(L, 1, place);
    for (; place < size; place++) {
        budget_check(L, host);
        lua_geti(L, 1, place + 1);
        lua_seti(L, 1, place);
    }
    lua_pushnil(L);
    lua_seti(L, 1, place);
    return 1;
}

static int table_concat(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_Integer size = length(L, 1);
    size_t separator_count, count, base = host->scratch.count;
    const char *separator = luaL_optlstring(L, 2, "", &separator_count);
    lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, size);
    for (lua_Integer i = first; i <= last; i++) {
        budget_check(L, host);
        lua_geti(L, 1, i);
        if (big_integer_digits(L, -1).count > 0) {
            luaL_tolstring(L, -1, NULL);
            lua_replace(L, -2);
        }
        if (!lua_isstring(L, -1)) {
            return luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
        }
        const char *text = lua_tolstring(L, -1, &count);
        scratch_add(L, host, text, count);
        if (i < last) { scratch_add(L, host, separator, separator_count); }
        lua_pop(L, 1);
        if (i == LUA_MAXINTEGER) { break; }
    }
    scratch_push(L, host, base);
    return 1;
}

static int table_unpack(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_Integer first = luaL_optinteger(L, 2, 1);
    lua_Integer last = lua_isnoneornil(L, 3) ? length(L, 1) : luaL_checkinteger(L, 3);
    if (first > last) { return 0; }
    lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
    if (count >= 1000000 || !lua_checkstack(L, (int)count + 1)) { return luaL_error(L, "too many results to unpack"); }
    for (lua_Unsigned i = 0; i <= count; i++) {
        budget_check(L, host);
        lua_geti(L, 1, (lua_Integer)((lua_Unsigned)first + i));
    }
    return (int)count + 1;
}

static int table_pack(lua_State *L) {
    int count = lua_gettop(L);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--) { lua_seti(L, 1, i); }
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    return 1;
}

static int table_move(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    luaL_checkany(L, 1);
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
        lua_Integer count = last - first + 1;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
        bool upward = to > last || to <= first || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
        for (lua_Integer i = 0; i < count; i++) {
            budget_check(L, host);
            lua_Integer offset = upward ? i : count - 1 - i;
            lua_geti(L, 1, first + offset);
            lua_seti(L, target, to + offset);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

// MARK: sort

/// Whether the value at stack place `a` comes before the one at `b`.
static bool before(lua_State *L, int a, int b) {
    budget_check(L, host_of(L));
    if (lua_isnil(L, 2)) { return lua_compare(L, a, b, LUA_OPLT); }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a < 0 ? a - 1 : a);
    lua_pushvalue(L, b < 0 ? b - 2 : b);
    lua_call(L, 2, 1);
    bool result = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return result;
}

/// Sinks the value at `root` in the heap t[1…size].
static void sink(lua_State *L, lua_Integer root, lua_Integer size) {
    lua_geti(L, 1, root);
    int value = lua_gettop(L);
    while (root * 2 <= size) {
        lua_Integer child = root * 2;
        lua_geti(L, 1, child);
        if (child < size) {
            lua_geti(L, 1, child + 1);
            if (before(L, value + 1, value + 2)) {
                child++;
                lua_replace(L, value + 1);
            } else {
                lua_pop(L, 1);
            }
        }
        if (!before(L, value, value + 1)) {
            lua_pop(L, 1);
            break;
        }
        lua_seti(L, 1, root);
        root = child;
    }
    lua_seti(L, 1, root);
}

/// A heap sort: it takes n log n steps whatever the comparison says.
int table_sort(lua_State *L) {
    lua_Integer size = length(L, 1);
    luaL_argcheck(L, size < INT32_MAX, 1, "array too big");
    if (!lua_isnoneornil(L, 2)) { luaL_checktype(L, 2, LUA_TFUNCTION); }
    lua_settop(L, 2);
    luaL_checkstack(L, 8, "sort");
    for (lua_Integer i = size / 2; i >= 1; i--) { sink(L, i, size); }
    for (lua_Integer last = size; last > 1; last--) {
        lua_geti(L, 1, 1);
        lua_geti(L, 1, last);
        lua_seti(L, 1, 1);
        lua_seti(L, 1, last);
        sink(L, 1, last - 1);
    }
    return 0;
}

void open_table(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"insert", table_insert}, {"remove", table_remove}, {"concat", table_concat}, {"unpack", table_unpack},
        {"pack", table_pack}, {"move", table_move}, {"sort", table_sort}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
}
