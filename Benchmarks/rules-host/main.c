// What calls of rules cost in the Lua host alone, without Swift: instructions (where the kernel counts them) and nanoseconds a call, budgets
// armed. Instructions hardly depend on what else the machine does.
//
//     Benchmarks/rules-host/build .build/rules-host && .build/rules-host [NAME]
#define _GNU_SOURCE
#include "CLuaHost.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 20000, ROUNDS = 15 };

typedef struct {
    const char *name, *text;
    bool delivers;
} subject;

#define RULE(body) "return { on_message = function(m) " body " end }"

static const subject subjects[] = {
    {"empty hook", RULE(""), false},
    {"topic comparison", RULE("if m.topic == 'b' then return route.drop() end"), false},
    {"pattern match of the topic", RULE("if m.topic:match('^orders/(%d+)$') then end"), false},
    {"payload read", RULE("local p = m.payload"), false},
    {"plain find in the payload", RULE("if m.payload:find('nowhere', 1, true) then return route.drop() end"), false},
    {"JSON field", RULE("local o = m:json() if o.region == 'us' then return route.drop() end"), false},
    {"JSON encode", "local o return { on_message = function(m) o = o or m:json() local t = json.encode(o) end }", false},
    {"JSON decode and encode", RULE("local o = m:json() o.note = 1 return m:with { payload = json.encode(o) }"), false},
    {"kv.incr", RULE("kv.incr('c-1029')"), false},
    {"kv.get", RULE("local v = kv.get('c-1029')"), false},
    {"counter", "local c = counter('n') return { on_message = function(m) c:inc() end }", false},
    {"route.to", RULE("return route.to('x')"), false},
    {"msg:with of a topic", RULE("return m:with { topic = 'x' }"), false},
    {"sender's uid", RULE("if m.sender.uid == 'b' then return route.drop() end"), false},
    {"on_deliver, empty", "return { on_deliver = function() end }", true},
    {"on_deliver, uid", "return { on_deliver = function(m, conn) if conn.uid == 'b' then return route.drop() end end }", true},
};

static const char object[] =
    "{\"id\":184467,\"region\":\"eu\",\"customer\":{\"uid\":\"c-1029\",\"name\":\"Ada Byron\",\"tags\":[\"gold\",\"beta\"]},"
    "\"items\":[{\"sku\":\"A-1\",\"qty\":2,\"price\":19.99},{\"sku\":\"B-7\",\"qty\":1,\"price\":5.5}],\"paid\":true,\"note\":null}";

// MARK: the owner

static uint64_t failures;

static bool tells(void *context, uint8_t rule) { return (void)context, (void)rule, true; }
static void failed(void *context, uint8_t rule, shunt_hook hook, shunt_failure failure, shunt_bytes message) {
    (void)context, (void)rule, (void)hook, (void)failure;
    if (failures++ == 0) { printf("  failed: %.*s\n", (int)message.count, (const char *)message.start); }
}
static void log_line(void *context, shunt_log_level level, shunt_bytes rule, shunt_bytes text, shunt_bytes fields) {
    (void)context, (void)level, (void)rule, (void)text, (void)fields;
}
static bool peer(void *context, uint64_t id, shunt_buffer *record) {
    (void)context;
    record->count = 0;
    record->full = false;
    shunt_peer_begin(record, id, 1000);
    for (int i = 0; i < SHUNT_PEER_TEXTS; i++) { shunt_peer_text(record, "client-1", 8); }
    for (int i = 0; i < SHUNT_PEER_LISTS; i++) { shunt_peer_list(record, 0); }
    return !record->full;
}
static bool peer_text(void *context, uint64_t id, int text, shunt_buffer *bytes) {
    (void)context, (void)id, (void)text;
    bytes->count = 0;
    return shunt_buffer_append(bytes, "client-1", 8);
}
static bool has_peer(void *context, uint64_t id) { return (void)context, (void)id, true; }
static bool may_delay(void *context, size_t bytes) { return (void)context, (void)bytes, true; }
static bool client(void *context, uint64_t id, bool all, shunt_buffer *record) {
    return (void)context, (void)id, (void)all, (void)record, false;
}
static void close_peer(void *context, uint8_t rule, uint64_t id, shunt_bytes why) { (void)context, (void)rule, (void)id, (void)why; }
static bool stands(void *context, uint8_t rule, shunt_bytes text, size_t *searched) {
    return (void)context, (void)rule, (void)text, (void)searched, false;
}
static bool inflate(void *context, shunt_bytes packed, uint8_t compression, shunt_buffer *plain) {
    return (void)context, (void)packed, (void)compression, (void)plain, false;
}

// MARK: measuring

static int instructions_of_this_thread(void) {
    struct perf_event_attr event = {
        .type = PERF_TYPE_HARDWARE, .size = sizeof event, .config = PERF_COUNT_HW_INSTRUCTIONS, .exclude_kernel = 1, .exclude_hv = 1
    };
    return (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
}

static uint64_t counted(int counter) {
    uint64_t value = 0;
    return counter >= 0 && read(counter, &value, sizeof value) == sizeof value ? value : 0;
}

static uint64_t thread_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void call(shunt_host *host, const subject *s) {
    shunt_message *message = shunt_host_message(host);
    shunt_outcome outcome;
    shunt_deliver_outcome delivered;
    *message = (shunt_message){
        .kind = SHUNT_TOPIC, .format = 2, .id = 1, .sender = 5, .topic = {"orders/184467", 13}, .payload = {object, sizeof object - 1},
        .room = 100, .room_bytes = 1 << 20,
    };
    shunt_host_begin_turn(host);
    if (s->delivers) {
        shunt_on_deliver(host, message, 5, 1, 1000, &delivered);
    } else {
        shunt_on_message(host, message, 1, 1000, &outcome);
    }
}

static void measure(shunt_host *host, const subject *s, int counter) {
    double instructions = 1e18, nanoseconds = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t count = counted(counter), time = thread_time();
        for (int i = 0; i < CALLS; i++) { call(host, s); }
        double took = (double)(thread_time() - time) / CALLS, ran = (double)(counted(counter) - count) / CALLS;
        if (took < nanoseconds) { nanoseconds = took; }
        if (ran < instructions) { instructions = ran; }
    }
    printf("%-32s %8.0f instructions %8.1f ns\n", s->name, instructions, nanoseconds);
}

int main(int count, char **arguments) {
    int counter = instructions_of_this_thread();
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        const subject *s = &subjects[i];
        if (count > 1 && strstr(s->name, arguments[1]) == NULL) { continue; }
        shunt_store *shared = shunt_store_create(1000, 1 << 20);
        shunt_options options = {
            .worker = "w", .state_memory = 64 << 20, .inflated_bytes = 1 << 20, .json_depth = 64, .fanout = 100, .emits = 10, .topic_bytes = 1024,
            .local_entries = 1000, .local_bytes = 1 << 20, .counters = 20, .log_lines_per_second = 10, .load_nanoseconds = 1000000000,
            .turn_nanoseconds = 1000000000, .load_memory = 16 << 20, .shared = shared,
            .callbacks = {.tells = tells, .failed = failed, .log = log_line,
                          .peer = peer, .peer_text = peer_text, .has_peer = has_peer, .may_delay = may_delay, .client = client, .close = close_peer,
                          .stands_in_rule = stands, .inflate = inflate},
        };
        shunt_host *host = shunt_host_create(&options);
        const shunt_source source = {"rule.lua", {s->text, strlen(s->text)}};
        shunt_rule *rule = shunt_rule_load(host, "bench", "bench", &source, 1);
        static const char settings[] = {'o', 0, 0, 0, 0};
        shunt_rule_policy policy = {.nanoseconds = 2000000, .memory = 1 << 20};
        if (rule == NULL || !shunt_rule_configure(host, rule, (shunt_bytes){settings, sizeof settings}, policy)
            || !shunt_rule_start(host, rule, NULL, 1000)) {
            shunt_bytes error = shunt_host_error(host);
            fprintf(stderr, "%s: %.*s\n", s->name, (int)error.count, (const char *)error.start);
            return 1;
        }
        shunt_host_activate(host, &rule, 1);
        measure(host, s, counter);
        shunt_rule_free(host, rule);
        shunt_host_free(host);
        shunt_store_free(shared);
    }
    return failures > 0;
}
