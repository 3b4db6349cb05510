#ifndef SHUNT_UTF8_H
#define SHUNT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/// The length of the UTF-8 sequence at a place, 0 if it is not one (RFC 3629: no surrogates, shortest form).
static inline size_t utf8_sequence(const char *at, const char *end) {
    const unsigned char *c = (const unsigned char *)at;
    size_t count = c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;
    if (count == 0 || (size_t)(end - at) < count) { return 0; }
    for (size_t i = 1; i < count; i++) {
        if ((c[i] & 0xC0) != 0x80) { return 0; }
    }
    if (c[0] == 0xE0 && c[1] < 0xA0) { return 0; }
    if (c[0] == 0xED && c[1] > 0x9F) { return 0; }
    if (c[0] == 0xF0 && c[1] < 0x90) { return 0; }
    if (c[0] == 0xF4 && c[1] > 0x8F) { return 0; }
    return count;
}

/// Whether a sequence is a control character, or a code point that Unicode keeps free of characters: no text of MQTT has one (5.0 §1.5.4).
static inline bool utf8_is_no_character(const char *at, size_t count) {
    const unsigned char *c = (const unsigned char *)at;
    if (count == 1) { return c[0] < 0x20 || c[0] == 0x7F; }
    if (count == 2) { return c[0] == 0xC2 && c[1] < 0xA0; }
    if (count == 3) { return c[0] == 0xEF && ((c[1] == 0xB7 && c[2] >= 0x90 && c[2] <= 0xAF) || (c[1] == 0xBF && c[2] >= 0xBE)); }
    return (c[1] & 0x0F) == 0x0F && c[2] == 0xBF && c[3] >= 0xBE;
}

/// The first place of a text that does not stand for itself in JSON, or is not ASCII: eight bytes are looked at together. In a word, a byte
/// below the first that is found never borrows, so the lowest mark is right.
static inline const char *skip_plain_ascii(const char *at, const char *end) {
    const uint64_t ones = 0x0101010101010101u;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t marks = (word | (word - 0x20 * ones) | ((word ^ ('"' * ones)) - ones) | ((word ^ ('\\' * ones)) - ones)) & (0x80 * ones);
        if (marks != 0) { return at + __builtin_ctzll(marks) / 8; }
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\') { at++; }
    return at;
}

/// -1 for what is no hexadecimal digit.
static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') { return c - '0'; }
    if (c >= 'a' && c <= 'f') { return c - 'a' + 10; }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static inline size_t utf8_encode(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t count = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = count - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(leads[count] | code);
    return count;
}

#endif
