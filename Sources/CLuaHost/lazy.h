// Tables that keep their text, and are filled when they are first looked at. For what makes them, and what reads tables as they are.
#ifndef SHUNT_LAZY_H
#define SHUNT_LAZY_H

#include "host.h"

/// The key of the one entry of a table that is not filled yet: no rule has it.
extern char lazy_mark;

static inline bool is_lazy(const lua_table *t) {
    return t->metatable != NULL && t->nodes->key_type == LUA_POINTER && t->nodes->key.pointer == &lazy_mark;
}

/// Fills it. What runs may be a Lua function, in the middle of an instruction: the stack may move.
void lazy_fill(lua_State *L, lua_table *t);
/// Pushes a table for the text of a JSON array or object.
void lazy_push(lua_State *L, const char *text, size_t count);
/// Sets up the metatable of tables that are not filled yet.
void open_lazy(lua_State *L);
/// That metatable.
void *lazy_type(lua_State *L);

#endif
