// route.*: what rules return, and what is sent because of it.
#define _GNU_SOURCE
#include "made.h"
#include "senders.h"
#include "shortcuts.h"

#include <stdlib.h>

enum { USER_TARGET = 1, USER_MESSAGE, MAX_DATA = 16 * 1024 };

static char key_verdict_type;

static bool is_message(lua_State *L, int index) {
    return tagged(L, index, TAG_MESSAGE) != NULL || tagged(L, index, TAG_COPY) != NULL;
}

/// Pushes a verdict whose target is the value on the top of the stack and whose message is at `message` (0: the current one).
static int push_verdict(lua_State *L, shunt_verdict verdict, int message) {
    int target = lua_gettop(L);
    if (message != 0 && !lua_isnoneornil(L, message) && !is_message(L, message)) {
        return luaL_error(L, "route: expected msg or msg:with{}, not a %s", luaL_typename(L, message));
    }
    verdict_object *object = lua_newuserdatauv(L, sizeof *object, 2);
    *object = (verdict_object){.tag = TAG_VERDICT, .verdict = verdict, .has_message = message != 0 && !lua_isnoneornil(L, message)};
    set_type(L, &key_verdict_type);
    // A string stays where it is while the verdict holds it.
    if (lua_type(L, target) == LUA_TSTRING) { object->text.start = lua_tolstring(L, target, &object->text.count); }
    lua_pushvalue(L, target);
    lua_setiuservalue(L, -2, USER_TARGET);
    if (object->has_message) {
        lua_pushvalue(L, message);
        lua_setiuservalue(L, -2, USER_MESSAGE);
    }
    return 1;
}

/// Keeps the verdict on the top of the stack, of the topic under it, to be used again: verdicts don't change.
static void keep_route(lua_State *L, shunt_rule *rule, const lua_text *topic) {
    size_t place = topic->hash % KEPT_ROUTES;
    kept_route *kept = &rule->routes[place];
    kept->topic = NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_routes);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)place + 1);
    lua_pop(L, 1);
    *kept = (kept_route){topic, *top_of(L)};
}

int route_to(lua_State *L) {
    shunt_rule *rule = host_of(L)->rule;
    lua_value *value = thread_of(L)->call->function + 1;
    bool is_alone = thread_of(L)->top == value + 1;
    const lua_text *topic = value->bits.pointer;
    const lua_value *kept = is_alone ? kept_verdict(rule, value) : NULL;
    if (kept != NULL) {
        *value = *kept;
        return 1;
    }
    bool is_short = is_alone && value->type == LUA_SHORT_TEXT;
    lua_settop(L, 2);
    check_destination(L, 1, "route.to: topic");
    lua_pushvalue(L, 1);
    push_verdict(L, SHUNT_VERDICT_ROUTE, 2);
    if (is_short) { keep_route(L, rule, topic); }
    return 1;
}

static int route_chat(lua_State *L) {
    lua_settop(L, 2);
    check_topic(L, 1, "route.chat: id");
    lua_pushvalue(L, 1);
    return push_verdict(L, SHUNT_VERDICT_CHAT, 2);
}

static bool is_marked_array(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) { return false; }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_json_array);
    bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

/// A list that rule code left empty is a mistake; one that came empty, or was made one by json.array, is not.
static void check_labels(lua_State *L, const char *what, const char *name) {
    int list = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    if (count == 0 && !is_marked_array(L, list)) { luaL_error(L, "%s: %s is empty", what, name); }
    for (lua_Integer i = 1; i <= count; i++) {
        budget_check(L, host_of(L));
        if (lua_rawgeti(L, list, i) != LUA_TSTRING) { luaL_error(L, "%s: %s must be a list of texts", what, name); }
        lua_pop(L, 1);
    }
}

void check_filter(lua_State *L, int index, const char *what) {
    static const char *const texts[] = {"uid", "device", NULL};
    static const char *const lists[] = {"match_tags", "match_alias", "filter_tags", "filter_alias", NULL};
    if (!lua_istable(L, index)) { luaL_error(L, "%s: a filter is a table, not a %s", what, luaL_typename(L, index)); }
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        const char *name = key_shown(L, -2);
        int expected = LUA_TNONE;
        for (int i = 0; texts[i] != NULL; i++) { expected = key_is(L, -2, texts[i]) ? LUA_TSTRING : expected; }
        for (int i = 0; lists[i] != NULL; i++) { expected = key_is(L, -2, lists[i]) ? LUA_TTABLE : expected; }
        if (expected == LUA_TNONE) {
            luaL_error(L, "%s: a filter has uid, device, match_tags, match_alias, filter_tags, filter_alias, not %s", what, name);
        }
        if (lua_type(L, -1) != expected) {
            luaL_error(L, "%s: %s must be a %s", what, name, expected == LUA_TSTRING ? "text" : "list of texts");
        }
        if (expected == LUA_TTABLE) { check_labels(L, what, name); }
    }
}

static int route_push(lua_State *L) {
    lua_settop(L, 2);
    check_filter(L, 1, "route.push");
    json_encode(L, 1);
    return push_verdict(L, SHUNT_VERDICT_PUSH, 2);
}

static bool sends(shunt_verdict verdict) {
    return verdict == SHUNT_VERDICT_ROUTE || verdict == SHUNT_VERDICT_PUSH || verdict == SHUNT_VERDICT_CHAT || verdict == SHUNT_VERDICT_DELAY;
}

static int route_fanout(lua_State *L) {
    shunt_host *host = host_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_Unsigned count = lua_rawlen(L, 1);
    if (count == 0) { return luaL_error(L, "route.fanout needs a list of at least one message; route.drop() sends none"); }
    if (count > host->options.fanout) {
        host->marks.fanout_exceeded = true;
        return luaL_error(L, "route.fanout of %I messages: a call may send %d", (LUAI_UACINT)count, (int)host->options.fanout);
    }
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= (lua_Integer)count; i++) {
        lua_rawgeti(L, 1, i);
        verdict_object *verdict = tagged(L, -1, TAG_VERDICT);
        if (!is_message(L, -1) && (verdict == NULL || !sends(verdict->verdict))) {
            return luaL_error(L, "route.fanout: item %I is not msg, msg:with{}, route.to, route.push, route.chat or route.delay", (LUAI_UACINT)i);
        }
        lua_rawseti(L, 2, i);
    }
    return push_verdict(L, SHUNT_VERDICT_FANOUT, 0);
}

static int route_why(lua_State *L, shunt_verdict verdict) {
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) { lua_pushliteral(L, ""); }
    bool text = lua_isstring(L, 1) || lua_isboolean(L, 1) || big_integer_digits(L, 1).count > 0;
    if (!text && !lua_isnil(L, 1)) { return luaL_error(L, "route: the reason is a text, not a %s", luaL_typename(L, 1)); }
    luaL_tolstring(L, -1, NULL);
    return push_verdict(L, verdict, 0);
}

static int route_drop(lua_State *L) { return route_why(L, SHUNT_VERDICT_DROP); }
static int route_reject(lua_State *L) { return route_why(L, SHUNT_VERDICT_REJECT); }

/// Whether a text is a host, or an address in brackets, a colon and a port.
static bool is_address(const char *text, size_t count) {
    const char *colon = memrchr(text, ':', count), *end = text + count;
    if (colon == NULL || colon == text || end - colon < 2 || end - colon > 6) { return false; }
    unsigned port = 0;
    for (const char *at = colon + 1; at < end; at++) {
        if (*at < '0' || *at > '9') { return false; }
        port = port * 10 + (unsigned)(*at - '0');
    }
    bool bracketed = *text == '[' && colon[-1] == ']';
    for (const char *at = text; at < colon; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at > '~' || *at == '/' || *at == '@' || (*at == ':' && !bracketed)) { return false; }
    }
    return port > 0 && port <= 65535;
}

static int route_redirect(lua_State *L) {
    check_text(L, 1, "route.redirect: worker", 255);
    size_t count;
    const char *worker = lua_tolstring(L, 1, &count);
    if (!is_address(worker, count)) { return luaL_error(L, "route.redirect takes a worker's address, as in \"10.0.0.1:4091\""); }
    lua_settop(L, 1);
    return push_verdict(L, SHUNT_VERDICT_REDIRECT, 0);
}

int route_delay(lua_State *L) {
    enum { MOST = 7 * 24 * 3600 };
    lua_settop(L, 2);
    lua_Number seconds = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : -1;
    if (!(seconds >= 0 && seconds <= MOST)) { return luaL_error(L, "route.delay: seconds is a number from 0 to %d", (int)MOST); }
    verdict_object *given = tagged(L, 2, TAG_VERDICT);
    bool can_wait = given != NULL && sends(given->verdict) && given->verdict != SHUNT_VERDICT_DELAY;
    if (!lua_isnil(L, 2) && !is_message(L, 2) && !can_wait) {
        return luaL_error(L, "route.delay takes msg, msg:with{}, route.message{}, route.to, route.push or route.chat");
    }
    verdict_object *object = lua_newuserdatauv(L, sizeof *object, 2);
    *object = (verdict_object){
        .tag = TAG_VERDICT, .verdict = SHUNT_VERDICT_DELAY, .has_message = !lua_isnil(L, 2), .delay = (uint32_t)(seconds * 1000)};
    set_type(L, &key_verdict_type);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, USER_MESSAGE);
    return 1;
}

static int route_continue(lua_State *L) {
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) { lua_pushliteral(L, ""); }
    if (lua_type(L, -1) != LUA_TSTRING) { return luaL_error(L, "route.continue takes a text, not a %s", luaL_typename(L, 1)); }
    if (lua_rawlen(L, -1) > MAX_DATA) { return luaL_error(L, "route.continue: more than %d bytes", (int)MAX_DATA); }
    return push_verdict(L, SHUNT_VERDICT_CONTINUE, 0);
}

static int route_done(lua_State *L) {
    lua_settop(L, 0);
    lua_pushnil(L);
    return push_verdict(L, SHUNT_VERDICT_DONE, 0);
}

/// What is wrong with a verdict, or item of a fanout, that is to hold for all messages of a topic; NULL if it can.
static const char *standing_problem(const uint32_t *object) {
    if (object == NULL || *object == TAG_COPY) { return "a message that it makes would be the same for all"; }
    if (*object == TAG_MESSAGE) { return NULL; }
    const verdict_object *verdict = (const verdict_object *)object;
    switch (verdict->verdict) {
    case SHUNT_VERDICT_PASS:
    case SHUNT_VERDICT_ROUTE:
    case SHUNT_VERDICT_FANOUT:
    case SHUNT_VERDICT_DROP:
    case SHUNT_VERDICT_REJECT:
    case SHUNT_VERDICT_DONE: break;
    default: return "a push, chat, delay or redirect can't stand for a topic";
    }
    return verdict->has_message ? "route.to(topic, msg) sends one message: leave the message out" : NULL;
}

static void check_standing(lua_State *L, const uint32_t *object) {
    const char *wrong = standing_problem(object);
    if (wrong != NULL) { luaL_error(L, "route.always: %s", wrong); }
}

static int route_always(lua_State *L) {
    lua_settop(L, 1);
    verdict_object *given = tagged(L, 1, TAG_VERDICT);
    if (given == NULL && !lua_isnil(L, 1) && tagged(L, 1, TAG_MESSAGE) == NULL) {
        return luaL_error(L, "route.always takes nothing or a verdict of route, not a %s", luaL_typename(L, 1));
    }
    if (given == NULL) {
        lua_pushnil(L);
        push_verdict(L, SHUNT_VERDICT_PASS, 0);
    } else {
        check_standing(L, &given->tag);
        lua_getiuservalue(L, 1, USER_TARGET);
        if (given->verdict == SHUNT_VERDICT_FANOUT) {
            lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
            for (lua_Integer i = 1; i <= count; i++) {
                lua_rawgeti(L, 2, i);
                check_standing(L, object_at(L, -1));
                lua_pop(L, 1);
            }
        }
        push_verdict(L, given->verdict, 0);
    }
    verdict_object *object = lua_touserdata(L, -1);
    object->always = true;
    return 1;
}

static int verdict_index(lua_State *L) { return luaL_error(L, "a verdict has no fields: return it"); }

// MARK: what is sent. Outside protected calls: none of this raises.

static bool has_room(shunt_host *host) {
    if (__builtin_expect(host->routed_count < host->routed_capacity, 1)) { return true; }
    size_t capacity = host->routed_capacity == 0 ? 16 : host->routed_capacity * 2;
    shunt_routed *routed = realloc(host->routed, capacity * sizeof *routed);
    if (routed == NULL) { return false; }
    host->routed = routed;
    host->routed_capacity = capacity;
    return true;
}

/// What a message object stands for now.
static const char *resolve(const shunt_host *host, const uint32_t *object, shunt_routed *routed) {
    const copy_object *copy = *object == TAG_COPY ? (const copy_object *)object : NULL;
    routed->message = copy != NULL ? copy->message : host->message;
    routed->changes = copy != NULL ? copy_changes(host, copy) : host->changes;
    return copy_problem(host, copy);
}

static uint8_t kind_sent(shunt_verdict verdict) {
    return verdict == SHUNT_VERDICT_PUSH ? SHUNT_BROADCAST : verdict == SHUNT_VERDICT_CHAT ? SHUNT_CHAT : SHUNT_TOPIC;
}

static void set_target(shunt_routed *routed, const shunt_host *host, const verdict_object *verdict) {
    uint8_t kind = kind_sent(verdict->verdict);
    routed->changes = kind == host->kind ? routed->changes & ~SHUNT_KIND_CHANGED : routed->changes | SHUNT_KIND_CHANGED;
    routed->message.kind = kind;
    if (kind == SHUNT_BROADCAST) {
        routed->message.filter = verdict->text;
        routed->changes |= SHUNT_FILTER_CHANGED;
    } else {
        routed->message.filter = (shunt_bytes){0};
        routed->message.topic = verdict->text;
        routed->changes = (routed->changes & ~SHUNT_FILTER_CHANGED) | SHUNT_TOPIC_CHANGED;
    }
}

/// Why a message that is there only while its hook runs can't be sent, or NULL.
static const char *current_problem(const shunt_host *host) {
    return host->in_message ? NULL : "there is no message here: give one, such as route.to(topic, route.message{ payload = text })";
}

static const char *collect_one(shunt_host *host, const lua_value *value, uint8_t rule);

/// Adds a message that goes out later, as what it would go out as at once.
static const char *collect_delayed(shunt_host *host, const lua_value *value, uint8_t rule) {
    const verdict_object *verdict = (const verdict_object *)object_of(value);
    const char *wrong = NULL;
    if (verdict->has_message) {
        wrong = collect_one(host, &((const lua_object *)value->bits.pointer)->values[USER_MESSAGE - 1], rule);
    } else {
        wrong = current_problem(host);
        if (wrong == NULL) { add_current(host, rule); }
    }
    return wrong == NULL ? delay_last(host, verdict->delay) : wrong;
}

static const char *collect_one(shunt_host *host, const lua_value *value, uint8_t rule) {
    if (!has_room(host)) { return "no memory for what is sent"; }
    shunt_routed *routed = &host->routed[host->routed_count];
    const verdict_object *verdict = (const verdict_object *)object_of(value);
    const char *wrong = NULL;
    if (verdict->tag == TAG_VERDICT && verdict->verdict == SHUNT_VERDICT_DELAY) { return collect_delayed(host, value, rule); }
    if (verdict->tag != TAG_VERDICT) {
        wrong = verdict->tag == TAG_MESSAGE ? current_problem(host) : NULL;
        if (wrong == NULL) { wrong = resolve(host, &verdict->tag, routed); }
    } else if (!verdict->has_message) {
        wrong = current_problem(host);
        routed->message = host->message;
        routed->changes = host->changes;
        set_target(routed, host, verdict);
    } else {
        lua_object *object = value->bits.pointer;
        wrong = resolve(host, object_of(&object->values[USER_MESSAGE - 1]), routed);
        set_target(routed, host, verdict);
    }
    bool is_topic = wrong == NULL && routed->message.kind == SHUNT_TOPIC;
    if (is_topic && routed->message.topic.count == 0) { wrong = "the message has no topic: route.message{ topic = … }, or route.to(topic, msg)"; }
    if (wrong == NULL) { wrong = text_problem(&routed->message, routed->changes); }
    if (wrong != NULL) { return wrong; }
    note_senders(host, routed, rule, verdict->tag == TAG_VERDICT);
    host->routed_count++;
    return NULL;
}

const char *verdict_collect(shunt_host *host, const lua_value *value, uint8_t rule) {
    const verdict_object *verdict = (const verdict_object *)object_of(value);
    if (verdict->tag != TAG_VERDICT || verdict->verdict != SHUNT_VERDICT_FANOUT) { return collect_one(host, value, rule); }
    const lua_object *object = value->bits.pointer;
    const lua_table *list = object->values[USER_TARGET - 1].bits.pointer;
    const char *wrong = NULL;
    // route_fanout made it with no more than these in it.
    for (uint32_t i = 0; i < list->array_size && wrong == NULL; i++) { wrong = collect_one(host, &list->array[i], rule); }
    return wrong;
}

/// Why no more may be sent because of a message, or NULL.
const char *room_problem(const shunt_host *host) {
    size_t bytes = 0;
    if (host->routed_count > host->room) { return "more than limits.fanout messages would come of one message, all hops together"; }
    for (size_t i = 0; i < host->routed_count && host->routed_count > 1; i++) {
        const shunt_message *message = &host->routed[i].message;
        // What is not changed goes out as it came in.
        if (host->routed[i].changes != 0) { bytes += message->payload.count + message->topic.count + message->properties.count; }
    }
    return bytes > host->room_bytes ? "more than 64 MiB would come of one message, all hops together" : NULL;
}

/// Keeps a drop's or reject's reason as one line, which is all that a frame's text may be.
shunt_bytes verdict_why(lua_State *L, shunt_host *host, int index) {
    size_t count;
    lua_getiuservalue(L, index, USER_TARGET);
    const char *text = lua_tolstring(L, -1, &count);
    if (count > MAX_WHY) {
        // Not in the middle of a character.
        for (count = MAX_WHY; count > 0 && ((unsigned char)text[count] & 0xC0) == 0x80; count--) {}
    }
    for (size_t i = 0; i < count; i++) { host->why[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? ' ' : text[i]; }
    lua_pop(L, 1);
    return (shunt_bytes){host->why, count};
}

// MARK: ctx:emit

/// Once it is too many, every further one in the call is.
static int too_many_emits(lua_State *L, shunt_host *host) {
    host->marks.fanout_exceeded = true;
    return luaL_error(L, "ctx:emit of more than %d messages in a call", (int)host->options.emits);
}

/// What is sent while a message is being delivered would come back to these hooks, without end.
static bool may_emit(shunt_hook hook) {
    switch (hook) {
    case SHUNT_ON_LOAD:
    case SHUNT_ON_UNLOAD:
    case SHUNT_ON_SELECT:
    case SHUNT_ON_DELIVER:
    case SHUNT_ON_UNDELIVERED:
    case SHUNT_ON_ACKED: return false;
    default: return true;
    }
}

int context_emit(lua_State *L) {
    shunt_host *host = host_of(L);
    verdict_object *verdict = tagged(L, 2, TAG_VERDICT);
    luaL_argexpected(L, tagged(L, 1, TAG_CONTEXT) != NULL, 1, "ctx");
    if (!may_emit(host->hook)) { return luaL_error(L, "ctx:emit can't be used in %s", shunt_hook_name(host->hook)); }
    if (!is_message(L, 2) && (verdict == NULL || !(sends(verdict->verdict) || verdict->verdict == SHUNT_VERDICT_FANOUT))) {
        return luaL_error(L, "ctx:emit takes msg, msg:with{}, route.message{}, route.to, route.fanout, route.push, route.chat or route.delay");
    }
    if (host->marks.emits > host->options.emits) { return too_many_emits(L, host); }
    // Anchored first: what is collected points into it until the next message.
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_anchors);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, (lua_Integer)++host->rule->emitted);
    size_t before = host->routed_count;
    const char *wrong = verdict_collect(host, thread_of(L)->call->function + 2, host->rule->index);
    if (wrong == NULL) { host->marks.emits += (uint32_t)(host->routed_count - before); }
    bool exceeded = host->marks.emits > host->options.emits;
    if (wrong == NULL && !exceeded) {
        wrong = room_problem(host);
        host->marks.fanout_exceeded |= wrong != NULL;
    }
    // A rule may catch the error: nothing of what was refused stays.
    if (wrong != NULL || exceeded) { take_back(host, before); }
    if (wrong != NULL) { return luaL_error(L, "ctx:emit: %s", wrong); }
    if (exceeded) { return too_many_emits(L, host); }
    return 0;
}

void open_verdicts(lua_State *L) { new_type(L, &key_verdict_type, "verdict", NULL, verdict_index, NULL); }

void open_route(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"to", route_to}, {"fanout", route_fanout}, {"push", route_push}, {"chat", route_chat}, {"drop", route_drop},
        {"reject", route_reject}, {"redirect", route_redirect}, {"done", route_done}, {"continue", route_continue},
        {"always", route_always}, {"delay", route_delay}, {"message", route_message}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
}
