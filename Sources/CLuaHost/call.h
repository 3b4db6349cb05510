// The pieces of a call of a rule's hook, which every message goes through: for call.c, and for the chain that hooks_message.c runs.
#ifndef SHUNT_CALL_H
#define SHUNT_CALL_H

#include "budget.h"
#include "guard.h"

// Lua's own, of ldo.c and lvm.c.
lua_call_info *luaD_precall(lua_State *L, lua_value *function, int results);
void luaV_execute(lua_State *L, lua_call_info *call);

/// What is to be known of a call once it has ended, be it by an error.
typedef struct {
    /// When it began, where it is timed; else 0.
    uint64_t started;
    /// Of its function on the state's stack, in bytes.
    ptrdiff_t place;
    uint32_t depth;
    lua_jump *outer;
} running_call;

uint64_t monotonic_nanoseconds(void);
/// Sets the error of a call that is not made, and takes its arguments off. - Returns: false.
bool not_called(shunt_host *host, lua_State *L, int arguments);
/// Does what few calls leave to do (`host->untidy`).
void tidy_up(shunt_host *host, shunt_rule *rule, bool is_out_of_memory);
/// A call has ended by an error: keeps its text, and leaves the stack as it was without the call.
void call_broke(shunt_host *host, shunt_rule *rule, shunt_hook hook, const running_call *call, int status, uint64_t time, size_t memory);
/// Adds a call that was timed to the figures.
void time_call(shunt_rule *rule, shunt_hook hook, uint64_t started);

/// Begins what `end` ends. The budget is armed.
static inline void begin(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    host->rule = rule;
    host->hook = hook;
    host->serial++;
    host->call_emits = 0;
    host->fanout_exceeded = host->delay_exceeded = host->filter_read = host->props_read = false;
    host->decoded = 0;
    host->payload = PAYLOAD_FINE;
    host->secret.count = 0;
    host->secret.full = false;
    host->stack_start = (uintptr_t)__builtin_frame_address(0);
}

static inline __attribute__((always_inline)) void end(shunt_host *host, shunt_rule *rule) {
    bool is_out_of_memory = host->budget.killed == KILL_MEMORY;
    budget_disarm(host, rule);
    host->rule = NULL;
    host->resume_scratch = 0;
    host->scratch.count = 0;
    if (__builtin_expect(host->untidy, 0)) { tidy_up(host, rule, is_out_of_memory); }
}

/// Begins the call of the function under its `arguments`, which is to be run by `call_run`, on a thread that `budget_enter` has been told of.
/// Errors go to `jump`.
/// - Returns: false, with the error set, and the arguments taken off, where it may not be called.
static inline __attribute__((always_inline)) bool call_begin(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments, uint64_t time,
                                                              size_t memory, lua_jump *jump, running_call *call) {
    lua_State *L = rule->L;
    lua_thread *thread = thread_of(L);
    shunt_figures *figures = &rule->figures[hook];
    bool loads = hook <= SHUNT_ON_UNLOAD;
    bool is_later = atomic_load_explicit(&watchdog_ticks, memory_order_relaxed) != host->turn_tick;
    if (__builtin_expect(is_later, 0) && !loads && !turn_goes_on(host)) { return not_called(host, L, arguments); }
    budget_arm(host, rule, time, memory);
    begin(host, rule, hook);
    call->started = __builtin_expect(figures->calls++ >= figures->sample_at, 0) ? monotonic_nanoseconds() : 0;
    call->place = (char *)(thread->top - (arguments + 1)) - (char *)thread->stack;
    call->depth = thread->depth;
    call->outer = thread->jump;
    jump->status = LUA_OK;
    thread->jump = jump;
    return true;
}

/// What luaD_precall does for a Lua function, where there is room.
static inline lua_call_info *prepare(lua_State *L, lua_value *function) {
    lua_thread *thread = thread_of(L);
    lua_call_info *call = thread->call->next;
    if (function->type != LUA_CLOSURE || call == NULL) { return luaD_precall(L, function, 1); }
    const lua_prototype *prototype = ((const lua_closure *)function->bits.pointer)->prototype;
    if (thread->stack_end - thread->top <= prototype->frame_size) { return luaD_precall(L, function, 1); }
    thread->call = call;
    call->function = function;
    call->results = 1;
    call->top = function + 1 + prototype->frame_size;
    call->code = prototype->code;
    while (thread->top <= function + prototype->parameters) { (thread->top++)->type = LUA_NOTHING; }
    return call;
}

/// This is lua_pcall with one result, without the layers between it and the function, which cost as much as a small one does. It ends here, or
/// by a jump to where `call_begin` was told.
static inline void call_run(const shunt_rule *rule, const running_call *call) {
    lua_State *L = rule->L;
    lua_call_info *prepared = prepare(L, (lua_value *)((char *)thread_of(L)->stack + call->place));
    if (prepared == NULL) { return; }
    prepared->status = LUA_CALL_ENTERED_FROM_C;
    luaV_execute(L, prepared);
}

/// - Returns: whether the call ran to its end, with its result on the stack; if not, why is in `host->error`.
static inline __attribute__((always_inline)) bool call_end(shunt_host *host, shunt_rule *rule, shunt_hook hook, const running_call *call,
                                                            int status, uint64_t time, size_t memory) {
    thread_of(rule->L)->jump = call->outer;
    if (__builtin_expect(status != LUA_OK, 0)) {
        call_broke(host, rule, hook, call, status, time, memory);
        return false;
    }
    end(host, rule);
    if (__builtin_expect(call->started != 0, 0)) { time_call(rule, hook, call->started); }
    return true;
}

#endif
