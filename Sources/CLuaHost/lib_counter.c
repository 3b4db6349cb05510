// counter(name, labels): a number that only grows, read by the worker's metrics. Counters are a rule's own, so that none takes
// room from another, and go with it; as many a rule as the limits say.
//
// What is wrong with a name or a label is an error while the rule loads. In a call it may be what a client sent: then it is made
// right, and counted.
#include "host.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_COUNTER_NAME = 64, MAX_LABELS_TEXT = 256, MAX_LABELS = 16 };

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

/// Shunt's own names, with and without the _total that the metrics give each counter.
static bool is_taken(const char *name) {
    static const char *const taken[] = {"off",          "calls",  "calls_total", "verdicts", "verdicts_total", "errors",
                                        "errors_total", "trial", "trial_total", NULL};
    for (int i = 0; taken[i] != NULL; i++) {
        if (strcmp(name, taken[i]) == 0) { return true; }
    }
    return false;
}

static bool is_taken_label(const char *name) { return strncmp(name, "__", 2) == 0 || strcmp(name, "rule") == 0; }

static bool loads(const shunt_host *host) { return host->hook == SHUNT_ON_LOAD; }

static void check_name(lua_State *L, int index) {
    size_t count;
    check_text(L, index, "counter: name", MAX_COUNTER_NAME);
    const char *name = lua_tolstring(L, index, &count);
    if (!is_name(name, count)) { luaL_error(L, "counter: a name has letters, digits and _, and begins with no digit"); }
    if (is_taken(name)) { luaL_error(L, "counter: shunt_rule_%s is one of Shunt's own; give it another name", name); }
}

static void check_label(lua_State *L, int name_index, int index) {
    size_t count = 0;
    const char *name = lua_type(L, name_index) == LUA_TSTRING ? lua_tolstring(L, name_index, &count) : "";
    if (!is_name(name, count)) { luaL_error(L, "counter: a label's name has letters, digits and _, and begins with no digit"); }
    if (is_taken_label(name)) {
        luaL_error(L, "counter: a label can't be named %s: names that begin with __, and rule, are taken", name);
    }
    int type = lua_type(L, index);
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN) {
        luaL_error(L, "counter: label %s is a %s; a label is a text, a number or a boolean", name, luaL_typename(L, index));
    }
}

/// Pushes the text at an index as a name: what a name can't have is a _ in it.
static void push_name(lua_State *L, int index, size_t limit, bool (*taken)(const char *)) {
    char name[MAX_COUNTER_NAME + 2] = "_";
    size_t count = 0, length = 0;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &count) : "";
    if (count > 0 && text[0] >= '0' && text[0] <= '9') { length = 1; }
    for (size_t i = 0; i < count && length < limit; i++) {
        name[length++] = is_name(text + i, 1) || (text[i] >= '0' && text[i] <= '9') ? text[i] : '_';
    }
    name[length > 0 ? length : 1] = 0;
    if (taken(name)) {
        // Whatever it is, with one letter before it it is neither Shunt's own nor one of Prometheus'.
        memmove(name + 1, name, sizeof name - 2);
        name[0] = 'x';
        name[MAX_COUNTER_NAME] = 0;
    }
    lua_pushstring(L, name);
}

/// Pushes the value at an index as a label's: a text, in UTF-8, of at most `limit` bytes.
static void push_label(lua_State *L, int index, size_t limit) {
    size_t count;
    int type = lua_type(L, index);
    lua_pushvalue(L, index);
    if (big_integer_digits(L, index).count > 0 || type == LUA_TBOOLEAN) {
        luaL_tolstring(L, index, NULL);
    } else if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        lua_pushstring(L, lua_typename(L, type));
    } else {
        lua_pushvalue(L, index);
    }
    const char *text = lua_tolstring(L, -1, &count);
    push_repaired(L, text, count, limit);
    lua_insert(L, -3);
    lua_pop(L, 2);
}

/// Pushes a table of the labels with their values as texts, each of at most `limit` bytes.
static void push_labels(lua_State *L, int index, size_t limit) {
    shunt_host *host = host_of(L);
    int count = 0;
    lua_newtable(L);
    if (!lua_istable(L, index)) {
        if (loads(host) && !lua_isnil(L, index)) { luaL_checktype(L, index, LUA_TTABLE); }
        return;
    }
    int labels = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        budget_check(L, host);
        if (loads(host)) { check_label(L, labels + 1, labels + 2); }
        if (++count > MAX_LABELS) {
            if (loads(host)) { luaL_error(L, "counter: more than %d labels", MAX_LABELS); }
            lua_pop(L, 2);
            return;
        }
        push_name(L, labels + 1, MAX_COUNTER_NAME / 2, is_taken_label);
        push_label(L, labels + 2, limit);
        lua_rawset(L, labels);
    }
}

/// Pushes the labels as JSON, their values shorter the more there are.
static void push_labels_text(lua_State *L, int index) {
    size_t count;
    for (size_t limit = MAX_LABELS_TEXT; limit >= 4; limit /= 2) {
        push_labels(L, index, limit);
        json_encode(L, -1);
        lua_remove(L, -2);
        lua_tolstring(L, -1, &count);
        if (count <= MAX_LABELS_TEXT) { return; }
        if (loads(host_of(L))) { luaL_error(L, "counter: labels is longer than %d bytes", MAX_LABELS_TEXT); }
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "{}");
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

bool copy_counter(lua_State *L, lua_State *from) {
    counter_object *object = tagged(from, -1, TAG_COUNTER);
    if (object == NULL) { return false; }
    counter_object *copy = lua_newuserdatauv(L, sizeof *copy, 0);
    *copy = *object;
    set_type(L, &key_counter_type);
    return true;
}

static int counter_make(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_settop(L, 2);
    if (loads(host)) { check_name(L, 1); }
    push_name(L, 1, MAX_COUNTER_NAME, is_taken);
    push_labels_text(L, 2);
    counter_object *object = lua_newuserdatauv(L, sizeof *object, 0);
    size_t index = find_or_add(L, host, host->rule, lua_tostring(L, 3), lua_tostring(L, 4));
    *object = (counter_object){TAG_COUNTER, host->rule->serial, index};
    set_type(L, &key_counter_type);
    return 1;
}

static int counter_inc(lua_State *L) {
    counter_object *object = tagged(L, 1, TAG_COUNTER);
    luaL_argexpected(L, object != NULL, 1, "counter");
    // What is no number to add may be a client's: it adds nothing.
    double by = lua_isnoneornil(L, 2) ? 1 : lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : 0;
    if (!(by >= 0 && by - by == 0)) { by = 0; }
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
