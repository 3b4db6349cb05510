// utf8.len and utf8.offset, which go over a text: as Lua's own, with looks at the budget. The rest of the library goes on step by step.
#include "host.h"

enum { LOOK = 4095 };

static bool is_continuation(const char *text, lua_Integer at) { return ((unsigned char)text[at] & 0xC0) == 0x80; }

/// A place from the end, where it is negative.
static lua_Integer place_of(lua_Integer place, size_t count) {
    if (place >= 0) { return place; }
    return 0u - (size_t)place > count ? 0 : (lua_Integer)count + place + 1;
}

/// The end of the character at a place, NULL where there is none: up to six bytes where `lax`, else what Unicode has. The text ends
/// with a zero byte.
static const char *decode(const char *text, bool lax) {
    static const uint32_t least[] = {UINT32_MAX, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t first = bytes[0], code = 0;
    if (first < 0x80) { return text + 1; }
    int count = 0;
    for (; first & 0x40; first <<= 1) {
        uint32_t next = bytes[++count];
        if (count > 5 || (next & 0xC0) != 0x80) { return NULL; }
        code = code << 6 | (next & 0x3F);
    }
    code |= (first & 0x7F) << (count * 5);
    if (count == 0 || code > 0x7FFFFFFF || code < least[count]) { return NULL; }
    if (!lax && (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))) { return NULL; }
    return text + count + 1;
}

static int utf8_len(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lua_Integer at = place_of(luaL_optinteger(L, 2, 1), count), last = place_of(luaL_optinteger(L, 3, -1), count), characters = 0;
    bool lax = lua_toboolean(L, 4);
    luaL_argcheck(L, at >= 1 && --at <= (lua_Integer)count, 2, "initial position out of bounds");
    luaL_argcheck(L, --last < (lua_Integer)count, 3, "final position out of bounds");
    while (at <= last) {
        const char *next = decode(text + at, lax);
        if (next == NULL) {
            luaL_pushfail(L);
            lua_pushinteger(L, at + 1);
            return 2;
        }
        at = next - text;
        if ((++characters & LOOK) == 0) { budget_check(L, host); }
    }
    lua_pushinteger(L, characters);
    return 1;
}

static int utf8_offset(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lua_Integer n = luaL_checkinteger(L, 2), steps = 0;
    lua_Integer at = place_of(luaL_optinteger(L, 3, n >= 0 ? 1 : (lua_Integer)count + 1), count);
    luaL_argcheck(L, at >= 1 && --at <= (lua_Integer)count, 3, "position out of bounds");
    if (n == 0) {
        for (; at > 0 && is_continuation(text, at); at--) {
            if ((++steps & LOOK) == 0) { budget_check(L, host); }
        }
        lua_pushinteger(L, at + 1);
        return 1;
    }
    if (is_continuation(text, at)) { return luaL_error(L, "initial position is a continuation byte"); }
    for (; n < 0 && at > 0; n++) {
        do {
            at--;
            if ((++steps & LOOK) == 0) { budget_check(L, host); }
        } while (at > 0 && is_continuation(text, at));
    }
    if (n > 0) {
        for (n--; n > 0 && at < (lua_Integer)count; n--) {
            do {
                at++;
                if ((++steps & LOOK) == 0) { budget_check(L, host); }
            } while (is_continuation(text, at));
        }
    }
    if (n == 0) { lua_pushinteger(L, at + 1); } else { luaL_pushfail(L); }
    return 1;
}

void bound_utf8(lua_State *L) {
    static const luaL_Reg own[] = {{"len", utf8_len}, {"offset", utf8_offset}, {NULL, NULL}};
    luaL_setfuncs(L, own, 0);
}
