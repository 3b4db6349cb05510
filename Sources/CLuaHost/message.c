// `msg` and what `msg:with{}` makes of it.
//
// `msg` is one object a loop: its fields are read from the router's bytes when they are asked for. A copy keeps what it
// was given, and copies what it was not, so that a rule may keep it; only a payload too large for that stays the router's.
#include "made.h"
#include "properties.h"
#include "shortcuts.h"

enum { COPY_PAYLOAD_LIMIT = 64 * 1024, MAX_TEXT = 65535, BORROWED_PAYLOAD = 1, BORROWED_PROPERTIES = 2 };
enum { USER_TOPIC = 1, USER_KEY, USER_PAYLOAD, USER_FILTER, USER_PROPERTIES, USER_COPY_VALUES = USER_PROPERTIES };
/// Of `msg`: what its payload was decoded to and what was wrong, in each form; the filter, decoded, the topic that was asked for last,
/// `msg.props`, the client that was asked about last, the payload while a call that has read a long one runs, and the names of the fields
/// that are asked for most.
enum {
    USER_DECODED = 1, USER_FILTER_TABLE = USER_DECODED + 6, USER_TOPIC_TEXT, USER_PROPS, USER_PEER, USER_PAYLOAD_TEXT, USER_NAMES,
    USER_MESSAGE_VALUES = USER_NAMES + MESSAGE_FIELDS - 1
};
static const char *const field_names[MESSAGE_FIELDS] = {"topic", "payload", "json", "with", "msgpack", "cbor"};

static char key_message_type, key_copy_type;

static const char *const kinds[] = {"topic", "broadcast", "chat"};
static const char *const formats[] = {"none", "text", "json", "image", "video"};

// MARK: checks

const char *making(lua_State *L) { return host_of(L)->making; }

const char *prefix(lua_State *L, const char *what) { return *what == ':' ? making(L) : ""; }

void check_text(lua_State *L, int index, const char *what, size_t limit) {
    size_t count;
    if (lua_type(L, index) != LUA_TSTRING) { luaL_error(L, "%s%s must be a text, not a %s", prefix(L, what), what, luaL_typename(L, index)); }
    lua_tolstring(L, index, &count);
    if (count > limit) { luaL_error(L, "%s%s is longer than %d bytes", prefix(L, what), what, (int)limit); }
}

void check_topic(lua_State *L, int index, const char *what) {
    check_text(L, index, what, INT32_MAX);
    size_t count, most = host_of(L)->options.topic_bytes;
    const char *topic = lua_tolstring(L, index, &count);
    if (count == 0) { luaL_error(L, "%s%s is empty", prefix(L, what), what); }
    if (count > most) {
        luaL_error(L, "%s%s has %I bytes: at most %I (limits.topic)", prefix(L, what), what, (LUAI_UACINT)count, (LUAI_UACINT)most);
    }
    if (memchr(topic, '+', count) != NULL || memchr(topic, '#', count) != NULL || memchr(topic, 0, count) != NULL) {
        luaL_error(L, "%s%s '%s' has + , # or a zero byte in it", prefix(L, what), what, topic);
    }
}

void check_destination(lua_State *L, int index, const char *what) {
    static const char system[] = "$SYS/";
    check_topic(L, index, what);
    size_t count;
    const char *topic = lua_tolstring(L, index, &count);
    if (count < sizeof system - 1 || memcmp(topic, system, sizeof system - 1) != 0) { return; }
    luaL_error(L, "%s%s '%s': only the worker publishes below $SYS", prefix(L, what), what, topic);
}

// MARK: views

/// The message at an index: the current one or a copy. `copy` is NULL for the current one.
static const shunt_message *view_at(lua_State *L, int index, copy_object **copy, uint16_t *changes) {
    shunt_host *host = host_of(L);
    uint32_t *object = object_at(L, index);
    *copy = NULL;
    if (object != NULL && *object == TAG_COPY) {
        *copy = (copy_object *)object;
        const char *wrong = copy_problem(host, *copy);
        if (wrong != NULL) { luaL_error(L, "%s", wrong); }
        *changes = copy_changes(host, *copy);
        return &(*copy)->message;
    }
    if (object == NULL || *object != TAG_MESSAGE) {
        const char *given = lua_isnoneornil(L, index) ? "nothing" : luaL_typename(L, index);
        luaL_error(L, "expected msg, not %s: call it with a colon, as in msg:json()", given);
    }
    if (!host->in_message) {
        luaL_error(L, "msg is only there while its hook runs: keep its fields, or what msg:with{} gives");
    }
    *changes = host->changes;
    return &host->message;
}

const char *copy_problem(const shunt_host *host, const copy_object *copy) {
    if (copy == NULL || copy->borrowed == 0 || (host->in_message && copy->message_serial == host->message_serial)) { return NULL; }
    return "a msg:with{} whose payload or props are over 64 KiB lives as long as its message: keep msg.payload";
}

uint16_t copy_changes(const shunt_host *host, const copy_object *copy) {
    if (copy->message_serial == host->message_serial) { return copy->changes; }
    uint16_t all = SHUNT_TOPIC_CHANGED | SHUNT_KEY_CHANGED | SHUNT_PAYLOAD_CHANGED | SHUNT_FORMAT_CHANGED | SHUNT_QOS_CHANGED
        | SHUNT_RETAIN_CHANGED | SHUNT_PROPERTIES_CHANGED;
    if (copy->message.kind != host->kind) { all |= SHUNT_KIND_CHANGED; }
    if (copy->message.kind == SHUNT_BROADCAST) { all |= SHUNT_FILTER_CHANGED; }
    return all;
}

// MARK: fields

static int push_decoded_of(lua_State *L, payload_form form) {
    copy_object *copy;
    uint16_t changes;
    const shunt_message *message = view_at(L, 1, &copy, &changes);
    push_decoded(L, message, copy == NULL, form, USER_DECODED);
    return 2;
}

static int message_json(lua_State *L) { return push_decoded_of(L, AS_JSON); }
static int message_msgpack(lua_State *L) { return push_decoded_of(L, AS_MSGPACK); }
static int message_cbor(lua_State *L) { return push_decoded_of(L, AS_CBOR); }

/// Whether a payload begins as an object or an array does.
static bool looks_like_json(shunt_bytes payload) {
    const char *at = payload.start, *end = at + payload.count;
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) { at++; }
    return at < end && (*at == '{' || *at == '[');
}

/// Pushes the format. Where the sender has named none, it is what the payload looks like.
static void push_format(lua_State *L, const shunt_message *message, bool current) {
    const char *format = formats[message->format % 5];
    if (message->format == 0) {
        bool is_json = looks_like_json(plain_payload(L, message));
        if (is_json) {
            push_decoded(L, message, current, AS_JSON, USER_DECODED);
            is_json = lua_type(L, -2) == LUA_TTABLE;
            lua_pop(L, 2);
        }
        format = is_json ? "json" : "text";
    }
    lua_pushstring(L, format);
}

/// Pushes the device filter as a table of what filters have; nil where the message is no broadcast.
static void push_filter(lua_State *L, const shunt_message *message) {
    static const char *const fields[] = {"uid", "device", "match_tags", "match_alias", "filter_tags", "filter_alias"};
    if (message->kind != SHUNT_BROADCAST) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    if (message->filter.count == 0) { return; }
    if (json_decode(L, message->filter.start, message->filter.count) != 1 || !lua_istable(L, -1)) {
        luaL_error(L, "the broadcast's filter is not a JSON object");
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        lua_pushstring(L, fields[i]);
        int type = lua_rawget(L, -2);
        if (type == LUA_TSTRING || type == LUA_TTABLE) {
            lua_setfield(L, -3, fields[i]);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static void push_props(lua_State *L, const shunt_message *message) { push_user_properties(L, message->properties, message); }

/// Of the current message, which is at 1, these become a table once a call.
static void push_once(lua_State *L, bool *is_read, int place, void (*push)(lua_State *, const shunt_message *)) {
    if (*is_read) {
        lua_getiuservalue(L, 1, place);
        return;
    }
    push(L, &host_of(L)->message);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, place);
    *is_read = true;
}

static void push_current_topic(lua_State *L, shunt_bytes topic) {
    shunt_rule *rule = host_of(L)->rule;
    if (is_last_topic(rule, topic)) {
        lua_getiuservalue(L, 1, USER_TOPIC_TEXT);
        return;
    }
    push_bytes(L, topic);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, USER_TOPIC_TEXT);
    rule->topic = *top_of(L);
    rule->topic_bytes.start = lua_tolstring(L, -1, &rule->topic_bytes.count);
}

static void push_field(lua_State *L, const shunt_message *message, bool current, const char *name, size_t count) {
    if (IS(name, count, "topic")) {
        if (current) { push_current_topic(L, message->topic); } else { push_bytes(L, message->topic); }
    } else if (IS(name, count, "payload")) {
        // A copy that was given its payload has it as a text.
        if (current || lua_getiuservalue(L, 1, USER_PAYLOAD) != LUA_TSTRING) { push_payload(L, message); }
    } else if (IS(name, count, "key")) {
        if (message->has_key) { push_bytes(L, message->key); } else { lua_pushnil(L); }
    } else if (IS(name, count, "kind")) {
        lua_pushstring(L, kinds[message->kind % 3]);
    } else if (IS(name, count, "format")) {
        push_format(L, message, current);
    } else if (IS(name, count, "id")) {
        lua_pushinteger(L, message->id);
    } else if (IS(name, count, "hops")) {
        lua_pushinteger(L, message->hops);
    } else if (IS(name, count, "filter")) {
        if (current) { push_once(L, &host_of(L)->marks.filter_read, USER_FILTER_TABLE, push_filter); } else { push_filter(L, message); }
    } else if (IS(name, count, "qos")) {
        lua_pushinteger(L, message->qos);
    } else if (IS(name, count, "retain")) {
        lua_pushboolean(L, message->retain);
    } else if (IS(name, count, "props")) {
        if (current) { push_once(L, &host_of(L)->marks.props_read, USER_PROPS, push_props); } else { push_props(L, message); }
    } else if (property_of_field(L, 2) != 0) {
        push_property(L, message, property_of_field(L, 2));
    } else {
        luaL_error(L, "msg has no '%s': it has kind, topic, key, payload, format, filter, qos, retain, props, content_type, response_topic, "
                   "correlation_data, expiry, payload_format, sender, hops, id, json(), msgpack(), cbor(), with{}", name);
    }
}

/// Upvalues: json, with, msgpack, cbor.
static int message_index(lua_State *L) {
    copy_object *copy;
    uint16_t changes;
    const shunt_message *message = view_at(L, 1, &copy, &changes);
    size_t count;
    const char *name = luaL_checklstring(L, 2, &count);
    if (IS(name, count, "json")) {
        lua_pushvalue(L, lua_upvalueindex(1));
    } else if (IS(name, count, "with")) {
        lua_pushvalue(L, lua_upvalueindex(2));
    } else if (IS(name, count, "msgpack")) {
        lua_pushvalue(L, lua_upvalueindex(3));
    } else if (IS(name, count, "cbor")) {
        lua_pushvalue(L, lua_upvalueindex(4));
    } else if (IS(name, count, "sender")) {
        push_peer(L, host_of(L), message->sender);
    } else {
        push_field(L, message, copy == NULL, name, count);
    }
    return 1;
}

// MARK: with

/// Checks the fields in the table at 2, and which of them are there.
static uint16_t check_fields(lua_State *L, const shunt_message *source) {
    uint16_t changes = 0;
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        if (key_is(L, -2, "topic")) {
            check_destination(L, -1, ": topic");
            changes |= SHUNT_TOPIC_CHANGED;
        } else if (key_is(L, -2, "key")) {
            if (!lua_isboolean(L, -1) || lua_toboolean(L, -1)) { check_text(L, -1, ": key (false for none)", MAX_TEXT); }
            changes |= SHUNT_KEY_CHANGED;
        } else if (key_is(L, -2, "payload")) {
            check_text(L, -1, ": payload (json.encode makes one of a table)", INT32_MAX);
            if (lua_rawlen(L, -1) == 0) {
                luaL_error(L, "%s: payload is empty: a message without one can't be sent; route.drop() drops it", making(L));
            }
            changes |= SHUNT_PAYLOAD_CHANGED;
        } else if (key_is(L, -2, "format")) {
            check_text(L, -1, ": format", 16);
            if (!key_is(L, -1, "text") && !key_is(L, -1, "json")) {
                luaL_error(L, "%s: format is text or json, not '%s'", making(L), lua_tostring(L, -1));
            }
            changes |= SHUNT_FORMAT_CHANGED;
        } else if (key_is(L, -2, "filter")) {
            if (source->kind != SHUNT_BROADCAST) {
                luaL_error(L, "%s: only a broadcast has a filter: route.push(filter, msg) makes one of a message", making(L));
            }
            check_filter(L, lua_gettop(L), "push:with{}: filter");
            changes |= SHUNT_FILTER_CHANGED;
        } else if (key_is(L, -2, "qos")) {
            if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0 || lua_tointeger(L, -1) > 2) { luaL_error(L, "%s: qos is 0, 1 or 2", making(L)); }
            changes |= SHUNT_QOS_CHANGED;
        } else if (key_is(L, -2, "retain")) {
            if (!lua_isboolean(L, -1)) { luaL_error(L, "%s: retain is true or false, not a %s", making(L), luaL_typename(L, -1)); }
            changes |= SHUNT_RETAIN_CHANGED;
        } else if (key_is(L, -2, "props") || property_of_field(L, -2) != 0) {
            changes |= SHUNT_PROPERTIES_CHANGED;
        } else {
            luaL_error(L, "%s takes topic, key, payload, format, qos, retain, props, content_type, response_topic, correlation_data, "
                       "expiry, payload_format, and filter of a broadcast, not %s", making(L), key_shown(L, -2));
        }
    }
    return changes;
}

/// A field that `check_fields` found to be a text, or a key of false.
static shunt_bytes take_field(lua_State *L, int place, const char *name, bool *is_text) {
    shunt_bytes bytes = {0};
    *is_text = push_raw_field(L, 2, name) == LUA_TSTRING;
    if (!*is_text && place != USER_KEY) { luaL_error(L, "%s: %s must be a text, not a %s", making(L), name, luaL_typename(L, -1)); }
    if (*is_text) { bytes.start = lua_tolstring(L, -1, &bytes.count); }
    lua_setiuservalue(L, 3, place);
    return bytes;
}

static shunt_bytes take_filter(lua_State *L) {
    shunt_bytes json;
    push_raw_field(L, 2, "filter");
    check_filter(L, lua_gettop(L), "push:with{}: filter");
    json_encode(L, lua_gettop(L));
    json.start = lua_tolstring(L, -1, &json.count);
    lua_setiuservalue(L, 3, USER_FILTER);
    lua_settop(L, 3);
    return json;
}

static shunt_bytes keep(copy_object *copy, size_t *used, shunt_bytes bytes) {
    char *place = copy->bytes + *used;
    if (bytes.count > 0) { memcpy(place, bytes.start, bytes.count); }
    *used += bytes.count;
    return (shunt_bytes){place, bytes.count};
}

/// What is too large to be copied is the router's, or shared with the copy it comes from, where that has a text of its own.
static void share(lua_State *L, const copy_object *from, copy_object *copy, int place, uint8_t borrowed) {
    copy->borrowed |= from == NULL ? borrowed : from->borrowed & borrowed;
    if (from == NULL) { return; }
    lua_getiuservalue(L, 1, place);
    lua_setiuservalue(L, 3, place);
}

static void take_flags(lua_State *L, uint16_t changes, shunt_message *message) {
    if (changes & SHUNT_QOS_CHANGED) {
        push_raw_field(L, 2, "qos");
        message->qos = (uint8_t)(lua_tointeger(L, -1) % 3);
        lua_pop(L, 1);
    }
    if (changes & SHUNT_RETAIN_CHANGED) {
        push_raw_field(L, 2, "retain");
        message->retain = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
}

/// A format that is given, or that a content type that is given stands for.
static void take_format(lua_State *L, uint16_t changes, shunt_message *message) {
    if (changes & SHUNT_FORMAT_CHANGED) {
        push_raw_field(L, 2, "format");
        message->format = key_is(L, -1, "text") ? 1 : 2;
        lua_pop(L, 1);
    } else if (changes & SHUNT_PROPERTIES_CHANGED) {
        bool is_given = push_raw_field(L, 2, "content_type") != LUA_TNIL;
        if (is_given) { message->format = key_is(L, -1, "text/plain") ? 1 : key_is(L, -1, "application/json") ? 2 : 0; }
        lua_pop(L, 1);
    }
}

int push_copy(lua_State *L, const char *making, const shunt_message *source, const copy_object *from, uint16_t before) {
    shunt_host *host = host_of(L);
    host->making = making;
    uint16_t changes = check_fields(L, source);
    // The content type stands for the format.
    if (changes & SHUNT_FORMAT_CHANGED && source->properties.count > 0) { changes |= SHUNT_PROPERTIES_CHANGED; }
    bool keeps_payload = source->payload.count <= COPY_PAYLOAD_LIMIT, text;
    bool keeps_properties = source->properties.count <= COPY_PAYLOAD_LIMIT;
    lua_settop(L, 2);
    size_t inherited = changes & SHUNT_TOPIC_CHANGED ? 0 : source->topic.count, used = 0;
    inherited += changes & SHUNT_KEY_CHANGED ? 0 : source->key.count;
    inherited += changes & SHUNT_PAYLOAD_CHANGED || !keeps_payload ? 0 : source->payload.count;
    inherited += changes & SHUNT_FILTER_CHANGED ? 0 : source->filter.count;
    inherited += changes & SHUNT_PROPERTIES_CHANGED || !keeps_properties ? 0 : source->properties.count;
    copy_object *copy = lua_newuserdatauv(L, sizeof *copy + inherited, USER_COPY_VALUES);
    *copy = (copy_object){.tag = TAG_COPY, .changes = changes | before, .message_serial = host->message_serial, .message = *source};
    set_type(L, &key_copy_type);
    shunt_message *message = &copy->message;
    message->topic = changes & SHUNT_TOPIC_CHANGED ? take_field(L, USER_TOPIC, "topic", &text) : keep(copy, &used, source->topic);
    if (changes & SHUNT_KEY_CHANGED) {
        message->key = take_field(L, USER_KEY, "key", &message->has_key);
    } else {
        message->key = keep(copy, &used, source->key);
    }
    if (changes & SHUNT_PAYLOAD_CHANGED) {
        message->payload = take_field(L, USER_PAYLOAD, "payload", &text);
        message->compression = 0;
    } else if (keeps_payload) {
        message->payload = keep(copy, &used, source->payload);
    } else {
        share(L, from, copy, USER_PAYLOAD, BORROWED_PAYLOAD);
    }
    message->filter = changes & SHUNT_FILTER_CHANGED ? take_filter(L) : keep(copy, &used, source->filter);
    take_flags(L, changes, message);
    take_format(L, changes, message);
    if (changes & SHUNT_PROPERTIES_CHANGED) {
        copy->changes |= push_changed_properties(L, source, changes, message);
        lua_setiuservalue(L, 3, USER_PROPERTIES);
    } else if (keeps_properties) {
        message->properties = keep(copy, &used, source->properties);
    } else {
        share(L, from, copy, USER_PROPERTIES, BORROWED_PROPERTIES);
    }
    return 1;
}

static int message_with(lua_State *L) {
    copy_object *from;
    uint16_t before;
    const shunt_message *source = view_at(L, 1, &from, &before);
    return push_copy(L, source->kind == SHUNT_BROADCAST ? "push:with{}" : "msg:with{}", source, from, before);
}

// MARK: setting up

void push_message(lua_State *L) {
    uint32_t *object = lua_newuserdatauv(L, sizeof *object, USER_MESSAGE_VALUES);
    *object = TAG_MESSAGE;
    set_type(L, &key_message_type);
    for (int i = 0; i < MESSAGE_FIELDS; i++) {
        lua_pushstring(L, field_names[i]);
        lua_setiuservalue(L, -2, USER_NAMES + i);
    }
}

lua_value *message_peer(const shunt_rule *rule) { return &((lua_object *)rule->message)->values[USER_PEER - 1]; }
lua_value *message_payload(const shunt_rule *rule) { return &((lua_object *)rule->message)->values[USER_PAYLOAD_TEXT - 1]; }

void note_message(shunt_rule *rule, int index) {
    lua_State *L = rule->L;
    rule->message = thread_of(L)->stack[index].bits.pointer;
    luaL_getmetafield(L, index, "__index");
    rule->message_index = *top_of(L);
    for (int i = 0; i < MESSAGE_FIELDS; i++) {
        lua_getiuservalue(L, index, USER_NAMES + i);
        rule->field_names[i] = lua_topointer(L, -1);
        lua_pop(L, 1);
        if (i < FIELD_JSON) { continue; }
        lua_getupvalue(L, -1, i - FIELD_JSON + 1);
        rule->methods[i] = *top_of(L);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void open_message(lua_State *L) {
    static const luaL_Reg methods[] = {{"json", message_json}, {"with", message_with}, {"msgpack", message_msgpack},
        {"cbor", message_cbor}, {NULL, NULL}};
    new_type(L, &key_message_type, "msg", "msg:with", message_index, methods);
    new_type(L, &key_copy_type, "msg", "msg:with", message_index, methods);
}
