// `conn`: a client as rules see it. Its record is kept as bytes; a field becomes a Lua value when it is read.
#include "chain.h"
#include "properties.h"
#include "record.h"

#include <math.h>

typedef struct {
    uint32_t tag;
    bool has_uid, has_tags, has_alias, has_attributes;
    /// Of a change: as `shunt_connect_outcome` has them.
    double expires_at;
    int64_t messages, bytes;
    size_t count;
    char record[];
} connection_object;

static char key_connection_type, key_change_type;
static const char *const text_names[SHUNT_PEER_TEXTS] = {"uid", "device", "protocol", "address"};
static const char *const list_names[SHUNT_PEER_LISTS] = {"tags", "alias", "groups", "attributes"};
enum { HEADER = sizeof(uint64_t) + sizeof(double), MAX_LABEL = 1024, MAX_LABELS = 256 };
enum { MAX_ATTRIBUTES = 32, MAX_ATTRIBUTE_NAME = 64, MAX_ATTRIBUTE = 512, MAX_RATE = 1000000000 };

// MARK: records

void shunt_peer_begin(shunt_buffer *record, uint64_t id, double connected_at) {
    record->count = 0;
    record->full = false;
    record_bytes(record, &id, sizeof id);
    record_bytes(record, &connected_at, sizeof connected_at);
}

void shunt_peer_list(shunt_buffer *record, uint32_t count) { record_bytes(record, &count, sizeof count); }
void shunt_peer_text(shunt_buffer *record, const char *text, size_t count) { record_text(record, (shunt_bytes){text, count}); }

static void skip_texts(reader *r, uint32_t count) {
    for (; count > 0 && r->at < r->end; count--) { read_text(r); }
}

static reader reader_of(shunt_bytes record) {
    const char *start = record.start;
    return (reader){start + HEADER, start + record.count};
}

static void push_list(lua_State *L, reader *r) {
    uint32_t count = read_count(r);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count && r->at < r->end; i++) {
        push_bytes(L, read_text(r));
        lua_rawseti(L, -2, i);
    }
}

/// Names, each before its value, become a table of values by name.
static void push_attributes(lua_State *L, reader *r) {
    uint32_t count = read_count(r);
    lua_newtable(L);
    for (uint32_t i = 0; i + 1 < count && r->at < r->end; i += 2) {
        push_bytes(L, read_text(r));
        push_bytes(L, read_text(r));
        lua_rawset(L, -3);
    }
}

// MARK: what clients of MQTT have besides

void shunt_client_begin(shunt_buffer *record, shunt_bytes id, shunt_bytes version, shunt_bytes method, uint32_t keep_alive, uint32_t pairs) {
    record->count = 0;
    record->full = false;
    record_text(record, id);
    record_text(record, version);
    record_text(record, method);
    shunt_peer_list(record, keep_alive);
    shunt_peer_list(record, pairs);
}

void shunt_client_pair(shunt_buffer *record, shunt_bytes name, shunt_bytes value) {
    record_text(record, name);
    record_text(record, value);
}

void shunt_client_will(shunt_buffer *record, const shunt_will *will) {
    record_text(record, will->topic);
    record_text(record, will->payload);
    record_text(record, will->properties);
    shunt_peer_list(record, will->qos);
    shunt_peer_list(record, will->retain);
    shunt_peer_list(record, will->delay);
}

static void push_will(lua_State *L, reader *r) {
    if (r->at == r->end) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 6);
    push_bytes(L, read_text(r));
    lua_setfield(L, -2, "topic");
    push_bytes(L, read_text(r));
    lua_setfield(L, -2, "payload");
    push_user_properties(L, read_text(r), NULL);
    lua_setfield(L, -2, "props");
    lua_pushinteger(L, read_count(r));
    lua_setfield(L, -2, "qos");
    lua_pushboolean(L, read_count(r) != 0);
    lua_setfield(L, -2, "retain");
    lua_pushinteger(L, read_count(r));
    lua_setfield(L, -2, "delay");
}

static void push_client_pairs(lua_State *L, reader *r, uint32_t count) {
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count && r->at < r->end; i++) {
        push_bytes(L, read_text(r));
        push_bytes(L, read_text(r));
        add_pair(L, i);
    }
}

enum { CLIENT_ID, VERSION, AUTH_METHOD, KEEP_ALIVE, WILL, PROPS, CLIENT_FIELDS };

/// Pushes a field of a client's record.
static void push_of_client(lua_State *L, int field, reader r) {
    shunt_bytes id = read_text(&r), version = read_text(&r), method = read_text(&r);
    uint32_t keep_alive = read_count(&r), pairs = read_count(&r);
    switch (field) {
    case CLIENT_ID: push_bytes(L, id); break;
    case VERSION: push_bytes(L, version); break;
    case AUTH_METHOD:
        if (method.count > 0) { push_bytes(L, method); } else { lua_pushnil(L); }
        break;
    case KEEP_ALIVE: lua_pushinteger(L, keep_alive); break;
    case WILL:
        for (; pairs > 0 && r.at < r.end; pairs--) { skip_texts(&r, 2); }
        push_will(L, &r);
        break;
    default: push_client_pairs(L, &r, pairs);
    }
}

/// Pushes a field that only clients of MQTT have. The owner is asked when a rule reads it: it is nil once the client has gone.
/// - Returns: false where it is no such field.
static bool push_client_field(lua_State *L, const connection_object *object) {
    static const char *const names[CLIENT_FIELDS] = {"client_id", "version", "auth_method", "keep_alive", "will", "props"};
    int field = 0;
    while (field < CLIENT_FIELDS && !key_is(L, 2, names[field])) { field++; }
    if (field == CLIENT_FIELDS) { return false; }
    shunt_host *host = host_of(L);
    const shunt_callbacks *callbacks = &host->options.callbacks;
    uint64_t id;
    memcpy(&id, object->record, sizeof id);
    if (callbacks->client(callbacks->context, id, field >= WILL, &host->record)) {
        if (host->record.full) { luaL_error(L, "conn.%s: the client's will and properties are too large to be read", names[field]); }
        push_of_client(L, field, (reader){host->record.bytes, host->record.bytes + host->record.count});
    } else if (field == PROPS) {
        lua_newtable(L);
    } else {
        lua_pushnil(L);
    }
    return true;
}

// MARK: conn

void push_connection(lua_State *L, shunt_bytes record) {
    connection_object *object = lua_newuserdatauv(L, sizeof *object + record.count, 0);
    *object = (connection_object){.tag = TAG_CONNECTION, .count = record.count};
    memcpy(object->record, record.start, record.count);
    // The registry has the metatable, so the collector need not be told.
    ((lua_object *)top_of(L)->bits.pointer)->metatable = host_of(L)->rule->connection_type;
}

void push_peer(lua_State *L, shunt_host *host, uint64_t id) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    if (host->peer_serial == host->serial && host->peer_read == id) {
        lua_pushnil(L);
        *top_of(L) = *message_peer(host->rule);
        return;
    }
    if (!callbacks->peer(callbacks->context, id, &host->record) || host->record.full) {
        lua_pushnil(L);
        return;
    }
    push_connection(L, (shunt_bytes){host->record.bytes, host->record.count});
    *message_peer(host->rule) = *top_of(L);
    written(L, (void *)host->rule->message);
    host->peer_serial = host->serial;
    host->peer_read = id;
}

static connection_object *check_connection(lua_State *L) {
    connection_object *object = tagged(L, 1, TAG_CONNECTION);
    luaL_argexpected(L, object != NULL, 1, "conn");
    return object;
}

static inline bool is_name(const char *text, size_t count, const char *name) {
    return *text == *name && strlen(name) == count && memcmp(text, name, count) == 0;
}

/// Upvalues: close, with.
static int connection_index(lua_State *L) {
    connection_object *object = check_connection(L);
    size_t count;
    const char *name = luaL_checklstring(L, 2, &count);
    reader r = reader_of((shunt_bytes){object->record, object->count});
    for (int i = 0; i < SHUNT_PEER_TEXTS; i++) {
        shunt_bytes text = read_text(&r);
        if (is_name(name, count, text_names[i])) {
            push_bytes(L, text);
            return 1;
        }
    }
    for (int i = 0; i < SHUNT_PEER_LISTS; i++) {
        if (is_name(name, count, list_names[i])) {
            if (i == SHUNT_PEER_ATTRIBUTES) { push_attributes(L, &r); } else { push_list(L, &r); }
            return 1;
        }
        skip_texts(&r, read_count(&r));
    }
    if (IS(name, count, "id")) {
        int64_t id;
        memcpy(&id, object->record, sizeof id);
        lua_pushinteger(L, id);
    } else if (IS(name, count, "connected_at")) {
        double at;
        memcpy(&at, object->record + sizeof(uint64_t), sizeof at);
        lua_pushnumber(L, at);
    } else if (IS(name, count, "close")) {
        lua_pushvalue(L, lua_upvalueindex(1));
    } else if (IS(name, count, "with")) {
        lua_pushvalue(L, lua_upvalueindex(2));
    } else if (!push_client_field(L, object)) {
        return luaL_error(L, "conn has no '%s': it has id, uid, device, tags, alias, protocol, version, client_id, auth_method, keep_alive, will, "
                          "props, address, groups, attributes, connected_at, close(), with{}", name);
    }
    return 1;
}

static int connection_close(lua_State *L) {
    connection_object *object = check_connection(L);
    shunt_host *host = host_of(L);
    uint64_t id;
    memcpy(&id, object->record, sizeof id);
    shunt_bytes why;
    why.start = luaL_optlstring(L, 2, "closed by a rule", &why.count);
    if (why.count > MAX_WHY) { why.count = MAX_WHY; }
    if (!is_apart(host)) { host->options.callbacks.close(host->options.callbacks.context, id, why); }
    return 0;
}

// MARK: conn:with{}

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

static void check_changes(lua_State *L, connection_object *flags) {
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        bool tags = key_is(L, -2, "tags");
        if (key_is(L, -2, "uid")) {
            check_text(L, -1, "conn:with{}: uid", MAX_LABEL);
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
static int connection_with(lua_State *L) {
    connection_object *from = check_connection(L);
    connection_object flags = {.tag = TAG_CONNECTION_CHANGE, .expires_at = INFINITY, .messages = -1, .bytes = -1};
    shunt_host *host = host_of(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    check_changes(L, &flags);
    size_t base = host->scratch.count, length;
    reader r = reader_of((shunt_bytes){from->record, from->count});
    scratch_add(L, host, from->record, HEADER);
    const char *start = r.at;
    read_text(&r);
    if (flags.has_uid) {
        push_raw_field(L, 2, "uid");
        check_text(L, -1, "conn:with{}: uid", MAX_LABEL);
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

bool connection_change(lua_State *L, int index, bool registers, shunt_connect_outcome *outcome) {
    connection_object *change = tagged(L, index, TAG_CONNECTION_CHANGE);
    if (change == NULL) { return false; }
    bool has_more = change->has_uid || change->has_attributes || change->expires_at < INFINITY || change->messages >= 0 || change->bytes >= 0;
    if (registers && has_more) { return false; }
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

static int change_index(lua_State *L) { return luaL_error(L, "conn:with{} has no fields: return it"); }

void *connection_type(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_connection_type);
    void *type = (void *)lua_topointer(L, -1);
    lua_pop(L, 1);
    return type;
}

void open_peers(lua_State *L) {
    static const luaL_Reg methods[] = {{"close", connection_close}, {"with", connection_with}, {NULL, NULL}};
    new_type(L, &key_connection_type, "conn", "conn:with", connection_index, methods);
    new_type(L, &key_change_type, "conn:with", NULL, change_index, NULL);
    open_subscriptions(L);
}
