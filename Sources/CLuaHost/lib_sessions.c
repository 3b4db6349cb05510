// sessions.find{ uid = … }: the clients and sessions of a user, of all loops of the worker. The owner knows them; here is what Lua is given.
#include "record.h"

void shunt_found_begin(shunt_buffer *record, const shunt_found *found) {
    uint32_t numbers[] = {found->connected, found->mqtt, found->loop};
    shunt_buffer_append(record, &found->connection, sizeof found->connection);
    shunt_buffer_append(record, &found->connected_at, sizeof found->connected_at);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) { shunt_buffer_append(record, &numbers[i], sizeof numbers[i]); }
    record_text(record, found->device);
    record_text(record, found->client_id);
    record_text(record, found->address);
}

static bool read_bytes(reader *r, void *into, size_t count) {
    if ((size_t)(r->end - r->at) < count) { return false; }
    memcpy(into, r->at, count);
    r->at += count;
    return true;
}

static void set_text(lua_State *L, const char *name, shunt_bytes text) {
    push_bytes(L, text);
    lua_setfield(L, -2, name);
}

/// JSON is to have an empty list as a list.
static void mark_empty(lua_State *L) {
    if (lua_rawlen(L, -1) == 0) { set_type(L, &key_json_array); }
}

static void set_list(lua_State *L, const char *name, reader *r) {
    uint32_t count = read_count(r);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count && r->at < r->end; i++) {
        budget_check(L, host_of(L));
        push_bytes(L, read_text(r));
        lua_rawseti(L, -2, i);
    }
    mark_empty(L);
    lua_setfield(L, -2, name);
}

/// Pushes the next session; false (nothing pushed) at the end.
static bool push_found(lua_State *L, reader *r, int uid) {
    int64_t connection;
    double connected_at;
    if (!read_bytes(r, &connection, sizeof connection) || !read_bytes(r, &connected_at, sizeof connected_at)) { return false; }
    bool connected = read_count(r) != 0, mqtt = read_count(r) != 0;
    lua_Integer loop = read_count(r);
    shunt_bytes device = read_text(r), client_id = read_text(r), address = read_text(r);
    lua_createtable(L, 0, 11);
    lua_pushvalue(L, uid);
    lua_setfield(L, -2, "uid");
    set_text(L, "device", device);
    lua_pushstring(L, mqtt ? "mqtt" : "exchange");
    lua_setfield(L, -2, "protocol");
    lua_pushinteger(L, loop);
    lua_setfield(L, -2, "loop");
    lua_pushboolean(L, connected);
    lua_setfield(L, -2, "connected");
    if (mqtt) { set_text(L, "client_id", client_id); }
    if (connected) {
        lua_pushinteger(L, connection);
        lua_setfield(L, -2, "id");
        set_text(L, "address", address);
        lua_pushnumber(L, connected_at);
        lua_setfield(L, -2, "connected_at");
    }
    set_list(L, "tags", r);
    set_list(L, "alias", r);
    return true;
}

/// Leaves the uid on the top of the stack.
static void check_asked(lua_State *L) {
    if (!lua_istable(L, 1)) { luaL_error(L, "sessions.find takes a table, { uid = \"…\" }, not a %s", luaL_typename(L, 1)); }
    lua_settop(L, 1);
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        if (!key_is(L, -2, "uid")) { luaL_error(L, "sessions.find takes uid, not %s", key_shown(L, -2)); }
    }
    if (push_raw_field(L, 1, "uid") == LUA_TNIL) { luaL_error(L, "sessions.find needs a uid: { uid = \"…\" }"); }
    check_text(L, -1, "sessions.find: uid", INT32_MAX);
}

static int sessions_find(lua_State *L) {
    shunt_host *host = host_of(L);
    const shunt_callbacks *callbacks = &host->options.callbacks;
    check_asked(L);
    if (host->rule->names_no_sessions) {
        luaL_error(L, "sessions.find: the worker keeps sessions for rules whose files have the name: write sessions.find, or local name = sessions");
    }
    shunt_bytes uid;
    uid.start = lua_tolstring(L, 2, &uid.count);
    shunt_buffer *record = &host->record;
    record->count = 0;
    record->full = false;
    bool more = callbacks->sessions != NULL && callbacks->sessions(callbacks->context, uid, record);
    reader r = {record->bytes, record->bytes + record->count};
    lua_newtable(L);
    for (lua_Integer i = 1; push_found(L, &r, 2); i++) { lua_rawseti(L, 3, i); }
    mark_empty(L);
    lua_pushboolean(L, more);
    return 2;
}

void shunt_rule_set_names_sessions(shunt_rule *rule, bool names) { rule->names_no_sessions = !names; }

void open_sessions(lua_State *L) {
    static const luaL_Reg functions[] = {{"find", sessions_find}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
