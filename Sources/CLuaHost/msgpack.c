// MessagePack (github.com/msgpack/msgpack, spec.md): its first bytes, read and written.
#include "packed.h"

// MARK: decoding

static bool push_value(packed_reader *r);

static bool push_extension(packed_reader *r, uint64_t count) {
    uint64_t type;
    if (!packed_number(r, 1, &type)) { return false; }
    const char *bytes = packed_take(r, count);
    if (bytes == NULL) { return false; }
    packed_value *value = packed_value_new(r->L, bytes, (size_t)count);
    value->is_extension = true;
    value->type = (int8_t)type;
    return true;
}

static bool push_signed(packed_reader *r, int size) {
    uint64_t number;
    if (!packed_number(r, size, &number)) { return false; }
    int unused = 64 - 8 * size;
    lua_pushinteger(r->L, (lua_Integer)(number << unused) >> unused);
    return true;
}

static bool push_unsigned(packed_reader *r, int size) {
    uint64_t number;
    if (!packed_number(r, size, &number)) { return false; }
    packed_push_integer(r, number, false);
    return true;
}

static bool push_counted(packed_reader *r, unsigned char first) {
    uint64_t count;
    // In each group of first bytes the sizes of the count follow each other.
    int size = first >= 0xDC ? (first & 1 ? 4 : 2) : 1 << (first <= 0xC6 ? first - 0xC4 : first <= 0xC9 ? first - 0xC7 : first - 0xD9);
    if (!packed_number(r, size, &count)) { return false; }
    if (first <= 0xC6) { return packed_push_bytes(r, count); }
    if (first <= 0xC9) { return push_extension(r, count); }
    if (first <= 0xDB) { return packed_push_text(r, count); }
    return first <= 0xDD ? packed_push_list(r, count, push_value, NULL) : packed_push_map(r, count, push_value, NULL);
}

static bool push_value(packed_reader *r) {
    budget_check(r->L, r->host);
    make_room(r->L);
    if (r->at >= r->end) { return packed_fail(r, "expected a value"); }
    unsigned char first = *r->at++;
    if (first < 0x80 || first >= 0xE0) {
        lua_pushinteger(r->L, (int8_t)first);
        return true;
    }
    if (first < 0x90) { return packed_push_map(r, first & 15, push_value, NULL); }
    if (first < 0xA0) { return packed_push_list(r, first & 15, push_value, NULL); }
    if (first < 0xC0) { return packed_push_text(r, first & 31); }
    switch (first) {
    case 0xC0: lua_pushlightuserdata(r->L, NULL); return true;
    case 0xC1:
        r->at--;
        return packed_fail(r, "the byte 0xC1, which begins no value");
    case 0xC2:
    case 0xC3: lua_pushboolean(r->L, first == 0xC3); return true;
    case 0xCA:
    case 0xCB: return packed_push_float(r, first == 0xCA ? 4 : 8);
    case 0xCC: case 0xCD: case 0xCE: case 0xCF: return push_unsigned(r, 1 << (first - 0xCC));
    case 0xD0: case 0xD1: case 0xD2: case 0xD3: return push_signed(r, 1 << (first - 0xD0));
    case 0xD4: case 0xD5: case 0xD6: case 0xD7: case 0xD8: return push_extension(r, (uint64_t)1 << (first - 0xD4));
    default: return push_counted(r, first);
    }
}

int msgpack_decode(lua_State *L, shunt_bytes bytes) { return packed_decode(L, bytes, push_value); }

// MARK: encoding

static void add_head(encoder *e, packed_kind kind, uint64_t count) {
    // Texts, bytes, lists, maps: the first byte where the count is in it and how many counts fit, then those of larger counts.
    static const struct { unsigned char small, fits, one, two, four; } heads[] = {
        {0xA0, 32, 0xD9, 0xDA, 0xDB}, {0, 0, 0xC4, 0xC5, 0xC6}, {0x90, 16, 0, 0xDC, 0xDD}, {0x80, 16, 0, 0xDE, 0xDF},
    };
    if (count < heads[kind].fits) {
        packed_add(e, (unsigned char)(heads[kind].small | count), 0, 0);
    } else if (count <= UINT8_MAX && heads[kind].one != 0) {
        packed_add(e, heads[kind].one, count, 1);
    } else if (count <= UINT16_MAX) {
        packed_add(e, heads[kind].two, count, 2);
    } else {
        if (count > UINT32_MAX) { luaL_error(e->L, "msgpack.encode: a value of more than 4 GiB"); }
        packed_add(e, heads[kind].four, count, 4);
    }
}

static void add_integer(encoder *e, uint64_t number, bool is_negative) {
    if (number > INT64_MAX && is_negative) { luaL_error(e->L, "msgpack.encode: an integer of more than 64 bits"); }
    if (!is_negative && number < 128) {
        packed_add(e, (unsigned char)number, 0, 0);
    } else if (is_negative && number < 32) {
        packed_add(e, (unsigned char)~number, 0, 0);
    } else {
        // A negative one has a bit for its sign.
        uint64_t bits = is_negative ? number << 1 : number;
        int log_size = bits <= UINT8_MAX ? 0 : bits <= UINT16_MAX ? 1 : bits <= UINT32_MAX ? 2 : 3;
        packed_add(e, (unsigned char)((is_negative ? 0xD0 : 0xCC) + log_size), is_negative ? ~number : number, 1 << log_size);
    }
}

static void add_float(encoder *e, double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    packed_add(e, 0xCB, bits, 8);
}

static void add_extension(encoder *e, const packed_value *value) {
    size_t count = value->count;
    if (count > UINT32_MAX) { luaL_error(e->L, "msgpack.encode: a value of more than 4 GiB"); }
    if (count > 0 && count <= 16 && (count & (count - 1)) == 0) {
        packed_add(e, (unsigned char)(0xD4 + __builtin_ctzll(count)), 0, 0);
    } else if (count <= UINT8_MAX) {
        packed_add(e, 0xC7, count, 1);
    } else {
        packed_add(e, count <= UINT16_MAX ? 0xC8 : 0xC9, count, count <= UINT16_MAX ? 2 : 4);
    }
    packed_add(e, (unsigned char)value->type, 0, 0);
    add(e, value->bytes, count);
}

static void add_large(encoder *e, shunt_bytes digits) {
    (void)digits;
    luaL_error(e->L, "msgpack.encode: an integer of more than 64 bits");
}

const packed_format msgpack_format = {
    .name = "msgpack.encode", .head = add_head, .integer = add_integer, .real = add_float, .extension = add_extension, .large = add_large,
    .nothing = 0xC0, .no = 0xC2, .yes = 0xC3,
};
