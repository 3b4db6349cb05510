// How decoders make tables: at once, in the size that they need. For json_decode.c and what decodes packed bytes.
#ifndef SHUNT_TABLES_H
#define SHUNT_TABLES_H

#include "host.h"

/// Members wait on the stack, above the place of their table, until there are so many, or all: it is then made in its size at once.
enum { PENDING_MEMBERS = 32 };

static inline lua_value *value_at(lua_State *L, int place) { return thread_of(L)->call->function + place; }

/// - Returns: true.
static inline bool make_table(lua_State *L, int place, int elements, int members) {
    lua_createtable(L, elements, members);
    *value_at(L, place) = *top_of(L);
    lua_pop(L, 1);
    return true;
}

/// The table in its place; NULL where the collector is through with it, and must be told of what is put into it.
static inline lua_table *written_table(lua_State *L, int place) {
    lua_table *t = value_at(L, place)->bits.pointer;
    return t->marked & LUA_BLACK ? NULL : t;
}

/// - Parameter last: the place in the list of the value that is on the top of the stack.
static inline void add_elements(lua_State *L, int place, lua_Integer last) {
    lua_table *t = written_table(L, place);
    lua_value *top = thread_of(L)->top, *first = value_at(L, place) + 1;
    if (t != NULL && last == top - first && last <= (lua_Integer)t->array_size) {
        for (lua_Integer i = 0; i < last; i++) {
            t->array[i].bits = first[i].bits;
            t->array[i].type = first[i].type;
        }
        thread_of(L)->top = first;
    }
    for (; lua_gettop(L) > place; last--) { lua_rawseti(L, place, last); }
}

/// Of keys that have none before them in a new table. - Returns: whether it was one.
static inline bool add_first(lua_table *t, const lua_value *key, const lua_value *value) {
    if (t == NULL || key->type != LUA_SHORT_TEXT || t->last_free == NULL) { return false; }
    lua_node *node = &t->nodes[((const lua_text *)key->bits.pointer)->hash & (((uint32_t)1 << t->log_size) - 1)];
    if (node->key_type != LUA_NOTHING || node->next != 0) { return false; }
    node->bits = value->bits;
    node->type = value->type;
    node->key = key->bits;
    node->key_type = LUA_SHORT_TEXT | LUA_COLLECTED;
    return true;
}

/// In their order: of two members with one key the last stays.
static inline void add_members(lua_State *L, int place) {
    lua_table *t = written_table(L, place);
    int top = lua_gettop(L);
    for (int key = place + 1; key < top; key += 2) {
        if (add_first(t, value_at(L, key), value_at(L, key + 1))) { continue; }
        lua_pushvalue(L, key);
        lua_pushvalue(L, key + 1);
        lua_rawset(L, place);
    }
    lua_settop(L, place);
}

/// Room for some values more: then they may be put on the stack as Lua's own functions would.
static inline void make_room(lua_State *L) {
    if (thread_of(L)->call->top - thread_of(L)->top < 8) { luaL_checkstack(L, 64, "decode"); }
}

/// The collector has its turn when the table is made that the text is for.
static inline void push_plain_text(lua_State *L, const char *text, size_t count) {
    if (count > LUA_SHORT_TEXT_LIMIT) {
        lua_pushlstring(L, text, count);
    } else {
        *thread_of(L)->top++ = (lua_value){.bits.pointer = luaS_newlstr(L, text, count), .type = LUA_SHORT_TEXT};
    }
}

#endif
