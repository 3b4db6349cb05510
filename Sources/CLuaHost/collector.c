// When Lua's collector runs, and for whose time. It goes on in steps, where a call has allocated enough to owe one, and the call pays for as much
// of it. But Lua goes through one table, however large, in one step, and looks again at the end at all that has changed meanwhile: the call
// in which that comes has nothing to do with it. So a step has a share of time, by what has been allocated, that counts against the call's
// budget. What it takes longer is noted, and does not count.
#define _GNU_SOURCE
#include "call.h"
#include "collector.h"

/// How long a step is: elements that are looked at for the size of one that is allocated. With Lua's own 100 a call of a few kilobytes goes
/// through all of a state of a megabyte. With these a collection is through when the state has grown by a quarter at most.
enum { STEP_ELEMENTS = 8 };
/// A step's share of time, for the bytes that were allocated since the last one and those that Lua adds. A usual one takes less.
enum { COUNTED_NANOSECONDS_PER_BYTE = 10, STEP_BYTES = 8192 };
/// A collection takes as long as what stays in the state is large. A small one, with its garbage, may grow to four times of that before the next
/// one begins; others, as Lua has it, to twice.
enum { SMALL_STATE = 1 << 20, SMALL_PAUSE = 400, USUAL_PAUSE = 200 };
/// A collection takes about a microsecond for each kilobyte. One of a small state is always worth it.
/// A large one is collected in steps, after its calls.
enum { QUICK_COLLECTION = 2 << 20, LARGE_STATE = 8 << 20, COLLECTED_PER_MICROSECOND = 1024 };
/// How long the collector goes on after a call that had no memory left.
enum { COLLECTING_NANOSECONDS = 500000 };

void __real_luaC_step(lua_State *L);
void __wrap_luaC_step(lua_State *L);
void __real_luaC_fullgc(lua_State *L, int is_emergency);
void __wrap_luaC_fullgc(lua_State *L, int is_emergency);

void __wrap_luaC_step(lua_State *L) {
    shunt_host *host = host_of(L);
    if (host == NULL || !budget_is_armed(host)) {
        __real_luaC_step(L);
        return;
    }
    shunt_budget *budget = &host->budget;
    ptrdiff_t debt = ((const lua_global *)thread_of(L)->global)->debt;
    uint64_t counted = (STEP_BYTES + (uint64_t)(debt > 0 ? debt : 0)) * COUNTED_NANOSECONDS_PER_BYTE;
    uint64_t counts_until = thread_nanoseconds() + counted;
    atomic_store_explicit(&budget->counts_until, counts_until, memory_order_relaxed);
    __real_luaC_step(L);
    uint64_t now = thread_nanoseconds(), before = atomic_load_explicit(&budget->uncounted, memory_order_relaxed);
    if (now > counts_until) { atomic_store_explicit(&budget->uncounted, before + now - counts_until, memory_order_relaxed); }
    atomic_store_explicit(&budget->counts_until, 0, memory_order_release);
}

/// Whether a collection in the middle of a call is worth its time.
static bool may_collect(const shunt_host *host, const shunt_rule *rule) {
    if (rule->used <= QUICK_COLLECTION) { return true; }
    bool loads = host->hook == SHUNT_ON_LOAD || host->hook == SHUNT_ON_UNLOAD;
    size_t most = loads ? SIZE_MAX : rule->policy.nanoseconds * COLLECTED_PER_MICROSECOND / 1000;
    return rule->used <= most || (rule->used <= LARGE_STATE && rule->used - rule->used / 4 > rule->collected);
}

/// A collection in the middle of a call, since that has no memory left. Where it would take longer than the call may, or where little
/// has been made since the last one, the call is ended instead. It is the call's own garbage: all of the time counts.
void __wrap_luaC_fullgc(lua_State *L, int is_emergency) {
    shunt_host *host = host_of(L);
    shunt_rule *rule = is_emergency && host != NULL ? host->rule : NULL;
    if (rule != NULL && !may_collect(host, rule)) {
        budget_out_of_memory(host);
        return;
    }
    __real_luaC_fullgc(L, is_emergency);
    if (rule != NULL) { rule->collected = rule->used; }
}

void tune_collector(shunt_rule *rule) {
    int pause = rule->used < SMALL_STATE ? SMALL_PAUSE : USUAL_PAUSE;
    if (pause == rule->pause) { return; }
    rule->pause = pause;
    lua_gc(rule->L, LUA_GCINC, pause, STEP_ELEMENTS, 0);
    // When the next collection begins was settled with the last one: a state that has grown begins it now.
    if (pause == USUAL_PAUSE) { lua_gc(rule->L, LUA_GCSTEP, 0); }
}

/// After a call that had no memory left: its state may be full of garbage, and is too large to be collected at once. Each such call takes the
/// collector on for half a millisecond. What it takes longer, since it has come to a large table, is taken off the next ones.
void collect_some(shunt_rule *rule) {
    uint64_t began = monotonic_nanoseconds(), until = began + COLLECTING_NANOSECONDS, now = began;
    if (rule->overdrawn >= COLLECTING_NANOSECONDS) {
        rule->overdrawn -= COLLECTING_NANOSECONDS;
        return;
    }
    for (until -= rule->overdrawn; now < until && lua_gc(rule->L, LUA_GCSTEP, 0) == 0;) { now = monotonic_nanoseconds(); }
    now = monotonic_nanoseconds();
    rule->overdrawn = now > until ? now - until : 0;
}
