// The arguments of the C function that runs, read from the stack: Lua's functions for it take longer than many library functions do for all else.
#ifndef SHUNT_ARGUMENTS_H
#define SHUNT_ARGUMENTS_H

#include "host.h"

/// The value of an argument of the C function that runs; NULL where it is not there, or nil.
static inline const lua_value *argument(lua_State *L, int index) {
    const lua_thread *thread = thread_of(L);
    const lua_value *value = thread->call->function + index;
    return value < thread->top && (value->type & LUA_BASE_TYPE) != LUA_TNIL ? value : NULL;
}

/// As luaL_checklstring.
static inline const char *check_bytes(lua_State *L, int index, size_t *count) {
    const lua_value *value = argument(L, index);
    const lua_text *text = value == NULL ? NULL : value->bits.pointer;
    if (value != NULL && value->type == LUA_SHORT_TEXT) {
        *count = text->short_length;
    } else if (value != NULL && value->type == LUA_LONG_TEXT) {
        *count = text->long_length;
    } else {
        return luaL_checklstring(L, index, count);
    }
    return text->contents;
}

/// As luaL_optinteger.
static inline lua_Integer optional_integer(lua_State *L, int index, lua_Integer otherwise) {
    const lua_value *value = argument(L, index);
    if (value == NULL) { return otherwise; }
    return value->type == LUA_INTEGER_KEY ? value->bits.integer : luaL_checkinteger(L, index);
}

#endif
