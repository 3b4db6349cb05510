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

void enter_thread(void);
void wake_watchdog(void);
/// How much the rule's state may hold in a call that may take more than its share.
size_t ceiling_of(const shunt_host *host, const shunt_rule *rule, size_t memory);
/// Ends what ended a call.
void forgive(shunt_host *host, shunt_rule *rule);

/// - Returns: whether the call may run: not while this host already runs one.
static inline bool budget_arm(shunt_host *host, shunt_rule *rule, uint64_t nanoseconds, size_t memory) {
    shunt_budget *budget = &host->budget;
    budget_thread *thread = &this_thread;
    uint64_t call = atomic_load_explicit(&budget->sequence, memory_order_relaxed);
    if (__builtin_expect(call & 1, 0)) { return false; }
    if (__builtin_expect(thread->number == 0, 0)) { enter_thread(); }
    bool in_share = memory < rule->reserved && rule->used < rule->reserved - memory;
    rule->ceiling = __builtin_expect(in_share, 1) ? rule->used + memory : ceiling_of(host, rule, memory);
    rule->refused_size = 0;
    host->running = rule->L;
    budget->outer = thread->host;
    thread->host = host;
    atomic_store_explicit(&budget->thread, thread->number, memory_order_relaxed);
    atomic_store_explicit(&budget->nanoseconds, nanoseconds, memory_order_relaxed);
    atomic_store_explicit(&budget->sequence, call + 1, memory_order_release);
    // No fence: the watchdog makes one (membarrier) before it sleeps.
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&watchdog_sleeps, memory_order_relaxed), 0)) { wake_watchdog(); }
    return true;
}

static inline void budget_disarm(shunt_host *host, shunt_rule *rule) {
    shunt_budget *budget = &host->budget;
    uint64_t call = atomic_load_explicit(&budget->sequence, memory_order_relaxed);
    atomic_store_explicit(&budget->sequence, call + 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    this_thread.host = budget->outer;
    rule->ceiling = SIZE_MAX;
    if (__builtin_expect((rule->used > host->share) | (rule->reserved != host->share), 0)) { update_reserved(host, rule); }
    if (__builtin_expect(budget->killed != KILL_NONE || budget->grace != 0, 0)) { forgive(host, rule); }
}

#endif
