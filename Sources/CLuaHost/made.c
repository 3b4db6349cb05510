// route.message{}: a message that is made of none, by the rule itself.
#include "made.h"
#include "utf8.h"

int route_message(lua_State *L) {
    static const shunt_message nothing = {.kind = SHUNT_TOPIC, .format = 1, .qos = 1};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushnil(L);
    lua_insert(L, 1);
    if (push_raw_field(L, 2, "payload") != LUA_TSTRING) { return luaL_error(L, "route.message{}: payload must be a text"); }
    if (lua_rawlen(L, -1) == 0) { return luaL_error(L, "route.message{}: payload is empty: a message without one can't be sent"); }
    lua_settop(L, 2);
    push_copy(L, "route.message{}", &nothing, NULL, 0);
    // It differs from any message that a hook is given.
    ((copy_object *)lua_touserdata(L, -1))->message_serial = 0;
    return 1;
}

const char *text_problem(const shunt_message *message, uint16_t changes) {
    bool is_new = (changes & (SHUNT_PAYLOAD_CHANGED | SHUNT_KIND_CHANGED)) != 0;
    if (!is_new || message->kind != SHUNT_BROADCAST || message->compression != 0) { return NULL; }
    for (const char *at = message->payload.start, *end = at + message->payload.count; at < end;) {
        size_t length = utf8_sequence(at, end);
        if (length == 0) { return "the payload of a broadcast is a text: this one is not UTF-8"; }
        at += length;
    }
    return NULL;
}

static size_t delayed_bytes(const shunt_message *message) {
    return message->payload.count + message->topic.count + message->properties.count + message->filter.count;
}

void take_back(shunt_host *host, size_t before) {
    for (; host->routed_count > before; host->routed_count--) {
        const shunt_routed *routed = &host->routed[host->routed_count - 1];
        if ((routed->changes & SHUNT_DELAYED) == 0) { continue; }
        host->delay_room++;
        host->delay_bytes += delayed_bytes(&routed->message);
    }
}

const char *delay_last(shunt_host *host, uint32_t milliseconds) {
    shunt_routed *routed = &host->routed[host->routed_count - 1];
    const shunt_callbacks *callbacks = &host->options.callbacks;
    size_t bytes = delayed_bytes(&routed->message);
    bool has_room = host->delay_room > 0 && bytes <= host->delay_bytes;
    if (!has_room || !callbacks->may_delay(callbacks->context, bytes)) {
        host->marks.delay_exceeded = true;
        host->routed_count--;
        return has_room ? "no more messages may be delayed for clients of this address: they take half of rules.delay"
                        : "no more messages may be delayed (rules.delay)";
    }
    host->delay_room--;
    host->delay_bytes -= bytes;
    routed->changes |= SHUNT_DELAYED;
    routed->message.room = milliseconds;
    return NULL;
}

void shunt_host_set_delay_room(shunt_host *host, size_t messages, size_t bytes) {
    host->delay_room = messages;
    host->delay_bytes = bytes;
}

const shunt_routed *shunt_host_emitted(shunt_host *host, size_t *count) {
    *count = host->has_emitted ? host->routed_count : 0;
    host->has_emitted = false;
    return host->routed;
}
