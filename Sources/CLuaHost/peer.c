// `conn`: a client as rules see it. A field becomes a Lua value when it is read: from the record that a hook was given, or, of a client that
// is there, from the owner.
#include "chain.h"
#include "guard.h"
#include "peer.h"
#include "properties.h"

static char key_connection_type;
char key_change_type;
static const char *const text_names[SHUNT_PEER_TEXTS] = {"uid", "device", "protocol", "address"};

static uint64_t id_of(const connection_object *object) {
    uint64_t id;
    memcpy(&id, object->record, sizeof id);
    return id;
}

// MARK: records

void shunt_peer_begin(shunt_buffer *record, uint64_t id, double connected_at) {
    record->count = 0;
    record->full = false;
    record_bytes(record, &id, sizeof id);
    record_bytes(record, &connected_at, sizeof connected_at);
}

void shunt_peer_list(shunt_buffer *record, uint32_t count) { record_bytes(record, &count, sizeof count); }
void shunt_peer_text(shunt_buffer *record, const char *text, size_t count) { record_text(record, (shunt_bytes){text, count}); }

static inline bool is_name(const char *text, size_t count, const char *name) {
    return *text == *name && strlen(name) == count && memcmp(text, name, count) == 0;
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
    shunt_bytes payload = read_text(r);
    note_secret(host_of(L), payload);
    push_bytes(L, payload);
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
    if (callbacks->client(callbacks->context, id_of(object), field >= WILL, &host->record)) {
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

static connection_object *push_record(lua_State *L, const void *record, size_t count) {
    connection_object *object = lua_newuserdatauv(L, sizeof *object + count, 0);
    *object = (connection_object){.tag = TAG_CONNECTION, .count = count};
    memcpy(object->record, record, count);
    // The registry has the metatable, so the collector need not be told.
    ((lua_object *)top_of(L)->bits.pointer)->metatable = host_of(L)->rule->connection_type;
    return object;
}

void push_connection(lua_State *L, shunt_bytes record) {
    push_record(L, record.start, record.count)->chain_number = host_of(L)->chain_number;
}

const lua_value *last_peer(const shunt_rule *rule, uint64_t id) {
    const lua_value *last = message_peer(rule);
    const connection_object *object = (const connection_object *)object_of(last);
    return object != NULL && id_of(object) == id ? last : NULL;
}

void push_new_peer(lua_State *L, const shunt_rule *rule, uint64_t id) {
    push_record(L, &id, sizeof id)->is_asked = true;
    *message_peer(rule) = *top_of(L);
    written(L, (void *)rule->message);
}

void push_peer(lua_State *L, shunt_host *host, uint64_t id) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    lua_pushnil(L);
    if (!callbacks->has_peer(callbacks->context, id)) { return; }
    const lua_value *last = last_peer(host->rule, id);
    if (last != NULL) {
        *top_of(L) = *last;
    } else {
        lua_pop(L, 1);
        push_new_peer(L, host->rule, id);
    }
}

const connection_object *recorded(lua_State *L, const connection_object *object) {
    if (!object->is_asked) { return object; }
    shunt_host *host = host_of(L);
    const shunt_callbacks *callbacks = &host->options.callbacks;
    if (!callbacks->peer(callbacks->context, id_of(object), &host->record) || host->record.full) { return NULL; }
    return push_record(L, host->record.bytes, host->record.count);
}

/// Pushes a text; nil once the client has gone.
static void push_text(lua_State *L, const connection_object *object, int text) {
    if (!object->is_asked) {
        reader r = reader_of((shunt_bytes){object->record, object->count});
        skip_texts(&r, (uint32_t)text);
        push_bytes(L, read_text(&r));
        return;
    }
    shunt_host *host = host_of(L);
    const shunt_callbacks *callbacks = &host->options.callbacks;
    if (callbacks->peer_text(callbacks->context, id_of(object), text, &host->record)) {
        push_bytes(L, (shunt_bytes){host->record.bytes, host->record.count});
    } else {
        lua_pushnil(L);
    }
}

/// Pushes a list or connected_at; nil once the client has gone.
/// - Returns: false where it is no such field.
static bool push_of_record(lua_State *L, const connection_object *object, const char *name, size_t count) {
    int list = 0;
    while (list < SHUNT_PEER_LISTS && !is_name(name, count, list_names[list])) { list++; }
    if (list == SHUNT_PEER_LISTS && !IS(name, count, "connected_at")) { return false; }
    object = recorded(L, object);
    if (object == NULL) {
        lua_pushnil(L);
        return true;
    }
    if (list == SHUNT_PEER_LISTS) {
        double at;
        memcpy(&at, object->record + sizeof(uint64_t), sizeof at);
        lua_pushnumber(L, at);
        return true;
    }
    reader r = reader_of((shunt_bytes){object->record, object->count});
    skip_texts(&r, SHUNT_PEER_TEXTS);
    for (int i = 0; i < list; i++) { skip_texts(&r, read_count(&r)); }
    if (list == SHUNT_PEER_ATTRIBUTES) { push_attributes(L, &r); } else { push_list(L, &r); }
    return true;
}

/// Upvalues: close, with.
static int connection_index(lua_State *L) {
    connection_object *object = check_connection(L);
    size_t count;
    const char *name = luaL_checklstring(L, 2, &count);
    for (int i = 0; i < SHUNT_PEER_TEXTS; i++) {
        if (is_name(name, count, text_names[i])) {
            push_text(L, object, i);
            return 1;
        }
    }
    if (IS(name, count, "id")) {
        lua_pushinteger(L, (lua_Integer)id_of(object));
    } else if (IS(name, count, "close")) {
        lua_pushvalue(L, lua_upvalueindex(1));
    } else if (IS(name, count, "with")) {
        lua_pushvalue(L, lua_upvalueindex(2));
    } else if (!push_of_record(L, object, name, count) && !push_client_field(L, object)) {
        return luaL_error(L, "conn has no '%s': it has id, uid, device, tags, alias, protocol, version, client_id, auth_method, keep_alive, will, "
                          "props, address, groups, attributes, connected_at, close(), with{}", name);
    }
    return 1;
}

static int connection_close(lua_State *L) {
    connection_object *object = check_connection(L);
    shunt_host *host = host_of(L);
    shunt_bytes why;
    why.start = luaL_optlstring(L, 2, CLOSED_BY_RULE, &why.count);
    if (why.count > MAX_WHY) { why.count = MAX_WHY; }
    if (!is_apart(host)) { close_later(host, id_of(object), why); }
    return 0;
}

// MARK: setting up

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
