// What is known of the call that runs: its budget, and what it has raised. For host.h.
#ifndef SHUNT_CALL_STATE_H
#define SHUNT_CALL_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum { KILL_NONE, KILL_TIME, KILL_MEMORY };

/// What budget.c watches.
typedef struct shunt_budget {
    /// Odd while a call runs. Written by the loop's thread, read by the watchdog.
    _Atomic uint64_t sequence;
    /// The call that the watchdog wants ended.
    _Atomic uint64_t overdue;
    _Atomic uint64_t nanoseconds;
    _Atomic pid_t thread;
    /// Written by this thread and its signal handler only.
    volatile sig_atomic_t killed;
    /// What an overdue call may still do before it is ended, in instructions and looks at the budget; 0 where it is not overdue.
    volatile sig_atomic_t grace;
    // The watchdog's own: the call that it saw, the thread's processor time then, and how often half a budget has gone by since.
    uint64_t seen, seen_at;
    int halves;
    struct shunt_host *next;
} shunt_budget;

/// What the calls for a message have taken together, once it is measured (budget.c). Times are in nanoseconds.
typedef struct {
    enum { NO_TURN, TURN_UNMEASURED, TURN_MEASURED, TURN_SPENT } state;
    /// At the first look: by the clock, in the thread's own time at most, and the owner's time.
    uint64_t began, began_own;
    double now;
    /// When the thread's own time was asked for, what it was, and the thread.
    uint64_t anchor, anchor_own;
    pid_t thread;
} shunt_turn;

/// A value that was raised, as far as it can be known again.
typedef struct {
    int type;
    const void *pointer;
    double number;
} raised_value;

/// The last value without a text that `error` raised, in which call, and where (raised.c).
typedef struct {
    uint64_t serial;
    raised_value value;
    char place[160];
} raised_error;

#endif
