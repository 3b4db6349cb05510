// counter(name, labels): a number that only grows, read by the worker's metrics. Counters are a rule's own, so that none takes
// room from another, and go with it; as many a rule as the limits say.
#include "host.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_COUNTER_NAME = 64, MAX_LABELS_TEXT = 256 };

typedef struct {
    uint32_t tag;
    /// The rule's serial: a version may hand its counters to the next, whose they are not.
    uint64_t rule;
    /// SIZE_MAX for one too many, which counts nothing.
    size_t index;
} counter_object;

static char key_counter_type;

// MARK: names

/// Letters, digits and _, not a digit first (Prometheus' data model).
static bool is_name(const char *name, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) { return false; }
    }
    return count > 0;
}

static void check_name(lua_State *L, int index) {
    static const char *const taken[] = {"off", "calls_total", "verdicts_total", "errors_total", NULL};
    size_t count;
    check_text(L, index, "counter: name", MAX_COUNTER_NAME);
    const char *name = lua_tolstring(L, index, &count);
    if (!is_name(name, count)) { luaL_error(L, "counter: a name has letters, digits and _, and begins with no digit"); }
    for (int i = 0; taken[i] != NULL; i++) {
        if (strcmp(name, taken[i]) == 0) { luaL_error(L, "counter: shunt_rule_%s is one of Shunt's own; give it another name", name); }
    }
}

/// Pushes a table of the labels with their values as texts.
static void push_labels(lua_State *L, int index) {
    lua_newtable(L);
    if (lua_isnil(L, index)) { return; }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        size_t count = 0;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &count) : "";
        if (!is_name(name, count)) { luaL_error(L, "counter: a label's name has letters, digits and _, and begins with no digit"); }
        if (strncmp(name, "__", 2) == 0 || strcmp(name, "rule") == 0) {
            luaL_error(L, "counter: a label can't be named %s: names that begin with __, and rule, are taken", name);
        }
        int type = lua_type(L, -1);
        if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN) {
            luaL_error(L, "counter: label %s is a %s; a label is a text, a number or a boolean", name, luaL_typename(L, -1));
        }
        lua_pushvalue(L, -2);
        luaL_tolstring(L, -2, NULL);
        lua_rawset(L, -5);
    }
}

// MARK: counters

static void say_full(shunt_host *host, shunt_rule *rule, const char *name) {
    char text[256];
    if (rule->counters_full) { return; }
    rule->counters_full = true;
    snprintf(text, sizeof text, "rule %s: counter %s and others count nothing: it has more than %u; do labels hold ids of clients?",
             rule->name, name, host->options.counters);
    log_notice(host, text);
}

/// The place of a counter in its rule; SIZE_MAX where it is one too many.
static size_t find_or_add(lua_State *L, shunt_host *host, shunt_rule *rule, const char *name, const char *labels) {
    for (size_t i = 0; i < rule->counter_count; i++) {
        if (strcmp(rule->counters[i].name, name) == 0 && strcmp(rule->counters[i].labels, labels) == 0) { return i; }
    }
    if (rule->counter_count >= host->options.counters) {
        say_full(host, rule, name);
        return SIZE_MAX;
    }
    size_t name_size = strlen(name) + 1, labels_size = strlen(labels) + 1;
    char *text = malloc(name_size + labels_size);
    counter *counters = realloc(rule->counters, (rule->counter_count + 1) * sizeof *counters);
    if (counters != NULL) { rule->counters = counters; }
    if (text == NULL || counters == NULL) {
        free(text);
        luaL_error(L, "counter: no memory");
    }
    memcpy(text, name, name_size);
    memcpy(text + name_size, labels, labels_size);
    counters[rule->counter_count] = (counter){.name = text, .labels = text + name_size};
    return rule->counter_count++;
}

void free_counters(shunt_rule *rule) {
    for (size_t i = 0; i < rule->counter_count; i++) { free((void *)rule->counters[i].name); }
    free(rule->counters);
}

static int counter_make(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_settop(L, 2);
    check_name(L, 1);
    push_labels(L, 2);
    json_encode(L, 3);
    check_text(L, 4, "counter: labels", MAX_LABELS_TEXT);
    counter_object *object = lua_newuserdatauv(L, sizeof *object, 0);
    size_t index = find_or_add(L, host, host->rule, lua_tostring(L, 1), lua_tostring(L, 4));
    *object = (counter_object){TAG_COUNTER, host->rule->serial, index};
    set_type(L, &key_counter_type);
    return 1;
}

static int counter_inc(lua_State *L) {
    counter_object *object = tagged(L, 1, TAG_COUNTER);
    luaL_argexpected(L, object != NULL, 1, "counter");
    double by = luaL_optnumber(L, 2, 1);
    luaL_argcheck(L, by >= 0 && by - by == 0, 2, "a counter only grows");
    shunt_rule *rule = host_of(L)->rule;
    if (object->rule == rule->serial && object->index < rule->counter_count) { rule->counters[object->index].value += by; }
    return 0;
}

static int counter_index(lua_State *L) {
    const char *name = luaL_checkstring(L, 2);
    if (strcmp(name, "inc") != 0) { return luaL_error(L, "a counter has inc(), not '%s'", name); }
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

void open_counter_type(lua_State *L) {
    static const luaL_Reg methods[] = {{"inc", counter_inc}, {NULL, NULL}};
    new_type(L, &key_counter_type, "counter", NULL, counter_index, methods);
}

void open_counter(lua_State *L) { lua_pushcfunction(L, counter_make); }

size_t shunt_counter_count(const shunt_rule *rule) { return rule->counter_count; }

shunt_counter_value shunt_counter_at(const shunt_rule *rule, size_t index) {
    const counter *c = &rule->counters[index];
    return (shunt_counter_value){c->name, c->labels, c->value};
}
