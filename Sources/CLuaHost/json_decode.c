// RFC 8259, and nothing else: a value, or nil and what was wrong at which byte.
#include "json_skip.h"
#include "lazy.h"
#include "tables.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_NUMBER = 512 };
/// An array or object that is a member of the outermost object is filled later, where it and the whole have such a size: a text mostly takes
/// less memory than what it stands for.
enum { LEAST_LATER = 24, MOST_LATER = 4096, MOST_WITH_LATER = 16384 };

typedef struct {
    lua_State *L;
    shunt_host *host;
    const char *start, *at, *end;
    const char *wrong;
    size_t depth;
    /// Whether members of the outermost object may be filled later.
    bool is_lazy;
    /// The metatable that marks arrays.
    void *array_type;
} decoder;

static bool fail(decoder *d, const char *wrong) {
    if (d->wrong == NULL) { d->wrong = wrong; }
    return false;
}

static void skip_space(decoder *d) {
    if (d->at < d->end && (unsigned char)*d->at > ' ') { return; }
    while (d->at < d->end && (*d->at == ' ' || *d->at == '\n' || *d->at == '\r' || *d->at == '\t')) {
        budget_check(d->L, d->host);
        d->at++;
    }
}

// MARK: texts

/// After `\u`.
static bool read_unit(decoder *d, uint32_t *unit) {
    *unit = 0;
    if (d->end - d->at < 4) { return fail(d, "\\u needs four hexadecimal digits"); }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*d->at++);
        if (digit < 0) { return fail(d, "\\u needs four hexadecimal digits"); }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

static bool add_unicode(decoder *d) {
    uint32_t code, low;
    if (!read_unit(d, &code)) { return false; }
    if (code >= 0xDC00 && code < 0xE000) { return fail(d, "a low surrogate without a high one"); }
    if (code >= 0xD800 && code < 0xDC00) {
        if (d->end - d->at < 2 || d->at[0] != '\\' || d->at[1] != 'u') { return fail(d, "a high surrogate without a low one"); }
        d->at += 2;
        if (!read_unit(d, &low)) { return false; }
        if (low < 0xDC00 || low >= 0xE000) { return fail(d, "a high surrogate without a low one"); }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    char bytes[4];
    scratch_add(d->L, d->host, bytes, utf8_encode(code, bytes));
    return true;
}

static bool add_escape(decoder *d) {
    if (d->at >= d->end) { return fail(d, "the text has no end"); }
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char name = *d->at++;
    if (name == 'u') { return add_unicode(d); }
    const char *found = name == 0 ? NULL : strchr(names, name);
    if (found == NULL) { return fail(d, "no such escape"); }
    scratch_char(d->L, d->host, values[found - names]);
    return true;
}

/// Moves past what stands for itself.
static bool skip_plain(decoder *d) {
    while ((d->at = skip_plain_ascii(d->at, d->end)) < d->end) {
        unsigned char c = (unsigned char)*d->at;
        if (c == '"' || c == '\\') { return true; }
        if (c < 0x20) { return fail(d, "a control character in a text"); }
        size_t count = utf8_sequence(d->at, d->end);
        if (count == 0) { return fail(d, "not UTF-8"); }
        d->at += count;
    }
    return fail(d, "the text has no end");
}

// Values are put on the stack as Lua's own functions would, where `push_value` has made room for them.

static inline void push(decoder *d, lua_value value) { *thread_of(d->L)->top++ = value; }
static inline void push_integer(decoder *d, lua_Integer number) { push(d, (lua_value){.bits.integer = number, .type = LUA_INTEGER_KEY}); }
static inline void push_float(decoder *d, lua_Number number) { push(d, (lua_value){.bits.number = number, .type = LUA_FLOAT_KEY}); }

/// After the opening quote. A text without escapes goes to Lua as it is.
static bool push_text(decoder *d) {
    const char *start = d->at;
    if (!skip_plain(d)) { return false; }
    if (*d->at == '"') {
        push_plain_text(d->L, start, (size_t)(d->at++ - start));
        return true;
    }
    size_t base = d->host->scratch.count;
    for (;;) {
        scratch_add(d->L, d->host, start, (size_t)(d->at - start));
        if (*d->at++ == '"') { break; }
        start = NULL;
        if (!add_escape(d)) { break; }
        start = d->at;
        if (!skip_plain(d)) { break; }
    }
    if (d->wrong != NULL) {
        d->host->scratch.count = base;
        return false;
    }
    scratch_push(d->L, d->host, base);
    return true;
}

// MARK: numbers

/// Stops behind the digit that makes a number too long: nothing looks at the budget here.
static size_t skip_digits(decoder *d) {
    const char *start = d->at, *end = d->end - start > MAX_NUMBER ? start + MAX_NUMBER + 1 : d->end;
    while (d->at < end && *d->at >= '0' && *d->at <= '9') { d->at++; }
    return (size_t)(d->at - start);
}

/// A number of at most 15 digits with a small exponent is exact in two steps: most are.
static bool push_short_float(decoder *d, const char *start) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool negative = *start == '-';
    int64_t digits = 0;
    int count = 0, decimals = 0;
    for (const char *at = start + negative; at < d->at; at++) {
        if (*at == 'e' || *at == 'E' || count > 15) { return false; }
        if (*at == '.') {
            decimals = (int)(d->at - at) - 1;
        } else {
            digits = digits * 10 + (*at - '0');
            count++;
        }
    }
    if (count > 15) { return false; }
    double value = (double)digits / powers[decimals];
    push_float(d, negative ? -value : value);
    return true;
}

/// Integers of at most 18 digits fit for sure.
static bool push_short_integer(decoder *d, const char *digits, size_t count, bool negative) {
    int64_t value = 0;
    if (count > 18) { return false; }
    for (size_t i = 0; i < count; i++) { value = value * 10 + (digits[i] - '0'); }
    if (negative && value == 0) {
        push_float(d, -0.0);
    } else {
        push_integer(d, negative ? -value : value);
    }
    return true;
}

/// Lua reads integers that fit as integers, and does not need the C locale.
static bool push_long_number(decoder *d, const char *start, bool whole) {
    char text[MAX_NUMBER + 1];
    size_t length = (size_t)(d->at - start);
    if (length > MAX_NUMBER) { return fail(d, "a number of more than 512 characters"); }
    memcpy(text, start, length);
    text[length] = 0;
    if (lua_stringtonumber(d->L, text) == 0) { return fail(d, "not a number"); }
    double value = lua_tonumber(d->L, -1);
    if (value - value != 0) { return fail(d, "a number that is too large"); }
    if (whole && !lua_isinteger(d->L, -1)) {
        lua_pop(d->L, 1);
        push_big_integer(d->L, text, length);
    }
    return true;
}

/// Integers are integers, those that do not fit with their digits; the rest are floats.
static bool push_number(decoder *d) {
    const char *start = d->at;
    bool negative = *d->at == '-', whole = true;
    d->at += negative;
    const char *digits = d->at;
    size_t count = skip_digits(d);
    if (count == 0) { return fail(d, "not a value"); }
    if (count > 1 && *digits == '0') { return fail(d, "a number with a leading zero"); }
    if (d->at < d->end && *d->at == '.') {
        whole = false;
        d->at++;
        if (skip_digits(d) == 0) { return fail(d, "a number without digits after its point"); }
    }
    if (d->at < d->end && (*d->at == 'e' || *d->at == 'E')) {
        whole = false;
        d->at++;
        if (d->at < d->end && (*d->at == '+' || *d->at == '-')) { d->at++; }
        if (skip_digits(d) == 0) { return fail(d, "a number without digits in its exponent"); }
    }
    if (whole ? push_short_integer(d, digits, count, negative) : push_short_float(d, start)) { return true; }
    return push_long_number(d, start, whole);
}

// MARK: values

static bool push_value(decoder *d);

static bool expect_more(decoder *d, char closing, bool *done) {
    skip_space(d);
    if (d->at >= d->end) { return fail(d, closing == ']' ? "the array has no end" : "the object has no end"); }
    *done = *d->at == closing;
    if (!*done && *d->at != ',') { return fail(d, closing == ']' ? "expected , or ]" : "expected , or }"); }
    d->at++;
    return true;
}

static bool push_array(decoder *d) {
    int place = lua_gettop(d->L) + 1;
    lua_Integer count = 0;
    bool done = false, made = false;
    push(d, (lua_value){.type = LUA_NOTHING});
    skip_space(d);
    if (d->at < d->end && *d->at == ']') {
        d->at++;
        done = true;
    }
    while (!done) {
        if (!push_value(d)) { return false; }
        if (!expect_more(d, ']', &done)) { return false; }
        if (++count % PENDING_MEMBERS != 0) { continue; }
        made = made || make_table(d->L, place, PENDING_MEMBERS, 0);
        add_elements(d->L, place, count);
    }
    if (!made) { make_table(d->L, place, (int)count, 0); }
    add_elements(d->L, place, count);
    lua_table *t = value_at(d->L, place)->bits.pointer;
    t->metatable = d->array_type;
    return true;
}

/// - Returns: false, and nothing done, where it is not surely right, or is too small or too large.
static bool push_later(decoder *d) {
    const char *end = d->end - d->at > MOST_LATER ? d->at + MOST_LATER : d->end;
    size_t levels = d->host->options.json_depth - d->depth;
    budget_check(d->L, d->host);
    end = skip_container(d->at, end, levels);
    if (end == NULL || end - d->at < LEAST_LATER) { return false; }
    make_room(d->L);
    lazy_push(d->L, d->at, (size_t)(end - d->at));
    d->at = end;
    return true;
}

static bool push_member(decoder *d) {
    skip_space(d);
    if (d->at >= d->end || *d->at != '"') { return fail(d, "expected a key in quotes"); }
    d->at++;
    if (!push_text(d)) { return false; }
    skip_space(d);
    if (d->at >= d->end || *d->at != ':') { return fail(d, "expected : after a key"); }
    d->at++;
    if (d->is_lazy && d->depth == 1) {
        skip_space(d);
        if (d->at < d->end && (*d->at == '{' || *d->at == '[') && push_later(d)) { return true; }
    }
    return push_value(d);
}

static bool push_object(decoder *d) {
    int place = lua_gettop(d->L) + 1, count = 0;
    bool done = false, made = false;
    push(d, (lua_value){.type = LUA_NOTHING});
    skip_space(d);
    if (d->at < d->end && *d->at == '}') {
        d->at++;
        done = true;
    }
    while (!done) {
        if (!push_member(d) || !expect_more(d, '}', &done)) { return false; }
        if (++count % PENDING_MEMBERS != 0) { continue; }
        made = made || make_table(d->L, place, 0, PENDING_MEMBERS);
        add_members(d->L, place);
    }
    if (!made) { make_table(d->L, place, 0, count); }
    add_members(d->L, place);
    return true;
}

static bool push_word(decoder *d, const char *word) {
    size_t count = strlen(word);
    if ((size_t)(d->end - d->at) < count || memcmp(d->at, word, count) != 0) { return fail(d, "not a value"); }
    d->at += count;
    if (*word == 'n') {
        push(d, (lua_value){.type = LUA_POINTER});
    } else {
        push(d, (lua_value){.type = *word == 't' ? LUA_TRUE : LUA_FALSE});
    }
    return true;
}

static bool push_nested(decoder *d, bool (*push)(decoder *)) {
    if (++d->depth > d->host->options.json_depth) { return fail(d, "nested too deeply"); }
    d->at++;
    bool pushed = push(d);
    d->depth--;
    return pushed;
}

static bool push_value(decoder *d) {
    budget_check(d->L, d->host);
    make_room(d->L);
    skip_space(d);
    if (d->at >= d->end) { return fail(d, "expected a value"); }
    switch (*d->at) {
    case '{': return push_nested(d, push_object);
    case '[': return push_nested(d, push_array);
    case '"': d->at++; return push_text(d);
    case 't': return push_word(d, "true");
    case 'f': return push_word(d, "false");
    case 'n': return push_word(d, "null");
    default: return push_number(d);
    }
}

static decoder decoder_of(lua_State *L, const char *text, size_t count) {
    return (decoder){.L = L, .host = host_of(L), .start = text, .at = text, .end = text + count, .array_type = json_array_type(L)};
}

void json_decode_all(lua_State *L, const char *text, size_t count) {
    decoder d = decoder_of(L, text, count);
    if (!push_value(&d)) { luaL_error(L, "%s", d.wrong); }
}

int json_decode(lua_State *L, const char *text, size_t count) {
    decoder d = decoder_of(L, text, count);
    d.is_lazy = d.host->rule != NULL && count <= MOST_WITH_LATER;
    int top = lua_gettop(L);
    if (push_value(&d)) {
        skip_space(&d);
        if (d.at == d.end) { return 1; }
        fail(&d, "more after the value");
    }
    lua_settop(L, top);
    lua_pushnil(L);
    lua_pushfstring(L, "%s at byte %I", d.wrong, (LUAI_UACINT)(d.at - d.start + 1));
    return 2;
}
