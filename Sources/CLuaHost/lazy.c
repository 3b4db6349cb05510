// Tables that keep their text, and are filled when they are first looked at: most rules read one or two fields of a payload.
//
// A rule can't tell such a table from a filled one. It has one entry, under a key that no rule has, and a metatable that only Lua's own
// functions see: where they ask it for __index, __newindex or __len, the table is filled in its place, loses that metatable, and is asked
// again. Functions of Lua's interface that read tables as they are fill them first. The linker puts these in the place of Lua's own
// (--wrap, in Package.swift); for the first see also shortcuts.c.
#include "lazy.h"
#include "shortcuts.h"

char lazy_mark;
static char key_lazy_type;

lua_text *luaS_createlngstrobj(lua_State *L, size_t count);
const lua_value *luaH_get(lua_table *t, const lua_value *key);
void luaV_finishset(lua_State *L, const lua_value *table, lua_value *key, lua_value *value, const lua_value *slot);

void __real_luaT_callTM(lua_State *L, const lua_value *function, const lua_value *one, const lua_value *two, const lua_value *three);
void __wrap_luaT_callTM(lua_State *L, const lua_value *function, const lua_value *one, const lua_value *two, const lua_value *three);

// MARK: making

void lazy_push(lua_State *L, const char *text, size_t count) {
    lua_text *kept = luaS_createlngstrobj(L, count);
    memcpy(kept->contents, text, count);
    *thread_of(L)->top++ = (lua_value){.bits.pointer = kept, .type = LUA_LONG_TEXT};
    lua_createtable(L, 0, 1);
    lua_value *table = top_of(L);
    lua_table *t = table->bits.pointer;
    t->nodes->key.pointer = &lazy_mark;
    t->nodes->key_type = LUA_POINTER;
    t->nodes->bits.pointer = kept;
    t->nodes->type = LUA_LONG_TEXT;
    t->metatable = host_of(L)->rule->lazy_type;
    written(L, (lua_object *)t);
    table[-1] = *table;
    thread_of(L)->top = table;
}

/// They are only known by their addresses: nothing calls them.
static int lazy_newindex(lua_State *L) { return luaL_error(L, "a table that is not filled"); }
static int lazy_len(lua_State *L) { return luaL_error(L, "a table that has no length yet"); }
int lazy_index(lua_State *L) { return luaL_error(L, "a table that has no fields yet"); }

void open_lazy(lua_State *L) {
    static const luaL_Reg events[] = {{"__index", lazy_index}, {"__newindex", lazy_newindex}, {"__len", lazy_len}, {NULL, NULL}};
    luaL_newlib(L, events);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_lazy_type);
}

void *lazy_type(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_lazy_type);
    void *type = (void *)lua_topointer(L, -1);
    lua_pop(L, 1);
    return type;
}

// MARK: filling

void lazy_fill(lua_State *L, lua_table *t) {
    lua_thread *thread = thread_of(L);
    const lua_text *text = t->nodes->bits.pointer;
    // The room that is made on the stack is given back.
    ptrdiff_t frame = (char *)thread->call->top - (char *)thread->stack;
    // A table that only a weak one has would be gone when the collector runs.
    push_table(L, t);
    json_decode_all(L, text->contents, text->long_length);
    lua_table *filled = top_of(L)->bits.pointer, old = *t;
    t->flags = filled->flags;
    t->log_size = filled->log_size;
    t->array_size = filled->array_size;
    t->array = filled->array;
    t->nodes = filled->nodes;
    t->last_free = filled->last_free;
    t->metatable = filled->metatable;
    old.nodes->type = LUA_EMPTY;
    filled->flags = old.flags;
    filled->log_size = old.log_size;
    filled->array_size = old.array_size;
    filled->array = old.array;
    filled->nodes = old.nodes;
    filled->last_free = old.last_free;
    filled->metatable = NULL;
    thread->top -= 2;
    thread->call->top = (lua_value *)((char *)thread->stack + frame);
    written(L, (lua_object *)t);
}

// MARK: instructions

static inline bool is_function(const lua_value *function, lua_CFunction which) {
    return function->bits.pointer == (void *)which && function->type == LUA_C_FUNCTION;
}

/// Fills a table that is asked for a field or its length. - Returns: false, and nothing done, where the function is another one.
bool lazy_answer(lua_State *L, const lua_value *function, const lua_value *object, const lua_value *key, lua_value *result) {
    bool is_length = is_function(function, lazy_len);
    if (!is_length && !is_function(function, lazy_index)) { return false; }
    lua_table *t = object->bits.pointer;
    lua_value name = *key, answer = {.type = LUA_NOTHING};
    ptrdiff_t place = (char *)result - (char *)thread_of(L)->stack;
    lazy_fill(L, t);
    if (is_length) {
        answer = (lua_value){.bits.integer = (lua_Integer)luaH_getn(t), .type = LUA_INTEGER_KEY};
    } else {
        const lua_value *found = luaH_get(t, &name);
        if ((found->type & LUA_BASE_TYPE) != LUA_TNIL) { answer = *found; }
    }
    result = (lua_value *)((char *)thread_of(L)->stack + place);
    result->bits = answer.bits;
    result->type = answer.type;
    return true;
}

/// Calls a metamethod without results: of tables that are not filled, the one that sets a field.
void __wrap_luaT_callTM(lua_State *L, const lua_value *function, const lua_value *one, const lua_value *two, const lua_value *three) {
    if (__builtin_expect(!is_function(function, lazy_newindex), 1)) {
        __real_luaT_callTM(L, function, one, two, three);
        return;
    }
    lua_value table = *one, key = *two, value = *three;
    lazy_fill(L, table.bits.pointer);
    lua_value *slot = (lua_value *)luaH_get(table.bits.pointer, &key);
    if ((slot->type & LUA_BASE_TYPE) == LUA_TNIL) {
        luaV_finishset(L, &table, &key, &value, slot);
    } else {
        slot->bits = value.bits;
        slot->type = value.type;
        written(L, table.bits.pointer);
    }
}

// MARK: Lua's interface

/// Fills the table at an index, if it is one that needs it.
/// - Returns: the table that it reads from, of one that can't be changed; else NULL.
static inline lua_table *fill_at(lua_State *L, int index) {
    lua_thread *thread = thread_of(L);
    const lua_value *value;
    lua_table *t = NULL;
    if (index > 0) {
        value = thread->call->function + index;
        if (value >= thread->top) { return NULL; }
    } else if (index > LUA_REGISTRYINDEX) {
        value = thread->top + index;
    } else {
        // No such table is the registry; a value that a function was made with may be one.
        t = index < LUA_REGISTRYINDEX && lua_type(L, index) == LUA_TTABLE ? (void *)lua_topointer(L, index) : NULL;
        value = NULL;
    }
    if (value != NULL && value->type == LUA_LIST_OR_MAP) { t = value->bits.pointer; }
    if (t == NULL || __builtin_expect(t->nodes->key_type != LUA_POINTER, 1)) { return NULL; }
    if (is_lazy(t)) { lazy_fill(L, t); }
    return frozen_source(t);
}

// Functions that read get the source on the top of the stack, in place of the table at the index.

int __real_lua_next(lua_State *L, int index);
int __wrap_lua_next(lua_State *L, int index);
int __wrap_lua_next(lua_State *L, int index) {
    lua_table *source = fill_at(L, index);
    if (__builtin_expect(source == NULL, 1)) { return __real_lua_next(L, index); }
    push_table(L, source);
    lua_insert(L, -2);
    int has_more = __real_lua_next(L, -2);
    lua_remove(L, has_more ? -3 : -1);
    return has_more;
}

int __real_lua_rawget(lua_State *L, int index);
int __wrap_lua_rawget(lua_State *L, int index);
int __wrap_lua_rawget(lua_State *L, int index) {
    lua_table *source = fill_at(L, index);
    if (__builtin_expect(source == NULL, 1)) { return __real_lua_rawget(L, index); }
    push_table(L, source);
    lua_insert(L, -2);
    int type = __real_lua_rawget(L, -2);
    lua_remove(L, -2);
    return type;
}

int __real_lua_rawgeti(lua_State *L, int index, lua_Integer key);
int __wrap_lua_rawgeti(lua_State *L, int index, lua_Integer key);
int __wrap_lua_rawgeti(lua_State *L, int index, lua_Integer key) {
    lua_table *source = fill_at(L, index);
    if (__builtin_expect(source == NULL, 1)) { return __real_lua_rawgeti(L, index, key); }
    push_table(L, source);
    int type = __real_lua_rawgeti(L, -1, key);
    lua_remove(L, -2);
    return type;
}

lua_Unsigned __real_lua_rawlen(lua_State *L, int index);
lua_Unsigned __wrap_lua_rawlen(lua_State *L, int index);
lua_Unsigned __wrap_lua_rawlen(lua_State *L, int index) {
    lua_table *source = fill_at(L, index);
    if (__builtin_expect(source == NULL, 1)) { return __real_lua_rawlen(L, index); }
    push_table(L, source);
    lua_Unsigned count = __real_lua_rawlen(L, -1);
    lua_pop(L, 1);
    return count;
}

int __real_lua_getmetatable(lua_State *L, int index);
int __wrap_lua_getmetatable(lua_State *L, int index);
int __wrap_lua_getmetatable(lua_State *L, int index) {
    lua_table *source = fill_at(L, index);
    if (__builtin_expect(source == NULL, 1)) { return __real_lua_getmetatable(L, index); }
    push_table(L, source);
    int has_one = __real_lua_getmetatable(L, -1);
    lua_remove(L, has_one ? -2 : -1);
    return has_one;
}

#define REFUSES(type, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters { \
        if (__builtin_expect(fill_at(L, index) != NULL, 0)) { frozen_refuse(L); } \
        return __real_##name arguments; \
    }

REFUSES(void, lua_rawset, (lua_State *L, int index), (L, index))
REFUSES(void, lua_rawseti, (lua_State *L, int index, lua_Integer key), (L, index, key))

int __real_lua_setmetatable(lua_State *L, int index);
int __wrap_lua_setmetatable(lua_State *L, int index);
int __wrap_lua_setmetatable(lua_State *L, int index) {
    if (__builtin_expect(fill_at(L, index) != NULL, 0)) { frozen_refuse(L); }
    fill_at(L, -1);
    return __real_lua_setmetatable(L, index);
}
