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
/// Whether the watchdog sleeps until a call wakes it.
extern atomic_int watchdog_sleeps;
/// How often the watchdog has looked: about once a millisecond while calls run.
extern _Atomic uint64_t watchdog_ticks;

void enter_thread(void);
void wake_watchdog(void);
/// How much the rule's state may hold in a call that may take more than its share.
size_t ceiling_of(const shunt_host *host, const shunt_rule *rule, size_t memory);
/// Ends what ended a call.
void forgive(shunt_host *host, shunt_rule *rule);

/// A call of this host is about to run on this thread, or several, one after another. Not while this host already runs one.
/// - Returns: what ran on the thread, for `budget_leave`.
static inline shunt_host *budget_enter(shunt_host *host) {
    budget_thread *thread = &this_thread;
    shunt_host *outer = thread->host;
    if (__builtin_expect(thread->number == 0, 0)) { enter_thread(); }
    thread->host = host;
    atomic_store_explicit(&host->budget.thread, thread->number, memory_order_relaxed);
    return outer;
}

static inline void budget_leave(shunt_host *outer) { this_thread.host = outer; }

static inline bool budget_is_armed(const shunt_host *host) {
    return (atomic_load_explicit(&host->budget.sequence, memory_order_relaxed) & 1) != 0;
}

/// A call begins, between `budget_enter` and `budget_leave`.
static inline void budget_arm(shunt_host *host, shunt_rule *rule, uint64_t nanoseconds, size_t memory) {
    shunt_budget *budget = &host->budget;
    uint64_t call = atomic_load_explicit(&budget->sequence, memory_order_relaxed);
    bool in_share = memory < rule->reserved && rule->used < rule->reserved - memory;
    rule->ceiling = __builtin_expect(in_share, 1) ? rule->used + memory : ceiling_of(host, rule, memory);
    rule->refused_size = 0;
    host->running = rule->L;
    atomic_store_explicit(&budget->nanoseconds, nanoseconds, memory_order_relaxed);
    atomic_store_explicit(&budget->sequence, call + 1, memory_order_release);
    // No fence: the watchdog makes one (membarrier) before it sleeps.
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&watchdog_sleeps, memory_order_relaxed), 0)) { wake_watchdog(); }
}

static inline void budget_disarm(shunt_host *host, shunt_rule *rule) {
    shunt_budget *budget = &host->budget;
    uint64_t call = atomic_load_explicit(&budget->sequence, memory_order_relaxed);
    atomic_store_explicit(&budget->sequence, call + 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    rule->ceiling = SIZE_MAX;
    if (__builtin_expect((rule->used > host->share) | (rule->reserved != host->share), 0)) { update_reserved(host, rule); }
    if (__builtin_expect(budget->killed != KILL_NONE || budget->grace != 0, 0)) { forgive(host, rule); }
}

#endif
