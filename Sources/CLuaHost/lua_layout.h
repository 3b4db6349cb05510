// How Lua 5.4 lays out the objects that the host reads: in replaced.c and table_keys.c, and where a message's call is made. Debian's
// package has no header for it; it is the same from 5.4.4 to 5.4.7.
#ifndef SHUNT_LUA_LAYOUT_H
#define SHUNT_LUA_LAYOUT_H

#include <lua5.4/lua.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(LUA_VERSION_RELEASE_NUM >= 50404 && LUA_VERSION_RELEASE_NUM <= 50407, "compare lua_layout.h with Lua's lobject.h");

/// With variants and the mark of what is collected.
enum {
    LUA_FALSE = 0x01, LUA_TRUE = 0x11, LUA_INTEGER_KEY = 0x03, LUA_FLOAT_KEY = 0x13, LUA_SHORT_TEXT = 0x44, LUA_LONG_TEXT = 0x54,
    LUA_ABSENT = 0x20, LUA_EMPTY = 0x10, LUA_BASE_TYPE = 0x0F, LUA_COLLECTED = 0x40, LUA_CLOSURE = 0x46, LUA_C_FUNCTION = 0x16, LUA_OBJECT = 0x47,
    LUA_NOTHING = 0x00, LUA_POINTER = 0x02, LUA_LIST_OR_MAP = 0x45, LUA_BLACK = 0x20, LUA_SHORT_TEXT_LIMIT = 40,
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

/// A full userdata: its values, then its bytes. One without values has its bytes from `gray` on.
typedef struct {
    void *next;
    uint8_t tag, marked;
    uint16_t value_count;
    size_t size;
    void *metatable, *gray;
    lua_value values[];
} lua_object;

typedef struct {
    void *next;
    uint8_t tag, marked, parameters, is_vararg, frame_size;
    int32_t counts[9];
    lua_value *constants;
    const uint32_t *code;
} lua_prototype;

typedef struct {
    void *next;
    uint8_t tag, marked, upvalue_count;
    void *gray;
    const lua_prototype *prototype;
} lua_closure;

/// A call of a function. `code`: of a Lua function, what it does next.
typedef struct lua_call_info {
    lua_value *function, *top;
    struct lua_call_info *previous, *next;
    const uint32_t *code;
    void *others[2];
    int32_t value;
    int16_t results;
    uint16_t status;
} lua_call_info;

enum { LUA_CALL_ENTERED_FROM_C = 4 };

/// Where an error goes.
typedef struct lua_jump {
    struct lua_jump *previous;
    jmp_buf place;
    volatile int status;
} lua_jump;

typedef struct {
    void *next;
    uint8_t tag, marked, status, allows_hooks;
    uint16_t call_count;
    lua_value *top;
    void *global;
    lua_call_info *call;
    lua_value *stack_end, *stack;
    void *upvalues, *to_close, *gray, *with_upvalues;
    lua_jump *jump;
    lua_call_info first_call;
    lua_Hook hook;
    ptrdiff_t handler;
    uint32_t depth;
    int32_t others[3];
    volatile int32_t hook_mask;
} lua_thread;

/// How a state's memory stands: a step of the collector is due while there is a debt.
typedef struct {
    lua_Alloc allocate;
    void *context;
    ptrdiff_t total, debt;
} lua_global;

// Lua's own, of ltable.c and lstring.c. None runs code of a rule.
const lua_value *luaH_getint(lua_table *t, lua_Integer key);
lua_Unsigned luaH_getn(lua_table *t);
uint32_t luaH_realasize(const lua_table *t);
lua_text *luaS_newlstr(lua_State *L, const char *text, size_t count);

static inline lua_thread *thread_of(lua_State *L) { return (lua_thread *)L; }

_Static_assert(sizeof(lua_value) == 16 && sizeof(lua_node) == 24 && sizeof(lua_table) == 56 && offsetof(lua_text, contents) == 24,
               "compare lua_layout.h with Lua's lobject.h");
_Static_assert(offsetof(lua_object, values) == 40 && offsetof(lua_closure, prototype) == 24 && offsetof(lua_prototype, code) == 64,
               "compare lua_layout.h with Lua's lobject.h");
_Static_assert(sizeof(lua_call_info) == 64 && offsetof(lua_jump, status) == 208 && offsetof(lua_thread, jump) == 88
                   && offsetof(lua_thread, depth) == 176 && offsetof(lua_thread, hook_mask) == 192,
               "compare lua_layout.h with Lua's lstate.h and ldo.c");

#endif
