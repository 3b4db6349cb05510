// Entering Lua: each call is protected, within a budget, counted; what went wrong is kept as text.
#define _GNU_SOURCE
#include "host.h"

#include <stdio.h>
#include <time.h>

enum { SAMPLE = 64, SCRATCH_KEPT = 64 * 1024 };

static uint64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void set_error(shunt_host *host, shunt_failure failure, const char *text) {
    host->failure = failure;
    host->error_count = strnlen(text, sizeof host->error - 1);
    memcpy(host->error, text, host->error_count);
    host->error[host->error_count] = 0;
}

/// The error object is not asked for its `__tostring`: no rule code runs any more.
static void keep_error(lua_State *L, shunt_host *host, int status, int killed, uint64_t budget_time, size_t budget_memory) {
    char text[sizeof host->error];
    if (killed == KILL_TIME) {
        snprintf(text, sizeof text, "%stook more than its budget of %g ms", host->where, (double)budget_time / 1e6);
        set_error(host, SHUNT_TIME, text);
    } else if (killed == KILL_MEMORY || status == LUA_ERRMEM) {
        snprintf(text, sizeof text, "%sneeded more than its budget of %zu KiB of memory", host->where, budget_memory / 1024);
        set_error(host, SHUNT_MEMORY, text);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        set_error(host, host->fanout_exceeded ? SHUNT_FANOUT : SHUNT_FAILED, lua_tostring(L, -1));
    } else {
        snprintf(text, sizeof text, "raised a %s instead of a text", luaL_typename(L, -1));
        set_error(host, SHUNT_FAILED, text);
    }
}

static void begin(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    host->rule = rule;
    host->hook = hook;
    host->serial++;
    host->call_emits = 0;
    host->fanout_exceeded = false;
    host->json_read = host->filter_read = false;
}

static void end(shunt_host *host) {
    budget_disarm(host);
    host->rule = NULL;
    host->close_depth = 0;
    host->resume_scratch = 0;
    host->scratch.count = 0;
    if (host->scratch.capacity > SCRATCH_KEPT) { shunt_buffer_free(&host->scratch); }
}

bool call_hook(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments) {
    lua_State *L = host->L;
    bool loads = hook == SHUNT_ON_LOAD || hook == SHUNT_ON_UNLOAD;
    uint64_t time = loads ? host->options.load_nanoseconds : rule->policy.nanoseconds;
    size_t memory = loads ? host->options.load_memory : rule->policy.memory;
    shunt_figures *figures = &rule->figures[hook];
    if (!budget_arm(host, time, memory)) {
        lua_pop(L, arguments + 1);
        set_error(host, SHUNT_FAILED, "called while another rule of this loop runs");
        return false;
    }
    begin(host, rule, hook);
    uint64_t started = figures->calls++ % SAMPLE == 0 ? nanoseconds() : 0;
    int status = lua_pcall(L, arguments, 1, 0);
    int killed = host->budget.killed;
    end(host);
    if (started != 0) {
        figures->sampled++;
        figures->sampled_nanoseconds += nanoseconds() - started;
    }
    if (__builtin_expect(status == LUA_OK, 1)) { return true; }
    keep_error(L, host, status, killed, time, memory);
    lua_pop(L, 1);
    return false;
}

void hook_failed(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    rule->figures[hook].failures[host->failure]++;
    callbacks->failed(callbacks->context, rule->index, hook, host->failure, shunt_host_error(host));
}

bool run_protected(shunt_host *host, shunt_rule *rule, lua_CFunction body, void *context, uint64_t time, size_t memory) {
    lua_State *L = host->L;
    if (!budget_arm(host, time, memory)) {
        set_error(host, SHUNT_FAILED, "called while a rule of this loop runs");
        return false;
    }
    begin(host, rule, SHUNT_ON_LOAD);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, context);
    int status = lua_pcall(L, 1, 0, 0);
    int killed = host->budget.killed;
    end(host);
    if (status == LUA_OK) { return true; }
    keep_error(L, host, status, killed, time, memory);
    lua_pop(L, 1);
    return false;
}
