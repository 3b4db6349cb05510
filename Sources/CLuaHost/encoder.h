// What encoders share: how they read tables, sort their keys, and add bytes.
//
// Nothing here runs a rule's code until the bytes are done, so no table changes but one that is filled when its turn comes, and all are in the
// one that is encoded: what tables hold is read where it is. The collector may run when a table is filled, and clears weak tables: of those a
// copy is read.
#ifndef SHUNT_ENCODER_H
#define SHUNT_ENCODER_H

#include "lazy.h"

typedef struct {
    lua_bits key;
    uint8_t type;
    const lua_value *value;
} table_key;

typedef struct {
    lua_State *L;
    shunt_host *host;
    const void *array_type;
    /// Of the function, for errors.
    const char *name;
} encoder;

/// Encodes a table that is not filled yet (json_text.c). - Returns: false, and nothing done, where it has to be filled.
bool json_encode_lazy(encoder *e, const lua_table *t, size_t depth);

enum { KEYS_ON_STACK = 24, LOOKED_AT = 4096 };

static inline void add(encoder *e, const void *bytes, size_t count) {
    shunt_buffer *scratch = &e->host->scratch;
    if (__builtin_expect(count > scratch->capacity - scratch->count, 0)) { scratch_need(e->L, e->host, count); }
    if (count > 0) { memcpy(scratch->bytes + scratch->count, bytes, count); }
    scratch->count += count;
}

/// What is read of a table: itself, or a copy on the stack that holds what a weak table has.
static inline lua_table *held(encoder *e, lua_table *t) {
    lua_State *L = e->L;
    if (t->metatable == NULL || t->metatable == e->array_type) { return t; }
    luaL_checkstack(L, LUA_MINSTACK, e->name);
    push_table(L, t);
    int table = lua_gettop(L);
    if (luaL_getmetafield(L, table, "__mode") == LUA_TNIL) {
        lua_pop(L, 1);
        return t;
    }
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, table) != 0;) {
        budget_check(L, e->host);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, table + 2);
    }
    lua_replace(L, table);
    lua_pop(L, 1);
    return top_of(L)->bits.pointer;
}

/// The other part of `held`.
static inline void let_go(encoder *e, const lua_table *t, const lua_table *read) {
    if (read != t) { lua_pop(e->L, 1); }
}

static inline size_t text_count(const lua_text *text) {
    return (text->tag | LUA_COLLECTED) == LUA_SHORT_TEXT ? text->short_length : text->long_length;
}

static inline bool is_text(uint8_t type) { return (type & LUA_BASE_TYPE) == LUA_TSTRING; }
static inline bool is_absent(uint8_t type) { return (type & LUA_BASE_TYPE) == LUA_TNIL; }
static inline size_t node_count(const lua_table *t) { return (size_t)1 << t->log_size; }

/// How many keys a table has besides its list, and the type of one of them that is no integer.
static inline uint64_t count_members(encoder *e, const lua_table *t, uint8_t *other) {
    uint64_t count = 0;
    uint32_t places = luaH_realasize(t);
    for (uint32_t i = 0; i < places; i++) {
        if ((i & 1023) == 0) { budget_check(e->L, e->host); }
        count += !is_absent(t->array[i].type);
    }
    for (size_t i = 0; i < node_count(t); i++) {
        if ((i & 1023) == 0) { budget_check(e->L, e->host); }
        if (is_absent(t->nodes[i].type)) { continue; }
        count++;
        if (t->nodes[i].key_type != LUA_INTEGER_KEY) { *other = t->nodes[i].key_type; }
    }
    return count;
}

/// An array is a table with the mark of json.array (decoded arrays have it), or with the keys 1 to n, n > 0.
/// A marked one that has been given other keys would lose them.
static inline bool is_array(encoder *e, lua_table *t, lua_Unsigned count) {
    bool is_marked = t->metatable != NULL && t->metatable == e->array_type;
    uint8_t other = LUA_INTEGER_KEY;
    if (!is_marked && count == 0) { return false; }
    uint64_t members = count_members(e, t, &other);
    bool is_list = other == LUA_INTEGER_KEY && (is_marked ? members <= count : members == count);
    if (is_marked && !is_list) {
        luaL_error(e->L, "%s: a list's keys must be 1 to n; this one has a %s key besides", e->name, lua_typename(e->L, other & LUA_BASE_TYPE));
    }
    return is_list;
}

/// Numbers are before texts.
static inline int compare_keys(const table_key *left, const table_key *right) {
    if (!is_text(left->type) || !is_text(right->type)) {
        if (left->type != right->type) { return left->type < right->type ? -1 : 1; }
        return left->key.integer < right->key.integer ? -1 : left->key.integer > right->key.integer;
    }
    const lua_text *a = left->key.pointer, *b = right->key.pointer;
    size_t one = text_count(a), two = text_count(b);
    int order = memcmp(a->contents, b->contents, one < two ? one : two);
    return order != 0 ? order : one < two ? -1 : one > two;
}

/// Lets the key at a place sink among the first `count` of a heap, whose largest key is at its head.
static inline void sink(table_key *keys, size_t place, size_t count) {
    table_key key = keys[place];
    for (size_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && compare_keys(&keys[child], &keys[child + 1]) < 0) { child++; }
        if (compare_keys(&key, &keys[child]) >= 0) { break; }
        keys[place] = keys[child];
    }
    keys[place] = key;
}

/// Many keys are sorted on a heap, with a look at the budget at each: qsort can't be left.
static inline void sort_keys(lua_State *L, shunt_host *host, table_key *keys, size_t count) {
    if (count > KEYS_ON_STACK) {
        for (size_t i = count / 2; i-- > 0;) {
            budget_check(L, host);
            sink(keys, i, count);
        }
        for (size_t last = count - 1; last > 0; last--) {
            budget_check(L, host);
            table_key largest = keys[0];
            keys[0] = keys[last];
            keys[last] = largest;
            sink(keys, 0, last);
        }
        return;
    }
    for (size_t i = 1; i < count; i++) {
        table_key key = keys[i];
        size_t place = i;
        for (; place > 0 && compare_keys(&keys[place - 1], &key) > 0; place--) { keys[place] = keys[place - 1]; }
        keys[place] = key;
    }
}

static inline void take_keys(encoder *e, const lua_table *t, table_key *keys) {
    for (size_t i = 0; i < node_count(t); i++) {
        if ((i & 1023) == 0) { budget_check(e->L, e->host); }
        const lua_node *node = &t->nodes[i];
        // A node begins as a value does.
        if (!is_absent(node->type)) { *keys++ = (table_key){node->key, node->key_type, (const lua_value *)node}; }
    }
}

#endif
