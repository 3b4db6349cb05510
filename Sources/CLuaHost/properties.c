// `msg.props`, `msg.content_type` and its like: MQTT 5.0's properties, read from a PUBLISH's bytes when a rule asks for them.
#include "made.h"
#include "properties.h"
#include "utf8.h"

enum { MAX_TEXT = 65535, MAX_PAIRS = 1024 };

// MARK: reading

static bool take(shunt_bytes *left, size_t count, const unsigned char **bytes) {
    if (left->count < count) { return false; }
    *bytes = left->start;
    *left = (shunt_bytes){*bytes + count, left->count - count};
    return true;
}

static bool take_number(shunt_bytes *left, size_t count, uint32_t *number) {
    const unsigned char *bytes;
    if (!take(left, count, &bytes)) { return false; }
    *number = 0;
    for (size_t i = 0; i < count; i++) { *number = *number << 8 | bytes[i]; }
    return true;
}

static bool take_text(shunt_bytes *left, shunt_bytes *text) {
    uint32_t count;
    const unsigned char *bytes;
    if (!take_number(left, 2, &count) || !take(left, count, &bytes)) { return false; }
    *text = (shunt_bytes){bytes, count};
    return true;
}

/// A number of one to four bytes, each but the last with its highest bit set.
static bool skip_variable(shunt_bytes *left) {
    uint32_t byte;
    for (int i = 0; i < 4; i++) {
        if (!take_number(left, 1, &byte)) { return false; }
        if (byte < 0x80) { return true; }
    }
    return false;
}

static bool take_value(shunt_bytes *left, shunt_property *found) {
    enum { SUBSCRIPTION_IDENTIFIER = 11, TOPIC_ALIAS = 35 };
    switch (found->id) {
    case PROPERTY_PAYLOAD_FORMAT: return take_number(left, 1, &found->number);
    case PROPERTY_EXPIRY: return take_number(left, 4, &found->number);
    case PROPERTY_CONTENT_TYPE:
    case PROPERTY_RESPONSE_TOPIC:
    case PROPERTY_CORRELATION_DATA: return take_text(left, &found->value);
    case PROPERTY_USER: return take_text(left, &found->name) && take_text(left, &found->value);
    case TOPIC_ALIAS: return take_number(left, 2, &found->number);
    case SUBSCRIPTION_IDENTIFIER: return skip_variable(left);
    default: return false;
    }
}

bool shunt_next_property(shunt_bytes *encoded, shunt_property *found) {
    shunt_bytes left = *encoded;
    uint32_t id;
    *found = (shunt_property){0};
    if (!take_number(&left, 1, &id)) { return false; }
    found->id = (uint8_t)id;
    if (!take_value(&left, found)) { return false; }
    found->whole = (shunt_bytes){encoded->start, encoded->count - left.count};
    *encoded = left;
    return true;
}

static bool find(shunt_bytes encoded, uint8_t id, shunt_property *found) {
    while (shunt_next_property(&encoded, found)) {
        if (found->id == id) { return true; }
    }
    return false;
}

// MARK: fields

static const struct {
    const char *name;
    uint8_t id;
} fields[] = {
    {"content_type", PROPERTY_CONTENT_TYPE}, {"response_topic", PROPERTY_RESPONSE_TOPIC},
    {"correlation_data", PROPERTY_CORRELATION_DATA}, {"expiry", PROPERTY_EXPIRY}, {"payload_format", PROPERTY_PAYLOAD_FORMAT},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

uint8_t property_of_field(lua_State *L, int index) {
    for (size_t i = 0; i < FIELDS; i++) {
        if (key_is(L, index, fields[i].name)) { return fields[i].id; }
    }
    return 0;
}

/// The content type that clients of MQTT 5.0 get for a payload format; NULL for formats without one.
static const char *type_of(uint8_t format) { return format == 1 ? "text/plain" : format == 2 ? "application/json" : NULL; }

/// A message's property. One that came without any has those that its format stands for.
static bool find_of(const shunt_message *message, uint8_t id, shunt_property *found) {
    if (message->properties.count > 0) { return find(message->properties, id, found); }
    const char *type = type_of(message->format);
    if (type == NULL || (id != PROPERTY_CONTENT_TYPE && id != PROPERTY_PAYLOAD_FORMAT)) { return false; }
    *found = (shunt_property){.id = id, .number = 1, .value = {type, strlen(type)}};
    return true;
}

void push_property(lua_State *L, const shunt_message *message, uint8_t id) {
    shunt_property found;
    if (!find_of(message, id, &found)) {
        lua_pushnil(L);
    } else if (id == PROPERTY_EXPIRY || id == PROPERTY_PAYLOAD_FORMAT) {
        lua_pushinteger(L, found.number);
    } else {
        push_bytes(L, found.value);
    }
}

// MARK: pairs

static bool is_key(shunt_bytes name) { return IS((const char *)name.start, name.count, "key"); }

void add_pair(lua_State *L, lua_Integer place) {
    budget_check(L, host_of(L));
    // The values by name are the list's metatable's.
    if (place == 1) {
        lua_createtable(L, 0, 1);
        lua_newtable(L);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -4);
    }
    luaL_getmetafield(L, -3, "__index");
    lua_pushvalue(L, -3);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pushvalue(L, -4);
        lua_pushvalue(L, -4);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
    lua_createtable(L, 0, 2);
    lua_insert(L, -3);
    lua_setfield(L, -3, "value");
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, place);
}

void push_user_properties(lua_State *L, shunt_bytes encoded, const shunt_message *message) {
    shunt_property found;
    lua_Integer count = 0;
    bool had_key = message == NULL;
    lua_newtable(L);
    while (shunt_next_property(&encoded, &found)) {
        if (found.id != PROPERTY_USER) { continue; }
        bool is_own_key = !had_key && is_key(found.name);
        had_key |= is_own_key;
        if (is_own_key && !message->has_key) { continue; }
        push_bytes(L, found.name);
        // A rule may have changed it.
        push_bytes(L, is_own_key ? message->key : found.value);
        add_pair(L, ++count);
    }
}

// MARK: writing

static void add_byte(lua_State *L, shunt_host *host, uint8_t byte) { scratch_char(L, host, (char)byte); }

static void add_text(lua_State *L, shunt_host *host, shunt_bytes text) {
    add_byte(L, host, (uint8_t)(text.count >> 8));
    add_byte(L, host, (uint8_t)text.count);
    scratch_add(L, host, text.start, text.count);
}

/// A text of MQTT (§1.5.4): of at most 65,535 bytes, UTF-8 without control characters.
static shunt_bytes check_utf8(lua_State *L, int index, const char *what) {
    shunt_bytes text;
    check_text(L, index, what, MAX_TEXT);
    text.start = lua_tolstring(L, index, &text.count);
    const char *at = text.start, *end = at + text.count;
    while (at < end) {
        size_t count = utf8_sequence(at, end);
        if (count == 0 || utf8_is_no_character(at, count)) {
            luaL_error(L, "%s%s is not UTF-8, or has a control character in it", prefix(L, what), what);
        }
        at += count;
    }
    return text;
}

static uint32_t check_number(lua_State *L, int index, const char *name, lua_Integer most) {
    int is_whole;
    lua_Integer number = lua_tointegerx(L, index, &is_whole);
    if (lua_type(L, index) != LUA_TNUMBER || !is_whole || number < 0 || number > most) {
        luaL_error(L, "%s: %s is a whole number from 0 to %I, or false for none", making(L), name, (LUAI_UACINT)most);
    }
    return (uint32_t)number;
}

/// Adds what the value on the top of the stack says of a property that is no user property.
static void add_given(lua_State *L, shunt_host *host, uint8_t id, const char *name) {
    int value = lua_gettop(L);
    const char *what = lua_pushfstring(L, ": %s", name);
    add_byte(L, host, id);
    if (id == PROPERTY_EXPIRY) {
        // The highest number stands for none.
        uint32_t seconds = check_number(L, value, name, UINT32_MAX - 1);
        for (int shift = 24; shift >= 0; shift -= 8) { add_byte(L, host, (uint8_t)(seconds >> shift)); }
    } else if (id == PROPERTY_PAYLOAD_FORMAT) {
        add_byte(L, host, (uint8_t)check_number(L, value, name, 1));
    } else if (id == PROPERTY_CORRELATION_DATA) {
        shunt_bytes data;
        check_text(L, value, what, MAX_TEXT);
        data.start = lua_tolstring(L, value, &data.count);
        add_text(L, host, data);
    } else {
        if (id == PROPERTY_RESPONSE_TOPIC) { check_topic(L, value, what); }
        add_text(L, host, check_utf8(L, value, what));
    }
    lua_settop(L, value);
}

/// Adds a property of the source, as it came or as its format has it.
static void add_kept(lua_State *L, shunt_host *host, const shunt_message *source, uint8_t id) {
    shunt_property found;
    if (!find_of(source, id, &found)) { return; }
    if (found.whole.count > 0) {
        scratch_add(L, host, found.whole.start, found.whole.count);
        return;
    }
    add_byte(L, host, id);
    if (id == PROPERTY_PAYLOAD_FORMAT) { add_byte(L, host, 1); } else { add_text(L, host, found.value); }
}

static void add_fields(lua_State *L, shunt_host *host, const shunt_message *source, bool format_changed, uint8_t format) {
    shunt_message formatted = {.format = format};
    for (size_t i = 0; i < FIELDS; i++) {
        uint8_t id = fields[i].id;
        int type = push_raw_field(L, 2, fields[i].name);
        bool is_of_format = format_changed && (id == PROPERTY_CONTENT_TYPE || id == PROPERTY_PAYLOAD_FORMAT);
        if (type == LUA_TNIL) {
            add_kept(L, host, is_of_format ? &formatted : source, id);
        } else if (type != LUA_TBOOLEAN || lua_toboolean(L, -1)) {
            add_given(L, host, id, fields[i].name);
        }
        lua_pop(L, 1);
    }
}

/// Adds the pair whose name and value are on the top of the stack.
static void add_user_property(lua_State *L, shunt_host *host, lua_Integer *count) {
    budget_check(L, host);
    if (++*count > MAX_PAIRS) { luaL_error(L, "%s: props has more than %d pairs", making(L), MAX_PAIRS); }
    add_byte(L, host, PROPERTY_USER);
    add_text(L, host, check_utf8(L, -2, ": a name in props"));
    add_text(L, host, check_utf8(L, -1, ": a value in props"));
}

/// Adds the pairs of the list on the top of the stack, and notes their names in the table under it. What the list has under a name itself
/// stands for the first value of that name; false takes all of that name away.
static void add_list(lua_State *L, shunt_host *host, lua_Integer *count) {
    int given = lua_gettop(L), noted = given - 1;
    lua_Integer pairs = (lua_Integer)lua_rawlen(L, given);
    for (lua_Integer i = 1; i <= pairs; i++) {
        if (lua_rawgeti(L, given, i) != LUA_TTABLE) {
            luaL_error(L, "%s: props is a list of { name = \"a\", value = \"b\" }, or texts by name", making(L));
        }
        push_raw_field(L, -1, "name");
        check_text(L, -1, ": a name in props", MAX_TEXT);
        lua_pushvalue(L, -1);
        bool is_first = lua_rawget(L, noted) == LUA_TNIL;
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushboolean(L, 1);
        lua_rawset(L, noted);
        lua_pushvalue(L, -1);
        int own = lua_rawget(L, given);
        if (own != LUA_TBOOLEAN || lua_toboolean(L, -1)) {
            if (own == LUA_TNIL || !is_first) {
                lua_pop(L, 1);
                push_raw_field(L, -2, "value");
            }
            add_user_property(L, host, count);
        }
        lua_settop(L, given);
    }
}

/// Adds what the table on the top of the stack has under names that its list did not have, by the order of their names.
static void add_named(lua_State *L, shunt_host *host, lua_Integer *count) {
    int given = lua_gettop(L), noted = given - 1;
    lua_Integer names = 0, pairs = (lua_Integer)lua_rawlen(L, given);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, given) != 0; lua_pop(L, 1)) {
        budget_check(L, host);
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= pairs) { continue; }
        if (lua_type(L, -2) != LUA_TSTRING) { luaL_error(L, "%s: props has %s for a name", making(L), key_shown(L, -2)); }
        lua_pushvalue(L, -2);
        bool is_new = lua_rawget(L, noted) == LUA_TNIL;
        lua_pop(L, 1);
        if (!is_new || (lua_isboolean(L, -1) && !lua_toboolean(L, -1))) { continue; }
        lua_pushvalue(L, -2);
        lua_rawseti(L, given + 1, ++names);
    }
    lua_pushcfunction(L, table_sort);
    lua_pushvalue(L, given + 1);
    lua_call(L, 1, 0);
    for (lua_Integer i = 1; i <= names; i++) {
        lua_rawgeti(L, given + 1, i);
        lua_pushvalue(L, -1);
        lua_rawget(L, given);
        add_user_property(L, host, count);
        lua_pop(L, 2);
    }
    lua_settop(L, given);
}

/// Adds the user properties that the table at 2 has.
static void add_given_pairs(lua_State *L, shunt_host *host) {
    lua_Integer count = 0;
    int top = lua_gettop(L);
    lua_newtable(L);
    push_raw_field(L, 2, "props");
    if (!lua_istable(L, -1)) { luaL_error(L, "%s: props must be a table, not a %s", making(L), luaL_typename(L, -1)); }
    add_list(L, host, &count);
    add_named(L, host, &count);
    lua_settop(L, top);
}

static void add_kept_pairs(lua_State *L, shunt_host *host, shunt_bytes left) {
    shunt_property found;
    while (shunt_next_property(&left, &found)) {
        if (found.id == PROPERTY_USER) { scratch_add(L, host, found.whole.start, found.whole.count); }
    }
}

uint16_t push_changed_properties(lua_State *L, const shunt_message *source, uint16_t changes, shunt_message *message) {
    shunt_host *host = host_of(L);
    size_t base = host->scratch.count;
    add_fields(L, host, source, changes & SHUNT_FORMAT_CHANGED, message->format);
    bool has_pairs = push_raw_field(L, 2, "props") != LUA_TNIL;
    lua_pop(L, 1);
    if (has_pairs) { add_given_pairs(L, host); } else { add_kept_pairs(L, host, source->properties); }
    scratch_push(L, host, base);
    shunt_bytes left;
    shunt_property found;
    left.start = lua_tolstring(L, -1, &left.count);
    message->properties = left;
    if (!has_pairs || changes & SHUNT_KEY_CHANGED) { return 0; }
    while (shunt_next_property(&left, &found)) {
        if (found.id != PROPERTY_USER || !is_key(found.name)) { continue; }
        message->key = found.value;
        message->has_key = true;
        return SHUNT_KEY_CHANGED;
    }
    return 0;
}
