// What the decoders of MessagePack and CBOR share. A length that is claimed is believed only as far as bytes follow; each value looks at the
// budget; tables are made as they fill.
#include "packed.h"
#include "utf8.h"

#include <math.h>
#include <stdio.h>

bool packed_fail(packed_reader *r, const char *wrong) {
    if (r->wrong == NULL) { r->wrong = wrong; }
    return false;
}

bool packed_number(packed_reader *r, int size, uint64_t *number) {
    if (r->end - r->at < size) { return packed_fail(r, "the bytes end within a value"); }
    *number = 0;
    for (int i = 0; i < size; i++) { *number = *number << 8 | *r->at++; }
    return true;
}

const char *packed_take(packed_reader *r, uint64_t count) {
    if ((uint64_t)(r->end - r->at) < count) {
        packed_fail(r, "the bytes end within a value");
        return NULL;
    }
    const unsigned char *start = r->at;
    r->at += count;
    return (const char *)start;
}

bool packed_push_bytes(packed_reader *r, uint64_t count) {
    const char *start = packed_take(r, count);
    if (start == NULL) { return false; }
    push_plain_text(r->L, start, (size_t)count);
    return true;
}

bool packed_push_text(packed_reader *r, uint64_t count) {
    const char *start = packed_take(r, count);
    if (start == NULL) { return false; }
    const char *end = start + count;
    for (const char *at = start; at < end;) {
        const char *stop = end - at > LOOKED_AT ? at + LOOKED_AT : end;
        budget_check(r->L, r->host);
        while (at < stop) {
            size_t length = utf8_sequence(at, end);
            if (length == 0) { return packed_fail(r, "a text that is not UTF-8"); }
            at += length;
        }
    }
    push_plain_text(r->L, start, (size_t)count);
    return true;
}

static double half_float(uint64_t bits) {
    int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    double value = exponent == 0 ? ldexp(fraction, -24) : exponent < 31 ? ldexp(fraction + 1024, exponent - 25) : fraction == 0 ? HUGE_VAL : NAN;
    return bits & 0x8000 ? -value : value;
}

bool packed_push_float(packed_reader *r, int size) {
    uint64_t bits;
    double value;
    if (!packed_number(r, size, &bits)) { return false; }
    if (size == 2) {
        value = half_float(bits);
    } else if (size == 4) {
        uint32_t word = (uint32_t)bits;
        float single;
        memcpy(&single, &word, sizeof single);
        value = single;
    } else {
        memcpy(&value, &bits, sizeof value);
    }
    lua_pushnumber(r->L, value);
    return true;
}

void packed_push_integer(packed_reader *r, uint64_t number, bool is_negative) {
    if (number <= INT64_MAX) {
        lua_pushinteger(r->L, is_negative ? -1 - (lua_Integer)number : (lua_Integer)number);
        return;
    }
    char digits[32];
    // -1 - n has the digits of n + 1, which may be 2^64.
    if (is_negative && number == UINT64_MAX) {
        push_big_integer(r->L, "-18446744073709551616", 21);
    } else {
        int count = snprintf(digits, sizeof digits, "%s%llu", is_negative ? "-" : "", (unsigned long long)(number + is_negative));
        push_big_integer(r->L, digits, (size_t)count);
    }
}

// MARK: containers

/// - Parameter least: how many bytes a member takes at least.
static bool enter(packed_reader *r, uint64_t count, unsigned least, packed_push is_last) {
    if (++r->depth > r->host->options.json_depth) { return packed_fail(r, "nested too deeply"); }
    if (is_last == NULL && count > (uint64_t)(r->end - r->at) / least) { return packed_fail(r, "the bytes end within a list or a map"); }
    *thread_of(r->L)->top++ = (lua_value){.type = LUA_NOTHING};
    return true;
}

bool packed_push_list(packed_reader *r, uint64_t count, packed_push push, packed_push is_last) {
    int place = lua_gettop(r->L) + 1;
    lua_Integer added = 0;
    bool made = false;
    if (!enter(r, count, 1, is_last)) { return false; }
    while (is_last == NULL ? (uint64_t)added < count : !is_last(r)) {
        if (!push(r)) { return false; }
        if (++added % PENDING_MEMBERS != 0) { continue; }
        made = made || make_table(r->L, place, PENDING_MEMBERS, 0);
        add_elements(r->L, place, added);
    }
    if (r->wrong != NULL) { return false; }
    if (!made) { make_table(r->L, place, (int)added, 0); }
    add_elements(r->L, place, added);
    lua_table *t = value_at(r->L, place)->bits.pointer;
    t->metatable = r->array_type;
    r->depth--;
    return true;
}

/// A key of a Lua table that says which member it is, whatever else the map has.
static bool is_key(const lua_value *value) {
    switch (value->type & ~LUA_COLLECTED) {
    case LUA_SHORT_TEXT & ~LUA_COLLECTED:
    case LUA_LONG_TEXT & ~LUA_COLLECTED:
    case LUA_INTEGER_KEY:
    case LUA_TRUE:
    case LUA_FALSE: return true;
    default: return false;
    }
}

bool packed_push_map(packed_reader *r, uint64_t count, packed_push push, packed_push is_last) {
    int place = lua_gettop(r->L) + 1, added = 0;
    bool made = false;
    if (!enter(r, count, 2, is_last)) { return false; }
    while (is_last == NULL ? (uint64_t)added < count : !is_last(r)) {
        const unsigned char *key = r->at;
        if (!push(r)) { return false; }
        if (!is_key(top_of(r->L))) {
            r->at = key;
            return packed_fail(r, "a map's key that is no text, integer or boolean");
        }
        if (!push(r)) { return false; }
        if (++added % PENDING_MEMBERS != 0) { continue; }
        made = made || make_table(r->L, place, 0, PENDING_MEMBERS);
        add_members(r->L, place);
    }
    if (r->wrong != NULL) { return false; }
    if (!made) { make_table(r->L, place, 0, added); }
    add_members(r->L, place);
    r->depth--;
    return true;
}

int packed_decode(lua_State *L, shunt_bytes bytes, packed_push push) {
    packed_reader r = {.L = L, .host = host_of(L), .start = bytes.start, .at = bytes.start, .array_type = json_array_type(L)};
    r.end = r.at + bytes.count;
    int top = lua_gettop(L);
    size_t base = r.host->scratch.count;
    if (push(&r)) {
        if (r.at == r.end) { return 1; }
        packed_fail(&r, "more after the value");
    }
    r.host->scratch.count = base;
    lua_settop(L, top);
    lua_pushnil(L);
    lua_pushfstring(L, "%s at byte %I", r.wrong, (LUAI_UACINT)(r.at - r.start + 1));
    return 2;
}
