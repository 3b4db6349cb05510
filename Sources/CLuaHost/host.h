// What the files of the host share. Not for Swift.
#ifndef SHUNT_HOST_INTERNAL_H
#define SHUNT_HOST_INTERNAL_H

#include "CLuaHost.h"
#include "call_state.h"
#include "lua_layout.h"
#include "payload.h"
#include "values.h"

#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

enum { MAX_RULES = 64, MAX_WHY = 512, MAX_NAME = 128 };

/// The base of each rule's stack: emitted verdicts, msg, chat. Then what lives until the next chain: of a message, the copy that
/// stood for it, since later ones and what is sent may point into it, or the result that stopped the chain; of a client or a
/// subscription, its change. Then the copies that were made for the last recipient.
enum { SLOT_ANCHORS = 1, SLOT_MESSAGE, SLOT_CHAT, SLOT_BASE = SLOT_CHAT };

typedef struct {
    const char *name, *labels;
    double value;
} counter;

typedef struct local_store {
    struct local_store *next;
    shunt_store *store;
    char rule[MAX_NAME];
} local_store;

/// How many lines of one level a rule has logged in a second, and how many more it would have.
typedef struct {
    uint64_t second;
    uint32_t lines[4], dropped;
} log_quota;

/// Verdicts of `route.to` that are used again, by their topic: each is in the state's list of them.
enum { KEPT_ROUTES = 8 };
typedef struct {
    const lua_text *topic;
    lua_value verdict;
} kept_route;

typedef struct kept_pattern kept_pattern;

/// Blocks of at most 640 bytes that a state may use again, a list for each 16 bytes.
enum { KEPT_STEP = 16, KEPT_CLASSES = 40 };

/// What rules ask `msg` for most: fields, and methods from FIELD_JSON on.
enum { FIELD_TOPIC, FIELD_PAYLOAD, FIELD_JSON, FIELD_WITH, FIELD_MSGPACK, FIELD_CBOR, MESSAGE_FIELDS };

/// A rule and its Lua state. What one rule does to its state, its memory above all, is no other rule's affair.
struct shunt_rule {
    char name[MAX_NAME];
    shunt_host *host;
    /// The next of the host's rules, whether they run, are being loaded, or are being replaced.
    shunt_rule *next;
    lua_State *L;
    /// Bytes: what the state uses, and the most that it may use in the call that runs, if one does.
    size_t used, ceiling;
    /// What it used when `ceiling` was worked out for a call of a hook; SIZE_MAX where that is to be done anew.
    size_t ceiling_used;
    shunt_meter meter;
    /// What of `state_memory` is this rule's: its share, or what it uses where that is more; 0 while it does not run.
    size_t reserved;
    /// What it used after the last collection in the middle of a call.
    size_t collected;
    /// The request that was refused last; 0 where none was in this call.
    const void *refused;
    size_t refused_size;
    /// Blocks that have been freed, each with the next one in it, and their bytes.
    void *kept[KEPT_CLASSES];
    size_t kept_bytes;
    /// The collector's; and what it has taken too long after calls without memory, in nanoseconds.
    int pause;
    uint64_t overdrawn;
    /// Lua's count of calls while none runs.
    uint32_t depth;

    /// How many verdicts of the last chain wait in the state's anchors.
    size_t emitted;
    /// Where on the stack the copies for the last recipient begin; 0 where none have been made since the last chain.
    int deliveries;
    log_quota log;
    /// Its `kv`, once it has used it.
    shunt_store *kv;
    uint8_t index;
    /// Whether its hooks may look something up: they run in coroutines of the host's.
    bool looks_up;
    /// None of its files has the name `sessions`, so that it is not kept up for it.
    bool names_no_sessions;
    int environment, table, settings, context, saved;
    int hooks[SHUNT_HOOKS];
    /// What the registry has of them, and of ctx: kept at hand for each message.
    rule_hook entries[SHUNT_HOOKS];
    lua_value context_value;
    /// `msg`, the function that gives its fields, and of those that are asked for most the names, and of methods the functions.
    const void *message, *field_names[MESSAGE_FIELDS];
    lua_value message_index, methods[MESSAGE_FIELDS];
    /// Metatables: of JSON's arrays, of tables that are filled later, and of clients.
    void *array_type, *lazy_type, *connection_type;
    /// The text of the topic that was asked for last, and its bytes.
    lua_value topic;
    shunt_bytes topic_bytes;
    kept_route routes[KEPT_ROUTES];
    shunt_rule_policy policy;
    /// No other rule of the host has it, before or after.
    uint64_t serial;
    counter *counters;
    size_t counter_count;
    bool counters_full;
    shunt_figures figures[SHUNT_HOOKS];
    /// No decision of it is applied; and the next rule is the one that it is compared with.
    bool shadow, has_live;
    shunt_trial_figures trial[SHUNT_HOOKS];
};

struct shunt_host {
    /// The coroutine that runs now: where a kill sets its hook.
    lua_State *volatile running;
    shunt_budget budget;
    shunt_options options;
    char *worker;

    /// All rules that have not been freed.
    shunt_rule *all;
    /// Bytes of `state_memory`: the part that each rule always has, and the sum that the rules that run have taken or may take.
    size_t share, reserved;

    /// The message that runs, if one does: an error finds here what is to be done.
    message_chain chain;
    // the call that runs
    shunt_rule *rule;
    shunt_hook hook;
    double now;
    /// Counts hook calls: what was made in an earlier one is known by it.
    uint64_t serial;
    /// The chain of hooks about a client or a subscription that runs, and how many have begun: what was made of another client is known by it.
    uint64_t chain_number, chains;
    /// Counts messages: a copy with borrowed bytes is good for one.
    uint64_t message_serial;
    bool in_message;
    /// The message's turn, and the watchdog's tick at which it was looked at last: most messages are through before the next one.
    uint64_t turn_tick;
    shunt_turn turn;
    /// The message as the rules before left it, and the kind that it came with.
    shunt_message message;
    uint8_t kind;
    uint16_t changes;
    /// What rules may still send, in messages and bytes.
    size_t room, room_bytes;
    /// The chat's record while a hook of chats runs, and the client's while on_will does.
    shunt_bytes chat, will_client;
    /// What may still be delayed, of messages and bytes of them.
    size_t delay_room, delay_bytes;
    call_marks marks;
    /// Whether `inflated` has the plain payload of the message.
    bool payload_inflated;
    shunt_buffer inflated;

    // rules on trial (trial.c)
    /// Rules whose decisions the call does not apply, those that it does not call, and those that it asks, by their bits.
    uint64_t observed, skipped, selected;
    /// The rule on trial whose decision waits for the decision of the rule beside it.
    shunt_rule *awaiting;
    trial_decision awaited;
    shunt_trial_turn trial_turn;
    // look-ups (waiting.c)
    /// Where the hook of a rule that may look something up runs, and its call; NULL in any other call. And all calls that wait.
    lua_State *waiter;
    shunt_waiting *waiting, *waits;

    // results
    shunt_routed *routed;
    size_t routed_count, routed_capacity;
    /// What is in it was emitted in a hook that is not about a message, and has not been taken yet.
    bool has_emitted;
    /// The rules with something of the last chain in their states, and with copies for the last recipient.
    uint64_t holding, delivering;
    char why[MAX_WHY];
    char error[1024];
    size_t error_count;
    shunt_failure failure;
    char where[160];
    const char *making;
    /// Of a call that had no memory left: what `state_memory` left the rule; 0 where its own budget was less.
    size_t memory_left;
    raised_error raised;
    shunt_buffer record;
    /// What the call has read of a client that no log may repeat: the payload of its will, the data of its authentication.
    shunt_buffer secret;
    /// The call that `secret` is of.
    uint64_t secret_serial;

    /// A stack of bytes for library functions that build text; what a call leaves on it is taken off at pcall. It is freed after a call that needed
    /// much.
    shunt_buffer scratch;
    /// How much of it was in use when the running coroutine was resumed.
    size_t resume_scratch;
    /// Where the C stack of the call that runs begins.
    uintptr_t stack_start;
    /// While a text is joined with the stack where it is: after an error, too, until the call has ended.
    bool collector_stopped;
    /// A call leaves something to do when it has ended: it was overdue, or has no memory, lines to log, a large scratch, a long payload as a text,
    /// a collector that has stopped. The signal handler writes it, too.
    volatile sig_atomic_t untidy;

    shunt_rule *rules[MAX_RULES];
    size_t rule_count;
    /// By hook: the rules that have it, by their bits.
    uint64_t having[SHUNT_HOOKS];

    /// Patterns that were used last, by their bytes; NULL until one is.
    kept_pattern *patterns;
    uint64_t rules_made;
    /// The `kv` of each rule that has used it, by the rule's name: it outlives the rule's versions.
    local_store *locals;
    /// What rules said in the call that runs, and how many lines there was no room for.
    shunt_buffer lines;
    uint32_t lines_lost;
    /// Clients must not know which texts have equal hashes.
    uint64_t guard_seed;
};

/// Without the byte order mark that an editor may have written at the start of a file.
static inline shunt_bytes without_mark(shunt_bytes text) {
    if (text.count < 3 || memcmp(text.start, "\xEF\xBB\xBF", 3) != 0) { return text; }
    return (shunt_bytes){(const char *)text.start + 3, text.count - 3};
}

/// Frees what the state has kept of its blocks.
void free_kept(shunt_rule *rule);
/// Makes a rule's state, with what all rules have. - Returns: false where there is no memory.
bool state_open(shunt_rule *rule);
/// Splits `state_memory` among the rules that run.
void share_memory(shunt_host *host);
/// What the rule reserves now that a call has ended.
void update_reserved(shunt_host *host, shunt_rule *rule);

static inline shunt_host *host_of(lua_State *L) { return *(shunt_host **)lua_getextraspace(L); }

void budget_attach(shunt_host *host);
void budget_detach(shunt_host *host);
/// Whether a call that is one of many for a message may still run.
bool turn_goes_on(shunt_host *host);
/// Of an overdue call: takes so much off its grace, and ends it where none is left.
void budget_spend(lua_State *L, shunt_host *host, int count);
/// Ends the call: raises, here and at every instruction after.
_Noreturn void budget_kill(lua_State *L, shunt_host *host);
void budget_out_of_memory(shunt_host *host);
/// Which bound of memory a call has come to, in words that name the setting.
/// - Parameter memory: what the call might add.
void memory_text(const shunt_host *host, shunt_hook hook, size_t memory, char *text, size_t size);
void budget_arm_hook(lua_State *L, shunt_host *host);

/// In every loop of a library function: ends an overdue call.
static inline void budget_check(lua_State *L, shunt_host *host) {
    if (__builtin_expect(host->budget.killed != KILL_NONE || host->budget.grace != 0, 0)) { budget_spend(L, host, 1); }
}

/// The same for what does not know the state: looks at the call that runs on this thread, if any does.
void budget_check_running(void);

// MARK: values

/// Keys of the registry: unique addresses.
extern char key_anchors, key_routes, key_strings, key_json_array, key_math, key_utf8;

enum { TAG_MESSAGE = 0x53480001, TAG_COPY, TAG_VERDICT, TAG_CONNECTION, TAG_CONNECTION_CHANGE, TAG_SUBSCRIPTION,
       TAG_SUBSCRIPTION_CHANGE, TAG_CONTEXT, TAG_COUNTER, TAG_GMATCH, TAG_CHAT, TAG_BIG_INTEGER, TAG_MEMBER, TAG_PACKED };

/// The object at an index, which begins with its tag; NULL for any other value. All full userdata in a state are ours.
static inline uint32_t *object_at(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
}

/// The object at an index if it has this tag, else NULL.
static inline void *tagged(lua_State *L, int index, uint32_t tag) {
    uint32_t *object = object_at(L, index);
    return object != NULL && *object == tag ? object : NULL;
}

/// The same of a value on a stack.
static inline uint32_t *object_of(const lua_value *value) {
    if (value->type != LUA_OBJECT) { return NULL; }
    lua_object *object = value->bits.pointer;
    return object->value_count == 0 ? (uint32_t *)&object->gray : (uint32_t *)&object->values[object->value_count];
}

/// The value that is on the top of the stack.
static inline lua_value *top_of(lua_State *L) { return thread_of(L)->top - 1; }

/// Something was put into an object: if the collector is through with it, it is looked at again.
void luaC_barrierback_(lua_State *L, void *object);
static inline void written(lua_State *L, lua_object *object) {
    if (object->marked & LUA_BLACK) { luaC_barrierback_(L, object); }
}

/// Sets the metatable registered under `key`, whose __metatable is false.
void set_type(lua_State *L, void *key);
/// - Parameter with: what gives a changed one, such as `msg:with`; NULL where nothing does.
void new_type(lua_State *L, void *key, const char *name, const char *with, lua_CFunction index, const luaL_Reg *methods);

static inline void push_bytes(lua_State *L, shunt_bytes bytes) {
    lua_pushlstring(L, bytes.count ? bytes.start : "", bytes.count);
}

/// Whether the key at an index, in a loop over a table, is this text: all of it, since a text may have zero bytes.
static inline bool key_is(lua_State *L, int index, const char *name) {
    size_t count;
    if (lua_type(L, index) != LUA_TSTRING) { return false; }
    const char *text = lua_tolstring(L, index, &count);
    return count == strlen(name) && memcmp(text, name, count) == 0;
}

/// A key that is not one of those that a table may have, for an error's text.
static inline const char *key_shown(lua_State *L, int index) {
    size_t count;
    if (lua_type(L, index) != LUA_TSTRING) { return lua_type(L, index) == LUA_TNUMBER ? "a number" : luaL_typename(L, index); }
    const char *text = lua_tolstring(L, index, &count);
    return strlen(text) == count ? text : "a name with a zero byte in it";
}

/// Pushes a field of the table at an index; no metamethod is asked, so it is the one that was checked.
static inline int push_raw_field(lua_State *L, int index, const char *name) {
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

/// Compares a key with a literal.
#define IS(text, count, literal) ((count) == sizeof(literal) - 1 && memcmp((text), literal, sizeof(literal) - 1) == 0)

enum { SCRATCH_KEPT = 64 * 1024 };
void *scratch_need(lua_State *L, shunt_host *host, size_t count);
void scratch_add(lua_State *L, shunt_host *host, const void *bytes, size_t count);
static inline void scratch_char(lua_State *L, shunt_host *host, char c) {
    if (host->scratch.count < host->scratch.capacity) {
        host->scratch.bytes[host->scratch.count++] = c;
    } else {
        scratch_add(L, host, &c, 1);
    }
}
/// Pushes what was added since `base` as a string and takes it off.
void scratch_push(lua_State *L, shunt_host *host, size_t base);

#include "libraries.h"

// MARK: messages, clients, verdicts

typedef struct {
    uint32_t tag;
    shunt_verdict verdict;
    /// It holds for all messages of the topic.
    bool always;
    bool has_message;
    /// The bytes of its target, where that is a text.
    shunt_bytes text;
    /// Milliseconds, of a delay.
    uint32_t delay;
    /// The verdict's first uservalue is its target: topic, chat id, filter, reason, or list. The second is its message or nil.
} verdict_object;

typedef struct {
    uint32_t tag;
    uint16_t changes;
    /// What of it is the router's: then it is only good for this message.
    uint8_t borrowed;
    uint64_t message_serial;
    shunt_message message;
    /// What was not replaced, copied here when it is small enough.
    char bytes[];
} copy_object;

void push_message(lua_State *L);
/// Notes what is asked of `msg`, which is at this place on the stack, for each message.
void note_message(shunt_rule *rule, int index);
/// Why a copy can't be used now, or NULL.
const char *copy_problem(const shunt_host *host, const copy_object *copy);
/// In what a copy differs from the message that the rules were given.
uint16_t copy_changes(const shunt_host *host, const copy_object *copy);
/// Pushes a client's conn, made once a hook call; nil once the client has gone.
void push_peer(lua_State *L, shunt_host *host, uint64_t id);
/// The conn that was pushed last, where it is this client's, as it mostly is; else NULL.
const lua_value *last_peer(const shunt_rule *rule, uint64_t id);
/// Pushes a conn for a client that is there.
void push_new_peer(lua_State *L, const shunt_rule *rule, uint64_t id);
/// Where `msg` keeps the conn that was made last, and the metatable of all.
lua_value *message_peer(const shunt_rule *rule);
void *connection_type(lua_State *L);
void push_chat(lua_State *L);
void push_connection(lua_State *L, shunt_bytes record);
void open_subscriptions(lua_State *L);
void check_topic(lua_State *L, int index, const char *what);
/// The same of a topic that a rule sends to.
void check_destination(lua_State *L, int index, const char *what);
void check_text(lua_State *L, int index, const char *what, size_t limit);
/// Checks a device filter; `what` begins the errors.
void check_filter(lua_State *L, int index, const char *what);

/// Whether what the rule that runs does now is to have no effect: its decision is not applied (trial.c).
bool is_apart(const shunt_host *host);

/// Pushes a copy of the value at the top of another state's stack. What only that state can have is left out.
/// - Returns: how many values were.
size_t copy_value(lua_State *L, lua_State *from);
/// Pushes a copy of the counter at the top of another state's stack: it counts for the version that made it. False where the value is no counter.
bool copy_counter(lua_State *L, lua_State *from);
/// The rule's own `kv`; NULL where there is no memory for one.
shunt_store *local_store_of(shunt_host *host, const shunt_rule *rule);
/// Frees the stores of rules that do not run any more.
void release_locals(shunt_host *host);

/// Adds what a verdict or message sends to the host's results; what was wrong, or NULL. Does not raise.
const char *verdict_collect(shunt_host *host, const lua_value *value, uint8_t rule);
/// Takes what was sent last off the host's results, down to so many, and gives back the room that what is delayed of it took.
void take_back(shunt_host *host, size_t before);
/// Why no more may be sent because of the message that the rules were given, or NULL.
const char *room_problem(const shunt_host *host);
shunt_bytes verdict_why(lua_State *L, shunt_host *host, int index);
int context_emit(lua_State *L);
int route_to(lua_State *L);

// MARK: rules

/// Calls the function under its `arguments` for a rule's hook, within the rule's budget.
/// - Returns: whether it ran to its end, with its result on the stack; if not, why is in `host->error`.
bool call_hook(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments);
/// The same within another budget.
bool call_hook_within(shunt_host *host, shunt_rule *rule, shunt_hook hook, int arguments, uint64_t time, size_t memory);
/// Counts a failure and tells the owner.
void hook_failed(shunt_host *host, shunt_rule *rule, shunt_hook hook);
void set_error(shunt_host *host, shunt_failure failure, const char *text);
/// Sets the error of a hook that ran to its end, with the place of its function.
void hook_error(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const char *text);
/// The same for what is not a hook, with a budget of its own; no results.
bool run_protected(shunt_host *host, shunt_rule *rule, lua_CFunction body, void *context, uint64_t nanoseconds, size_t memory);

#endif
