// base64.encode and base64.decode (RFC 4648 §4, with padding).
#include "host.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int encode(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count, base = host->scratch.count;
    const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &count);
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        uint32_t group = (uint32_t)text[i] << 16 | (left > 1 ? (uint32_t)text[i + 1] << 8 : 0) | (left > 2 ? text[i + 2] : 0);
        char out[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63], left > 1 ? alphabet[group >> 6 & 63] : '=',
                       left > 2 ? alphabet[group & 63] : '='};
        scratch_add(L, host, out, 4);
    }
    scratch_push(L, host, base);
    return 1;
}

static int value_of(char c) {
    const char *found = c == 0 ? NULL : strchr(alphabet, c);
    return found == NULL ? -1 : (int)(found - alphabet);
}

static int fail(lua_State *L, size_t base) {
    host_of(L)->scratch.count = base;
    lua_pushnil(L);
    lua_pushliteral(L, "not base64");
    return 2;
}

static int decode(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count, base = host->scratch.count;
    const char *text = luaL_checklstring(L, 1, &count);
    if (count % 4 != 0) { return fail(L, base); }
    for (size_t i = 0; i < count; i += 4) {
        int padding = 0, values[4];
        for (int j = 0; j < 4; j++) {
            bool pad = text[i + (size_t)j] == '=' && i + 4 == count && j >= 2;
            values[j] = pad ? 0 : value_of(text[i + (size_t)j]);
            // Nothing comes after padding.
            if (values[j] < 0 || (padding > 0 && !pad)) { return fail(L, base); }
            padding += pad;
        }
        uint32_t group = (uint32_t)values[0] << 18 | (uint32_t)values[1] << 12 | (uint32_t)values[2] << 6 | (uint32_t)values[3];
        char out[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        scratch_add(L, host, out, (size_t)(3 - padding));
    }
    scratch_push(L, host, base);
    return 1;
}

void open_base64(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", encode}, {"decode", decode}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
