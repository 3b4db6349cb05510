// What is known of the call that runs: its budget, the message that it is for, and what it has raised. For host.h.
#ifndef SHUNT_CALL_STATE_H
#define SHUNT_CALL_STATE_H

#include "CLuaHost.h"
#include "lua_layout.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
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
    /// In the thread's own time: until when the collector's step that runs in a call counts, 0 while there is none; and what such steps have taken
    /// longer, in all calls. Written by the loop's thread (collector.c).
    _Atomic uint64_t counts_until, uncounted;
    // The watchdog's: the call that it saw, and the thread's counted time and `uncounted` then. The signal handler reads them while it lasts.
    uint64_t seen, seen_at, seen_uncounted;
    // The signal handler's own: the call whose halves of a budget it has counted, how many, and until when.
    uint64_t counted_call, counted_at;
    int halves;
    struct shunt_host *next;
} shunt_budget;

/// What the calls for a message have taken together, once it is measured (budget.c). Times are in nanoseconds.
typedef struct {
    enum { NO_TURN, TURN_UNMEASURED, TURN_MEASURED, TURN_SPENT } state;
    /// What counts, up to the last look; when that was, in the thread's own time at most; the budget's `uncounted` and the owner's time then.
    uint64_t spent, looked_at, uncounted;
    double now;
    /// When the thread's own time was asked for, what it was, and the thread.
    uint64_t anchor, anchor_own;
    pid_t thread;
} shunt_turn;

/// A thread's own time, and the budget's `uncounted` then.
typedef struct {
    uint64_t own, uncounted;
} turn_time;

/// The turn of the rules whose decisions are not applied: their calls take no time from the rules that decide. While such a call runs, the two
/// turns have changed places: the host's `turn` is this one, and the other one is kept here.
typedef struct {
    uint64_t tick;
    shunt_turn turn;
    /// While either turn is measured: when the last call of such a rule began, and when it ended.
    turn_time began, ended;
} shunt_trial_turn;

/// What a call has done or met so far: nothing when it begins. Of 16 bytes, to be cleared by one instruction.
typedef struct {
    /// How many messages it has emitted.
    uint32_t emits;
    bool fanout_exceeded, delay_exceeded, filter_read, props_read;
    /// The forms that the payload was decoded from, a bit each.
    uint8_t decoded;
    /// Whether the payload is being inflated, or could not be: a failure is then the client's.
    enum __attribute__((packed)) { PAYLOAD_FINE, PAYLOAD_INFLATING, PAYLOAD_REFUSED } payload;
    uint8_t others[6];
} call_marks;

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

/// A hook of a rule as it is called: its function, and of one in Lua without `...` what its prototype says of a call.
typedef struct {
    lua_value function;
    /// NULL of any other function.
    const uint32_t *code;
    /// Bytes of its frame with the function, of any other function more than a stack has; and how many values in it are parameters.
    uint32_t frame_bytes, parameters;
} rule_hook;

/// What is to be known of a call once it has ended, be it by an error.
typedef struct {
    /// When it began, while it runs and is timed; else 0.
    uint64_t started;
    /// Of its function on the state's stack, in bytes.
    ptrdiff_t place;
} running_call;

/// A message on its way through the rules.
typedef struct {
    shunt_hook hook;
    /// The rules that are still to be asked.
    uint64_t rules;
    shunt_outcome *outcome;
    /// Whose copy stands for the message now, and where it is on that rule's stack; NULL while it is as it came.
    const shunt_rule *replaced_by;
    int current;
    bool stopped;
    /// While its topic is changed: the rule that has changed it last, and all that have.
    uint8_t renamed_by;
    uint64_t renamers;
    /// The call that runs, and how much had been sent when it began.
    running_call call;
    size_t before;
} message_chain;

enum { TRIAL_FAILED = -1 };
enum { TRIAL_WHY, TRIAL_TOPIC, TRIAL_PAYLOAD, TRIAL_REST, TRIAL_COUNT, TRIAL_PARTS };

/// What a hook decided, to be compared: a verdict or TRIAL_FAILED, and hashes.
typedef struct {
    int verdict;
    uint64_t parts[TRIAL_PARTS];
} trial_decision;

#endif
