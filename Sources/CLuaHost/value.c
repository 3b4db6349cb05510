// Values between Swift and Lua as bytes: n, t, f, i and d with 8 bytes, s with a count and its bytes, a and o with a count
// and their members. Out of Lua also F with a line, for a function, and x for what is none of these.
#include "host.h"

enum { MAX_DEPTH = 32 };

static void write_count(shunt_buffer *out, char tag, size_t count) {
    uint32_t number = (uint32_t)count;
    shunt_buffer_append(out, &tag, 1);
    shunt_buffer_append(out, &number, sizeof number);
}

static void write_text(lua_State *L, int index, shunt_buffer *out) {
    size_t count;
    const char *text = lua_tolstring(L, index, &count);
    write_count(out, 's', count);
    shunt_buffer_append(out, text, count);
}

static void write_table(lua_State *L, int index, shunt_buffer *out, int depth) {
    lua_Unsigned length = lua_rawlen(L, index), count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        budget_check(L, host_of(L));
        count++;
    }
    bool array = length > 0 && count == length;
    write_count(out, array ? 'a' : 'o', count);
    for (lua_Integer i = 1; array && i <= (lua_Integer)length; i++) {
        lua_rawgeti(L, index, i);
        value_write(L, lua_gettop(L), out, depth + 1);
        lua_pop(L, 1);
    }
    if (array) { return; }
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        if (lua_isstring(L, -1)) {
            write_text(L, -1, out);
        } else {
            write_count(out, 's', 0);
        }
        lua_pop(L, 1);
        value_write(L, lua_gettop(L), out, depth + 1);
    }
}

void value_write(lua_State *L, int index, shunt_buffer *out, int depth) {
    budget_check(L, host_of(L));
    luaL_checkstack(L, 6, "value");
    int type = lua_type(L, index);
    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL)) {
        shunt_buffer_append(out, "n", 1);
    } else if (type == LUA_TBOOLEAN) {
        shunt_buffer_append(out, lua_toboolean(L, index) ? "t" : "f", 1);
    } else if (lua_isinteger(L, index)) {
        lua_Integer value = lua_tointeger(L, index);
        shunt_buffer_append(out, "i", 1);
        shunt_buffer_append(out, &value, sizeof value);
    } else if (type == LUA_TNUMBER) {
        lua_Number value = lua_tonumber(L, index);
        shunt_buffer_append(out, "d", 1);
        shunt_buffer_append(out, &value, sizeof value);
    } else if (type == LUA_TSTRING) {
        write_text(L, index, out);
    } else if (type == LUA_TTABLE && depth < MAX_DEPTH) {
        write_table(L, index, out, depth);
    } else if (type == LUA_TFUNCTION) {
        lua_Debug function;
        lua_pushvalue(L, index);
        lua_getinfo(L, ">S", &function);
        write_count(out, 'F', function.linedefined > 0 ? (size_t)function.linedefined : 0);
    } else {
        shunt_buffer_append(out, "x", 1);
    }
}

static bool read_count(const char **cursor, const char *end, uint32_t *count) {
    if ((size_t)(end - *cursor) < sizeof *count) { return false; }
    memcpy(count, *cursor, sizeof *count);
    *cursor += sizeof *count;
    return true;
}

static bool push_members(lua_State *L, const char **cursor, const char *end, int depth, bool array) {
    uint32_t count;
    if (!read_count(cursor, end, &count)) { return false; }
    lua_newtable(L);
    if (array && count == 0) { set_type(L, &key_json_array); }
    for (uint32_t i = 1; i <= count; i++) {
        budget_check(L, host_of(L));
        if (array) {
            lua_pushinteger(L, i);
        } else if (!value_push(L, cursor, end, MAX_DEPTH)) {
            return false;
        }
        if (!value_push(L, cursor, end, depth + 1)) { return false; }
        lua_rawset(L, -3);
    }
    return true;
}

bool value_push(lua_State *L, const char **cursor, const char *end, int depth) {
    if (depth > MAX_DEPTH || *cursor == NULL || *cursor >= end) { return false; }
    luaL_checkstack(L, 6, "value");
    char tag = *(*cursor)++;
    uint32_t count;
    size_t left = (size_t)(end - *cursor);
    switch (tag) {
    case 'n': lua_pushnil(L); return true;
    case 't':
    case 'f': lua_pushboolean(L, tag == 't'); return true;
    case 'i':
    case 'd':
        if (left < 8) { return false; }
        if (tag == 'i') {
            lua_Integer value;
            memcpy(&value, *cursor, 8);
            lua_pushinteger(L, value);
        } else {
            lua_Number value;
            memcpy(&value, *cursor, 8);
            lua_pushnumber(L, value);
        }
        *cursor += 8;
        return true;
    case 's':
        if (!read_count(cursor, end, &count) || count > (size_t)(end - *cursor)) { return false; }
        lua_pushlstring(L, *cursor, count);
        *cursor += count;
        return true;
    case 'a':
    case 'o': return depth < MAX_DEPTH && push_members(L, cursor, end, depth, tag == 'a');
    default: return false;
    }
}
