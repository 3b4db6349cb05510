// Integers in JSON that do not fit in 64 bits. They keep their digits, so that what a rule does not touch goes out as it came; to
// a rule that calculates with one it is the nearest float. What `..` makes of them is in concat.c.
#include "host.h"

typedef struct {
    uint32_t tag;
    size_t count;
    char digits[];
} big_integer;

static char key_big_integer_type;

void push_big_integer(lua_State *L, const char *digits, size_t count) {
    big_integer *object = lua_newuserdatauv(L, sizeof *object + count + 1, 0);
    object->tag = TAG_BIG_INTEGER;
    object->count = count;
    memcpy(object->digits, digits, count);
    object->digits[count] = 0;
    set_type(L, &key_big_integer_type);
}

shunt_bytes big_integer_digits(lua_State *L, int index) {
    const big_integer *object = tagged(L, index, TAG_BIG_INTEGER);
    return object == NULL ? (shunt_bytes){0} : (shunt_bytes){object->digits, object->count};
}

static int to_string(lua_State *L) {
    push_bytes(L, big_integer_digits(L, 1));
    return 1;
}

static int equal(lua_State *L) {
    shunt_bytes a = big_integer_digits(L, 1), b = big_integer_digits(L, 2);
    lua_pushboolean(L, a.count > 0 && a.count == b.count && memcmp(a.start, b.start, a.count) == 0);
    return 1;
}

static void push_float(lua_State *L, int index) {
    shunt_bytes digits = big_integer_digits(L, index);
    if (digits.count == 0) {
        lua_pushvalue(L, index);
    } else {
        lua_stringtonumber(L, digits.start);
    }
}

/// Upvalue: the operation.
static int arithmetic(lua_State *L) {
    int operation = (int)lua_tointeger(L, lua_upvalueindex(1));
    push_float(L, 1);
    if (operation != LUA_OPUNM) { push_float(L, 2); }
    lua_arith(L, operation);
    return 1;
}

static int compare(lua_State *L) {
    push_float(L, 1);
    push_float(L, 2);
    lua_pushboolean(L, lua_compare(L, -2, -1, (int)lua_tointeger(L, lua_upvalueindex(1))));
    return 1;
}

static int no_fields(lua_State *L) { return luaL_error(L, "an integer of more than 64 bits has no fields: tostring() gives its digits"); }

static void set_operations(lua_State *L, lua_CFunction function, const char *const *names, const int *operations) {
    for (; *names != NULL; names++, operations++) {
        lua_pushinteger(L, *operations);
        lua_pushcclosure(L, function, 1);
        lua_setfield(L, -2, *names);
    }
}

void open_big_integers(lua_State *L) {
    static const char *const names[] = {"__add", "__sub", "__mul", "__div", "__idiv", "__mod", "__pow", "__unm", NULL};
    static const int operations[] = {LUA_OPADD, LUA_OPSUB, LUA_OPMUL, LUA_OPDIV, LUA_OPIDIV, LUA_OPMOD, LUA_OPPOW, LUA_OPUNM};
    static const char *const orders[] = {"__lt", "__le", NULL};
    static const int comparisons[] = {LUA_OPLT, LUA_OPLE};
    static const luaL_Reg own[] = {{"__tostring", to_string}, {"__eq", equal}, {NULL, NULL}};
    new_type(L, &key_big_integer_type, "big integer", NULL, no_fields, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_big_integer_type);
    luaL_setfuncs(L, own, 0);
    set_operations(L, arithmetic, names, operations);
    set_operations(L, compare, orders, comparisons);
    lua_pop(L, 1);
}
