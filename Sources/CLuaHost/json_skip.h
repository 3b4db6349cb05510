// Moves over JSON that is surely right, without making anything of it. For json_decode.c.
#ifndef SHUNT_JSON_SKIP_H
#define SHUNT_JSON_SKIP_H

#include "utf8.h"

#include <stdbool.h>

enum { SKIPPED_NUMBER = 64, SKIPPED_DEPTH = 64 };

static inline const char *skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) { at++; }
    return at;
}

/// Each of these returns where it ends, or NULL where it is not sure: the decoder then says what is wrong, if anything is.
static inline const char *skip_quoted(const char *at, const char *end) {
    while ((at = skip_plain_ascii(at, end)) < end) {
        if (*at == '"') { return at + 1; }
        if (*at == '\\') {
            if (end - at < 2 || memchr("\"\\/bfnrt", at[1], 8) == NULL) { return NULL; }
            at += 2;
        } else {
            size_t count = (unsigned char)*at < 0x20 ? 0 : utf8_sequence(at, end);
            if (count == 0) { return NULL; }
            at += count;
        }
    }
    return NULL;
}

/// No more than make a number too long.
static inline const char *skip_figures(const char *at, const char *end) {
    if (end - at > SKIPPED_NUMBER) { end = at + SKIPPED_NUMBER + 1; }
    while (at < end && *at >= '0' && *at <= '9') { at++; }
    return at;
}

/// Of no more than some characters and without an exponent: such a number is never too large.
static inline const char *skip_plain_number(const char *at, const char *end) {
    const char *start = at;
    if (at < end && *at == '-') { at++; }
    const char *digits = at;
    at = skip_figures(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1)) { return NULL; }
    if (at < end && *at == '.') {
        const char *decimals = ++at;
        at = skip_figures(at, end);
        if (at == decimals) { return NULL; }
    }
    return at - start > SKIPPED_NUMBER || (at < end && (*at == 'e' || *at == 'E')) ? NULL : at;
}

static inline const char *skip_plain_word(const char *at, const char *end, const char *word, size_t count) {
    return (size_t)(end - at) >= count && memcmp(at, word, count) == 0 ? at + count : NULL;
}

static inline const char *skip_simple(const char *at, const char *end) {
    switch (*at) {
    case '"': return skip_quoted(at + 1, end);
    case 't': return skip_plain_word(at, end, "true", 4);
    case 'f': return skip_plain_word(at, end, "false", 5);
    case 'n': return skip_plain_word(at, end, "null", 4);
    default: return skip_plain_number(at, end);
    }
}

/// A member's name, up to its value.
static inline const char *skip_name(const char *at, const char *end) {
    at = skip_blanks(at, end);
    if (at >= end || *at != '"' || (at = skip_quoted(at + 1, end)) == NULL) { return NULL; }
    at = skip_blanks(at, end);
    return at < end && *at == ':' ? skip_blanks(at + 1, end) : NULL;
}

/// After a value in so many containers: moves to the next value, or past the end of the outermost. The lowest bit of `objects` says whether
/// the innermost is an object.
static inline const char *skip_between(const char *at, const char *end, uint64_t *objects, size_t *depth) {
    while (*depth > 0) {
        bool is_object = *objects & 1;
        at = skip_blanks(at, end);
        if (at >= end) { return NULL; }
        if (*at == ',') { return is_object ? skip_name(at + 1, end) : skip_blanks(at + 1, end); }
        if (*at++ != (is_object ? '}' : ']')) { return NULL; }
        *objects >>= 1;
        --*depth;
    }
    return at;
}

/// An array or object, with no more levels than these.
static inline const char *skip_container(const char *at, const char *end, size_t levels) {
    uint64_t objects = 0;
    size_t depth = 0;
    do {
        if (at >= end) { return NULL; }
        if (*at == '{' || *at == '[') {
            bool is_object = *at == '{';
            if (depth == levels || depth == SKIPPED_DEPTH) { return NULL; }
            depth++;
            objects = objects << 1 | is_object;
            const char *inner = skip_blanks(at + 1, end);
            if (inner >= end) { return NULL; }
            bool is_empty = *inner == (is_object ? '}' : ']');
            at = is_empty ? skip_between(inner, end, &objects, &depth) : is_object ? skip_name(inner, end) : inner;
        } else {
            at = skip_simple(at, end);
            if (at != NULL) { at = skip_between(at, end, &objects, &depth); }
        }
        if (at == NULL) { return NULL; }
    } while (depth > 0);
    return at;
}

#endif
