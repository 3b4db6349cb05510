// What a file compiles to, for those who look for mistakes in it: read, never run.
#include "host.h"

static int append(lua_State *L, const void *bytes, size_t count, void *code) {
    (void)L;
    return shunt_buffer_append(code, bytes, count) ? 0 : 1;
}

bool shunt_compile(shunt_bytes text, shunt_buffer *code) {
    lua_State *L = luaL_newstate();
    if (L == NULL) { return false; }
    *(shunt_host **)lua_getextraspace(L) = NULL;
    text = without_mark(text);
    bool compiled = luaL_loadbufferx(L, text.start, text.count, "=", "t") == LUA_OK && lua_dump(L, append, code, 0) == 0;
    lua_close(L);
    return compiled && !code->full;
}
