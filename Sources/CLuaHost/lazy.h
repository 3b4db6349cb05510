// Tables that keep their text, and are filled when they are first looked at. For what makes them, and what reads tables as they are.
#ifndef SHUNT_LAZY_H
#define SHUNT_LAZY_H

#include "host.h"

/// The key of the one entry of a table that is not filled yet: no rule has it.
extern char lazy_mark;

static inline bool is_lazy(const lua_table *t) {
    return t->metatable != NULL && t->nodes->key_type == LUA_POINTER && t->nodes->key.pointer == &lazy_mark;
}

/// The key of the one entry of a table that a rule cannot change (frozen.c).
extern char frozen_mark;

/// The table that such a table reads from; NULL of any other.
static inline lua_table *frozen_source(const lua_table *t) {
    bool is_frozen = t->metatable != NULL && t->nodes->key_type == LUA_POINTER && t->nodes->key.pointer == &frozen_mark;
    return is_frozen ? t->nodes->bits.pointer : NULL;
}

/// Pushes a copy of a table, and of the tables in it, that a rule cannot change.
void push_frozen_copy(lua_State *L, int table);
/// Raises the error of who changes one.
_Noreturn void frozen_refuse(lua_State *L);

/// Where there is room, as Lua leaves it above what a function has asked for.
static inline void push_table(lua_State *L, lua_table *t) { *thread_of(L)->top++ = (lua_value){.bits.pointer = t, .type = LUA_LIST_OR_MAP}; }

/// Fills it. What runs may be a Lua function, in the middle of an instruction: the stack may move.
void lazy_fill(lua_State *L, lua_table *t);
/// Pushes a table for the text of a JSON array or object.
void lazy_push(lua_State *L, const char *text, size_t count);
/// Sets up the metatable of tables that are not filled yet.
void open_lazy(lua_State *L);
/// That metatable.
void *lazy_type(lua_State *L);

#endif
