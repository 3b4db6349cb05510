// What rules log, and the labels of their counters, as JSON: both may hold anything that a client sent, so neither may fail a call.
#include "host.h"
#include "utf8.h"

#include <math.h>

/// Of a table: so many members, and so deep. What closes it, and says that it was cut, has room of its own.
enum { MOST_MEMBERS = 64, MOST_DEPTH = 16, ROOM_TO_CLOSE = 64 };

static const char replacement[] = "\xEF\xBF\xBD";

typedef struct {
    lua_State *L;
    shunt_host *host;
    /// Where in scratch the values end.
    size_t end;
    bool cut;
} bounded;

typedef struct {
    const char *text;
    size_t count;
    int place;
} member;

static size_t room(const bounded *b) { return b->host->scratch.count < b->end ? b->end - b->host->scratch.count : 0; }

void push_repaired(lua_State *L, const char *text, size_t count, size_t limit) {
    shunt_host *host = host_of(L);
    size_t base = host->scratch.count;
    for (const char *at = text, *end = text + count; at < end;) {
        size_t length = utf8_sequence(at, end);
        const char *from = length == 0 ? replacement : at;
        size_t adds = length == 0 ? sizeof replacement - 1 : length;
        if (host->scratch.count - base + adds > limit) { break; }
        scratch_add(L, host, from, adds);
        at += length == 0 ? 1 : length;
    }
    scratch_push(L, host, base);
}

static void add_text(bounded *b, const char *text, size_t count) {
    lua_State *L = b->L;
    scratch_char(L, b->host, '"');
    for (const char *at = text, *end = text + count; at < end;) {
        unsigned char c = (unsigned char)*at;
        size_t length = utf8_sequence(at, end);
        if (room(b) < 8) {
            b->cut = true;
            break;
        }
        if (length == 0) {
            scratch_add(L, b->host, replacement, sizeof replacement - 1);
        } else if (c < 0x20 || c == '"' || c == '\\') {
            json_add_escaped(L, b->host, c);
        } else {
            scratch_add(L, b->host, at, length);
        }
        at += length == 0 ? 1 : length;
    }
    scratch_char(L, b->host, '"');
}

static void add_value(bounded *b, int index, int depth);

static void add_array(bounded *b, int index, int depth) {
    lua_Integer count = (lua_Integer)lua_rawlen(b->L, index);
    scratch_char(b->L, b->host, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        budget_check(b->L, b->host);
        if (room(b) < 32) {
            b->cut = true;
            break;
        }
        if (i > 1) { scratch_char(b->L, b->host, ','); }
        lua_rawgeti(b->L, index, i);
        add_value(b, lua_gettop(b->L), depth);
        lua_pop(b->L, 1);
    }
    scratch_char(b->L, b->host, ']');
}

static bool comes_before(const member *a, const member *b) {
    int order = memcmp(a->text, b->text, a->count < b->count ? a->count : b->count);
    return order != 0 ? order < 0 : a->count < b->count;
}

/// Pushes the keys, and sorts them by their texts. A key that is no text is written as its text, or its type.
static int push_members(bounded *b, int index, member *members) {
    lua_State *L = b->L;
    int count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0;) {
        budget_check(L, b->host);
        lua_pop(L, 1);
        if (count == MOST_MEMBERS) {
            b->cut = true;
            lua_pop(L, 1);
            break;
        }
        int place = lua_gettop(L), type = lua_type(L, place);
        lua_pushvalue(L, place);
        if (type != LUA_TSTRING && type != LUA_TNUMBER) { lua_pushstring(L, lua_typename(L, type)); } else { lua_pushvalue(L, place); }
        lua_replace(L, place);
        // place: the key's text, where it can't be collected; over it the key itself, for rawget and lua_next.
        member each = {.place = place};
        each.text = lua_tolstring(L, place, &each.count);
        int at = count++;
        for (; at > 0 && comes_before(&each, &members[at - 1]); at--) { members[at] = members[at - 1]; }
        members[at] = each;
        lua_pushvalue(L, -1);
    }
    return count;
}

static void add_object(bounded *b, int index, int depth) {
    lua_State *L = b->L;
    member members[MOST_MEMBERS];
    int top = lua_gettop(L);
    luaL_checkstack(L, 3 * MOST_MEMBERS + 8, "log");
    int count = push_members(b, index, members), added = 0;
    scratch_char(L, b->host, '{');
    for (int i = 0; i < count; i++) {
        if (room(b) < members[i].count + 32) {
            b->cut = true;
            continue;
        }
        if (added++ > 0) { scratch_char(L, b->host, ','); }
        add_text(b, members[i].text, members[i].count);
        scratch_char(L, b->host, ':');
        lua_pushvalue(L, members[i].place + 1);
        lua_rawget(L, index);
        add_value(b, lua_gettop(L), depth);
        lua_pop(L, 1);
    }
    if (depth == 1 && b->cut) {
        static const char mark[] = "\"_cut\":true";
        if (added > 0) { scratch_char(L, b->host, ','); }
        scratch_add(L, b->host, mark, sizeof mark - 1);
    }
    scratch_char(L, b->host, '}');
    lua_settop(L, top);
}

static void add_plain(bounded *b, const char *text) { scratch_add(b->L, b->host, text, strlen(text)); }

static void add_value(bounded *b, int index, int depth) {
    lua_State *L = b->L;
    shunt_bytes digits = big_integer_digits(L, index);
    int type = lua_type(L, index);
    size_t count;
    if (digits.count > 0 && digits.count + 8 < room(b)) {
        scratch_add(L, b->host, digits.start, digits.count);
    } else if (type == LUA_TSTRING) {
        const char *text = lua_tolstring(L, index, &count);
        add_text(b, text, count);
    } else if (type == LUA_TNUMBER && isfinite(lua_tonumber(L, index))) {
        json_add_number(L, b->host, index);
    } else if (type == LUA_TNUMBER) {
        add_plain(b, isnan(lua_tonumber(L, index)) ? "\"NaN\"" : lua_tonumber(L, index) > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    } else if (type == LUA_TBOOLEAN) {
        add_plain(b, lua_toboolean(L, index) ? "true" : "false");
    } else if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL)) {
        add_plain(b, "null");
    } else if (type != LUA_TTABLE) {
        add_text(b, luaL_typename(L, index), strlen(luaL_typename(L, index)));
    } else if (depth >= MOST_DEPTH) {
        b->cut = true;
        add_plain(b, "null");
    } else if (json_is_array(L, index)) {
        luaL_checkstack(L, 8, "log");
        add_array(b, index, depth + 1);
    } else {
        add_object(b, index, depth + 1);
    }
}

void json_encode_bounded(lua_State *L, int index, size_t limit) {
    shunt_host *host = host_of(L);
    size_t base = host->scratch.count;
    bounded b = {.L = L, .host = host, .end = base + limit - ROOM_TO_CLOSE};
    index = lua_absindex(L, index);
    if (lua_istable(L, index) && !json_is_array(L, index)) {
        add_value(&b, index, 0);
    } else {
        // Fields have names; what is no table of them has one for all of it.
        add_plain(&b, "{\"value\":");
        add_value(&b, index, 1);
        add_plain(&b, b.cut ? ",\"_cut\":true}" : "}");
    }
    scratch_push(L, host, base);
}
