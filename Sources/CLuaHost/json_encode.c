// Tables to JSON. Keys are sorted by their bytes, so that equal tables give equal text. Metamethods are not asked.
#include "encoder.h"
#include "utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void json_add_escaped(lua_State *L, shunt_host *host, unsigned char c) {
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    char text[8];
    const char *found = c == 0 ? NULL : strchr(plain, c);
    int count = found != NULL ? snprintf(text, sizeof text, "\\%c", letters[found - plain])
                              : snprintf(text, sizeof text, "\\u%04x", c);
    scratch_add(L, host, text, (size_t)count);
}

static void add_text(encoder *e, const lua_text *text) {
    const char *at = text->contents, *end = at + text_count(text), *run = at;
    scratch_char(e->L, e->host, '"');
    while (at < end) {
        const char *stop = end - at > LOOKED_AT ? at + LOOKED_AT : end;
        budget_check(e->L, e->host);
        at = skip_plain_ascii(at, stop);
        if (at == stop) { continue; }
        if ((unsigned char)*at >= 0x80) {
            size_t length = utf8_sequence(at, end);
            if (length == 0) { luaL_error(e->L, "json.encode: a text that is not UTF-8 (use base64 for bytes)"); }
            at += length;
        } else {
            add(e, run, (size_t)(at - run));
            json_add_escaped(e->L, e->host, (unsigned char)*at);
            run = ++at;
        }
    }
    add(e, run, (size_t)(at - run));
    scratch_char(e->L, e->host, '"');
}

// MARK: numbers

/// Writes a number's decimal digits before `end`. - Returns: where they begin.
static char *write_digits(char *end, uint64_t number) {
    do { *--end = (char)('0' + number % 10); } while ((number /= 10) != 0);
    return end;
}

static void add_integer(lua_State *L, shunt_host *host, lua_Integer number) {
    char text[24], *end = text + sizeof text, *start = write_digits(end, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
    if (number < 0) { *--start = '-'; }
    scratch_add(L, host, start, (size_t)(end - start));
}

/// A number with at most 15 digits, few of them after the point: both the digits as an integer and the power of ten are exact as floats, so
/// their quotient is the float that the digits stand for. - Returns: false for all others.
static bool add_short_float(lua_State *L, shunt_host *host, double value) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double size = fabs(value);
    if (!(size >= 1e-4 && size < 1e9)) { return false; }
    for (int decimals = 0; decimals <= 6; decimals++) {
        double scaled = size * powers[decimals];
        uint64_t digits = (uint64_t)(scaled + 0.5);
        if ((double)digits / powers[decimals] != size) { continue; }
        char text[32], *end = text + sizeof text, *start = end;
        uint64_t whole = digits;
        for (int i = 0; i < decimals; i++, whole /= 10) { *--start = (char)('0' + whole % 10); }
        if (decimals == 0) { *--start = '0'; }
        *--start = '.';
        start = write_digits(start, whole);
        if (value < 0) { *--start = '-'; }
        scratch_add(L, host, start, (size_t)(end - start));
        return true;
    }
    return false;
}

static void add_float(lua_State *L, shunt_host *host, double value) {
    char text[64];
    int count = 0;
    if (!isfinite(value)) { luaL_error(L, "json.encode: JSON has no infinite or undefined numbers"); }
    if (add_short_float(L, host, value)) { return; }
    // The shortest of these that reads back the same.
    for (int digits = 15; digits <= 17; digits++) {
        count = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) { break; }
    }
    if (strpbrk(text, ".e") == NULL) { count += snprintf(text + count, sizeof text - (size_t)count, ".0"); }
    scratch_add(L, host, text, (size_t)count);
}

void json_add_number(lua_State *L, shunt_host *host, int index) {
    if (lua_isinteger(L, index)) { add_integer(L, host, lua_tointeger(L, index)); } else { add_float(L, host, lua_tonumber(L, index)); }
}

// MARK: arrays

static void add_value(encoder *e, const lua_value *value, size_t depth);

static void add_array(encoder *e, lua_table *t, lua_Unsigned count, size_t depth) {
    scratch_char(e->L, e->host, '[');
    for (lua_Unsigned i = 1; i <= count; i++) {
        if (i > 1) { scratch_char(e->L, e->host, ','); }
        add_value(e, luaH_getint(t, (lua_Integer)i), depth);
    }
    scratch_char(e->L, e->host, ']');
}

// MARK: objects

_Noreturn static void refuse_key(encoder *e, uint8_t type) {
    luaL_error(e->L, "json.encode: a table's keys must be 1 to n, or all texts; this one has a %s key", lua_typename(e->L, type & LUA_BASE_TYPE));
    __builtin_unreachable();
}

/// How many keys a table has, which must all be texts.
static size_t count_texts(encoder *e, const lua_table *t) {
    uint32_t places = luaH_realasize(t);
    for (uint32_t i = 0; i < places; i++) {
        if ((i & 1023) == 0) { budget_check(e->L, e->host); }
        if (!is_absent(t->array[i].type)) { refuse_key(e, LUA_INTEGER_KEY); }
    }
    size_t count = 0;
    for (size_t i = 0; i < node_count(t); i++) {
        if ((i & 1023) == 0) { budget_check(e->L, e->host); }
        if (is_absent(t->nodes[i].type)) { continue; }
        if ((t->nodes[i].key_type & LUA_BASE_TYPE) != LUA_TSTRING) { refuse_key(e, t->nodes[i].key_type); }
        count++;
    }
    return count;
}

static void add_member(encoder *e, table_key key, bool is_first, size_t depth) {
    if (!is_first) { scratch_char(e->L, e->host, ','); }
    add_text(e, key.key.pointer);
    scratch_char(e->L, e->host, ':');
    add_value(e, key.value, depth);
}

static void add_small_object(encoder *e, const lua_table *t, size_t count, size_t depth) {
    table_key keys[KEYS_ON_STACK];
    take_keys(e, t, keys);
    sort_keys(e->L, e->host, keys, count);
    for (size_t i = 0; i < count; i++) { add_member(e, keys[i], i == 0, depth); }
}

/// The keys are kept in the scratch, before the object's text, which then moves to where they were. The scratch may move, too.
static void add_large_object(encoder *e, const lua_table *t, size_t count, size_t depth) {
    shunt_buffer *scratch = &e->host->scratch;
    size_t start = scratch->count, keys = (start + 15) / 16 * 16, size = count * sizeof(table_key);
    scratch_need(e->L, e->host, keys - start + size);
    scratch->count = keys + size;
    take_keys(e, t, (table_key *)(scratch->bytes + keys));
    sort_keys(e->L, e->host, (table_key *)(scratch->bytes + keys), count);
    for (size_t i = 0; i < count; i++) { add_member(e, ((table_key *)(scratch->bytes + keys))[i], i == 0, depth); }
    budget_check(e->L, e->host);
    memmove(scratch->bytes + start, scratch->bytes + keys + size, scratch->count - keys - size);
    scratch->count -= keys + size - start;
}

static void add_object(encoder *e, const lua_table *t, size_t depth) {
    size_t count = count_texts(e, t);
    scratch_char(e->L, e->host, '{');
    if (count > KEYS_ON_STACK) { add_large_object(e, t, count, depth); } else { add_small_object(e, t, count, depth); }
    scratch_char(e->L, e->host, '}');
}

// MARK: values

bool json_is_array(lua_State *L, int index) {
    if (lua_getmetatable(L, index)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &key_json_array);
        bool marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (marked) { return true; }
    }
    lua_Unsigned length = lua_rawlen(L, index), count = 0;
    if (length == 0) { return false; }
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        budget_check(L, host_of(L));
        lua_pop(L, 1);
        if (++count > length || !lua_isinteger(L, -1)) {
            lua_pop(L, 1);
            return false;
        }
    }
    return count == length;
}

void *json_array_type(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_json_array);
    void *type = (void *)lua_topointer(L, -1);
    lua_pop(L, 1);
    return type;
}

static void add_table(encoder *e, lua_table *t, size_t depth) {
    lua_table *source = frozen_source(t);
    if (source != NULL) { t = source; }
    if (is_lazy(t)) {
        if (json_encode_lazy(e, t, depth)) { return; }
        lazy_fill(e->L, t);
    }
    if (depth >= e->host->options.json_depth) { luaL_error(e->L, "json.encode: nested too deeply, or a table within itself"); }
    lua_table *read = held(e, t);
    lua_Unsigned count = luaH_getn(read);
    if (is_array(e, read, count)) {
        add_array(e, read, count, depth + 1);
    } else {
        add_object(e, read, depth + 1);
    }
    let_go(e, t, read);
}

/// The digits of an integer that is too large for Lua, or an error.
static void add_other(encoder *e, const lua_value *value) {
    *thread_of(e->L)->top++ = *value;
    shunt_bytes digits = big_integer_digits(e->L, -1);
    if (digits.count == 0) { luaL_error(e->L, "json.encode: JSON has no %s", luaL_typename(e->L, -1)); }
    add(e, digits.start, digits.count);
    thread_of(e->L)->top--;
}

static void add_value(encoder *e, const lua_value *value, size_t depth) {
    budget_check(e->L, e->host);
    switch (value->type & ~LUA_COLLECTED) {
    case LUA_FALSE: add(e, "false", 5); return;
    case LUA_TRUE: add(e, "true", 4); return;
    case LUA_INTEGER_KEY: add_integer(e->L, e->host, value->bits.integer); return;
    case LUA_FLOAT_KEY: add_float(e->L, e->host, value->bits.number); return;
    case LUA_SHORT_TEXT & ~LUA_COLLECTED:
    case LUA_LONG_TEXT & ~LUA_COLLECTED: add_text(e, value->bits.pointer); return;
    case LUA_LIST_OR_MAP & ~LUA_COLLECTED: add_table(e, value->bits.pointer, depth); return;
    case LUA_POINTER:
        if (value->bits.pointer != NULL) { break; }
        add(e, "null", 4);
        return;
    default:
        if (!is_absent(value->type)) { break; }
        add(e, "null", 4);
        return;
    }
    add_other(e, value);
}

void json_encode(lua_State *L, int index) {
    shunt_host *host = host_of(L);
    size_t base = host->scratch.count;
    encoder e = {.L = L, .host = host, .array_type = json_array_type(L), .name = "json.encode"};
    lua_value value;
    lua_pushvalue(L, index);
    value = *top_of(L);
    lua_pop(L, 1);
    // It stays where it is.
    add_value(&e, &value, 0);
    scratch_push(L, host, base);
}
