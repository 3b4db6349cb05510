// counter(name, labels): a number that only grows, read by the worker's metrics. As many a loop as the limits say.
#include "host.h"

#include <stdlib.h>

enum { MAX_COUNTER_NAME = 64, MAX_LABELS_TEXT = 256 };

typedef struct {
    uint32_t tag;
    size_t index;
} counter_object;

static char key_counter_type;

/// Metric names are letters, digits and _, not a digit first.
static void check_name(lua_State *L, int index) {
    check_text(L, index, "counter: name", MAX_COUNTER_NAME);
    const char *name = lua_tostring(L, index);
    bool valid = *name != 0 && !(*name >= '0' && *name <= '9');
    for (; *name != 0 && valid; name++) {
        valid = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') || *name == '_';
    }
    if (!valid) { luaL_error(L, "counter: a name has letters, digits and _, and begins with no digit"); }
}

static size_t find_or_add(lua_State *L, shunt_host *host, const char *rule, const char *name, const char *labels) {
    for (size_t i = 0; i < host->counter_count; i++) {
        const counter *c = &host->counters[i];
        if (strcmp(c->name, name) == 0 && strcmp(c->labels, labels) == 0 && strcmp(c->rule, rule) == 0) { return i; }
    }
    if (host->counter_count >= host->options.counters) {
        luaL_error(L, "counter: more than %d counters; do labels hold ids of clients?", (int)host->options.counters);
    }
    size_t sizes[] = {strlen(name) + 1, strlen(labels) + 1, strlen(rule) + 1};
    char *text = malloc(sizes[0] + sizes[1] + sizes[2]);
    counter *counters = realloc(host->counters, (host->counter_count + 1) * sizeof *counters);
    if (counters != NULL) { host->counters = counters; }
    if (text == NULL || counters == NULL) {
        free(text);
        luaL_error(L, "counter: no memory");
    }
    memcpy(text, name, sizes[0]);
    memcpy(text + sizes[0], labels, sizes[1]);
    memcpy(text + sizes[0] + sizes[1], rule, sizes[2]);
    host->counters[host->counter_count] = (counter){.name = text, .labels = text + sizes[0], .rule = text + sizes[0] + sizes[1]};
    return host->counter_count++;
}

static int counter_make(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_settop(L, 2);
    check_name(L, 1);
    if (lua_isnil(L, 2)) {
        lua_pushliteral(L, "{}");
    } else {
        luaL_checktype(L, 2, LUA_TTABLE);
        json_encode(L, 2);
    }
    check_text(L, -1, "counter: labels", MAX_LABELS_TEXT);
    const char *labels = lua_tostring(L, -1);
    counter_object *object = lua_newuserdatauv(L, sizeof *object, 0);
    *object = (counter_object){TAG_COUNTER, find_or_add(L, host, host->rule->name, lua_tostring(L, 1), labels)};
    set_type(L, &key_counter_type);
    return 1;
}

static int counter_inc(lua_State *L) {
    counter_object *object = tagged(L, 1, TAG_COUNTER);
    luaL_argexpected(L, object != NULL, 1, "counter");
    double by = luaL_optnumber(L, 2, 1);
    luaL_argcheck(L, by >= 0 && by - by == 0, 2, "a counter only grows");
    host_of(L)->counters[object->index].value += by;
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
    new_type(L, &key_counter_type, "counter", counter_index, methods);
}

void open_counter(lua_State *L) { lua_pushcfunction(L, counter_make); }

size_t shunt_counter_count(const shunt_host *host) { return host->counter_count; }

shunt_counter_value shunt_counter_at(const shunt_host *host, size_t index) {
    const counter *c = &host->counters[index];
    return (shunt_counter_value){c->rule, c->name, c->labels, c->value};
}
