// Tables to JSON. Keys are sorted by their bytes, so that equal tables give equal text. Metamethods are not asked.
#include "host.h"
#include "utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    const char *text;
    size_t count;
    int place;
} json_key;

enum { KEYS_ON_STACK = 24 };

void json_add_escaped(lua_State *L, shunt_host *host, unsigned char c) {
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    char text[8];
    const char *found = c == 0 ? NULL : strchr(plain, c);
    int count = found != NULL ? snprintf(text, sizeof text, "\\%c", letters[found - plain])
                              : snprintf(text, sizeof text, "\\u%04x", c);
    scratch_add(L, host, text, (size_t)count);
}

static void add_text(lua_State *L, shunt_host *host, const char *text, size_t count) {
    const char *at = text, *end = text + count, *run = text;
    scratch_char(L, host, '"');
    while (at < end) {
        if (((at - text) & 4095) == 0) { budget_check(L, host); }
        unsigned char c = (unsigned char)*at;
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            at++;
        } else if (c >= 0x80) {
            size_t length = utf8_sequence(at, end);
            if (length == 0) { luaL_error(L, "json.encode: a text that is not UTF-8 (use base64 for bytes)"); }
            at += length;
        } else {
            scratch_add(L, host, run, (size_t)(at - run));
            json_add_escaped(L, host, c);
            run = ++at;
        }
    }
    scratch_add(L, host, run, (size_t)(at - run));
    scratch_char(L, host, '"');
}

void json_add_number(lua_State *L, shunt_host *host, int index) {
    char text[64];
    int count;
    if (lua_isinteger(L, index)) {
        count = snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, index));
    } else {
        double value = lua_tonumber(L, index);
        if (!isfinite(value)) { luaL_error(L, "json.encode: JSON has no infinite or undefined numbers"); }
        // The shortest of these that reads back the same.
        for (int digits = 15; digits <= 17; digits++) {
            count = snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value) { break; }
        }
        if (strpbrk(text, ".e") == NULL) { count += snprintf(text + count, sizeof text - (size_t)count, ".0"); }
    }
    scratch_add(L, host, text, (size_t)count);
}

static void add_value(lua_State *L, shunt_host *host, int index, size_t depth);

/// A list that has been given other keys would lose them.
static void check_array(lua_State *L, shunt_host *host, int index, lua_Integer count) {
    lua_Integer members = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        budget_check(L, host);
        if (!lua_isinteger(L, -2) || ++members > count) {
            luaL_error(L, "json.encode: a list's keys must be 1 to n; this one has a %s key besides", luaL_typename(L, -2));
        }
    }
}

static void add_array(lua_State *L, shunt_host *host, int index, size_t depth) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    check_array(L, host, index, count);
    scratch_char(L, host, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) { scratch_char(L, host, ','); }
        lua_rawgeti(L, index, i);
        add_value(L, host, lua_gettop(L), depth);
        lua_pop(L, 1);
    }
    scratch_char(L, host, ']');
}

static int compare_keys(const json_key *left, const json_key *right) {
    size_t shorter = left->count < right->count ? left->count : right->count;
    int order = memcmp(left->text, right->text, shorter);
    return order != 0 ? order : left->count < right->count ? -1 : left->count > right->count;
}

/// Lets the key at a place sink among the first `count` of a heap, whose largest key is at its head.
static void sink(json_key *keys, size_t place, size_t count) {
    json_key key = keys[place];
    for (size_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && compare_keys(&keys[child], &keys[child + 1]) < 0) { child++; }
        if (compare_keys(&key, &keys[child]) >= 0) { break; }
        keys[place] = keys[child];
    }
    keys[place] = key;
}

/// Many keys are sorted on a heap, with a look at the budget at each: qsort can't be left.
static void sort_keys(lua_State *L, shunt_host *host, json_key *keys, size_t count) {
    if (count > KEYS_ON_STACK) {
        for (size_t i = count / 2; i-- > 0;) {
            budget_check(L, host);
            sink(keys, i, count);
        }
        for (size_t last = count - 1; last > 0; last--) {
            budget_check(L, host);
            json_key largest = keys[0];
            keys[0] = keys[last];
            keys[last] = largest;
            sink(keys, 0, last);
        }
        return;
    }
    for (size_t i = 1; i < count; i++) {
        json_key key = keys[i];
        size_t place = i;
        for (; place > 0 && compare_keys(&keys[place - 1], &key) > 0; place--) { keys[place] = keys[place - 1]; }
        keys[place] = key;
    }
}

/// Pushes the keys of the table at `index`; they must all be texts.
static size_t push_keys(lua_State *L, shunt_host *host, int index) {
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        budget_check(L, host);
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "json.encode: a table's keys must be 1 to n, or all texts; this one has a %s key", luaL_typename(L, -2));
        }
        luaL_checkstack(L, 8, "json.encode");
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        count++;
    }
    return count;
}

static void add_object(lua_State *L, shunt_host *host, int index, size_t depth) {
    int top = lua_gettop(L);
    size_t count = push_keys(L, host, index);
    json_key few[KEYS_ON_STACK], *keys = few;
    luaL_checkstack(L, 8, "json.encode");
    if (count > KEYS_ON_STACK) { keys = lua_newuserdatauv(L, count * sizeof keys[0], 0); }
    for (size_t i = 0; i < count; i++) {
        keys[i].place = top + 1 + (int)i;
        keys[i].text = lua_tolstring(L, keys[i].place, &keys[i].count);
    }
    sort_keys(L, host, keys, count);
    scratch_char(L, host, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) { scratch_char(L, host, ','); }
        add_text(L, host, keys[i].text, keys[i].count);
        scratch_char(L, host, ':');
        lua_pushvalue(L, keys[i].place);
        lua_rawget(L, index);
        add_value(L, host, lua_gettop(L), depth);
        lua_pop(L, 1);
    }
    scratch_char(L, host, '}');
    lua_settop(L, top);
}

/// An array is a table with the mark of json.array (decoded arrays have it), or with the keys 1 to n, n > 0.
bool json_is_array(lua_State *L, int index) {
    if (lua_getmetatable(L, index)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &key_json_array);
        bool marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (marked) { return true; }
    }
    lua_Unsigned length = lua_rawlen(L, index), count = 0;
    if (length == 0) { return false; }
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        budget_check(L, host_of(L));
        lua_pop(L, 1);
        if (++count > length || !lua_isinteger(L, -1)) {
            lua_pop(L, 1);
            return false;
        }
    }
    return count == length;
}

static void add_table(lua_State *L, shunt_host *host, int index, size_t depth) {
    if (depth >= host->options.json_depth) { luaL_error(L, "json.encode: nested too deeply, or a table within itself"); }
    luaL_checkstack(L, 8, "json.encode");
    if (json_is_array(L, index)) {
        add_array(L, host, index, depth + 1);
    } else {
        add_object(L, host, index, depth + 1);
    }
}

static void add_value(lua_State *L, shunt_host *host, int index, size_t depth) {
    budget_check(L, host);
    size_t count;
    const char *text;
    switch (lua_type(L, index)) {
    case LUA_TNIL: scratch_add(L, host, "null", 4); return;
    case LUA_TBOOLEAN:
        text = lua_toboolean(L, index) ? "true" : "false";
        scratch_add(L, host, text, strlen(text));
        return;
    case LUA_TNUMBER: json_add_number(L, host, index); return;
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &count);
        add_text(L, host, text, count);
        return;
    case LUA_TTABLE: add_table(L, host, index, depth); return;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            scratch_add(L, host, "null", 4);
            return;
        }
        // fall through
    default:
        if (big_integer_digits(L, index).count > 0) {
            shunt_bytes digits = big_integer_digits(L, index);
            scratch_add(L, host, digits.start, digits.count);
            return;
        }
        luaL_error(L, "json.encode: JSON has no %s", luaL_typename(L, index));
    }
}

void json_encode(lua_State *L, int index) {
    shunt_host *host = host_of(L);
    size_t base = host->scratch.count;
    add_value(L, host, lua_absindex(L, index), 0);
    scratch_push(L, host, base);
}
