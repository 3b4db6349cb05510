// How Lua 5.4 lays out the objects that the functions in replaced.c and table_keys.c read. Debian's package has no header for it; it
// is the same from 5.4.4 to 5.4.7.
#ifndef SHUNT_LUA_LAYOUT_H
#define SHUNT_LUA_LAYOUT_H

#include <lua5.4/lua.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(LUA_VERSION_RELEASE_NUM >= 50404 && LUA_VERSION_RELEASE_NUM <= 50407, "compare lua_layout.h with Lua's lobject.h");

/// With variants and the mark of what is collected.
enum {
    LUA_FALSE = 0x01, LUA_TRUE = 0x11, LUA_INTEGER_KEY = 0x03, LUA_FLOAT_KEY = 0x13, LUA_SHORT_TEXT = 0x44, LUA_LONG_TEXT = 0x54,
    LUA_ABSENT = 0x20, LUA_BASE_TYPE = 0x0F,
};

typedef union {
    void *pointer;
    lua_Integer integer;
    lua_Number number;
} lua_bits;

typedef struct {
    lua_bits bits;
    uint8_t type;
} lua_value;

typedef struct {
    void *next;
    uint8_t tag, marked, extra, short_length;
    uint32_t hash;
    size_t long_length;
    char contents[];
} lua_text;

typedef struct {
    lua_bits bits;
    uint8_t type, key_type;
    int32_t next;
    lua_bits key;
} lua_node;

typedef struct {
    void *next;
    uint8_t tag, marked, flags, log_size;
    uint32_t array_size;
    lua_value *array;
    lua_node *nodes;
    /// Any free place is before it; NULL where the table has no nodes of its own.
    lua_node *last_free;
    void *metatable, *gray;
} lua_table;

_Static_assert(sizeof(lua_value) == 16 && sizeof(lua_node) == 24 && sizeof(lua_table) == 56 && offsetof(lua_text, contents) == 24,
               "compare lua_layout.h with Lua's lobject.h");

#endif
