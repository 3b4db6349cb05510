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

typedef struct shunt_host shunt_host;
typedef struct shunt_rule shunt_rule;
typedef struct shunt_store shunt_store;

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

/// SHUNT_PAYLOAD: the client's payload is not what it says, or unpacks to more than the call may hold.
typedef enum { SHUNT_FAILED, SHUNT_TIME, SHUNT_MEMORY, SHUNT_FANOUT, SHUNT_HOPS, SHUNT_PAYLOAD, SHUNT_FAILURES } shunt_failure;

typedef enum { SHUNT_PASS_ON_ERROR, SHUNT_DROP_ON_ERROR, SHUNT_REJECT_ON_ERROR } shunt_on_error;

typedef enum { SHUNT_DEBUG, SHUNT_INFO, SHUNT_WARN, SHUNT_ERROR } shunt_log_level;

typedef struct {
    uint64_t calls;
    uint64_t verdicts[SHUNT_VERDICTS];
    uint64_t failures[SHUNT_FAILURES];
    /// One call in 64 is timed: their number, and what they took together.
    uint64_t sampled, sampled_nanoseconds;
} shunt_figures;

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
    /// Writes what a client of MQTT has besides (`shunt_client_*`), its user properties and its will only where `all` is wanted; false once
    /// it has gone, or if it speaks another protocol.
    bool (*client)(void *context, uint64_t id, bool all, shunt_buffer *record);
    void (*close)(void *context, uint64_t id, shunt_bytes why);
    /// Whether a text stands in one of the rule's own files; adds to `searched` how many bytes of them it looked through.
    bool (*stands_in_rule)(void *context, uint8_t rule, shunt_bytes text, size_t *searched);
    /// Unpacks to at most `plain->limit` bytes. `plain->full` tells whether there are more. Gives up once
    /// `shunt_host_is_overdue`, the one function that a callback may call.
    bool (*inflate)(void *context, shunt_bytes packed, uint8_t compression, shunt_buffer *plain);
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
    /// What rules say may repeat payloads: in rule tests.
    bool tells_payloads;
    shunt_callbacks callbacks;
    /// What all loops share; the owner keeps it alive.
    shunt_store *shared;
} shunt_options;

/// NULL where there is no memory.
shunt_host *shunt_host_create(const shunt_options *options);
/// Other limits from the next call on.
void shunt_host_set_limits(shunt_host *host, size_t state_memory, size_t inflated_bytes, uint32_t fanout, size_t topic_bytes,
                           uint64_t turn_nanoseconds);
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
/// Writes what a file compiles to; false where it does not.
bool shunt_compile(shunt_bytes text, shunt_buffer *code);
/// Calls `on_load(settings, saved)`; `saved` is what the version before returned from `on_unload`.
bool shunt_rule_start(shunt_host *host, shunt_rule *rule, shunt_rule *before, double now);
/// Calls `on_unload()` and keeps what it returns for the next version.
bool shunt_rule_stop(shunt_host *host, shunt_rule *rule, double now);
const shunt_figures *shunt_rule_figures(const shunt_rule *rule, shunt_hook hook);
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

// MARK: hooks

/// The values of `shunt_message.kind`, the same as `MessageKind`.
enum { SHUNT_TOPIC, SHUNT_BROADCAST, SHUNT_CHAT };

typedef struct {
    uint8_t kind, format, compression, hops;
    bool has_key;
    uint8_t qos;
    bool retain;
    int64_t id;
    uint64_t sender;
    shunt_bytes topic, key, payload;
    /// How many messages, and `room_bytes` of them, rules may still make of it. One that takes its place is not counted.
    size_t room;
    /// The device filter of a broadcast: a JSON object.
    shunt_bytes filter;
    size_t room_bytes;
    /// MQTT 5.0's, encoded, without their length. Nothing is taken for granted of these bytes.
    shunt_bytes properties;
} shunt_message;

/// Where the message of the next hook may be written: then it is not copied. Not while a hook runs.
shunt_message *shunt_host_message(shunt_host *host);

/// Bits of `shunt_routed.changes`, the same as `RoutedMessage.Changes`.
enum {
    SHUNT_KIND_CHANGED = 1, SHUNT_TOPIC_CHANGED = 2, SHUNT_KEY_CHANGED = 4, SHUNT_PAYLOAD_CHANGED = 8, SHUNT_FORMAT_CHANGED = 16,
    SHUNT_FILTER_CHANGED = 32, SHUNT_QOS_CHANGED = 64, SHUNT_RETAIN_CHANGED = 128, SHUNT_PROPERTIES_CHANGED = 256
};

typedef struct {
    shunt_message message;
    uint16_t changes;
    uint8_t rule;
} shunt_routed;

typedef struct {
    /// PASS, ROUTE (send `messages` instead), DROP, REJECT, or of a chat REDIRECT to the worker `why`.
    shunt_verdict verdict;
    /// What the last rule that did not pass returned.
    shunt_verdict decision;
    int rule;
    shunt_bytes why;
    const shunt_routed *messages;
    size_t count;
    /// What `rule` decided holds for all messages of the topic.
    bool always;
    /// The rules that pass all messages of the topic.
    uint64_t passing;
} shunt_outcome;

/// Returns whether there is more to do than to let the message pass: false where all rules let it pass and sent nothing.
bool shunt_on_message(shunt_host *host, const shunt_message *message, uint64_t rules, double now, shunt_outcome *outcome);
bool shunt_on_broadcast(shunt_host *host, const shunt_message *push, uint64_t rules, double now, shunt_outcome *outcome);
/// `chat` is a chat's record.
bool shunt_on_chat(shunt_host *host, const shunt_message *message, shunt_bytes chat, uint64_t rules, double now,
                   shunt_outcome *outcome);

typedef struct {
    /// PASS, REPLACE or DROP.
    shunt_verdict verdict;
    shunt_bytes why;
    /// REPLACE: what this recipient gets.
    shunt_routed routed;
} shunt_deliver_outcome;

/// What the last of the hooks above sent stays as it is, as does what it points to.
void shunt_on_deliver(shunt_host *host, const shunt_message *message, uint64_t recipient, uint64_t rules, double now,
                      shunt_deliver_outcome *outcome);
/// The same holds here.
void shunt_on_undelivered(shunt_host *host, const shunt_message *message, shunt_bytes why, uint64_t rules, double now);

/// A client's record: its id, connected_at, and the texts in this order.
enum { SHUNT_PEER_UID, SHUNT_PEER_DEVICE, SHUNT_PEER_PROTOCOL, SHUNT_PEER_ADDRESS, SHUNT_PEER_TEXTS };
enum { SHUNT_PEER_TAGS, SHUNT_PEER_ALIAS, SHUNT_PEER_GROUPS, SHUNT_PEER_LISTS };
void shunt_peer_begin(shunt_buffer *record, uint64_t id, double connected_at);
/// Texts come in order, then each list: its count, then its texts.
void shunt_peer_text(shunt_buffer *record, const char *text, size_t count);
void shunt_peer_list(shunt_buffer *record, uint32_t count);

/// What a client of MQTT has besides: this, then each of its user properties, then its will, where it has one.
/// - Parameter keep_alive: seconds; 0: none.
void shunt_client_begin(shunt_buffer *record, shunt_bytes id, shunt_bytes version, uint32_t keep_alive, uint32_t pairs);
void shunt_client_pair(shunt_buffer *record, shunt_bytes name, shunt_bytes value);

typedef struct {
    shunt_bytes topic, payload;
    /// As those of `shunt_message`.
    shunt_bytes properties;
    uint8_t qos;
    bool retain;
    /// Seconds.
    uint32_t delay;
} shunt_will;

void shunt_client_will(shunt_buffer *record, const shunt_will *will);

typedef struct {
    /// PASS, REPLACE, REJECT or REDIRECT.
    shunt_verdict verdict;
    int rule;
    /// The reason or the worker's address.
    shunt_bytes why;
    bool has_uid, has_tags, has_alias;
    /// REPLACE: the whole record with the changes in it.
    shunt_bytes record;
} shunt_connect_outcome;

void shunt_on_connect(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome);
void shunt_on_disconnect(shunt_host *host, shunt_bytes record, shunt_bytes why, uint64_t rules, double now);

/// A chat's record: when it was opened, its id, and its members, each of whom follows by `shunt_chat_member`.
void shunt_chat_begin(shunt_buffer *record, double created_at, shunt_bytes id, uint32_t members);
void shunt_chat_member(shunt_buffer *record, shunt_bytes uid, bool online);

/// `hook` is on_chat_open or on_chat_join; the verdict is PASS, REJECT or REDIRECT.
void shunt_on_chat_entry(shunt_host *host, shunt_hook hook, shunt_bytes chat, shunt_bytes record, uint64_t rules, double now,
                         shunt_connect_outcome *outcome);
void shunt_on_chat_close(shunt_host *host, shunt_bytes chat, shunt_bytes why, uint64_t rules, double now);

typedef struct {
    shunt_bytes topic, group, key;
    bool has_key;
    uint8_t qos;
    uint64_t sender;
} shunt_subscription;

typedef struct {
    /// PASS, REPLACE or REJECT.
    shunt_verdict verdict;
    int rule;
    shunt_bytes why, topic, group;
    uint8_t qos;
} shunt_subscribe_outcome;

void shunt_on_subscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now,
                        shunt_subscribe_outcome *outcome);
/// A client has given a subscription up.
void shunt_on_unsubscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now);

/// Calls `on_tick` of these rules.
void shunt_on_tick(shunt_host *host, uint64_t rules, double now);

// MARK: rule tests

/// Runs a rule_test.lua, each of whose tests goes through the function that `prelude` returns, and writes its tests' names, as a
/// list.
shunt_rule *shunt_test_load(shunt_host *host, const char *folder, const char *prelude, const shunt_source *sources, size_t count,
                            shunt_buffer *names);
bool shunt_test_run(shunt_host *host, shunt_rule *tests, const char *name, double now);

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

// MARK: stores, counters, topics

/// A map of texts to texts, numbers and booleans with a time to live. Locked inside: any thread may use it.
shunt_store *shunt_store_create(uint32_t entries, size_t bytes);
void shunt_store_free(shunt_store *store);
size_t shunt_store_count(shunt_store *store);

typedef struct {
    const char *name, *labels;
    double value;
} shunt_counter_value;
size_t shunt_counter_count(const shunt_rule *rule);
shunt_counter_value shunt_counter_at(const shunt_rule *rule, size_t index);

/// Whether a text has another in it.
bool shunt_contains(shunt_bytes text, shunt_bytes part);

/// Whether an MQTT topic filter (MQTT 5 §4.7) takes a topic.
bool shunt_topic_matches(const char *filter, size_t filter_count, const char *topic, size_t topic_count);
bool shunt_filter_is_valid(const char *filter, size_t count);

#endif
