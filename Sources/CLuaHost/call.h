// The pieces of a call of a rule's hook, which every message goes through: for call.c, and for the chain that hooks_message.c runs.
#ifndef SHUNT_CALL_H
#define SHUNT_CALL_H

#include "budget.h"
#include "guard.h"

// Lua's own, of ldo.c and lvm.c.
lua_call_info *luaD_precall(lua_State *L, lua_value *function, int results);
void luaV_execute(lua_State *L, lua_call_info *call);

uint64_t monotonic_nanoseconds(void);
/// A call begins in another tick than its turn did: wakes the watchdog where it sleeps.
/// - Returns: whether the turn has time for the call. If not, the error is set, and the call's function and what is above it are taken off.
bool begins_late(shunt_host *host, lua_State *L, shunt_hook hook, lua_value *function);
/// Keeps a hook's function at hand, and what a call needs of it: the registry keeps it alive.
void note_function(shunt_rule *rule, int hook, const lua_value *function);
/// Does what few calls leave to do (`host->untidy`).
void tidy_up(shunt_host *host, shunt_rule *rule);
/// A call has ended by an error: keeps its text in `host->error`, and leaves the stack as it was without the call.
void call_broke(shunt_host *host, shunt_rule *rule, shunt_hook hook, running_call *call, int status, uint64_t time, size_t memory);
/// Adds a call that was timed to the figures. It has ended.
void time_call(shunt_rule *rule, shunt_hook hook, running_call *call);
/// A call has ended that is timed, or leaves something to do.
void call_ran_untidy(shunt_host *host, shunt_rule *rule, shunt_hook hook, running_call *call);

/// Marks a place for the errors of many calls, as _setjmp does, at a fifth of the cost: nothing is saved but the place. The function that it is in
/// finds only what is in memory after an error. - Returns: 0, and again 1 where an error comes.
#define MARK_PLACE(jump) ((jump).place->__mask_was_saved = PLACE_IS_OURS, __builtin_setjmp((void **)(jump).place))
/// What _setjmp never writes there: `jump.c` tells the places apart by it.
enum { PLACE_IS_OURS = 0x5348 };

/// Begins what `end` ends. The budget is armed.
static inline void begin(shunt_host *host, shunt_rule *rule, shunt_hook hook) {
    host->rule = rule;
    host->hook = hook;
    host->serial++;
    host->marks = (call_marks){0};
}

/// - Returns: whether it leaves something to do (`tidy_up`).
static inline __attribute__((always_inline)) bool end(shunt_host *host, shunt_rule *rule) {
    budget_disarm(host, rule);
    host->rule = NULL;
    host->scratch.count = 0;
    return __builtin_expect(host->untidy, 0);
}

/// Begins the call of a function that is on the stack of the rule's state with its arguments: `call_run` runs it, on a thread that `budget_enter`
/// has been told of. Errors go to `jump`. `call` is new, or of a call that has ended.
/// - Returns: false, with the error set, and the function taken off, where it may not be called.
static inline __attribute__((always_inline)) bool call_begin(shunt_host *host, shunt_rule *rule, lua_State *L, shunt_hook hook, lua_value *function,
                                                              uint64_t time, lua_jump *jump, running_call *call) {
    lua_thread *thread = thread_of(L);
    shunt_figures *figures = &rule->figures[hook];
    bool is_late = budget_arm(host, L, time) != host->turn_tick;
    if (__builtin_expect(is_late, 0) && !begins_late(host, L, hook, function)) { return false; }
    begin(host, rule, hook);
    if (__builtin_expect(figures->calls++ >= figures->sample_at, 0)) {
        call->started = monotonic_nanoseconds();
        host->untidy = true;
    }
    call->place = (char *)function - (char *)thread->stack;
    thread->jump = jump;
    return true;
}

/// This is lua_pcall with one result, without the layers between it and the function, which cost as much as a small one does. It ends here, or
/// by a jump to where `call_begin` was told.
static inline void call_run(lua_State *L, lua_value *function) {
    lua_call_info *prepared = luaD_precall(L, function, 1);
    if (prepared == NULL) { return; }
    prepared->status = LUA_CALL_ENTERED_FROM_C;
    luaV_execute(L, prepared);
}

/// The same for a hook of the rule's, with as many arguments: what luaD_precall does is done here, where the hook is in Lua and there is room.
static inline __attribute__((always_inline)) void call_run_hook(lua_State *L, const rule_hook *hook, lua_value *function, uint32_t arguments) {
    lua_thread *thread = thread_of(L);
    lua_call_info *call = thread->call->next;
    lua_value *top = (lua_value *)((char *)function + hook->frame_bytes);
    if (__builtin_expect(call == NULL || top > thread->stack_end, 0)) {
        call_run(L, function);
        return;
    }
    call->function = function;
    call->top = top;
    call->code = hook->code;
    call->results = 1;
    call->status = LUA_CALL_ENTERED_FROM_C;
    thread->call = call;
    for (uint32_t given = arguments; given < hook->parameters; given++) { (thread->top++)->type = LUA_NOTHING; }
    luaV_execute(L, call);
}

static inline lua_value *function_of(const shunt_rule *rule, const running_call *call) {
    return (lua_value *)((char *)thread_of(rule->L)->stack + call->place);
}

/// The call has run to its end, with its result on the stack.
static inline __attribute__((always_inline)) void call_ran(shunt_host *host, shunt_rule *rule, lua_State *L, shunt_hook hook, running_call *call) {
    // Between calls there is no place for errors.
    thread_of(L)->jump = NULL;
    if (end(host, rule)) { call_ran_untidy(host, rule, hook, call); }
}

#endif
