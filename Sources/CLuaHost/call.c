// Entering Lua: each call is protected, within a budget, counted; what went wrong is kept as text.
#define _GNU_SOURCE
#include "call.h"
#include "collector.h"
#include "raised.h"
#include "trial.h"

#include <stdio.h>
#include <time.h>

enum { SAMPLE = 64, SAMPLED_FIRST = 1024 };

// Lua's own, of ldo.c.
int luaD_closeprotected(lua_State *L, ptrdiff_t place, int status);
void luaD_seterrorobj(lua_State *L, int status, lua_value *place);
void luaD_shrinkstack(lua_State *L);

uint64_t monotonic_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void set_error_bytes(shunt_host *host, shunt_failure failure, const char *text, size_t count) {
    host->failure = failure;
    host->error_count = count < sizeof host->error ? count : sizeof host->error - 1;
    memcpy(host->error, text, host->error_count);
    host->error[host->error_count] = 0;
}

void set_error(shunt_host *host, shunt_failure failure, const char *text) {
    set_error_bytes(host, failure, text, strnlen(text, sizeof host->error));
}

/// Where a rule's hook stands, for errors that have no place of their own.
static void hook_place(const shunt_rule *rule, shunt_hook hook, char *place, size_t size) {
    lua_Debug function;
    *place = 0;
    if (lua_rawgeti(rule->L, LUA_REGISTRYINDEX, rule->hooks[hook]) != LUA_TFUNCTION) {
        lua_pop(rule->L, 1);
    } else if (lua_getinfo(rule->L, ">S", &function) && function.linedefined > 0) {
        snprintf(place, size, "%s:%d: ", function.source + 1, function.linedefined);
    }
}

void hook_error(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const char *text) {
    char place[sizeof host->where], whole[sizeof host->error];
    hook_place(rule, hook, place, sizeof place);
    snprintf(whole, sizeof whole, "%s%s", place, text);
    set_error(host, host->marks.delay_exceeded ? SHUNT_DELAYS : SHUNT_FAILED, whole);
}

/// The error object is not asked for its `__tostring`: no rule code runs any more.
static void keep_error(shunt_host *host, const shunt_rule *rule, shunt_hook hook, int status, int killed, uint64_t time, size_t memory) {
    lua_State *L = rule->L;
    char text[sizeof host->error];
    // A call that goes on after a look-up has only what is left of it.
    if (time < rule->policy.nanoseconds) { time = rule->policy.nanoseconds; }
    if (memory < rule->policy.memory) { memory = rule->policy.memory; }
    if (host->where[0] == 0) { hook_place(rule, hook, host->where, sizeof host->where); }
    if (killed == KILL_TIME) {
        snprintf(text, sizeof text, "%stook more than its budget of %g ms", host->where, (double)time / 1e6);
        set_error(host, host->marks.payload == PAYLOAD_INFLATING ? SHUNT_PAYLOAD : SHUNT_TIME, text);
    } else if (killed == KILL_MEMORY || status == LUA_ERRMEM) {
        memory_text(host, hook, memory, text, sizeof text);
        set_error(host, SHUNT_MEMORY, text);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        shunt_failure failure = host->marks.payload == PAYLOAD_REFUSED ? SHUNT_PAYLOAD : SHUNT_FAILED;
        if (host->marks.fanout_exceeded || host->marks.delay_exceeded) { failure = host->marks.fanout_exceeded ? SHUNT_FANOUT : SHUNT_DELAYS; }
        size_t count;
        const char *raised = lua_tolstring(L, -1, &count);
        set_error_bytes(host, failure, raised, count);
    } else {
        int length = snprintf(text, sizeof text, "%s", raised_place(L, host));
        raised_text(L, text + length, sizeof text - (size_t)length);
        set_error(host, SHUNT_FAILED, text);
    }
    host->where[0] = 0;
}

void tidy_up(shunt_host *host, shunt_rule *rule) {
    bool is_out_of_memory = host->budget.killed == KILL_MEMORY;
    if (host->budget.killed != KILL_NONE || host->budget.grace != 0) { forgive(host, rule); }
    host->untidy = false;
    message_payload(rule)->type = LUA_NOTHING;
    if (host->collector_stopped) {
        host->collector_stopped = false;
        lua_gc(rule->L, LUA_GCRESTART);
    }
    if (is_out_of_memory) { collect_some(rule); }
    if (host->scratch.capacity > SCRATCH_KEPT) { shunt_buffer_free(&host->scratch); }
    if (host->lines.count > 0) { log_flush(host, rule); }
}

void note_function(shunt_rule *rule, int hook, const lua_value *function) {
    rule_hook *entry = &rule->entries[hook];
    *entry = (rule_hook){.function = *function, .frame_bytes = UINT32_MAX};
    if (function->type != LUA_CLOSURE) { return; }
    const lua_prototype *prototype = ((const lua_closure *)function->bits.pointer)->prototype;
    if (prototype->is_vararg) { return; }
    entry->code = prototype->code;
    entry->frame_bytes = (uint32_t)((1 + prototype->frame_size) * sizeof(lua_value));
    entry->parameters = prototype->parameters;
}

/// What lua_pcall does with an error: leaves it in the place of the function.
static int recover(lua_State *L, ptrdiff_t place, int status) {
    lua_thread *thread = thread_of(L);
    thread->call = &thread->first_call;
    thread->allows_hooks = 1;
    status = luaD_closeprotected(L, place, status);
    luaD_seterrorobj(L, status, (lua_value *)((char *)thread->stack + place));
    luaD_shrinkstack(L);
    thread->handler = 0;
    return status;
}

enum { FIRST_OCTAVE = 6, STEPS_PER_OCTAVE = 4 };

static size_t time_bucket(uint64_t time) {
    if (time < 1u << FIRST_OCTAVE) { return 0; }
    int octave = 63 - __builtin_clzll(time);
    size_t bucket = (size_t)(octave - FIRST_OCTAVE) * STEPS_PER_OCTAVE + (time >> (octave - 2) & 3);
    return bucket < SHUNT_TIME_BUCKETS ? bucket : SHUNT_TIME_BUCKETS - 1;
}

uint64_t shunt_time_bound(size_t bucket) {
    return (uint64_t)(5 + bucket % STEPS_PER_OCTAVE) << (bucket / STEPS_PER_OCTAVE + FIRST_OCTAVE - 2);
}

void time_call(shunt_rule *rule, shunt_hook hook, running_call *call) {
    shunt_figures *figures = &rule->figures[hook];
    // For the calls since the one that was timed before it.
    uint64_t time = monotonic_nanoseconds() - call->started, stands_for = figures->calls > figures->sampled ? figures->calls - figures->sampled : 0;
    figures->sample_at = figures->calls - 1 + (figures->calls <= SAMPLED_FIRST ? 1 : SAMPLE);
    figures->sampled += stands_for;
    figures->sampled_nanoseconds += time * stands_for;
    figures->times[time_bucket(time)] += stands_for;
    call->started = 0;
    tune_collector(rule);
}

void shunt_rule_time_next(shunt_rule *rule, shunt_hook hook) { rule->figures[hook].sample_at = 0; }

void call_ran_untidy(shunt_host *host, shunt_rule *rule, shunt_hook hook, running_call *call) {
    tidy_up(host, rule);
    if (call->started != 0) { time_call(rule, hook, call); }
}

bool begins_late(shunt_host *host, lua_State *L, shunt_hook hook, lua_value *function) {
    if (current_tick() != atomic_load_explicit(&watchdog_ticks, memory_order_relaxed)) { wake_watchdog(); }
    if (hook <= SHUNT_ON_UNLOAD || current_tick() == host->turn_tick || turn_goes_on(host)) { return true; }
    budget_withdraw(host);
    char text[160];
    thread_of(L)->top = function;
    snprintf(text, sizeof text, "not called: the rules have taken more than %g ms for one message", (double)host->options.turn_nanoseconds / 1e6);
    set_error(host, SHUNT_TIME, text);
    return false;
}

void call_broke(shunt_host *host, shunt_rule *rule, shunt_hook hook, running_call *call, int status, uint64_t time, size_t memory) {
    thread_of(rule->L)->depth = rule->depth;
    thread_of(rule->L)->jump = NULL;
    status = recover(rule->L, call->place, status);
    int killed = host->budget.killed;
    if (end(host, rule)) { call_ran_untidy(host, rule, hook, call); }
    keep_error(host, rule, hook, status, killed, time, memory);
    lua_pop(rule->L, 1);
}

bool call_hook_within(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments, uint64_t time, size_t memory) {
    lua_jump jump = {.status = LUA_OK};
    running_call call = {0};
    if (budget_is_armed(host)) {
        lua_pop(rule->L, arguments + 1);
        set_error(host, SHUNT_FAILED, "called while another rule of this loop runs");
        return false;
    }
    shunt_host *outer = budget_enter(host);
    budget_bound(host, rule, memory);
    bool is_trial = hook > SHUNT_ON_UNLOAD && is_observed(host, rule);
    if (is_trial) { begin_trial_turn(host); }
    bool runs = call_begin(host, rule, rule->L, hook, top_of(rule->L) - arguments, time, &jump, &call);
    if (runs) {
        if (_setjmp(jump.place) == 0) { call_run(rule->L, function_of(rule, &call)); }
        if (jump.status == LUA_OK) {
            call_ran(host, rule, rule->L, hook, &call);
        } else {
            call_broke(host, rule, hook, &call, jump.status, time, memory);
        }
    }
    if (is_trial) { end_trial_turn(host); }
    budget_leave(outer);
    return runs && jump.status == LUA_OK;
}

bool call_hook(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments) {
    uint64_t time = rule->policy.nanoseconds;
    size_t memory = rule->policy.memory;
    if (__builtin_expect(hook <= SHUNT_ON_UNLOAD, 0)) {
        time = host->options.load_nanoseconds;
        memory = host->options.load_memory;
    }
    return call_hook_within(host, rule, hook, arguments, time, memory);
}

/// How many bytes of an error are its place: `plugin/rule.lua:12: `.
static size_t place_length(const shunt_host *host) {
    const char *colon = memchr(host->error, ':', host->error_count), *at = colon;
    if (colon == NULL) { return 0; }
    do { at++; } while (*at >= '0' && *at <= '9' && at - colon < 8);
    return at > colon + 1 && at[0] == ':' && at[1] == ' ' ? (size_t)(at + 2 - host->error) : 0;
}

/// Takes what repeats the payload out of an error's text. The text of an exceeded budget is the host's own, and stays.
static void hide_payload(shunt_host *host, const shunt_rule *rule) {
    if (host->failure == SHUNT_TIME || host->failure == SHUNT_MEMORY) { return; }
    payload_guard guard;
    guard_open(&guard, host, rule, shunt_host_error(host));
    if (guard_hides(&guard, shunt_host_error(host))) {
        size_t place = place_length(host);
        const char *colon = memchr(host->error, ':', place);
        if (colon != NULL && guard_hides(&guard, (shunt_bytes){host->error, (size_t)(colon - host->error)})) { place = 0; }
        shunt_bytes notice = guard_notice(&guard);
        snprintf(host->error + place, sizeof host->error - place, "%.*s", (int)notice.count, (const char *)notice.start);
        host->error_count = strlen(host->error);
    }
    guard_close(&guard);
}

void hook_failed(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    bool told = callbacks->tells(callbacks->context, rule->index);
    rule->figures[hook].failures[host->failure]++;
    if (told) { hide_payload(host, rule); }
    callbacks->failed(callbacks->context, rule->index, hook, host->failure, told ? shunt_host_error(host) : (shunt_bytes){0});
}

bool run_protected(shunt_host *host, shunt_rule *rule, lua_CFunction body, void *context, uint64_t time, size_t memory) {
    lua_State *L = rule->L;
    if (budget_is_armed(host)) {
        set_error(host, SHUNT_FAILED, "called while a rule of this loop runs");
        return false;
    }
    shunt_host *outer = budget_enter(host);
    budget_bound(host, rule, memory);
    if ((budget_arm(host, L, time) & WATCHDOG_SLEEPS) != 0) { wake_watchdog(); }
    begin(host, rule, SHUNT_ON_LOAD);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, context);
    int status = lua_pcall(L, 1, 0, 0);
    int killed = host->budget.killed;
    if (end(host, rule)) { tidy_up(host, rule); }
    budget_leave(outer);
    if (status == LUA_OK) { return true; }
    keep_error(host, rule, SHUNT_ON_LOAD, status, killed, time, memory);
    lua_pop(L, 1);
    return false;
}
