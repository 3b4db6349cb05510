// Ends calls that take too long, at no cost to those that don't.
//
// A call stores an odd number before it runs and an even one after: that is all it pays. One thread of the process
// samples these numbers each millisecond. Where it sees the same call for longer than its budget (in processor time
// of the loop's thread, so that a busy machine ends nobody's call), it sends that thread a signal at each look. The handler
// counts, and once the call is overdue sets a count hook on the coroutine that runs, which Lua allows in a signal handler (lua_sethook).
// That hook raises at every instruction until the outermost protected call is left: nothing that the rule catches lets it go on.
//
// The thread's clock also runs while the kernel handles somebody's packets on the thread, and while a hypervisor holds the processor,
// for some milliseconds or more. The thread gets all signals of such a pause as one, when it goes on. So the handler counts at most half
// of a budget for each signal: a call is overdue once two halves are counted. Then it may do a little more.
#define _GNU_SOURCE
#include "call.h"
#include "trial.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TICK_NANOSECONDS = 1000000, IDLE_TICKS = 20, KILL_SIGNAL = SIGURG };
/// So many instructions, or looks of a library function: some microseconds.
enum { GRACE = 1000 };
/// No more of the collector's time is taken off a call's.
enum { MOST_UNCOUNTED = 50000000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static shunt_host *hosts;
static bool has_barrier;

_Atomic uint64_t watchdog_ticks;
_Thread_local budget_thread this_thread __attribute__((tls_model("initial-exec")));

// MARK: the loop's thread

static void remember_where(lua_State *L, shunt_host *host) {
    if (host->where[0] != 0) { return; }
    lua_Debug frame;
    for (int level = 0; level < 4 && lua_getstack(L, level, &frame); level++) {
        if (lua_getinfo(L, "Sl", &frame) && frame.currentline > 0) {
            snprintf(host->where, sizeof host->where, "%s:%d: ", frame.short_src, frame.currentline);
            return;
        }
    }
}

static void kill_hook(lua_State *L, lua_Debug *frame) {
    (void)frame;
    shunt_host *host = host_of(L);
    if (host->budget.killed != KILL_NONE || host->budget.grace != 0) {
        budget_spend(L, host, 1);
    } else {
        // A coroutine that outlived the call that was ended.
        lua_sethook(L, NULL, 0, 0);
    }
}

void budget_spend(lua_State *L, shunt_host *host, int count) {
    shunt_budget *budget = &host->budget;
    if (budget->killed == KILL_NONE) {
        if (budget->grace > count) {
            budget->grace -= count;
            return;
        }
        budget->killed = KILL_TIME;
    }
    budget_kill(L, host);
}

void budget_arm_hook(lua_State *L, shunt_host *host) {
    (void)host;
    // Setting the hook walks over all calls on the stack, and sets the trap of each call. Once it is set, calls that are made later have theirs by
    // themselves; and a deep stack takes longer to walk than the watchdog waits before it signals again.
    if (lua_gethook(L) == kill_hook && lua_gethookmask(L) == LUA_MASKCOUNT) { return; }
    lua_sethook(L, kill_hook, LUA_MASKCOUNT, 1);
}

void budget_kill(lua_State *L, shunt_host *host) {
    remember_where(L, host);
    budget_arm_hook(L, host);
    // Nothing is allocated to say so: there may be nothing left.
    lua_pushlightuserdata(L, host);
    lua_error(L);
    __builtin_unreachable();
}

void budget_check_running(void) {
    shunt_host *host = this_thread.host;
    if (host == NULL || (atomic_load_explicit(&host->budget.sequence, memory_order_relaxed) & 1) == 0) { return; }
    budget_check(host->running, host);
}

/// Bytes of `state_memory` that a rule may use: what the other rules have reserved is taken off. Rules that are being loaded share a
/// `state_memory` of their own, so that a new version never waits for the old one to make room.
static size_t left_of(const shunt_host *host, const shunt_rule *rule) {
    size_t most = host->options.state_memory, taken = host->reserved - rule->reserved;
    if (rule->reserved == 0) {
        taken = 0;
        for (const shunt_rule *other = host->all; other != NULL; other = other->next) {
            if (other != rule && other->reserved == 0) { taken += other->used; }
        }
    }
    size_t own = most > taken ? most - taken : 0;
    return own < rule->reserved ? rule->reserved : own;
}

static inline bool fits(size_t used, size_t memory, size_t most) { return memory < most && used < most - memory; }

/// A rule may grow by the call's budget. What it grows to within its own share depends on no other rule, and holds for the next call too.
void set_ceiling(shunt_host *host, shunt_rule *rule, size_t memory) {
    update_reserved(host, rule);
    rule->refused_size = 0;
    bool is_own = fits(rule->used, memory, rule->reserved);
    size_t most = is_own ? rule->reserved : left_of(host, rule);
    rule->ceiling = fits(rule->used, memory, most) ? rule->used + memory : most;
    rule->ceiling_used = is_own && memory == rule->policy.memory ? rule->used : SIZE_MAX;
}

void memory_text(const shunt_host *host, shunt_hook hook, size_t memory, char *text, size_t size) {
    if (host->memory_left > 0) {
        snprintf(text, size, "%sneeded more memory than rules.state_memory leaves it: %zu KiB of the %zu KiB for all rules of a loop", host->where,
                 host->memory_left / 1024, host->options.state_memory / 1024);
    } else if (hook <= SHUNT_ON_UNLOAD) {
        snprintf(text, size, "%sneeded more than the %zu KiB of memory that %s may take", host->where, memory / 1024,
                 hook == SHUNT_ON_UNLOAD ? "on_unload" : "loading a rule");
    } else {
        snprintf(text, size, "%sneeded more than its budget of %zu KiB of memory (budget.memory)", host->where, memory / 1024);
    }
}

void budget_out_of_memory(shunt_host *host) {
    if ((atomic_load_explicit(&host->budget.sequence, memory_order_relaxed) & 1) == 0) { return; }
    if (host->budget.killed == KILL_NONE) {
        host->budget.killed = KILL_MEMORY;
        host->untidy = true;
        size_t left = host->rule == NULL ? 0 : left_of(host, host->rule);
        host->memory_left = host->rule != NULL && host->rule->ceiling >= left ? left : 0;
    }
    budget_arm_hook(host->running, host);
}

/// What of the collector's time since then is taken off.
static uint64_t taken_off(const shunt_budget *budget, uint64_t before) {
    uint64_t time = atomic_load_explicit(&budget->uncounted, memory_order_relaxed) - before;
    return time < MOST_UNCOUNTED ? time : MOST_UNCOUNTED;
}

/// What the call has to pay for of this time: not what steps of the collector took too long. The step that runs is asked for first, since it may
/// end meanwhile.
static uint64_t counted(const shunt_budget *budget, uint64_t time) {
    uint64_t counts_until = atomic_load_explicit(&budget->counts_until, memory_order_acquire);
    uint64_t running = counts_until != 0 && time > counts_until ? time - counts_until : 0;
    return time - taken_off(budget, budget->seen_uncounted - running);
}

static uint64_t half_of(const shunt_budget *budget) { return atomic_load_explicit(&budget->nanoseconds, memory_order_relaxed) / 2; }

/// The handler asks whether the call has taken half of its budget since the watchdog saw it first, or since the last half was counted. For a
/// call that is overdue a millisecond counts as a half.
static bool has_taken_half(shunt_budget *budget, uint64_t call) {
    uint64_t now = counted(budget, thread_nanoseconds()), half = half_of(budget);
    if (budget->counted_call != call) {
        budget->counted_call = call;
        budget->counted_at = budget->seen_at;
        budget->halves = 0;
    } else if (budget->grace != 0 && half > TICK_NANOSECONDS) {
        half = TICK_NANOSECONDS;
    }
    // A signal comes a millisecond after the one before, and is handled a little sooner or later.
    if ((int64_t)(now - budget->counted_at) < (int64_t)(half - half / 8)) { return false; }
    budget->counted_at = now;
    budget->halves++;
    return true;
}

static void on_overdue(int number) {
    (void)number;
    shunt_host *host = this_thread.host;
    if (host == NULL) { return; }
    uint64_t call = atomic_load_explicit(&host->budget.sequence, memory_order_relaxed);
    if ((call & 1) == 0 || atomic_load_explicit(&host->budget.overdue, memory_order_acquire) != call) { return; }
    if (!has_taken_half(&host->budget, call) || host->budget.halves < 2) { return; }
    if (host->budget.grace != 0 && host->budget.killed == KILL_NONE) { host->budget.killed = KILL_TIME; }
    if (host->budget.grace == 0) { host->budget.grace = GRACE; }
    host->untidy = true;
    budget_arm_hook(host->running, host);
}

void enter_thread(void) {
    this_thread.number = (pid_t)syscall(SYS_gettid);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, KILL_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void wake_watchdog(void) {
    pthread_mutex_lock(&lock);
    atomic_fetch_and_explicit(&watchdog_ticks, ~WATCHDOG_SLEEPS, memory_order_relaxed);
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

void forgive(shunt_host *host, shunt_rule *rule) {
    host->budget.killed = KILL_NONE;
    host->budget.grace = 0;
    lua_sethook(rule->L, NULL, 0, 0);
}

// MARK: a message's turn

enum { ANCHORED_NANOSECONDS = 1000000 };
/// No tick has this number: each call looks.
#define EVERY_CALL UINT64_MAX

// While rules are on trial, each turn begins and ends here.
void shunt_host_begin_turn(shunt_host *host) {
    begin_turn(host);
    host->trial_turn.tick = host->turn_tick;
    host->trial_turn.turn.state = TURN_UNMEASURED;
}

static void end_turn(shunt_host *host) {
    host->turn_tick = current_tick();
    host->turn.state = NO_TURN;
}

void shunt_host_end_turn(shunt_host *host) {
    end_turn(host);
    host->trial_turn.tick = host->turn_tick;
    host->trial_turn.turn.state = NO_TURN;
}

static void swap_turns(shunt_host *host) {
    shunt_turn turn = host->turn;
    uint64_t tick = host->turn_tick;
    host->turn = host->trial_turn.turn;
    host->turn_tick = host->trial_turn.tick;
    host->trial_turn.turn = turn;
    host->trial_turn.tick = tick;
}

static turn_time time_of(const shunt_host *host) {
    return (turn_time){thread_nanoseconds(), atomic_load_explicit(&host->budget.uncounted, memory_order_relaxed)};
}

/// What has gone by between these times is not the turn's.
static void leave_out(shunt_turn *turn, turn_time since, turn_time now) {
    turn->looked_at += now.own - since.own;
    turn->uncounted += now.uncounted - since.uncounted;
}

static bool is_measured(const shunt_host *host) {
    return host->turn.state == TURN_MEASURED || host->trial_turn.turn.state == TURN_MEASURED;
}

void begin_trial_turn(shunt_host *host) {
    swap_turns(host);
    if (!is_measured(host)) { return; }
    host->trial_turn.began = time_of(host);
    if (host->turn.state == TURN_MEASURED) { leave_out(&host->turn, host->trial_turn.ended, host->trial_turn.began); }
}

void end_trial_turn(shunt_host *host) {
    swap_turns(host);
    if (!is_measured(host)) { return; }
    host->trial_turn.ended = time_of(host);
    if (host->turn.state == TURN_MEASURED) { leave_out(&host->turn, host->trial_turn.began, host->trial_turn.ended); }
}

uint64_t thread_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/// Notes that a turn has lasted for a tick, and the thread's own time. The kernel is asked for that once a millisecond; in
/// between, the thread may have run less than it seems, so that a turn gets so much more.
static void begin_measuring(shunt_host *host) {
    shunt_turn *turn = &host->turn;
    uint64_t now = monotonic_nanoseconds();
    if (now - turn->anchor > ANCHORED_NANOSECONDS || turn->thread != this_thread.number) {
        turn->anchor = now;
        turn->anchor_own = thread_nanoseconds();
        turn->thread = this_thread.number;
    }
    turn->looked_at = turn->anchor_own + (now - turn->anchor);
    turn->uncounted = atomic_load_explicit(&host->budget.uncounted, memory_order_relaxed);
    turn->now = host->now;
    turn->spent = 0;
    turn->state = TURN_MEASURED;
}

/// Whether the calls of a turn have taken all that they may. Since the last look, in an earlier tick, one call has run for longer than a tick at
/// most. So what has gone by beyond that call's budget, and two ticks, was a pause of the thread.
static bool is_spent(shunt_host *host) {
    shunt_turn *turn = &host->turn;
    if (turn->state == TURN_SPENT) { return true; }
    uint64_t own = thread_nanoseconds();
    uint64_t most = atomic_load_explicit(&host->budget.nanoseconds, memory_order_relaxed) + 2 * TICK_NANOSECONDS;
    uint64_t took = own > turn->looked_at ? own - turn->looked_at : 0, off = taken_off(&host->budget, turn->uncounted);
    took = took > off ? took - off : 0;
    turn->looked_at = own;
    turn->uncounted = atomic_load_explicit(&host->budget.uncounted, memory_order_relaxed);
    turn->spent += took < most ? took : most;
    return turn->spent > host->options.turn_nanoseconds;
}

bool turn_goes_on(shunt_host *host) {
    host->turn_tick = current_tick();
    if (host->turn.state == NO_TURN) { return true; }
    if (host->turn.state == TURN_UNMEASURED) {
        begin_measuring(host);
    } else if (host->now != host->turn.now) {
        end_turn(host);
    } else if (is_spent(host)) {
        host->turn.state = TURN_SPENT;
        host->turn_tick = EVERY_CALL;
        return false;
    }
    return true;
}

// MARK: the watchdog

/// A thread's processor clock as the kernel numbers it (what pthread_getcpuclockid gives), by thread id:
/// asking for a thread that has gone is then an error and not undefined.
static uint64_t thread_time(pid_t thread) {
    struct timespec time;
    clockid_t clock = (clockid_t)((~(unsigned)thread << 3) | 6);
    if (clock_gettime(clock, &time) != 0) { return 0; }
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/// - Returns: whether the host has run something since the last look.
static bool look_at(shunt_budget *budget) {
    uint64_t call = atomic_load_explicit(&budget->sequence, memory_order_acquire);
    pid_t thread = atomic_load_explicit(&budget->thread, memory_order_relaxed);
    if (call != budget->seen) {
        budget->seen = call;
        budget->seen_uncounted = atomic_load_explicit(&budget->uncounted, memory_order_relaxed);
        budget->seen_at = call & 1 ? counted(budget, thread_time(thread)) : 0;
        return true;
    }
    if ((call & 1) == 0) { return false; }
    if ((int64_t)(counted(budget, thread_time(thread)) - budget->seen_at) >= (int64_t)half_of(budget)) {
        atomic_store_explicit(&budget->overdue, call, memory_order_release);
        // Again at every look until the call has ended: a signal may come while another host runs on the thread.
        syscall(SYS_tgkill, getpid(), thread, KILL_SIGNAL);
    }
    return true;
}

static bool look_at_all(void) {
    bool busy = false;
    for (shunt_host *host = hosts; host != NULL; host = host->budget.next) { busy |= look_at(&host->budget); }
    return busy;
}

static void *watch(void *unused) {
    (void)unused;
    const struct timespec pause = {.tv_nsec = TICK_NANOSECONDS};
    int idle = 0;
    for (;;) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        atomic_fetch_add_explicit(&watchdog_ticks, 1, memory_order_relaxed);
        pthread_mutex_lock(&lock);
        idle = look_at_all() ? 0 : idle + 1;
        if (idle >= IDLE_TICKS && has_barrier) {
            atomic_fetch_or_explicit(&watchdog_ticks, WATCHDOG_SLEEPS, memory_order_relaxed);
            syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
            if (look_at_all()) { atomic_fetch_and_explicit(&watchdog_ticks, ~WATCHDOG_SLEEPS, memory_order_relaxed); }
            while ((atomic_load_explicit(&watchdog_ticks, memory_order_relaxed) & WATCHDOG_SLEEPS) != 0) { pthread_cond_wait(&wake, &lock); }
            idle = 0;
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void start(void) {
    has_barrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    struct sigaction action = {.sa_handler = on_overdue, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(KILL_SIGNAL, &action, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    pthread_t thread;
    pthread_create(&thread, &attributes, watch, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void budget_attach(shunt_host *host) {
    pthread_once(&started, start);
    pthread_mutex_lock(&lock);
    host->budget.next = hosts;
    hosts = host;
    pthread_mutex_unlock(&lock);
}

void budget_detach(shunt_host *host) {
    pthread_mutex_lock(&lock);
    for (shunt_host **link = &hosts; *link != NULL; link = &(*link)->budget.next) {
        if (*link == host) {
            *link = host->budget.next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}
