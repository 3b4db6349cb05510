// `sub`: a subscription that is asked for.
#include "chain.h"
#include "utf8.h"

enum { USER_TOPIC = 1, USER_GROUP, USER_KEY };

/// Of `sub:with{}` too, which has no sender.
typedef struct {
    uint32_t tag;
    uint8_t qos;
    /// The chain that it is asked for in (host.h).
    uint64_t chain_number;
    uint64_t sender;
} subscription_object;

static char key_subscription_type, key_change_type;

void push_subscription(lua_State *L, const shunt_subscription *subscription) {
    subscription_object *object = lua_newuserdatauv(L, sizeof *object, 3);
    *object = (subscription_object){TAG_SUBSCRIPTION, subscription->qos, host_of(L)->chain_number, subscription->sender};
    set_type(L, &key_subscription_type);
    push_bytes(L, subscription->topic);
    lua_setiuservalue(L, -2, USER_TOPIC);
    push_bytes(L, subscription->group);
    lua_setiuservalue(L, -2, USER_GROUP);
    if (subscription->has_key) {
        push_bytes(L, subscription->key);
        lua_setiuservalue(L, -2, USER_KEY);
    }
}

/// Upvalue: with.
static int subscription_index(lua_State *L) {
    subscription_object *object = tagged(L, 1, TAG_SUBSCRIPTION);
    luaL_argexpected(L, object != NULL, 1, "sub");
    const char *name = luaL_checkstring(L, 2);
    shunt_host *host = host_of(L);
    if (key_is(L, 2, "topic")) {
        lua_getiuservalue(L, 1, USER_TOPIC);
    } else if (key_is(L, 2, "group")) {
        lua_getiuservalue(L, 1, USER_GROUP);
    } else if (key_is(L, 2, "key")) {
        lua_getiuservalue(L, 1, USER_KEY);
    } else if (key_is(L, 2, "qos")) {
        lua_pushinteger(L, object->qos);
    } else if (key_is(L, 2, "sender")) {
        push_peer(L, host, object->sender);
    } else if (key_is(L, 2, "with")) {
        lua_pushvalue(L, lua_upvalueindex(1));
    } else {
        return luaL_error(L, "sub has no '%s': it has topic, group, key, qos, sender, with{}", name);
    }
    return 1;
}

static uint8_t check_qos(lua_State *L, uint8_t most) {
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0 || lua_tointeger(L, -1) > 2) { luaL_error(L, "sub:with{}: qos is 0, 1 or 2"); }
    if (lua_tointeger(L, -1) > most) { luaL_error(L, "sub:with{}: qos can be made lower than %d, not higher", (int)most); }
    return (uint8_t)lua_tointeger(L, -1);
}

/// Whether a client could name it so.
static bool is_name(const char *text, size_t count) {
    const char *end = text + count;
    for (size_t length; text < end; text += length) {
        length = *text == 0 ? 0 : utf8_sequence(text, end);
        if (length == 0) { return false; }
    }
    return true;
}

static bool starts_with(const char *text, size_t count, const char *start) {
    return count >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

static int subscription_with(lua_State *L) {
    const subscription_object *from = tagged(L, 1, TAG_SUBSCRIPTION);
    luaL_argexpected(L, from != NULL, 1, "sub");
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    subscription_object *change = lua_newuserdatauv(L, sizeof *change, 2);
    *change = (subscription_object){.tag = TAG_SUBSCRIPTION_CHANGE, .qos = from->qos, .chain_number = from->chain_number};
    set_type(L, &key_change_type);
    for (int place = USER_TOPIC; place <= USER_GROUP; place++) {
        lua_getiuservalue(L, 1, place);
        lua_setiuservalue(L, 3, place);
    }
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        bool topic = key_is(L, -2, "topic");
        if (key_is(L, -2, "qos")) {
            change->qos = check_qos(L, from->qos);
            continue;
        }
        if (!topic && !key_is(L, -2, "group")) { return luaL_error(L, "sub:with{} takes topic, group, qos, not %s", key_shown(L, -2)); }
        check_text(L, -1, topic ? "sub:with{}: topic" : "sub:with{}: group", 65535);
        size_t count;
        const char *text = lua_tolstring(L, -1, &count);
        if (topic && !shunt_filter_is_valid(text, count)) { return luaL_error(L, "sub:with{}: '%s' is no topic filter", text); }
        if (count == 0) { return luaL_error(L, "sub:with{}: %s is empty", topic ? "topic" : "group"); }
        if (!is_name(text, count)) { return luaL_error(L, "sub:with{}: the %s is no UTF-8 text without zero bytes", topic ? "topic" : "group"); }
        if (topic && (starts_with(text, count, "$share/") || starts_with(text, count, "$queue/"))) {
            return luaL_error(L, "sub:with{}: '%s' names a group: give it as group", text);
        }
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 3, topic ? USER_TOPIC : USER_GROUP);
    }
    return 1;
}

static shunt_bytes uservalue(lua_State *L, int index, int place) {
    shunt_bytes bytes;
    lua_getiuservalue(L, index, place);
    bytes.start = lua_tolstring(L, -1, &bytes.count);
    lua_pop(L, 1);
    return bytes;
}

bool subscription_change(lua_State *L, int index, shunt_subscription *subscription) {
    const subscription_object *change = tagged(L, index, TAG_SUBSCRIPTION_CHANGE);
    if (change == NULL || change->chain_number != host_of(L)->chain_number) { return false; }
    subscription->topic = uservalue(L, index, USER_TOPIC);
    subscription->group = uservalue(L, index, USER_GROUP);
    subscription->qos = change->qos;
    return true;
}

static int change_index(lua_State *L) { return luaL_error(L, "sub:with{} has no fields: return it"); }

void open_subscriptions(lua_State *L) {
    static const luaL_Reg methods[] = {{"with", subscription_with}, {NULL, NULL}};
    new_type(L, &key_subscription_type, "sub", "sub:with", subscription_index, methods);
    new_type(L, &key_change_type, "sub:with", NULL, change_index, NULL);
}
