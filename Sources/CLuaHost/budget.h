// Starts and ends the budget of a call: what budget.c watches. For call.c, which every message goes through.
#ifndef SHUNT_BUDGET_H
#define SHUNT_BUDGET_H

#include "host.h"

/// What runs on a thread.
typedef struct {
    shunt_host *host;
    /// The kernel's number of the thread; 0 until its first call.
    pid_t number;
} budget_thread;

extern _Thread_local budget_thread this_thread __attribute__((tls_model("initial-exec")));
/// How often the watchdog has looked, about once a millisecond while calls run; and, as the highest bit, whether it sleeps until a call wakes it.
extern _Atomic uint64_t watchdog_ticks __attribute__((visibility("hidden")));
#define WATCHDOG_SLEEPS ((uint64_t)1 << 63)

/// The processor time of this thread.
uint64_t thread_nanoseconds(void);
void enter_thread(void);
void wake_watchdog(void);
/// Works out how much the rule's state may hold in the call that begins.
void set_ceiling(shunt_host *host, shunt_rule *rule, size_t memory);
/// Ends what ended a call.
void forgive(shunt_host *host, shunt_rule *rule);

/// A call of this host is about to run on this thread, or several, one after another. Not while this host already runs one.
/// - Returns: what ran on the thread, for `budget_leave`.
static inline __attribute__((always_inline)) shunt_host *budget_enter(shunt_host *host) {
    budget_thread *thread = &this_thread;
    shunt_host *outer = thread->host;
    if (__builtin_expect(thread->number == 0, 0)) { enter_thread(); }
    thread->host = host;
    host->stack_start = (uintptr_t)__builtin_frame_address(0);
    atomic_store_explicit(&host->budget.thread, thread->number, memory_order_relaxed);
    return outer;
}

/// How often the watchdog has looked.
static inline uint64_t current_tick(void) { return atomic_load_explicit(&watchdog_ticks, memory_order_relaxed) & ~WATCHDOG_SLEEPS; }

/// What all calls for a message take together counts from here on.
static inline void begin_turn(shunt_host *host) {
    host->turn_tick = current_tick();
    host->turn.state = TURN_UNMEASURED;
}

static inline void budget_leave(shunt_host *outer) { this_thread.host = outer; }

static inline bool budget_is_armed(const shunt_host *host) {
    return (atomic_load_explicit(&host->budget.sequence, memory_order_relaxed) & 1) != 0;
}

/// The call that begins may grow the state by so many bytes. Most find it as the one before found it.
static inline void budget_bound(shunt_host *host, shunt_rule *rule, size_t memory) {
    if (rule->used != rule->ceiling_used || memory != rule->policy.memory) { set_ceiling(host, rule, memory); }
}

/// A call that has its bound begins on this thread of a rule's state, between `budget_enter` and `budget_leave`.
/// - Returns: the watchdog's tick. It is to be woken where that says that it sleeps.
static inline uint64_t budget_arm(shunt_host *host, lua_State *L, uint64_t nanoseconds) {
    shunt_budget *budget = &host->budget;
    uint64_t call = atomic_load_explicit(&budget->sequence, memory_order_relaxed);
    host->running = L;
    atomic_store_explicit(&budget->nanoseconds, nanoseconds, memory_order_relaxed);
    atomic_store_explicit(&budget->sequence, call + 1, memory_order_release);
    // No fence: the watchdog makes one (membarrier) before it sleeps.
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&watchdog_ticks, memory_order_relaxed);
}

/// It does not run after all.
static inline void budget_withdraw(shunt_host *host) {
    uint64_t call = atomic_load_explicit(&host->budget.sequence, memory_order_relaxed);
    atomic_store_explicit(&host->budget.sequence, call + 1, memory_order_release);
}

/// It has ended. Where it was overdue or had no memory, `host->untidy` says so.
static inline void budget_disarm(shunt_host *host, shunt_rule *rule) {
    shunt_budget *budget = &host->budget;
    uint64_t call = atomic_load_explicit(&budget->sequence, memory_order_relaxed);
    atomic_store_explicit(&budget->sequence, call + 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    if (rule->used != rule->ceiling_used) { update_reserved(host, rule); }
}

#endif
