// Calls that wait for a look-up. A hook that may look something up runs in a coroutine of the host's own. When it asks, the coroutine
// yields, and the chain's state is copied out of Lua: other calls run meanwhile, and nothing that they may free is pointed to.
#include "budget.h"
#include "guard.h"
#include "waiting.h"

#include <stdlib.h>

/// The least that a call may still take when it goes on.
enum { LEAST_NANOSECONDS = 10000, LEAST_MEMORY = 4096 };
/// Bytes of what a waiting call has read of its client, for the log to be kept free of.
enum { MOST_SECRET = 64 << 10 };

// MARK: waiting calls

static shunt_waiting *create(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    shunt_waiting *waiting = calloc(1, sizeof *waiting);
    if (waiting == NULL) { return NULL; }
    *waiting = (shunt_waiting){
        .host = host, .rule = rule, .hook = hook, .thread = LUA_NOREF, .chain_number = host->chain_number, .next = host->waits};
    waiting->kept.limit = 4 << 20;
    waiting->secret.limit = host->secret.limit;
    if (host->waits != NULL) { host->waits->previous = waiting; }
    host->waits = waiting;
    return waiting;
}

/// The coroutine goes; it is not resumed any more, and what it would have closed is not closed.
static void release_thread(shunt_waiting *waiting) {
    if (waiting->rule != NULL && waiting->thread != LUA_NOREF) { luaL_unref(waiting->rule->L, LUA_REGISTRYINDEX, waiting->thread); }
    waiting->thread = LUA_NOREF;
}

void shunt_waiting_free(shunt_host *host, shunt_waiting *waiting) {
    if (waiting == NULL) { return; }
    release_thread(waiting);
    if (waiting->previous != NULL) { waiting->previous->next = waiting->next; } else { host->waits = waiting->next; }
    if (waiting->next != NULL) { waiting->next->previous = waiting->previous; }
    shunt_buffer_free(&waiting->kept);
    shunt_buffer_free(&waiting->secret);
    free(waiting);
}

void forget_waiting(shunt_host *host, const shunt_rule *rule) {
    for (shunt_waiting *waiting = host->waits; waiting != NULL; waiting = waiting->next) {
        if (waiting->rule != rule) { continue; }
        waiting->rule = NULL;
        waiting->thread = LUA_NOREF;
    }
}

bool give_up_call(shunt_host *host, shunt_waiting *waiting) {
    release_thread(waiting);
    set_error(host, SHUNT_MEMORY, "no memory to wait");
    return false;
}

void keep_trial(const shunt_host *host, shunt_waiting *waiting) {
    waiting->trial.observed = host->observed;
    waiting->trial.skipped = host->skipped;
    waiting->trial.selected = host->selected;
    waiting->trial.awaiting = host->awaiting;
    waiting->trial.awaited = host->awaited;
}

void restore_trial(shunt_host *host, const shunt_waiting *waiting) {
    host->observed = waiting->trial.observed;
    host->skipped = waiting->trial.skipped;
    host->selected = waiting->trial.selected;
    host->awaiting = waiting->trial.awaiting;
    host->awaited = waiting->trial.awaited;
}

uint64_t shunt_waiting_rules(const shunt_waiting *waiting) { return waiting->rules; }
shunt_hook shunt_waiting_hook(const shunt_waiting *waiting) { return waiting->hook; }
void shunt_rule_set_lookups(shunt_rule *rule, bool looks_up) { rule->looks_up = looks_up; }

// MARK: running

/// Runs the coroutine until it ends, fails, or asks for something.
static int go_on(lua_State *L, lua_State *co, int arguments, shunt_waiting *waiting) {
    shunt_host *host = host_of(L);
    host->waiter = co;
    host->waiting = waiting;
    int count = coroutine_go_on(L, co, arguments);
    host->waiter = NULL;
    host->waiting = NULL;
    if (count < 0) { return lua_error(L); }
    // Nothing but a look-up yields it.
    waiting->is_suspended = lua_status(co) == LUA_YIELD;
    if (waiting->is_suspended || count == 0) {
        lua_pushnil(L);
    } else {
        lua_settop(L, lua_gettop(L) - count + 1);
    }
    return 1;
}

typedef struct {
    shunt_waiting *waiting;
    push_argument push;
    const void *what;
} start_request;

/// Arguments: the request, the hook, ctx.
static int start_body(lua_State *L) {
    start_request *request = lua_touserdata(L, 1);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, -1);
    request->waiting->thread = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 2);
    // To the coroutine as the function that it runs.
    lua_xmove(L, co, 1);
    int count = request->push(L, request->what);
    lua_pushvalue(L, 3);
    return go_on(L, co, count + 1, request->waiting);
}

typedef struct {
    shunt_waiting *waiting;
    shunt_bytes answer;
} resume_request;

static void swap_secret(shunt_host *host, shunt_waiting *waiting) {
    shunt_buffer secret = *secret_of(host);
    host->secret = waiting->secret;
    waiting->secret = secret;
}

/// Many calls may wait. What one of them says after it has read a large secret is hidden, as it can't be compared.
static void keep_secret(shunt_host *host, shunt_waiting *waiting) {
    shunt_buffer *secret = secret_of(host);
    if (secret->count > MOST_SECRET) {
        shunt_buffer_free(secret);
        secret->full = true;
    }
    swap_secret(host, waiting);
}

static int resume_body(lua_State *L) {
    resume_request *request = lua_touserdata(L, 1);
    host_of(L)->marks.emits = request->waiting->emits;
    swap_secret(host_of(L), request->waiting);
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->waiting->thread);
    lua_State *co = lua_tothread(L, -1);
    return go_on(L, co, push_lookup_answer(L, request->answer), request->waiting);
}

/// What of the rule's budget the call has left: it counts while the call runs, not while it waits.
static call_end run(shunt_host *host, shunt_waiting *waiting, int arguments) {
    shunt_rule *rule = waiting->rule;
    uint64_t time = rule->policy.nanoseconds, started = thread_nanoseconds();
    uint64_t uncounted = atomic_load_explicit(&host->budget.uncounted, memory_order_relaxed);
    size_t memory = rule->policy.memory, used = rule->used;
    time = time > waiting->spent + LEAST_NANOSECONDS ? time - waiting->spent : LEAST_NANOSECONDS;
    memory = memory > waiting->grown + LEAST_MEMORY ? memory - waiting->grown : LEAST_MEMORY;
    waiting->is_suspended = false;
    bool ran = call_hook_within(host, rule, waiting->hook, arguments, time, memory);
    uint64_t took = thread_nanoseconds() - started;
    uncounted = atomic_load_explicit(&host->budget.uncounted, memory_order_relaxed) - uncounted;
    took = took > uncounted ? took - uncounted : 0;
    // One that took all that is left, and was not ended, was held up (budget.c): nobody knows for how long.
    waiting->spent += ran && took > time ? time / 2 : took;
    if (rule->used > used) { waiting->grown += rule->used - used; }
    host->waiter = NULL;
    host->waiting = NULL;
    if (ran && waiting->is_suspended) {
        lua_pop(rule->L, 1);
        keep_secret(host, waiting);
        waiting->emits = host->marks.emits;
        return CALL_WAITS;
    }
    release_thread(waiting);
    return ran ? CALL_RAN : CALL_FAILED;
}

call_end begin_call(shunt_host *host, shunt_rule *rule, shunt_hook hook, push_argument push, const void *what, shunt_waiting **waiting) {
    shunt_waiting *begun = create(host, rule, hook);
    if (begun == NULL) {
        set_error(host, SHUNT_MEMORY, "no memory for a call");
        return CALL_FAILED;
    }
    start_request request = {begun, push, what};
    lua_pushcfunction(rule->L, start_body);
    lua_pushlightuserdata(rule->L, &request);
    push_hook(rule, hook);
    push_context(rule);
    call_end end = run(host, begun, 3);
    if (end == CALL_WAITS) {
        *waiting = begun;
    } else {
        shunt_waiting_free(host, begun);
    }
    return end;
}

call_end resume_call(shunt_host *host, shunt_waiting *waiting, shunt_bytes answer) {
    shunt_rule *rule = waiting->rule;
    resume_request request = {waiting, answer};
    lua_pushcfunction(rule->L, resume_body);
    lua_pushlightuserdata(rule->L, &request);
    call_end end = run(host, waiting, 1);
    // It is the call that was counted when it began.
    rule->figures[waiting->hook].calls--;
    return end;
}
