// A message's payload: inflated, and decoded, when a rule asks for it.
#include "host.h"

static const char *const compressions[] = {"none", "gzip", "lz4", "snappy"};

/// What a payload may be inflated to: no more than the call has memory for, in which it is to become a text.
static void inflate(lua_State *L, shunt_host *host, const shunt_message *message) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    const shunt_rule *rule = host->rule;
    size_t room = rule->ceiling > rule->used ? rule->ceiling - rule->used : 0, most = host->options.inflated_bytes;
    host->inflated.count = 0;
    host->inflated.full = false;
    host->inflated.limit = room < most ? room : most;
    host->payload_inflated = false;
    host->marks.payload = PAYLOAD_INFLATING;
    bool done = callbacks->inflate(callbacks->context, message->payload, message->compression, &host->inflated);
    budget_check(L, host);
    host->marks.payload = done ? PAYLOAD_FINE : PAYLOAD_REFUSED;
    if (done) { return; }
    const char *compression = compressions[message->compression & 3];
    if (!host->inflated.full) { luaL_error(L, "the %s payload can't be inflated", compression); }
    luaL_error(L, "the %s payload is more than %I bytes inflated%s", compression, (LUAI_UACINT)host->inflated.limit,
               room < most ? ", which is what is left of the call's memory" : "");
}

static bool has_current_payload(const shunt_host *host, const shunt_message *message) {
    const shunt_message *current = &host->message;
    if (!host->in_message || message->compression != current->compression || message->payload.count != current->payload.count) { return false; }
    bool is_shared = message->payload.start == current->payload.start;
    return is_shared || memcmp(message->payload.start, current->payload.start, current->payload.count) == 0;
}

shunt_bytes plain_payload(lua_State *L, const shunt_message *message) {
    shunt_host *host = host_of(L);
    if (message->compression == 0 || message->payload.count == 0) { return message->payload; }
    bool current = message == &host->message || has_current_payload(host, message);
    if (!current || !host->payload_inflated) { inflate(L, host, message); }
    host->payload_inflated = current;
    return (shunt_bytes){host->inflated.bytes, host->inflated.count};
}

void push_payload(lua_State *L, const shunt_message *message) {
    shunt_host *host = host_of(L);
    lua_value *kept = message_payload(host->rule);
    bool current = message == &host->message || (message->payload.count > 0 && has_current_payload(host, message));
    if (current && kept->type != LUA_NOTHING) {
        *thread_of(L)->top++ = *kept;
        return;
    }
    shunt_bytes payload = plain_payload(L, message);
    push_bytes(L, payload);
    if (!current || payload.count <= SHORT_PAYLOAD) { return; }
    *kept = *top_of(L);
    written(L, (lua_object *)host->rule->message);
    host->untidy = true;
}

void push_decoded(lua_State *L, const shunt_message *message, bool current, payload_form form, int first) {
    shunt_host *host = host_of(L);
    int place = first + 2 * (int)form;
    if (current && (host->marks.decoded >> form & 1) != 0) {
        lua_getiuservalue(L, 1, place);
        lua_getiuservalue(L, 1, place + 1);
        return;
    }
    shunt_bytes payload = plain_payload(L, message);
    int count = form == AS_JSON ? json_decode(L, payload.start, payload.count)
        : form == AS_MSGPACK ? msgpack_decode(L, payload) : cbor_decode(L, payload);
    if (count == 1) { lua_pushnil(L); }
    if (!current) { return; }
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, 1, place);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, place + 1);
    host->marks.decoded |= (uint8_t)(1 << form);
}
