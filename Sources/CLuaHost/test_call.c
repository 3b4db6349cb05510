// What a rule test asks of the host.
#include "host.h"

/// Pushes where the test stands: the first function that is not of the prelude.
static void push_test_place(lua_State *L) {
    static const char prelude[] = "/prelude";
    lua_Debug frame;
    for (int level = 1; lua_getstack(L, level, &frame) && lua_getinfo(L, "Sl", &frame); level++) {
        bool own = frame.srclen >= sizeof prelude && strcmp(frame.source + frame.srclen - sizeof prelude + 1, prelude) == 0;
        if (frame.currentline <= 0 || own) { continue; }
        lua_pushfstring(L, "%s:%d: ", frame.source + 1, frame.currentline);
        return;
    }
    lua_pushliteral(L, "");
}

int test_call(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_settop(L, 2);
    lua_createtable(L, 2, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 2);
    lua_rawseti(L, 1, 1);
    shunt_buffer *record = &host->record;
    record->count = 0;
    record->full = false;
    value_write(L, 1, record, 0);
    shunt_buffer result = {.limit = record->limit};
    shunt_bytes arguments = {record->bytes, record->count};
    bool ran = !record->full && host->options.callbacks.test(host->options.callbacks.context, arguments, &result);
    // Moved where an error can't lose it.
    shunt_buffer_free(record);
    *record = result;
    const char *cursor = result.bytes;
    if (!value_push(L, &cursor, cursor + result.count, 0)) {
        ran = false;
        lua_settop(L, 1);
        lua_pushliteral(L, "the test's values are too large or nested too deeply");
    }
    push_test_place(L);
    if (ran) { return 2; }
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
}
