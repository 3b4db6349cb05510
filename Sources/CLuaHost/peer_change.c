// `conn:with{}`: a client's record with changes, for hooks to return.
#include "peer.h"

#include <math.h>

enum { MAX_LABEL = 1024, MAX_LABELS = 256, MAX_RATE = 1000000000 };
enum { MAX_ATTRIBUTES = 32, MAX_ATTRIBUTE_NAME = 64, MAX_ATTRIBUTE = 512 };

static void add_labels(lua_State *L, shunt_host *host, int index, const char *what) {
    luaL_checktype(L, index, LUA_TTABLE);
    lua_Unsigned count = lua_rawlen(L, index);
    if (count > MAX_LABELS) { luaL_error(L, "conn:with{}: %s has more than %d entries", what, MAX_LABELS); }
    uint32_t number = (uint32_t)count;
    scratch_add(L, host, &number, sizeof number);
    for (lua_Integer i = 1; i <= (lua_Integer)count; i++) {
        lua_rawgeti(L, index, i);
        check_text(L, -1, what, MAX_LABEL);
        size_t length;
        const char *text = lua_tolstring(L, -1, &length);
        number = (uint32_t)length;
        scratch_add(L, host, &number, sizeof number);
        scratch_add(L, host, text, length);
        lua_pop(L, 1);
    }
}

static void add_text(lua_State *L, shunt_host *host, int index) {
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    uint32_t number = (uint32_t)length;
    scratch_add(L, host, &number, sizeof number);
    scratch_add(L, host, text, length);
}

/// Writes the table at an index as names, each before its value.
static void add_attributes(lua_State *L, shunt_host *host, int index) {
    luaL_checktype(L, index, LUA_TTABLE);
    uint32_t count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) { luaL_error(L, "conn:with{}: attributes has %s for a name", key_shown(L, -2)); }
        check_text(L, -2, "conn:with{}: the name of an attribute", MAX_ATTRIBUTE_NAME);
        check_text(L, -1, "conn:with{}: an attribute", MAX_ATTRIBUTE);
        if (++count > MAX_ATTRIBUTES) { luaL_error(L, "conn:with{}: attributes has more than %d entries", MAX_ATTRIBUTES); }
    }
    count *= 2;
    scratch_add(L, host, &count, sizeof count);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        add_text(L, host, -2);
        add_text(L, host, -1);
    }
}

/// A number of things in a second that a table of limits has; -1 where it has none.
static int64_t check_rate(lua_State *L, const char *name) {
    lua_Integer rate = -1;
    if (push_raw_field(L, -1, name) != LUA_TNIL) {
        rate = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
        if (rate < 0 || rate > MAX_RATE) { luaL_error(L, "conn:with{}: limits.%s is a whole number from 0 to %I", name, (LUAI_UACINT)MAX_RATE); }
    }
    lua_pop(L, 1);
    return rate;
}

/// Checks the table of limits that is on the top of the stack.
static void check_limits(lua_State *L, connection_object *change) {
    if (!lua_istable(L, -1)) { luaL_error(L, "conn:with{}: limits is a table of messages_per_second and bytes_per_second"); }
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (key_is(L, -2, "messages_per_second") || key_is(L, -2, "bytes_per_second")) { continue; }
        luaL_error(L, "conn:with{}: limits takes messages_per_second and bytes_per_second, not %s", key_shown(L, -2));
    }
    change->messages = check_rate(L, "messages_per_second");
    change->bytes = check_rate(L, "bytes_per_second");
}

/// Checks the uid that is on the top of the stack.
static void check_uid(lua_State *L) {
    size_t length;
    check_text(L, -1, "conn:with{}: uid", MAX_LABEL);
    const char *uid = lua_tolstring(L, -1, &length);
    if (memchr(uid, 0, length) != NULL) { luaL_error(L, "conn:with{}: uid has a zero byte in it"); }
}

static void check_changes(lua_State *L, connection_object *flags) {
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        bool tags = key_is(L, -2, "tags");
        if (key_is(L, -2, "uid")) {
            check_uid(L);
            flags->has_uid = true;
        } else if (tags || key_is(L, -2, "alias")) {
            if (!lua_istable(L, -1)) { luaL_error(L, "conn:with{}: %s must be a list of texts", key_shown(L, -2)); }
            flags->has_tags |= tags;
            flags->has_alias |= !tags;
        } else if (key_is(L, -2, "attributes")) {
            if (!lua_istable(L, -1)) { luaL_error(L, "conn:with{}: attributes is a table of texts by name"); }
            flags->has_attributes = true;
        } else if (key_is(L, -2, "expires_at")) {
            double at = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
            if (!(at > 0)) { luaL_error(L, "conn:with{}: expires_at is a time in seconds since 1970"); }
            flags->expires_at = at;
        } else if (key_is(L, -2, "limits")) {
            check_limits(L, flags);
        } else {
            luaL_error(L, "conn:with{} takes uid, tags, alias, attributes, expires_at, limits, not %s", key_shown(L, -2));
        }
    }
}

/// A whole record again, with the changes in it.
int connection_with(lua_State *L) {
    const connection_object *from = recorded(L, check_connection(L));
    if (from == NULL) { return luaL_error(L, "conn:with{}: the client has gone"); }
    shunt_host *host = host_of(L);
    connection_object flags = {
        .tag = TAG_CONNECTION_CHANGE, .chain_number = from->chain_number, .expires_at = INFINITY, .messages = -1, .bytes = -1};
    luaL_checktype(L, 2, LUA_TTABLE);
    check_changes(L, &flags);
    size_t base = host->scratch.count, length;
    reader r = reader_of((shunt_bytes){from->record, from->count});
    scratch_add(L, host, from->record, HEADER);
    const char *start = r.at;
    read_text(&r);
    if (flags.has_uid) {
        push_raw_field(L, 2, "uid");
        check_uid(L);
        const char *uid = lua_tolstring(L, -1, &length);
        uint32_t number = (uint32_t)length;
        scratch_add(L, host, &number, sizeof number);
        scratch_add(L, host, uid, length);
        start = r.at;
    }
    skip_texts(&r, SHUNT_PEER_TEXTS - 1);
    const bool replaced[SHUNT_PEER_LISTS] = {flags.has_tags, flags.has_alias, false, flags.has_attributes};
    for (int i = 0; i < SHUNT_PEER_LISTS; i++) {
        const char *list = r.at;
        skip_texts(&r, read_count(&r));
        if (!replaced[i]) { continue; }
        scratch_add(L, host, start, (size_t)(list - start));
        push_raw_field(L, 2, list_names[i]);
        if (i == SHUNT_PEER_ATTRIBUTES) {
            add_attributes(L, host, lua_gettop(L));
        } else {
            add_labels(L, host, lua_gettop(L), list_names[i]);
        }
        start = r.at;
    }
    scratch_add(L, host, start, (size_t)(r.end - start));
    flags.count = host->scratch.count - base;
    connection_object *change = lua_newuserdatauv(L, sizeof *change + flags.count, 0);
    *change = flags;
    memcpy(change->record, host->scratch.bytes + base, flags.count);
    host->scratch.count = base;
    set_type(L, &key_change_type);
    return 1;
}

const char *unregistered_field(lua_State *L, int index) {
    const connection_object *change = tagged(L, index, TAG_CONNECTION_CHANGE);
    if (change == NULL) { return NULL; }
    if (change->has_uid) { return "uid"; }
    if (change->has_attributes) { return "attributes"; }
    if (change->expires_at < INFINITY) { return "expires_at"; }
    return change->messages >= 0 || change->bytes >= 0 ? "limits" : NULL;
}

bool connection_change(lua_State *L, int index, bool registers, shunt_connect_outcome *outcome) {
    connection_object *change = tagged(L, index, TAG_CONNECTION_CHANGE);
    if (change == NULL || change->chain_number != host_of(L)->chain_number) { return false; }
    if (registers && unregistered_field(L, index) != NULL) { return false; }
    outcome->has_attributes |= change->has_attributes;
    // Of several rules the one that gives the client less time counts, and the last one that says how fast it may send.
    if (change->expires_at < outcome->expires_at) { outcome->expires_at = change->expires_at; }
    if (change->messages >= 0) { outcome->messages = change->messages; }
    if (change->bytes >= 0) { outcome->bytes = change->bytes; }
    outcome->has_uid |= change->has_uid;
    outcome->has_tags |= change->has_tags;
    outcome->has_alias |= change->has_alias;
    outcome->record = (shunt_bytes){change->record, change->count};
    return true;
}
