// re.test, re.match and re.replace: regular expressions in linear time. Patterns stay compiled, a rule's own.
#include "regex.h"

enum { PATTERNS_KEPT = 64 };

static char key_patterns;

/// Pushes the program of the pattern at an index.
static regex_program *program_of(lua_State *L, int index) {
    size_t count;
    const char *text = luaL_checklstring(L, index, &count);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_patterns) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, PATTERNS_KEPT);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key_patterns);
    }
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TUSERDATA) {
        lua_remove(L, -2);
        return lua_touserdata(L, -1);
    }
    lua_pop(L, 1);
    regex_program *program = regex_compile(L, text, count);
    lua_Integer kept = lua_rawgeti(L, -2, 1) == LUA_TNUMBER ? lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    if (kept == PATTERNS_KEPT) {
        // A pattern that is made of messages takes the place of others; those that are in use are compiled again.
        lua_createtable(L, 0, PATTERNS_KEPT);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key_patterns);
        lua_replace(L, -3);
        kept = 0;
    }
    lua_pushinteger(L, kept + 1);
    lua_rawseti(L, -3, 1);
    lua_pushvalue(L, index);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    lua_remove(L, -2);
    return program;
}

static int test(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lua_pushboolean(L, regex_test(L, program_of(L, 2), text, count));
    return 1;
}

static void push_place(lua_State *L, const char *text, const size_t *slots, int group) {
    size_t from = slots[2 * group], to = slots[2 * group + 1];
    if (from == SIZE_MAX || to == SIZE_MAX) { return lua_pushnil(L); }
    lua_pushlstring(L, text + from, to - from);
}

static int match(lua_State *L) {
    size_t count, slots[2 * REGEX_MAX_GROUPS];
    const char *text = luaL_checklstring(L, 1, &count);
    regex_program *program = program_of(L, 2);
    bool found = (program->has_words || regex_test(L, program, text, count)) && regex_search(L, program, text, count, 0, slots);
    if (!found) {
        luaL_pushfail(L);
        return 1;
    }
    luaL_checkstack(L, program->groups, "groups");
    if (program->groups == 1) { push_place(L, text, slots, 0); }
    for (int group = 1; group < program->groups; group++) { push_place(L, text, slots, group); }
    return program->groups == 1 ? 1 : program->groups - 1;
}

/// Adds a replacement: %0 to %9 are the match and its groups, %% is a percent sign.
static void add_replacement(lua_State *L, const char *text, const size_t *slots, int groups, const char *with, size_t count) {
    shunt_host *host = host_of(L);
    for (size_t i = 0; i < count; i++) {
        if (with[i] != '%') {
            scratch_add(L, host, with + i, 1);
            continue;
        }
        i++;
        int group = i < count && with[i] >= '0' && with[i] <= '9' ? with[i] - '0' : -1;
        if (i < count && with[i] == '%') {
            scratch_add(L, host, "%", 1);
        } else if (group < 0 || group >= groups) {
            luaL_error(L, "re.replace: after %% comes the number of a group, or another %%");
        } else if (slots[2 * group] != SIZE_MAX) {
            scratch_add(L, host, text + slots[2 * group], slots[2 * group + 1] - slots[2 * group]);
        }
    }
}

static int replace(lua_State *L) {
    size_t count, with_count, slots[2 * REGEX_MAX_GROUPS];
    const char *text = luaL_checklstring(L, 1, &count), *with = luaL_checklstring(L, 3, &with_count);
    lua_Integer most = luaL_optinteger(L, 4, LUA_MAXINTEGER), made = 0;
    regex_program *program = program_of(L, 2);
    shunt_host *host = host_of(L);
    size_t at = 0, copied = 0, base = host->scratch.count;
    while (made < most && at <= count) {
        budget_check(L, host);
        if (!regex_search(L, program, text, count, at, slots)) { break; }
        bool is_empty = slots[1] == slots[0];
        // As string.gsub has it: what is empty and begins where the last match has ended is none.
        if (!is_empty || made == 0 || slots[0] != copied) {
            scratch_add(L, host, text + copied, slots[0] - copied);
            add_replacement(L, text, slots, program->groups, with, with_count);
            copied = slots[1];
            made++;
        }
        at = slots[1];
        if (is_empty) { do { at++; } while (at < count && (text[at] & 0xC0) == 0x80); }
    }
    scratch_add(L, host, text + copied, count - copied);
    scratch_push(L, host, base);
    lua_pushinteger(L, made);
    return 2;
}

void open_re(lua_State *L) {
    static const luaL_Reg functions[] = {{"test", test}, {"match", match}, {"replace", replace}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
