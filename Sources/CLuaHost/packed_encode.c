// Values to MessagePack or CBOR: the walk over them, which is the same. Keys are sorted, so that equal tables give equal bytes.
#include "packed.h"
#include "utf8.h"

#include <stdlib.h>

typedef struct {
    encoder e;
    const packed_format *format;
} packer;

void packed_add(encoder *e, unsigned char first, uint64_t number, int size) {
    unsigned char bytes[9] = {first};
    for (int i = 0; i < size; i++) { bytes[1 + i] = (unsigned char)(number >> (8 * (size - 1 - i))); }
    add(e, bytes, 1 + (size_t)size);
}

static void pack(packer *p, const lua_value *value, size_t depth);

/// A text that is not UTF-8 is written as bytes: neither format has another place for it.
static void add_text(packer *p, const lua_text *text) {
    size_t count = text_count(text);
    const char *at = text->contents, *end = at + count;
    packed_kind kind = PACKED_TEXT;
    while (at < end && kind == PACKED_TEXT) {
        const char *stop = end - at > LOOKED_AT ? at + LOOKED_AT : end;
        budget_check(p->e.L, p->e.host);
        while (at < stop) {
            size_t length = utf8_sequence(at, end);
            if (length == 0) {
                kind = PACKED_BYTES;
                break;
            }
            at += length;
        }
    }
    p->format->head(&p->e, kind, count);
    add(&p->e, text->contents, count);
}

static void add_list(packer *p, lua_table *t, lua_Unsigned count, size_t depth) {
    p->format->head(&p->e, PACKED_LIST, count);
    for (lua_Unsigned i = 1; i <= count; i++) { pack(p, luaH_getint(t, (lua_Integer)i), depth); }
}

// MARK: maps

static void check_key(packer *p, uint8_t type) {
    if (is_text(type) || type == LUA_INTEGER_KEY || type == LUA_TRUE || type == LUA_FALSE) { return; }
    luaL_error(p->e.L, "%s: a table's keys must be texts, integers or booleans; this one has a %s key", p->e.name,
               type == LUA_FLOAT_KEY ? "float" : lua_typename(p->e.L, type & LUA_BASE_TYPE));
}

static size_t count_keys(packer *p, const lua_table *t) {
    uint8_t other;
    for (size_t i = 0; i < node_count(t); i++) {
        if ((i & 1023) == 0) { budget_check(p->e.L, p->e.host); }
        if (!is_absent(t->nodes[i].type)) { check_key(p, t->nodes[i].key_type); }
    }
    return (size_t)count_members(&p->e, t, &other);
}

/// The keys of the table's list, then its nodes'.
static void take_all_keys(packer *p, const lua_table *t, table_key *keys) {
    uint32_t places = luaH_realasize(t);
    for (uint32_t i = 0; i < places; i++) {
        if ((i & 1023) == 0) { budget_check(p->e.L, p->e.host); }
        if (!is_absent(t->array[i].type)) { *keys++ = (table_key){{.integer = (lua_Integer)i + 1}, LUA_INTEGER_KEY, &t->array[i]}; }
    }
    take_keys(&p->e, t, keys);
}

static void add_member(packer *p, table_key key, size_t depth) {
    lua_value name = {key.key, key.type};
    pack(p, &name, depth);
    pack(p, key.value, depth);
}

static void add_small_map(packer *p, const lua_table *t, size_t count, size_t depth) {
    table_key keys[KEYS_ON_STACK];
    take_all_keys(p, t, keys);
    sort_keys(p->e.L, p->e.host, keys, count);
    for (size_t i = 0; i < count; i++) { add_member(p, keys[i], depth); }
}

/// The keys are kept in the scratch, as those of JSON's large objects are.
static void add_large_map(packer *p, const lua_table *t, size_t count, size_t depth) {
    shunt_buffer *scratch = &p->e.host->scratch;
    size_t start = scratch->count, keys = (start + 15) / 16 * 16, size = count * sizeof(table_key);
    scratch_need(p->e.L, p->e.host, keys - start + size);
    scratch->count = keys + size;
    take_all_keys(p, t, (table_key *)(scratch->bytes + keys));
    sort_keys(p->e.L, p->e.host, (table_key *)(scratch->bytes + keys), count);
    for (size_t i = 0; i < count; i++) { add_member(p, ((table_key *)(scratch->bytes + keys))[i], depth); }
    budget_check(p->e.L, p->e.host);
    memmove(scratch->bytes + start, scratch->bytes + keys + size, scratch->count - keys - size);
    scratch->count -= keys + size - start;
}

static void add_map(packer *p, const lua_table *t, size_t depth) {
    size_t count = count_keys(p, t);
    p->format->head(&p->e, PACKED_MAP, count);
    if (count > KEYS_ON_STACK) { add_large_map(p, t, count, depth); } else { add_small_map(p, t, count, depth); }
}

static void add_table(packer *p, lua_table *t, size_t depth) {
    lua_table *source = frozen_source(t);
    if (source != NULL) { t = source; }
    if (is_lazy(t)) { lazy_fill(p->e.L, t); }
    if (depth >= p->e.host->options.json_depth) { luaL_error(p->e.L, "%s: nested too deeply, or a table within itself", p->e.name); }
    lua_table *read = held(&p->e, t);
    lua_Unsigned length = luaH_getn(read);
    if (is_array(&p->e, read, length)) { add_list(p, read, length, depth + 1); } else { add_map(p, read, depth + 1); }
    let_go(&p->e, t, read);
}

// MARK: values

static void add_integer(packer *p, lua_Integer number) { p->format->integer(&p->e, number < 0 ? ~(uint64_t)number : (uint64_t)number, number < 0); }

/// Of an integer that does not fit in Lua's.
static void add_digits(packer *p, shunt_bytes digits) {
    uint64_t number = 0;
    const char *at = digits.start, *end = at + digits.count;
    bool fits = *at != '-';
    for (; at < end && fits; at++) {
        fits = !__builtin_mul_overflow(number, (uint64_t)10, &number) && !__builtin_add_overflow(number, (uint64_t)(*at - '0'), &number);
    }
    if (fits) { p->format->integer(&p->e, number, false); } else { p->format->large(&p->e, digits); }
}

static void add_object(packer *p, const lua_value *value) {
    *thread_of(p->e.L)->top++ = *value;
    const packed_value *packed = tagged(p->e.L, -1, TAG_PACKED);
    shunt_bytes digits = big_integer_digits(p->e.L, -1);
    if (packed != NULL && packed->is_extension) {
        p->format->extension(&p->e, packed);
    } else if (packed != NULL) {
        p->format->head(&p->e, PACKED_BYTES, packed->count);
        add(&p->e, packed->bytes, packed->count);
    } else if (digits.count > 0) {
        add_digits(p, digits);
    } else {
        luaL_error(p->e.L, "%s: a %s can't be encoded", p->e.name, luaL_typename(p->e.L, -1));
    }
    thread_of(p->e.L)->top--;
}

static void pack(packer *p, const lua_value *value, size_t depth) {
    budget_check(p->e.L, p->e.host);
    switch (value->type & ~LUA_COLLECTED) {
    case LUA_FALSE: packed_add(&p->e, p->format->no, 0, 0); return;
    case LUA_TRUE: packed_add(&p->e, p->format->yes, 0, 0); return;
    case LUA_INTEGER_KEY: add_integer(p, value->bits.integer); return;
    case LUA_FLOAT_KEY: p->format->real(&p->e, value->bits.number); return;
    case LUA_SHORT_TEXT & ~LUA_COLLECTED:
    case LUA_LONG_TEXT & ~LUA_COLLECTED: add_text(p, value->bits.pointer); return;
    case LUA_LIST_OR_MAP & ~LUA_COLLECTED: add_table(p, value->bits.pointer, depth); return;
    default: break;
    }
    bool is_nothing = is_absent(value->type) || ((value->type & ~LUA_COLLECTED) == LUA_POINTER && value->bits.pointer == NULL);
    if (is_nothing) { packed_add(&p->e, p->format->nothing, 0, 0); } else { add_object(p, value); }
}

void packed_encode(lua_State *L, int index, const packed_format *format) {
    shunt_host *host = host_of(L);
    size_t base = host->scratch.count;
    packer p = {.e = {.L = L, .host = host, .array_type = json_array_type(L), .name = format->name}, .format = format};
    lua_pushvalue(L, index);
    lua_value value = *top_of(L);
    lua_pop(L, 1);
    // It stays where it is.
    pack(&p, &value, 0);
    scratch_push(L, host, base);
}
