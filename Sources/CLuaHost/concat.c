// What `..` does where an operand is neither text nor number.
//
// Debian's 5.4.4 goes on with a pointer to the stack after it has called a __concat, which may have moved the stack: what it then
// reads and writes is freed memory. So nothing is called. The linker puts this in the place of the function of Lua that would
// (--wrap, in Package.swift): it joins large integers itself, without moving the stack, and refuses any other.
#include "host.h"

void __real_luaT_tryconcatTM(lua_State *L);
void __wrap_luaT_tryconcatTM(lua_State *L);

static bool is_big(lua_State *L, int index) { return big_integer_digits(L, index).count > 0; }
static bool joins(lua_State *L, int index) { return lua_isstring(L, index) || is_big(L, index); }

static void add(lua_State *L, shunt_host *host, int index) {
    shunt_bytes bytes = big_integer_digits(L, index);
    if (bytes.count == 0) { bytes.start = lua_tolstring(L, index, &bytes.count); }
    scratch_add(L, host, bytes.start, bytes.count);
}

/// Leaves the text in the first operand's place. There is room for five values more than a function has asked for (Lua's
/// EXTRA_STACK); a collector that is stopped does not shrink the stack. An error here ends the call, and that starts it again.
static void join(lua_State *L, shunt_host *host) {
    size_t base = host->scratch.count;
    budget_check(L, host);
    host->collector_stopped = host->untidy = true;
    lua_gc(L, LUA_GCSTOP);
    add(L, host, -2);
    add(L, host, -1);
    scratch_push(L, host, base);
    lua_replace(L, -3);
    host->collector_stopped = false;
    lua_gc(L, LUA_GCRESTART);
}

_Noreturn static void refuse(lua_State *L, const char *format, const char *type) {
    // It is not gone on from here: the stack may move.
    lua_checkstack(L, LUA_MINSTACK);
    luaL_where(L, 0);
    lua_pushfstring(L, format, type);
    lua_concat(L, 2);
    lua_error(L);
    __builtin_unreachable();
}

/// The operands are on the top of the stack. At least one is no text and no number.
void __wrap_luaT_tryconcatTM(lua_State *L) {
    if (joins(L, -2) && joins(L, -1)) {
        join(L, host_of(L));
        return;
    }
    if (is_big(L, -2)) { refuse(L, "attempt to concatenate a %s value", luaL_typename(L, -1)); }
    if (luaL_getmetafield(L, -2, "__concat") != LUA_TNIL || luaL_getmetafield(L, -1, "__concat") != LUA_TNIL) {
        refuse(L, "a rule's %s can't have __concat", "metatable");
    }
    // Lua's own finds none and says which value it is.
    __real_luaT_tryconcatTM(L);
}
