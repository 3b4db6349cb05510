// These replace functions of Lua and the C library that take long over what a rule can make. The linker puts them in their place (--wrap,
// in Package.swift). See also concat.c, table_keys.c and collector.c.
#include "host.h"
#include "lua_layout.h"

enum { EVENT_GC = 2, EVENT_MODE = 3, MAX_NUMBER = 4096 };

int __wrap_strcoll(const char *a, const char *b);
size_t __real_luaO_str2num(const char *text, lua_value *value);
size_t __wrap_luaO_str2num(const char *text, lua_value *value);
uint32_t __wrap_luaS_hashlongstr(lua_text *text);
const lua_value *__real_luaT_gettm(lua_table *events, unsigned event, lua_text *name);
const lua_value *__wrap_luaT_gettm(lua_table *events, unsigned event, lua_text *name);

/// Lua compares texts by it, from one zero byte to the next: one that has many takes many calls. The process stays in the C locale, in
/// which this is what it does; a byte at a time, before.
int __wrap_strcoll(const char *a, const char *b) {
    budget_check_running();
    return strcmp(a, b);
}

/// A text that is longer than any number is none: Lua would read all of it.
size_t __wrap_luaO_str2num(const char *text, lua_value *value) {
    return strnlen(text, MAX_NUMBER + 1) > MAX_NUMBER ? 0 : __real_luaO_str2num(text, value);
}

static inline uint64_t mix(uint64_t hash, uint64_t word) {
    __uint128_t product = (__uint128_t)(hash ^ word) * 0x9E3779B97F4A7C15u;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/// The hash of a text of more than 40 bytes, as a key: Lua's takes a byte at a time. It begins with the state's seed.
uint32_t __wrap_luaS_hashlongstr(lua_text *text) {
    if (text->extra != 0) { return text->hash; }
    uint64_t hash = text->hash ^ (uint64_t)text->long_length << 32, word;
    size_t at = 0;
    for (; at + sizeof word <= text->long_length; at += sizeof word) {
        memcpy(&word, text->contents + at, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, text->contents + at, text->long_length - at);
    hash = mix(mix(hash, word), text->hash);
    text->hash = (uint32_t)(hash ^ hash >> 32);
    text->extra = 1;
    return text->hash;
}

/// What the collector asks a metatable for. Weak keys cost it the square of a chain's length, in one step, and finalizers would run
/// out of the budget's reach: setmetatable refuses both, and where a rule sets them later they mean nothing.
const lua_value *__wrap_luaT_gettm(lua_table *events, unsigned event, lua_text *name) {
    const lua_value *value = __real_luaT_gettm(events, event, name);
    if (__builtin_expect(event != EVENT_MODE && event != EVENT_GC, 1) || value == NULL) { return value; }
    if (event == EVENT_GC) { return NULL; }
    const lua_text *mode = value->bits.pointer;
    bool is_short = value->type == LUA_SHORT_TEXT;
    return is_short && memchr(mode->contents, 'k', mode->short_length) == NULL ? value : NULL;
}
