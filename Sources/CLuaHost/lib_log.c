// log.debug/info/warn/error(text, fields): bounded in length and in lines a second.
#include "host.h"

#include <stdio.h>

enum { MAX_LOG_TEXT = 1024, MAX_LOG_FIELDS = 4096 };

/// How many of a text's bytes fit, not in the middle of a character.
static size_t fitting(const char *text, size_t count, size_t limit) {
    if (count <= limit) { return count; }
    for (count = limit; count > 0 && ((unsigned char)text[count] & 0xC0) == 0x80; count--) {}
    return count;
}

static bool may_log(shunt_host *host) {
    uint64_t second = (uint64_t)host->now;
    if (second != host->log_second) {
        host->log_second = second;
        host->log_lines = 0;
        if (host->log_dropped > 0) {
            char text[64];
            int count = snprintf(text, sizeof text, "%u lines of rules were not logged: too many a second", host->log_dropped);
            host->log_dropped = 0;
            host->options.callbacks.log(host->options.callbacks.context, SHUNT_WARN, (shunt_bytes){0},
                                        (shunt_bytes){text, (size_t)count}, (shunt_bytes){0});
        }
    }
    if (host->log_lines >= host->options.log_lines_per_second) {
        host->log_dropped++;
        return false;
    }
    host->log_lines++;
    return true;
}

void log_write(lua_State *L, shunt_log_level level, const char *text, size_t count, int fields) {
    shunt_host *host = host_of(L);
    shunt_bytes json = {0};
    if (!may_log(host)) { return; }
    if (fields != 0 && !lua_isnoneornil(L, fields)) {
        luaL_checktype(L, fields, LUA_TTABLE);
        json_encode(L, fields);
        json.start = lua_tolstring(L, -1, &json.count);
        if (json.count > MAX_LOG_FIELDS) { luaL_error(L, "log: the fields are more than %d bytes", MAX_LOG_FIELDS); }
    }
    shunt_bytes rule = {host->rule->name, strlen(host->rule->name)};
    host->options.callbacks.log(host->options.callbacks.context, level, rule,
                                (shunt_bytes){text, fitting(text, count, MAX_LOG_TEXT)}, json);
}

static int write_at(lua_State *L, shunt_log_level level) {
    size_t count;
    lua_settop(L, 2);
    const char *text = luaL_tolstring(L, 1, &count);
    log_write(L, level, text, count, 2);
    return 0;
}

static int log_debug(lua_State *L) { return write_at(L, SHUNT_DEBUG); }
static int log_info(lua_State *L) { return write_at(L, SHUNT_INFO); }
static int log_warn(lua_State *L) { return write_at(L, SHUNT_WARN); }
static int log_error(lua_State *L) { return write_at(L, SHUNT_ERROR); }

void open_log(lua_State *L) {
    static const luaL_Reg functions[] = {{"debug", log_debug}, {"info", log_info}, {"warn", log_warn}, {"error", log_error}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
