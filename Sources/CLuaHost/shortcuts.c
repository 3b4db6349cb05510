// What rules do for each message, at less than what Lua pays for a call: `msg.topic`, `msg.payload`, `msg:json`, and `return route.to(topic)`.
// The linker puts these in the place of Lua's own functions (--wrap, in Package.swift), which do all else.
#include "shortcuts.h"

enum { EVENT_INDEX = 0 };

const lua_value *__real_luaT_gettmbyobj(lua_State *L, const lua_value *object, unsigned event);
const lua_value *__wrap_luaT_gettmbyobj(lua_State *L, const lua_value *object, unsigned event);
void __real_luaT_callTMres(lua_State *L, const lua_value *function, const lua_value *object, const lua_value *key, lua_value *result);
void __wrap_luaT_callTMres(lua_State *L, const lua_value *function, const lua_value *object, const lua_value *key, lua_value *result);
int __real_luaD_pretailcall(lua_State *L, lua_call_info *call, lua_value *function, int count, int delta);
int __wrap_luaD_pretailcall(lua_State *L, lua_call_info *call, lua_value *function, int count, int delta);
void __real_luaD_poscall(lua_State *L, lua_call_info *call, int count);
void __wrap_luaD_poscall(lua_State *L, lua_call_info *call, int count);

/// What a value's metatable has for an event. The metatable of `msg` is at hand.
const lua_value *__wrap_luaT_gettmbyobj(lua_State *L, const lua_value *object, unsigned event) {
    const shunt_rule *rule = host_of(L)->rule;
    bool is_message = event == EVENT_INDEX && object->type == LUA_OBJECT && rule != NULL && object->bits.pointer == rule->message;
    return __builtin_expect(is_message, 1) ? &rule->message_index : __real_luaT_gettmbyobj(L, object, event);
}

void luaC_step(lua_State *L);

/// What `msg` has for a name, where that is its payload, short and as it came, or a method. - Returns: false, and nothing done, for all else.
static bool answer_message(lua_State *L, const shunt_host *host, const shunt_rule *rule, const void *name, lua_value *result) {
    for (int method = FIELD_JSON; method < MESSAGE_FIELDS; method++) {
        if (name != rule->field_names[method]) { continue; }
        *result = rule->methods[method];
        return true;
    }
    const shunt_message *message = &host->message;
    if (name != rule->field_names[FIELD_PAYLOAD] || message->payload.count > SHORT_PAYLOAD) { return false; }
    if (message->compression != 0 && message->payload.count > 0) { return false; }
    lua_text *text = luaS_newlstr(L, message->payload.count > 0 ? message->payload.start : "", message->payload.count);
    *result = (lua_value){.bits.pointer = text, .type = text->tag | LUA_COLLECTED};
    if (((const lua_global *)thread_of(L)->global)->debt > 0) { luaC_step(L); }
    return true;
}

/// What calls it, where nothing is at hand. A function of its own, so that the one below has nothing to save on the stack.
static __attribute__((noinline)) void call_for_result(lua_State *L, const lua_value *function, const lua_value *object, const lua_value *key,
                                                      lua_value *result) {
    const shunt_host *host = host_of(L);
    const shunt_rule *rule = host->rule;
    bool is_message = rule != NULL && function == &rule->message_index && key->type == LUA_SHORT_TEXT && host->in_message;
    if (is_message && answer_message(L, host, rule, key->bits.pointer, result)) { return; }
    if (!lazy_answer(L, function, object, key, result)) { __real_luaT_callTMres(L, function, object, key, result); }
}

/// Calls it. What has just been found for `msg` would give the topic that was asked for last.
void __wrap_luaT_callTMres(lua_State *L, const lua_value *function, const lua_value *object, const lua_value *key, lua_value *result) {
    const shunt_host *host = host_of(L);
    const shunt_rule *rule = host->rule;
    bool is_topic = rule != NULL && function == &rule->message_index && key->bits.pointer == rule->field_names[FIELD_TOPIC]
        && key->type == LUA_SHORT_TEXT && host->in_message;
    if (is_topic && is_last_short_topic(rule, host->message.topic)) {
        *result = rule->topic;
        return;
    }
    call_for_result(L, function, object, key, result);
}

/// A function's last call, `count` values with the function: its number of results where it is done, a negative one where it begins.
int __wrap_luaD_pretailcall(lua_State *L, lua_call_info *call, lua_value *function, int count, int delta) {
    if (function->bits.pointer == (void *)route_to && function->type == LUA_C_FUNCTION && count == 2) {
        const lua_value *kept = kept_verdict(host_of(L)->rule, function + 1);
        if (kept != NULL) {
            *function = *kept;
            thread_of(L)->top = function + 1;
            return 1;
        }
    }
    return __real_luaD_pretailcall(L, call, function, count, delta);
}

/// Ends a call that leaves `count` results on the top of the stack.
void __wrap_luaD_poscall(lua_State *L, lua_call_info *call, int count) {
    lua_thread *thread = thread_of(L);
    if (count != 1 || call->results != 1 || thread->hook_mask != 0) {
        __real_luaD_poscall(L, call, count);
        return;
    }
    *call->function = thread->top[-1];
    thread->top = call->function + 1;
    thread->call = call->previous;
}
