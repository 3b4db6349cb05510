/// The Lua side of the rules: one `shunt_host` a loop, used by one thread at a time.
///
/// Everything that Lua may raise in stays below this header: a function here never lets a longjmp out, and the
/// callbacks that it takes never raise. Bytes that come out live until the host is used again.
#ifndef SHUNT_LUA_HOST_H
#define SHUNT_LUA_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks.h"
#include "words.h"

typedef struct shunt_host shunt_host;
typedef struct shunt_rule shunt_rule;
typedef struct shunt_store shunt_store;
/// A call that waits for a look-up.
typedef struct shunt_waiting shunt_waiting;

typedef struct {
    const void *start;
    size_t count;
} shunt_bytes;

/// A growing run of bytes outside Lua, bounded by `limit`: appending past it sets `full` and drops the rest.
typedef struct {
    char *bytes;
    size_t count, capacity, limit;
    bool full;
} shunt_buffer;

bool shunt_buffer_append(shunt_buffer *buffer, const void *bytes, size_t count);
void shunt_buffer_free(shunt_buffer *buffer);

/// The hooks of the table, by their place in a rule's figures.
typedef enum {
#define HOOK(constant, name, kinds) SHUNT_ON_##constant,
    SHUNT_HOOK_TABLE(HOOK)
#undef HOOK
    SHUNT_HOOKS
} shunt_hook;

typedef enum {
#define VERDICT(constant, name) SHUNT_VERDICT_##constant,
    SHUNT_VERDICT_TABLE(VERDICT)
#undef VERDICT
    SHUNT_VERDICTS
} shunt_verdict;

const char *shunt_hook_name(shunt_hook hook);
uint8_t shunt_hook_kinds(shunt_hook hook);
const char *shunt_verdict_name(shunt_verdict verdict);

/// SHUNT_PAYLOAD: the client's payload is not in the format that it names, or unpacks to more than the call may hold. SHUNT_DELAYS: the rule
/// wants to delay more messages than it may.
typedef enum { SHUNT_FAILED, SHUNT_TIME, SHUNT_MEMORY, SHUNT_FANOUT, SHUNT_HOPS, SHUNT_PAYLOAD, SHUNT_DELAYS, SHUNT_FAILURES } shunt_failure;

typedef enum { SHUNT_PASS_ON_ERROR, SHUNT_DROP_ON_ERROR, SHUNT_REJECT_ON_ERROR } shunt_on_error;

typedef enum { SHUNT_DEBUG, SHUNT_INFO, SHUNT_WARN, SHUNT_ERROR } shunt_log_level;

/// Four buckets an octave of time, from 64 ns to 17 s.
enum { SHUNT_TIME_BUCKETS = 112 };

typedef struct {
    uint64_t calls;
    uint64_t verdicts[SHUNT_VERDICTS];
    uint64_t failures[SHUNT_FAILURES];
    /// A version's first 1,024 calls are timed, then one in 64, which stands for those since the one before: how many calls the timed ones
    /// stand for, and what those took together.
    uint64_t sampled, sampled_nanoseconds;
    /// How many of `sampled` took how long: see `shunt_time_bound`.
    uint64_t times[SHUNT_TIME_BUCKETS];
    /// Which call is timed next.
    uint64_t sample_at;
} shunt_figures;

/// Nanoseconds below which the calls of a bucket took; of the last one any longer time.
uint64_t shunt_time_bound(size_t bucket);

typedef enum { SHUNT_GET, SHUNT_POST, SHUNT_RESOLVE } shunt_lookup_kind;

/// What a rule looks up.
typedef struct {
    shunt_lookup_kind kind;
    /// A URL or a name, as the rule has written it.
    shunt_bytes target;
    shunt_bytes body;
    /// Lines, each with a zero byte behind it; nothing else below 0x20 but tabs.
    shunt_bytes headers;
    /// Seconds; 0: as the configuration says, not at all.
    double timeout, cache;
} shunt_lookup;

/// `answer` gets why it is REFUSED, or the value (`value.c`) that is KNOWN: a table, or a text that says why there is none.
typedef enum { SHUNT_LOOK_REFUSED, SHUNT_LOOK_KNOWN, SHUNT_LOOK_WAITS } shunt_look;

/// What a host asks of its owner. None of these may call the host again, or raise.
typedef struct {
    void *context;
    /// Whether a failure of the rule is to be told now.
    bool (*tells)(void *context, uint8_t rule);
    /// A hook failed. Not called inside Lua. No message where it is not to be told.
    void (*failed)(void *context, uint8_t rule, shunt_hook hook, shunt_failure failure, shunt_bytes message);
    /// `rule` is the rule's name, empty for what is about all; `fields` is JSON or empty. Not called inside Lua.
    void (*log)(void *context, shunt_log_level level, shunt_bytes rule, shunt_bytes text, shunt_bytes fields);
    /// Writes the client's `shunt_peer_*` record; false once the client has gone.
    bool (*peer)(void *context, uint64_t id, shunt_buffer *record);
    /// Writes one of the client's texts (`SHUNT_PEER_UID` to `SHUNT_PEER_ADDRESS`), alone; false once it has gone.
    bool (*peer_text)(void *context, uint64_t id, int text, shunt_buffer *bytes);
    /// Whether the client is there.
    bool (*has_peer)(void *context, uint64_t id);
    /// Whether the client of the call may have as many bytes more delayed, as far as its share goes.
    bool (*may_delay)(void *context, size_t bytes);
    /// Writes what a client of MQTT has besides (`shunt_client_*`), its user properties and its will only where `all` is wanted; false once
    /// it has gone, or if it speaks another protocol.
    bool (*client)(void *context, uint64_t id, bool all, shunt_buffer *record);
    /// A rule closes a client. Not called inside Lua, but where there is no memory to wait for the end of the call.
    void (*close)(void *context, uint8_t rule, uint64_t id, shunt_bytes why);
    /// Writes what the worker knows of a user: a `shunt_found_begin` each, then the lists of tags and alias. NULL: there is nobody.
    /// - Returns: whether there are more than it wrote.
    bool (*sessions)(void *context, shunt_bytes uid, shunt_buffer *record);
    /// Whether a text stands in one of the rule's own files; adds to `searched` how many bytes of them it looked through.
    bool (*stands_in_rule)(void *context, uint8_t rule, shunt_bytes text, size_t *searched);
    /// Unpacks to at most `plain->limit` bytes. `plain->full` tells whether there are more. Gives up once
    /// `shunt_host_is_overdue`, the one function that a callback may call.
    bool (*inflate)(void *context, shunt_bytes packed, uint8_t compression, shunt_buffer *plain);
    /// What a rule on trial decided is not what the rule beside it did, or not to pass where there is none. Verdicts are those of
    /// `shunt_verdict`, or -1 where the call failed; `parts` has a bit for each of `SHUNT_TRIAL_*` that differs. Not called inside Lua.
    void (*differs)(void *context, uint8_t rule, shunt_hook hook, int live, int own, uint32_t parts, shunt_bytes topic);
    /// A rule looks something up; after WAITS its call is among what the hook returns. NULL: nothing can be looked up.
    shunt_look (*look_up)(void *context, uint8_t rule, const shunt_lookup *lookup, shunt_buffer *answer);
    /// A test's call of its rule: a value in, a value out (`value.c`); NULL outside rule tests.
    bool (*test)(void *context, shunt_bytes arguments, shunt_buffer *result);
} shunt_callbacks;

typedef struct {
    const char *worker;
    int loop;
    size_t state_memory;
    size_t inflated_bytes;
    size_t json_depth;
    uint32_t fanout, emits;
    /// The longest topic that a rule may give to a message.
    size_t topic_bytes;
    uint32_t local_entries;
    size_t local_bytes;
    /// Of a rule.
    uint32_t counters;
    uint32_t log_lines_per_second;
    uint64_t load_nanoseconds;
    /// Of all calls that one message causes, from `shunt_host_begin_turn` on.
    uint64_t turn_nanoseconds;
    size_t load_memory;
    /// What rules say may repeat payloads: in rule tests, and where an operator allows it.
    bool tells_payloads;
    shunt_callbacks callbacks;
    /// What all loops share; the owner keeps it alive.
    shunt_store *shared;
    /// The same for what rules write whose decisions are not applied; NULL where none are.
    shunt_store *apart;
} shunt_options;

/// NULL where there is no memory.
shunt_host *shunt_host_create(const shunt_options *options);
/// Other limits from the next call on.
void shunt_host_set_limits(shunt_host *host, size_t state_memory, size_t inflated_bytes, uint32_t fanout, size_t topic_bytes,
                           uint64_t turn_nanoseconds, bool tells_payloads);
/// Another message has come: the calls from here on have `turn_nanoseconds` together, until the owner's clock moves on.
void shunt_host_begin_turn(shunt_host *host);
/// What comes now is no part of a message's turn: only each call's own budget counts.
void shunt_host_end_turn(shunt_host *host);
void shunt_host_free(shunt_host *host);
size_t shunt_host_memory(const shunt_host *host);
/// Whether the call that runs is to be ended: what works for it outside of Lua should stop.
bool shunt_host_is_overdue(shunt_host *host);
/// Why the last call of a `shunt_rule_*` function failed.
shunt_bytes shunt_host_error(const shunt_host *host);
shunt_failure shunt_host_failure(const shunt_host *host);

// MARK: rules

typedef struct {
    const char *path;
    shunt_bytes text;
} shunt_source;

typedef struct {
    uint64_t nanoseconds;
    size_t memory;
    shunt_on_error on_error[SHUNT_HOOKS];
} shunt_rule_policy;

/// Runs `rule.lua` (the first source) in globals of its own; the others are what it may require.
/// NULL if it fails: see `shunt_host_error`. Places in its messages begin with the folder.
shunt_rule *shunt_rule_load(shunt_host *host, const char *name, const char *folder, const shunt_source *sources, size_t count);
void shunt_rule_free(shunt_host *host, shunt_rule *rule);
/// The rule's table as a value; functions are written as the line they start on.
bool shunt_rule_describe(shunt_host *host, shunt_rule *rule, shunt_buffer *value);
/// Sets `ctx.settings` and what the config may override.
bool shunt_rule_configure(shunt_host *host, shunt_rule *rule, shunt_bytes settings, shunt_rule_policy policy);
/// Calls the rule's `match` function with its settings.
bool shunt_rule_match(shunt_host *host, shunt_rule *rule, shunt_buffer *value);
bool shunt_rule_has(const shunt_rule *rule, shunt_hook hook);
/// Whether a hook's first parameter is `self`, as in `function R:on_message`: hooks are called without it.
bool shunt_rule_takes_self(const shunt_rule *rule, shunt_hook hook);
/// Whether a text has a match of a Lua pattern; false where the pattern is wrong: see `shunt_host_error`.
bool shunt_rule_finds(shunt_host *host, shunt_rule *rule, shunt_bytes pattern, shunt_bytes text, bool *found);
/// A word of a rule's `settings`, and what it takes; NULL after the last.
const char *shunt_schema_word(size_t index);
const char *shunt_schema_doc(size_t index);
/// Writes what a file compiles to; false where it does not.
bool shunt_compile(shunt_bytes text, shunt_buffer *code);
/// Calls `on_load(settings, saved)`; `saved` is what the version before returned from `on_unload`.
bool shunt_rule_start(shunt_host *host, shunt_rule *rule, shunt_rule *before, double now);
/// Calls `on_unload()` and keeps what it returns for the next version.
bool shunt_rule_stop(shunt_host *host, shunt_rule *rule, double now);
const shunt_figures *shunt_rule_figures(const shunt_rule *rule, shunt_hook hook);
/// Whether a text that a rule has given repeats the payload of the message that the last hook was about. False where payloads may be told.
bool shunt_rule_repeats_payload(shunt_host *host, const shunt_rule *rule, shunt_bytes text);
/// The same for what the rule's last call has read of a client: the payload of its will, the data of its authentication.
bool shunt_rule_repeats_secret(shunt_host *host, const shunt_rule *rule, shunt_bytes text);
/// The next call of a hook is timed.
void shunt_rule_time_next(shunt_rule *rule, shunt_hook hook);
/// What a rule has asked its allocator for since it is metered: how often, and how many bytes; those that it gave back are not taken off.
typedef struct {
    uint64_t allocations, bytes;
} shunt_meter;
void shunt_rule_set_metered(shunt_rule *rule, bool metered);
shunt_meter shunt_rule_meter(const shunt_rule *rule);
/// Counts a failure that was found after the call.
void shunt_rule_failed(shunt_rule *rule, shunt_hook hook, shunt_failure failure);
/// Counts a message that a rule's standing verdict decided, without a call.
void shunt_rule_decided(shunt_rule *rule, shunt_verdict verdict);
/// The rules that run, by priority, highest first; at most 64.
void shunt_host_activate(shunt_host *host, shunt_rule *const *rules, size_t count);

/// Bytes of the rule's Lua state.
size_t shunt_rule_memory(const shunt_rule *rule);
/// The topic of the message that the hook is about; empty where it is about none.
shunt_bytes shunt_host_topic(const shunt_host *host);

// MARK: rules on trial

/// What of two decisions may differ.
enum { SHUNT_TRIAL_WHY = 1, SHUNT_TRIAL_TOPIC = 2, SHUNT_TRIAL_PAYLOAD = 4, SHUNT_TRIAL_REST = 8, SHUNT_TRIAL_COUNT = 16 };

typedef struct {
    /// Calls whose decision was not applied, was compared, and differed.
    uint64_t observed, compared, different;
} shunt_trial_figures;

/// For the hooks from here on, until the next call: the rules whose decisions are not applied, and those that are not called. What the
/// first write to `shared` goes apart, and they close no client.
void shunt_host_observe(shunt_host *host, uint64_t observed, uint64_t skipped);
/// - Parameter is_shadow: no decision of the rule is ever applied.
/// - Parameter has_live: the next rule in the order is the one that it is compared with.
void shunt_rule_set_trial(shunt_rule *rule, bool is_shadow, bool has_live);
shunt_trial_figures shunt_rule_trial(const shunt_rule *rule, shunt_hook hook);

// MARK: rule tests

/// Runs a rule_test.lua, each of whose tests goes through the function that `prelude` returns, and writes its tests' names, as a
/// list.
shunt_rule *shunt_test_load(shunt_host *host, const char *folder, const char *prelude, const shunt_source *sources, size_t count,
                            shunt_buffer *names);
bool shunt_test_run(shunt_host *host, shunt_rule *tests, shunt_bytes name, double now);

/// A property of a PUBLISH of MQTT 5.0 (§2.2.2.2).
typedef struct {
    uint8_t id;
    /// The value of a number.
    uint32_t number;
    /// A user property's name.
    shunt_bytes name;
    /// The value of a text, or data.
    shunt_bytes value;
    /// All of its bytes.
    shunt_bytes whole;
} shunt_property;

/// Takes the next property off encoded ones, whatever these bytes are: nothing beyond their end is read.
/// - Returns: false at the end, or where what follows is no property of a PUBLISH.
bool shunt_next_property(shunt_bytes *encoded, shunt_property *found);

#include "calls.h"
#include "stores.h"

#endif
