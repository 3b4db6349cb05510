// Keys that a table is given: what falls into one place of it is bounded, and so is what a table's growth costs.
//
// Lua hashes integers and floats without a seed: a client whose ids become keys can choose ones that all fall into one place, and each
// look then walks over all of them. Worst is growth, which puts each key in again, in one step that no budget can end. So the linker
// puts these functions in the place of Lua's (--wrap, in Package.swift). Before a large table grows, they count how its keys would
// fall: where that is badly, the table grows once or twice more, to a size in which they do not, and else the key is refused. The same
// happens where one place of a table that has room gets too many.
#include "lazy.h"

#include <math.h>
#include <stdlib.h>

/// Smaller tables can't cost much. A call may not let a table grow past the largest: growing it further takes more than some
/// milliseconds, with the best of keys.
enum { SMALL = 8, LARGEST = 18, CHAIN = 256, SIZES = 33 };

void __real_luaH_finishset(lua_State *L, lua_table *t, const lua_value *key, const lua_value *slot, lua_value *value);
void __wrap_luaH_finishset(lua_State *L, lua_table *t, const lua_value *key, const lua_value *slot, lua_value *value);
void __real_luaH_setint(lua_State *L, lua_table *t, lua_Integer key, lua_value *value);
void __wrap_luaH_setint(lua_State *L, lua_table *t, lua_Integer key, lua_value *value);
void __wrap_luaH_set(lua_State *L, lua_table *t, const lua_value *key, lua_value *value);
const lua_value *luaH_get(lua_table *t, const lua_value *key);
void luaH_resize(lua_State *L, lua_table *t, unsigned array_size, unsigned hash_size);
uint32_t __wrap_luaS_hashlongstr(lua_text *text);

// MARK: where a key falls

/// As Lua's l_hashfloat.
static uint32_t hash_float(lua_Number number) {
    int exponent;
    number = frexp(number, &exponent) * -(lua_Number)INT32_MIN;
    if (!(number >= (lua_Number)INT64_MIN && number < -(lua_Number)INT64_MIN)) { return 0; }
    uint32_t hash = (uint32_t)exponent + (uint32_t)(int64_t)floor(number);
    return hash <= INT32_MAX ? hash : ~hash;
}

/// The place of a key in a table of 2^log_size nodes, as Lua's mainposition finds it.
static size_t place_of(uint8_t type, lua_bits key, int log_size) {
    uint64_t size = (uint64_t)1 << log_size, odd = (size - 1) | 1;
    switch (type) {
    case LUA_INTEGER_KEY: return (uint64_t)key.integer % odd;
    case LUA_FLOAT_KEY: return hash_float(key.number) % odd;
    case LUA_SHORT_TEXT: return ((const lua_text *)key.pointer)->hash & (size - 1);
    case LUA_LONG_TEXT: return __wrap_luaS_hashlongstr(key.pointer) & (size - 1);
    case LUA_FALSE: return 0;
    case LUA_TRUE: return 1 & (size - 1);
    default: return (uint32_t)(uintptr_t)key.pointer % odd;
    }
}

static bool is_empty(uint8_t type) { return (type & LUA_BASE_TYPE) == LUA_TNIL; }

// MARK: how large a table becomes

typedef struct {
    /// How many integer keys are above 2^(i-1) and at most 2^i.
    uint32_t numbers[SIZES];
    uint32_t integers, all;
} census;

static int log_of(uint64_t value) { return value <= 1 ? 0 : 64 - __builtin_clzll(value - 1); }

static void count_integer(census *c, lua_Integer key) {
    if (key < 1 || key > ((lua_Integer)1 << 27)) { return; }
    c->numbers[log_of((uint64_t)key)]++;
    c->integers++;
}

static void count_keys(lua_State *L, shunt_host *host, census *c, const lua_table *t) {
    uint32_t array = luaH_realasize(t);
    for (uint32_t i = 0; i < array; i++) {
        if ((i & 1023) == 0) { budget_check(L, host); }
        if (is_empty(t->array[i].type)) { continue; }
        c->all++;
        count_integer(c, (lua_Integer)i + 1);
    }
    size_t size = (size_t)1 << t->log_size;
    for (size_t i = 0; i < size; i++) {
        if ((i & 1023) == 0) { budget_check(L, host); }
        if (is_empty(t->nodes[i].type)) { continue; }
        c->all++;
        if (t->nodes[i].key_type == LUA_INTEGER_KEY) { count_integer(c, t->nodes[i].key.integer); }
    }
}

/// As Lua's computesizes: the largest n such that more than half of n places are used. - Returns: how many keys go to the array of that size.
static uint32_t array_keys(const census *c, uint32_t *size) {
    uint32_t below = 0, kept = 0;
    *size = 0;
    for (uint64_t i = 0, most = 1; i < SIZES && most > 0 && c->integers > most / 2; i++, most *= 2) {
        below += c->numbers[i];
        if (below > most / 2) {
            *size = (uint32_t)most;
            kept = below;
        }
    }
    return kept;
}

// MARK: how keys fall

/// What it takes to put all keys in again, in steps along chains: half of the sum of the squares of what falls into each place.
static bool falls_well(lua_State *L, shunt_host *host, const lua_table *t, const lua_value *key, uint32_t array, int log_size) {
    size_t size = (size_t)1 << log_size, old = (size_t)1 << t->log_size;
    uint16_t *places = calloc(size, sizeof *places);
    if (places == NULL) {
        budget_out_of_memory(host);
        budget_kill(L, host);
    }
    uint64_t steps = 0, most = 4 * (uint64_t)old + (1 << 14);
    bool overdue = false;
    for (size_t i = 0; i <= old && steps <= most && !overdue; i++) {
        uint8_t type = i < old ? t->nodes[i].key_type : key->type;
        lua_bits bits = i < old ? t->nodes[i].key : key->bits;
        if (i < old && is_empty(t->nodes[i].type)) { continue; }
        if (type == LUA_INTEGER_KEY && bits.integer >= 1 && bits.integer <= array) { continue; }
        steps += places[place_of(type, bits, log_size)]++;
        overdue = host->budget.killed != KILL_NONE;
    }
    free(places);
    budget_check(L, host);
    return steps <= most;
}

_Noreturn static void refuse(lua_State *L, const char *why) {
    // It is not gone on from here: the stack may move.
    lua_checkstack(L, LUA_MINSTACK);
    luaL_error(L, "%s", why);
    __builtin_unreachable();
}

/// - Parameter least: the table has so many nodes at least, as a logarithm.
static void grow(lua_State *L, shunt_host *host, lua_table *t, const lua_value *key, int least) {
    census c = {.all = 1};
    uint32_t array;
    count_keys(L, host, &c, t);
    if (key->type == LUA_INTEGER_KEY) { count_integer(&c, key->bits.integer); }
    uint32_t kept = array_keys(&c, &array);
    int log_size = log_of(c.all - kept);
    if (log_size < least) { log_size = least; }
    bool loads = host->hook == SHUNT_ON_LOAD || host->hook == SHUNT_ON_UNLOAD;
    if (log_size > LARGEST && !loads) { refuse(L, "a table has at most 262144 keys besides its list, but for what on_load makes"); }
    // Where keys only change, as in a cache of so many, a table that was just large enough would be made anew at each.
    uint32_t nodes = c.all - kept;
    if (log_size == t->log_size && nodes > (1u << log_size) - (1u << log_size) / 8) { log_size++; }
    for (int i = 0; i < 3; i++) {
        if (falls_well(L, host, t, key, array, log_size + i)) {
            luaH_resize(L, t, array, c.all == kept && least == 0 ? 0 : 1u << (log_size + i));
            return;
        }
    }
    refuse(L, "a table's keys collide: too many of them fall into one place of it");
}

// MARK: a new key

/// Whether the table has a free place; Lua looks for it from where this has stopped.
static bool has_free_place(lua_table *t) {
    while (t->last_free > t->nodes) {
        if (is_empty((t->last_free - 1)->key_type)) { return true; }
        t->last_free--;
    }
    return false;
}

static bool is_long_chain(const lua_node *node) {
    for (int count = 0; count < CHAIN; count++) {
        if (node->next == 0) { return false; }
        node += node->next;
    }
    return true;
}

/// - Returns: whether the table has grown, so that the key's place is to be looked for again.
static bool before_key(lua_State *L, lua_table *t, const lua_value *key) {
    shunt_host *host = host_of(L);
    lua_value whole = *key;
    // Without a host where a file is only read for mistakes.
    if (t->last_free == NULL || host == NULL || host->rule == NULL) { return false; }
    if (key->type == LUA_FLOAT_KEY) {
        // A float that is an integer is one as a key; Lua refuses one that is not a number.
        lua_Number floor_of = floor(key->bits.number);
        if (floor_of == key->bits.number && floor_of >= (lua_Number)INT64_MIN && floor_of < -(lua_Number)INT64_MIN) {
            whole = (lua_value){.bits.integer = (lua_Integer)floor_of, .type = LUA_INTEGER_KEY};
        } else if (key->bits.number != key->bits.number) {
            return false;
        }
    }
    const lua_node *node = &t->nodes[place_of(whole.type, whole.bits, t->log_size)];
    if (is_empty(node->type)) { return false; }
    bool is_full = !has_free_place(t);
    if (!is_full && !is_long_chain(node)) { return false; }
    grow(L, host, t, &whole, is_full ? 0 : t->log_size + 1);
    return true;
}

/// A new key may make the table grow, and the collector run: a table that only a weak one has is held until it is there.
void __wrap_luaH_finishset(lua_State *L, lua_table *t, const lua_value *key, const lua_value *slot, lua_value *value) {
    if (slot->type != LUA_ABSENT) {
        __real_luaH_finishset(L, t, key, slot, value);
        return;
    }
    push_table(L, t);
    if (__builtin_expect(t->log_size >= SMALL, 0) && before_key(L, t, key)) { slot = luaH_get(t, key); }
    __real_luaH_finishset(L, t, key, slot, value);
    thread_of(L)->top--;
}

void __wrap_luaH_set(lua_State *L, lua_table *t, const lua_value *key, lua_value *value) {
    __wrap_luaH_finishset(L, t, key, luaH_get(t, key), value);
}

void __wrap_luaH_setint(lua_State *L, lua_table *t, lua_Integer key, lua_value *value) {
    lua_value whole = {.bits.integer = key, .type = LUA_INTEGER_KEY};
    if (__builtin_expect(t->log_size >= SMALL, 0) && luaH_getint(t, key)->type == LUA_ABSENT) { before_key(L, t, &whole); }
    __real_luaH_setint(L, t, key, value);
}
