// Errors of rules that are no text: where they were raised, and what can be shown of them.
//
// Lua adds the place to texts alone. `error` of another value leaves its place here; a rule that catches the value and goes on has cost
// nothing more. What is shown of a value runs no code of the rule and allocates nothing: its call has ended.
#include "lazy.h"
#include "raised.h"

#include <stdio.h>

enum { MOST_FIELDS = 8, MOST_TEXT = 60, MOST_PLACES = 1024 };

static raised_value value_of(lua_State *L, int index) {
    return (raised_value){lua_type(L, index), lua_topointer(L, index), lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0};
}

/// Whether the value on the top of the stack is the one that was raised last.
static bool is_last(lua_State *L, const shunt_host *host) {
    raised_value value = value_of(L, -1);
    const raised_value *last = &host->raised.value;
    return host->raised.serial == host->serial && value.type == last->type && value.pointer == last->pointer && value.number == last->number;
}

/// `error(value[, level])`.
int base_error(lua_State *L) {
    shunt_host *host = host_of(L);
    int level = (int)luaL_optinteger(L, 2, 1);
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING) {
        if (level > 0) {
            luaL_where(L, level);
            lua_insert(L, 1);
            lua_concat(L, 2);
        }
        return lua_error(L);
    }
    // Raised again without a place: it keeps the first one.
    if (level == 0 && is_last(L, host)) { return lua_error(L); }
    lua_Debug frame;
    host->raised.place[0] = 0;
    if (lua_getstack(L, level > 0 ? level : 1, &frame) && lua_getinfo(L, "Sl", &frame) && frame.currentline > 0) {
        snprintf(host->raised.place, sizeof host->raised.place, "%s:%d: ", frame.short_src, frame.currentline);
    }
    host->raised.serial = host->serial;
    host->raised.value = value_of(L, 1);
    return lua_error(L);
}

const char *raised_place(lua_State *L, const shunt_host *host) {
    return is_last(L, host) && host->raised.place[0] != 0 ? host->raised.place : host->where;
}

// MARK: what is shown

typedef struct {
    char *at;
    size_t left;
} shown_text;

static void show(shown_text *text, const char *bytes, size_t count) {
    if (count > text->left) { count = text->left; }
    for (size_t i = 0; i < count; i++) { text->at[i] = (unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7F ? ' ' : bytes[i]; }
    text->at += count;
    text->left -= count;
}

static void show_value(lua_State *L, int index, shown_text *text) {
    char number[40];
    size_t count;
    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        const char *bytes = lua_tolstring(L, index, &count);
        size_t most = count;
        if (count > MOST_TEXT) {
            // Not in the middle of a character.
            for (most = MOST_TEXT; most > 0 && ((unsigned char)bytes[most] & 0xC0) == 0x80; most--) {}
        }
        show(text, "\"", 1);
        show(text, bytes, most);
        if (most < count) { show(text, "…", strlen("…")); }
        show(text, "\"", 1);
        return;
    }
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            snprintf(number, sizeof number, "%lld", (long long)lua_tointeger(L, index));
        } else {
            snprintf(number, sizeof number, "%.14g", lua_tonumber(L, index));
        }
        show(text, number, strlen(number));
        return;
    case LUA_TBOOLEAN:
        show(text, lua_toboolean(L, index) ? "true" : "false", lua_toboolean(L, index) ? 4 : 5);
        return;
    default: show(text, luaL_typename(L, index), strlen(luaL_typename(L, index)));
    }
}

/// A field that is shown.
typedef struct {
    const lua_text *name;
    const lua_value *value;
} shown_field;

static bool is_before(const lua_text *a, const lua_text *b) { return strcmp(a->contents, b->contents) < 0; }

/// In their order by name, so that the same error has the same text.
static void sort(shown_field *fields, int count) {
    for (int i = 1; i < count; i++) {
        for (int j = i; j > 0 && is_before(fields[j].name, fields[j - 1].name); j--) {
            shown_field field = fields[j];
            fields[j] = fields[j - 1];
            fields[j - 1] = field;
        }
    }
}

static bool is_empty(const lua_value *value) { return (value->type & LUA_BASE_TYPE) == LUA_TNIL; }

/// Takes the fields with short names: of a large table as many as are met among its first places.
/// - Returns: whether there is more.
static bool take_fields(lua_table *t, shown_field *fields, int *count) {
    size_t places = (size_t)1 << t->log_size;
    bool has_more = places > MOST_PLACES || luaH_getn(t) > 0;
    for (size_t i = 0; i < places && i < MOST_PLACES; i++) {
        const lua_node *node = &t->nodes[i];
        // A node begins as a value does.
        if (is_empty((const lua_value *)node)) { continue; }
        bool fits = (node->key_type | LUA_COLLECTED) == LUA_SHORT_TEXT && *count < MOST_FIELDS;
        if (fits) { fields[(*count)++] = (shown_field){node->key.pointer, (const lua_value *)node}; } else { has_more = true; }
    }
    return has_more;
}

/// Fields with names, as far as there is room; `{…}` where there is none.
static void show_table(lua_State *L, shown_text *text) {
    shown_field fields[MOST_FIELDS];
    int count = 0;
    lua_table *t = (lua_table *)lua_topointer(L, -1), *source = frozen_source(t);
    bool has_more = take_fields(source != NULL ? source : t, fields, &count);
    sort(fields, count);
    show(text, "{", 1);
    for (int i = 0; i < count; i++) {
        if (i > 0) { show(text, ", ", 2); }
        show(text, fields[i].name->contents, fields[i].name->short_length);
        show(text, " = ", 3);
        *thread_of(L)->top++ = *fields[i].value;
        show_value(L, lua_gettop(L), text);
        thread_of(L)->top--;
    }
    if (has_more) { show(text, count > 0 ? ", …" : "…", strlen(count > 0 ? ", …" : "…")); }
    show(text, "}", 1);
}

void raised_text(lua_State *L, char *out, size_t size) {
    int type = lua_type(L, -1);
    int length = snprintf(out, size, "raised a %s instead of a text", luaL_typename(L, -1));
    shown_text text = {out + length, size - (size_t)length - 1};
    bool is_open = type == LUA_TTABLE && !is_lazy(lua_topointer(L, -1)) && lua_checkstack(L, 4);
    if (is_open || type == LUA_TNUMBER || type == LUA_TBOOLEAN) {
        show(&text, ": ", 2);
        if (is_open) { show_table(L, &text); } else { show_value(L, lua_gettop(L), &text); }
    }
    *text.at = 0;
}
