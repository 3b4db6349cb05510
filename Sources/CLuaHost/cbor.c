// CBOR (RFC 8949): its first bytes, read and written. Tags are passed over, except those of large integers; what has no length at its
// beginning is read, and never written.
#include "packed.h"
#include "utf8.h"

#include <stdlib.h>

enum { UNSIGNED, NEGATIVE, BYTES, TEXT, LIST, MAP, TAG, SIMPLE };
enum { ENDLESS = 31, POSITIVE_BIGNUM = 2, NEGATIVE_BIGNUM = 3, MOST_BIGNUM = 64, MOST_DIGITS = 160 };

// MARK: decoding

static bool push_value(packed_reader *r);

/// A value's first byte and its argument (§3).
static bool read_head(packed_reader *r, int *major, int *information, uint64_t *argument) {
    if (r->at >= r->end) { return packed_fail(r, "expected a value"); }
    unsigned char first = *r->at++;
    *major = first >> 5;
    *information = first & 31;
    *argument = first & 31;
    if (*information < 24 || *information == ENDLESS) { return true; }
    if (*information < 28) { return packed_number(r, 1 << (*information - 24), argument); }
    r->at--;
    return packed_fail(r, "a first byte that begins no value");
}

static bool is_last(packed_reader *r) {
    if (r->at >= r->end) {
        packed_fail(r, "the bytes end within a list or a map");
        return true;
    }
    if (*r->at != 0xFF) { return false; }
    r->at++;
    return true;
}

/// A text or bytes in pieces, each with its length (§3.2.3).
static bool push_pieces(packed_reader *r, int kind) {
    shunt_host *host = r->host;
    size_t base = host->scratch.count;
    for (;;) {
        int major, information;
        uint64_t count;
        budget_check(r->L, host);
        if (r->at < r->end && *r->at == 0xFF) { break; }
        if (!read_head(r, &major, &information, &count)) { return false; }
        if (major != kind || information == ENDLESS) { return packed_fail(r, "a piece of a text or of bytes that is another value"); }
        const char *piece = packed_take(r, count);
        if (piece == NULL) { return false; }
        for (const char *at = piece; kind == TEXT && at < piece + count;) {
            size_t length = utf8_sequence(at, piece + count);
            if (((at - piece) & 1023) < 4) { budget_check(r->L, host); }
            if (length == 0) { return packed_fail(r, "a text that is not UTF-8"); }
            at += length;
        }
        scratch_add(r->L, host, piece, (size_t)count);
    }
    r->at++;
    scratch_push(r->L, host, base);
    return true;
}

/// Pushes the integer that bytes are, or -1 minus it.
static bool push_bignum(packed_reader *r, bool is_negative) {
    int major, information;
    uint64_t count, number = 0;
    if (!read_head(r, &major, &information, &count)) { return false; }
    if (major != BYTES || information == ENDLESS) { return packed_fail(r, "an integer's tag without its bytes"); }
    const unsigned char *bytes = (const unsigned char *)packed_take(r, count);
    if (bytes == NULL) { return false; }
    for (; count > 0 && *bytes == 0; count--) { bytes++; }
    if (count > MOST_BIGNUM) { return packed_fail(r, "an integer of more than 64 bytes"); }
    for (uint64_t i = 0; i < count && count <= 8; i++) { number = number << 8 | bytes[i]; }
    if (count <= 8) {
        packed_push_integer(r, number, is_negative);
        return true;
    }
    // The digits from the last one on: each step multiplies all by 256 and adds a byte; then, of a negative one, 1 more.
    char digits[MOST_DIGITS + 1], text[MOST_DIGITS + 2];
    int length = 1;
    digits[0] = 0;
    for (uint64_t i = 0; i < count + is_negative; i++) {
        unsigned carry = i < count ? bytes[i] : 1, factor = i < count ? 256 : 1;
        for (int place = 0; place < length || carry > 0; place++) {
            if (place == length) { digits[length++] = 0; }
            carry += (unsigned)digits[place] * factor;
            digits[place] = (char)(carry % 10);
            carry /= 10;
        }
    }
    text[0] = '-';
    for (int i = 0; i < length; i++) { text[i + 1] = (char)('0' + digits[length - 1 - i]); }
    push_big_integer(r->L, text + !is_negative, (size_t)(length + is_negative));
    return true;
}

static bool push_simple(packed_reader *r, int information, const unsigned char *start) {
    switch (information) {
    case 20:
    case 21: lua_pushboolean(r->L, information == 21); return true;
    case 22:
    case 23: lua_pushlightuserdata(r->L, NULL); return true;
    default:
        r->at = start;
        return packed_fail(r, information == ENDLESS ? "an end without its beginning" : "a simple value that is not false, true, null or undefined");
    }
}

static bool push_value(packed_reader *r) {
    int major, information;
    uint64_t argument;
    const unsigned char *start;
    make_room(r->L);
    for (;;) {
        budget_check(r->L, r->host);
        start = r->at;
        if (r->at < r->end && *r->at >= 0xF9 && *r->at <= 0xFB) { return packed_push_float(r, 2 << (*r->at++ - 0xF9)); }
        if (!read_head(r, &major, &information, &argument)) { return false; }
        if (major != TAG) { break; }
        if (information == ENDLESS) { return packed_fail(r, "a first byte that begins no value"); }
        if (argument == POSITIVE_BIGNUM || argument == NEGATIVE_BIGNUM) { return push_bignum(r, argument == NEGATIVE_BIGNUM); }
    }
    bool is_endless = information == ENDLESS;
    switch (major) {
    case UNSIGNED:
    case NEGATIVE:
        if (is_endless) {
            r->at = start;
            return packed_fail(r, "a first byte that begins no value");
        }
        packed_push_integer(r, argument, major == NEGATIVE);
        return true;
    case BYTES: return is_endless ? push_pieces(r, BYTES) : packed_push_bytes(r, argument);
    case TEXT: return is_endless ? push_pieces(r, TEXT) : packed_push_text(r, argument);
    case LIST: return packed_push_list(r, argument, push_value, is_endless ? is_last : NULL);
    case MAP: return packed_push_map(r, argument, push_value, is_endless ? is_last : NULL);
    default: return push_simple(r, information, start);
    }
}

int cbor_decode(lua_State *L, shunt_bytes bytes) { return packed_decode(L, bytes, push_value); }

// MARK: encoding

static void add_argument(encoder *e, int major, uint64_t argument) {
    unsigned char first = (unsigned char)(major << 5);
    if (argument < 24) {
        packed_add(e, first | (unsigned char)argument, 0, 0);
    } else {
        int log_size = argument <= UINT8_MAX ? 0 : argument <= UINT16_MAX ? 1 : argument <= UINT32_MAX ? 2 : 3;
        packed_add(e, (unsigned char)(first | (24 + log_size)), argument, 1 << log_size);
    }
}

static void add_head(encoder *e, packed_kind kind, uint64_t count) {
    static const int majors[] = {TEXT, BYTES, LIST, MAP};
    add_argument(e, majors[kind], count);
}

static void add_integer(encoder *e, uint64_t number, bool is_negative) { add_argument(e, is_negative ? NEGATIVE : UNSIGNED, number); }

static void add_float(encoder *e, double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    packed_add(e, 0xFB, bits, 8);
}

static void add_extension(encoder *e, const packed_value *value) {
    luaL_error(e->L, "cbor.encode: CBOR has no extension of type %d", value->type);
}

/// The bytes from the last one on: each step multiplies all by 10 and adds a digit.
static void add_large(encoder *e, shunt_bytes digits) {
    const char *at = digits.start, *end = at + digits.count;
    bool is_negative = *at == '-';
    // Before 1 is taken from it, a negative one may need a byte more.
    unsigned char bytes[MOST_BIGNUM + 1], reversed[MOST_BIGNUM + 1];
    int length = 0;
    for (at += is_negative; at < end; at++) {
        unsigned carry = (unsigned)(*at - '0');
        for (int place = 0; place < length || carry > 0; place++) {
            if (place > MOST_BIGNUM) { luaL_error(e->L, "cbor.encode: an integer of more than 64 bytes"); }
            if (place == length) { bytes[length++] = 0; }
            carry += (unsigned)bytes[place] * 10;
            bytes[place] = (unsigned char)carry;
            carry >>= 8;
        }
    }
    // -1 - n is kept as n.
    for (int place = 0; is_negative && place < length && bytes[place]-- == 0; place++) {}
    while (length > 0 && bytes[length - 1] == 0) { length--; }
    if (length > MOST_BIGNUM) { luaL_error(e->L, "cbor.encode: an integer of more than 64 bytes"); }
    for (int i = 0; i < length; i++) { reversed[i] = bytes[length - 1 - i]; }
    if (length <= 8) {
        uint64_t number = 0;
        for (int i = 0; i < length; i++) { number = number << 8 | reversed[i]; }
        add_integer(e, number, is_negative);
        return;
    }
    add_argument(e, TAG, is_negative ? NEGATIVE_BIGNUM : POSITIVE_BIGNUM);
    add_argument(e, BYTES, (uint64_t)length);
    add(e, reversed, (size_t)length);
}

const packed_format cbor_format = {
    .name = "cbor.encode", .head = add_head, .integer = add_integer, .real = add_float, .extension = add_extension, .large = add_large,
    .nothing = 0xF6, .no = 0xF4, .yes = 0xF5,
};
