// Drives the Lua host with hostile rules and messages. The address and undefined-behaviour sanitizers look on; at the end nothing may
// be left. What a rule may not do: end the process, hurt the rule beside it, keep a harmless version from replacing it, or hold the
// thread for much longer than its budget.
//
//     rules-fuzz [--seconds N] [--seed N] CORPUS...
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUBJECT, NEIGHBOUR, RULES, MOST_WAITS = 16 };
enum { REPORTED_TIMES = 20, CORPUS_CALLS = 80, MOST_REFUSALS = 4000 };
static const uint64_t longest = 1000000000;
/// The neighbour's work takes microseconds, but its thread may pay for the subject's: AddressSanitizer gives freed memory back when the
/// next allocation comes. A calloc of the neighbour was seen to take 630 of its call's 745 microseconds, its own work 25. So it has a budget
/// that this does not use up.
static const uint64_t ample = 1000000000;

static const char neighbour[] =
    "local R, n = {}, 0\n"
    "function R.on_load(settings, saved) n = saved and saved.n or 0 end\n"
    "function R.on_unload() return { n = n } end\n"
    "function R.on_message(msg) n = n + 1 kv.set('n', n) return route.to('alive') end\n"
    "return R\n";
static const char harmless[] = "local R = {}\nfunction R.on_message(msg) return route.to('well') end\nreturn R\n";

typedef struct {
    shunt_host *host;
    shunt_store *shared;
    shunt_rule *rules[RULES];
    uint64_t budget;
    size_t memory;
    double now;
    /// Calls that wait for a look-up.
    shunt_waiting *waits[MOST_WAITS];
    size_t waiting;
} session;

#include "waits.h"

static char rule_text[RULE_BYTES + 1], payload[PAYLOAD_BYTES + 1], properties[PROPERTY_BYTES];
static const char *what = "";
static uint64_t current_seed, calls, failures[SHUNT_FAILURES], reported;

_Noreturn static void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void broken(const char *format, ...) {
    va_list arguments;
    stop_refusing();
    va_start(arguments, format);
    fprintf(stderr, "broken (%s, seed %llu): ", what, (unsigned long long)current_seed);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n%s\n", rule_text);
    va_end(arguments);
    abort();
}

static uint64_t thread_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static double wall_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// MARK: the owner

static bool tells(void *context, uint8_t rule) {
    (void)context, (void)rule;
    return true;
}

static void failed(void *context, uint8_t rule, shunt_hook hook, shunt_failure failure, shunt_bytes message) {
    (void)context, (void)hook;
    failures[failure]++;
    // It may be what had no memory.
    if (rule == NEIGHBOUR && !is_refusing()) { broken("the rule beside it failed: %.*s", (int)message.count, (const char *)message.start); }
}

static void log_line(void *context, shunt_log_level level, shunt_bytes rule, shunt_bytes text, shunt_bytes fields) {
    (void)context, (void)level, (void)rule, (void)text, (void)fields;
}

static bool peer(void *context, uint64_t id, shunt_buffer *record) {
    (void)context;
    if (id == 0) { return false; }
    record->count = 0;
    record->full = false;
    shunt_peer_begin(record, id, 1000);
    for (int i = 0; i < SHUNT_PEER_TEXTS; i++) { shunt_peer_text(record, "ada", 3); }
    for (int i = 0; i < SHUNT_PEER_LISTS; i++) {
        shunt_peer_list(record, 2);
        shunt_peer_text(record, "a", 1);
        shunt_peer_text(record, "b\0c", 3);
    }
    return !record->full;
}
static bool peer_text(void *context, uint64_t id, int text, shunt_buffer *bytes) {
    (void)context, (void)text;
    bytes->count = 0;
    return id != 0 && shunt_buffer_append(bytes, "ada", 3);
}
static bool has_peer(void *context, uint64_t id) { return (void)context, id != 0; }
static bool may_delay(void *context, size_t bytes) { return (void)context, bytes < 4096 || below(2) == 0; }

static bool sessions(void *context, shunt_bytes uid, shunt_buffer *record) {
    (void)context;
    for (uint32_t left = below(120); left > 0; left--) {
        shunt_found found = {below(9), 1000, below(2) == 0, below(2) == 0, below(4), uid, {"c\0d", 3}, {"127.0.0.1:5", below(12)}};
        shunt_found_begin(record, &found);
        for (int i = 0; i < 2; i++) {
            uint32_t count = below(4);
            shunt_peer_list(record, count);
            for (; count > 0; count--) { shunt_peer_text(record, "a", below(2)); }
        }
    }
    // Bytes that end in the middle.
    if (below(4) == 0) { record->count = below((uint32_t)record->count + 1); }
    return below(2) == 0;
}

static bool client(void *context, uint64_t id, bool all, shunt_buffer *record) {
    (void)context;
    if (id == 0 || below(4) == 0) { return false; }
    shunt_client_begin(record, (shunt_bytes){"sensor", 6}, (shunt_bytes){"5.0", 3}, (shunt_bytes){"SCRAM-SHA-256", 13}, below(65536), all ? 2 : 0);
    if (!all) { return true; }
    shunt_client_pair(record, (shunt_bytes){"a", 1}, (shunt_bytes){"b", 1});
    shunt_client_pair(record, (shunt_bytes){"", 0}, (shunt_bytes){"\0", 1});
    char encoded[256];
    size_t count = generate_properties(encoded, sizeof encoded);
    shunt_will will = {
        .topic = {"gone", 4}, .payload = {"", 0}, .properties = {encoded + sizeof encoded - count, count}, .qos = 2, .delay = UINT32_MAX,
    };
    if (below(2) == 0) { shunt_client_will(record, &will); }
    // Bytes that end in the middle.
    if (below(4) == 0) { record->count = below((uint32_t)record->count + 1); }
    return true;
}

static bool stands_in_rule(void *context, uint8_t rule, shunt_bytes text, size_t *searched) {
    (void)context, (void)rule;
    *searched += text.count;
    return text.count > 0 && (((const unsigned char *)text.start)[0] & 1) != 0;
}

static void close_peer(void *context, uint8_t rule, uint64_t id, shunt_bytes why) { (void)context, (void)rule, (void)id, (void)why; }

static bool inflate(void *context, shunt_bytes packed, uint8_t compression, shunt_buffer *plain) {
    session *s = context;
    if (compression == 3) { return false; }
    for (uint32_t i = below(200); i > 0 && !shunt_host_is_overdue(s->host); i--) {
        if (!shunt_buffer_append(plain, packed.start, packed.count)) { return false; }
    }
    return true;
}

// MARK: a session

static shunt_rule *load(session *s, const char *name, const char *text, size_t count, uint64_t budget) {
    const shunt_source sources[] = {{"rule.lua", {text, count}}, {"other.lua", {"return { kept = {} }", 20}}, {"nothing.lua", {"return nil", 10}}};
    shunt_rule *rule = shunt_rule_load(s->host, name, name, sources, 3);
    // An empty object, as values are written.
    static const char settings[] = {'o', 0, 0, 0, 0};
    shunt_rule_policy policy = {.nanoseconds = budget, .memory = s->memory};
    shunt_buffer description = {.limit = 1 << 16};
    if (rule != NULL && below(4) == 0) { shunt_rule_describe(s->host, rule, &description); }
    shunt_buffer_free(&description);
    for (int hook = 0; hook < SHUNT_HOOKS; hook++) { policy.on_error[hook] = (shunt_on_error)below(3); }
    if (rule == NULL || shunt_rule_configure(s->host, rule, (shunt_bytes){settings, sizeof settings}, policy)) { return rule; }
    shunt_rule_free(s->host, rule);
    return NULL;
}

static bool open_session(session *s, bool is_corpus) {
    *s = (session){
        .shared = shunt_store_create(100, 64 * 1024), .budget = (below(4) + 1) * 500000, .memory = is_corpus ? 64 << 20 : 1 << 20, .now = 1000
    };
    shunt_options options = {
        .worker = "w1", .loop = 1, .state_memory = is_corpus ? 128 << 20 : 8 << 20, .inflated_bytes = 1 << 20,
        .json_depth = 64, .fanout = 100, .emits = 10,
        .topic_bytes = 1024, .local_entries = 100, .local_bytes = 256 * 1024, .counters = 20, .log_lines_per_second = 100,
        // The sanitizer was seen to take 10 ms of the loading of a harmless version.
        .load_nanoseconds = is_corpus ? 1000000000 : 200000000,
        .load_memory = is_corpus ? 64 << 20 : 4 << 20, .shared = s->shared,
        .callbacks = {.context = s, .tells = tells, .failed = failed, .log = log_line,
                      .peer = peer, .peer_text = peer_text, .has_peer = has_peer, .may_delay = may_delay, .client = client, .close = close_peer,
                      .sessions = sessions, .stands_in_rule = stands_in_rule, .inflate = inflate, .look_up = look_up},
    };
    s->host = s->shared == NULL ? NULL : shunt_host_create(&options);
    return s->host != NULL;
}

static void close_session(session *s) {
    // Rules may go before the calls that wait in them.
    while (s->waiting > 0 && below(2) == 0) { shunt_waiting_free(s->host, s->waits[--s->waiting]); }
    for (int i = 0; i < RULES; i++) {
        if (s->rules[i] != NULL) { shunt_rule_free(s->host, s->rules[i]); }
    }
    while (s->waiting > 0 && below(4) != 0) { shunt_waiting_free(s->host, s->waits[--s->waiting]); }
    shunt_host_free(s->host);
    shunt_store_free(s->shared);
}

/// - Returns: whether both rules run.
static bool start(session *s, size_t count) {
    s->rules[SUBJECT] = load(s, "subject", rule_text, count, s->budget);
    s->rules[NEIGHBOUR] = load(s, "neighbour", neighbour, sizeof neighbour - 1, ample);
    if (s->rules[SUBJECT] == NULL || s->rules[NEIGHBOUR] == NULL) { return false; }
    for (int rule = SUBJECT; rule <= NEIGHBOUR; rule++) {
        if (!shunt_rule_start(s->host, s->rules[rule], NULL, s->now)) return false;
    }
    shunt_rule_set_lookups(s->rules[SUBJECT], below(4) != 0);
    shunt_host_activate(s->host, s->rules, RULES);
    return true;
}

static void check_time(const session *s, uint64_t started) {
    uint64_t took = thread_time() - started;
    calls++;
    if (took > longest) { broken("a call took %llu ms of %g", (unsigned long long)took / 1000000, (double)s->budget / 1e6); }
    if (took > 20 * s->budget && reported++ < REPORTED_TIMES) {
        fprintf(
            stderr, "%s, seed %llu: a call took %.1f ms of %g\n", what, (unsigned long long)current_seed, (double)took / 1e6,
            (double)s->budget / 1e6);
    }
}

static shunt_message message(size_t count) {
    size_t encoded = below(2) == 0 ? 0 : generate_properties(properties, sizeof properties);
    return (shunt_message){
        .kind = SHUNT_TOPIC, .format = (uint8_t)below(5), .compression = below(6) == 0 ? (uint8_t)(1 + below(3)) : 0, .has_key = below(2) == 0,
        .id = 7, .sender = below(8) == 0 ? 0 : 5, .topic = {"orders/1", 8}, .key = {"k\0y", 3}, .payload = {payload, count},
        .qos = (uint8_t)below(3), .retain = below(2) == 0,
        .properties = {properties + sizeof properties - encoded, encoded},
    };
}

static void use(const shunt_routed *routed, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const shunt_message *sent = &routed[i].message;
        const shunt_bytes all[] = {sent->topic, sent->key, sent->payload, sent->filter, sent->properties};
        if (sent->qos > 2) { broken("QoS %d", sent->qos); }
        // Some rules of the corpus find out for themselves that something is wrong.
        bool says_so = sent->topic.count == 6 && memcmp(sent->topic.start, "broken", 6) == 0;
        if (says_so) { broken("the rule says: %.*s", (int)sent->payload.count, (const char *)sent->payload.start); }
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) {
            for (size_t k = 0; k < all[j].count; k++) { sum += ((const unsigned char *)all[j].start)[k]; }
        }
    }
    __asm__ volatile("" : : "r"(sum));
}

/// Calls one of the subject's hooks.
static void call(session *s, uint32_t which) {
    static const char filter[] = "{\"uid\":[\"a\"],\"match_tags\":[\"b\"]}";
    const uint64_t both = 3, subject = 1 << SUBJECT;
    shunt_message m = message(generate_payload(payload, PAYLOAD_BYTES));
    shunt_outcome outcome = {0};
    shunt_connect_outcome connected = {0};
    shunt_buffer record = {.limit = 4096}, chat = {.limit = 4096};
    shunt_bytes why = {"queue full", 10};
    peer(s, 5, &record);
    shunt_chat_begin(&chat, 1000, (shunt_bytes){"room", 4}, 1);
    shunt_chat_member(&chat, (shunt_bytes){"ada", 3}, true);
    shunt_bytes client = {record.bytes, record.count}, room = {chat.bytes, chat.count};
    s->now += below(3);
    uint64_t started = thread_time();
    switch (which) {
    case 0:
        m.kind = SHUNT_BROADCAST;
        m.filter = (shunt_bytes){filter, sizeof filter - 1};
        shunt_on_broadcast(s->host, &m, subject, s->now, &outcome);
        break;
    case 1:
        m.kind = SHUNT_CHAT;
        shunt_on_chat(s->host, &m, room, subject, s->now, &outcome);
        break;
    case 2:
        if (below(2) == 0) { shunt_on_auth(s->host, client, why, subject, s->now, &connected); }
        else { shunt_on_connect(s->host, client, subject, s->now, &connected); }
        keep(s, connected.waiting);
        break;
    case 3: shunt_on_disconnect(s->host, client, why, subject, s->now); break;
    case 4: {
        shunt_subscription subscription = {.topic = {"a/+", 3}, .group = {"g", 1}, .qos = (uint8_t)below(3), .sender = 5};
        shunt_subscribe_outcome subscribed = {0};
        shunt_on_subscribe(s->host, &subscription, subject, s->now, &subscribed);
        bool is_open = subscribed.waiting != NULL;
        keep(s, subscribed.waiting);
        shunt_on_unsubscribe(s->host, &subscription, subject, s->now);
        shunt_on_tick(s->host, subject, s->now);
        bool is_raised = !is_open && subscribed.verdict != SHUNT_VERDICT_REJECT && subscribed.qos > subscription.qos;
        if (is_raised) { broken("a subscription's QoS was raised"); }
        break;
    }
    case 5: shunt_on_chat_entry(s->host, SHUNT_ON_CHAT_OPEN, room, client, subject, s->now, &connected); break;
    default: shunt_on_message(s->host, &m, below(2) == 0 ? both : subject, s->now, &outcome);
    }
    check_time(s, started);
    use(outcome.messages, outcome.count);
    for (uint32_t i = below(3); i > 0 && which > 5; i--) {
        shunt_deliver_outcome delivered;
        started = thread_time();
        shunt_on_deliver(s->host, &m, below(4) == 0 ? 0 : 5, subject, s->now, &delivered);
        check_time(s, started);
        if (delivered.verdict == SHUNT_VERDICT_REPLACE) { use(&delivered.routed, 1); }
        shunt_on_undelivered(s->host, &m, why, subject, s->now);
        // The messages of the last hook are still there.
        use(outcome.messages, outcome.count);
    }
    shunt_buffer_free(&record);
    shunt_buffer_free(&chat);
}

static void expect_topic(session *s, int rule, const char *topic) {
    shunt_message m = message(1);
    shunt_outcome outcome;
    m.compression = 0;
    shunt_on_message(s->host, &m, (uint64_t)1 << rule, s->now, &outcome);
    if (outcome.count != 1 || outcome.messages[0].message.topic.count != strlen(topic)
        || memcmp(outcome.messages[0].message.topic.start, topic, strlen(topic)) != 0) {
        broken("rule %d has not sent to %s", rule, topic);
    }
}

/// A harmless version takes the subject's place, whatever that did; the rule beside it goes on with what it saved.
static void replace(session *s) {
    shunt_rule *next[RULES] = {
        load(s, "subject", harmless, sizeof harmless - 1, ample), load(s, "neighbour", neighbour, sizeof neighbour - 1, ample)
    };
    if (next[SUBJECT] == NULL || next[NEIGHBOUR] == NULL) {
        shunt_bytes error = shunt_host_error(s->host);
        broken("a harmless version does not load: %.*s", (int)error.count, (const char *)error.start);
    }
    for (int i = 0; i < RULES; i++) {
        shunt_rule_stop(s->host, s->rules[i], s->now);
        if (!shunt_rule_start(s->host, next[i], s->rules[i], s->now)) { broken("a harmless version does not start"); }
    }
    shunt_host_activate(s->host, next, RULES);
    for (int i = 0; i < RULES; i++) {
        shunt_rule_free(s->host, s->rules[i]);
        s->rules[i] = next[i];
    }
    expect_topic(s, SUBJECT, "well");
    expect_topic(s, NEIGHBOUR, "alive");
}

/// Runs the rule in `rule_text`.
static bool run(size_t count, int messages, bool is_corpus) {
    session s;
    if (!open_session(&s, is_corpus)) { broken("no host"); }
    bool started = start(&s, count);
    for (int i = 0; i < messages && started; i++) {
        call(&s, !is_corpus ? below(12) : i < 6 ? (uint32_t)i : 9);
        if (below(2) == 0) { resume(&s); }
        expect_topic(&s, NEIGHBOUR, "alive");
    }
    if (started) { replace(&s); }
    if (below(2) == 0) { resume(&s); }
    close_session(&s);
    return started;
}

/// Runs it again and again, with the first allocation refused, the second, and so on.
static void run_refused(size_t count, refusal mode, uint64_t step, double until) {
    for (uint64_t n = 1; n < MOST_REFUSALS && wall_time() < until; n += step) {
        session s;
        seed(current_seed);
        refuse_allocation(n, mode);
        bool opened = open_session(&s, false);
        if (opened && start(&s, count)) {
            for (int i = 0; i < 3; i++) { call(&s, 9); }
        }
        bool reached = stop_refusing();
        close_session(&s);
        if (!reached) { return; }
    }
}

static size_t read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "can't read %s\n", path);
        exit(66);
    }
    size_t count = fread(rule_text, 1, RULE_BYTES, file);
    rule_text[count] = 0;
    fclose(file);
    return count;
}

int main(int argc, char **argv) {
    double seconds = 60;
    uint64_t first = 1;
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--seconds") == 0) { seconds = atof(argv[at + 1]); }
        if (strcmp(argv[at], "--seed") == 0) { first = strtoull(argv[at + 1], NULL, 10); }
    }
    double started = wall_time(), until = started + seconds;
    uint64_t rules = 0, ran = 0;
    for (int i = at; i < argc; i++) {
        what = argv[i];
        size_t count = read_file(what);
        for (current_seed = 1; current_seed <= 3; current_seed++) {
            seed(current_seed);
            if (!run(count, CORPUS_CALLS, true) && current_seed == 1) { fprintf(stderr, "%s: does not start\n", what); }
        }
        // A third of the time for all of them.
        double share = started + seconds / 3 * (i - at + 1) / (argc - at);
        for (refusal mode = REFUSE_ONE; mode < REFUSE_MODES; mode++) { run_refused(count, mode, 1 + below(3), share); }
    }
    what = "generated";
    for (current_seed = first; wall_time() < until; current_seed++) {
        seed(current_seed);
        size_t count = generate_rule(rule_text, RULE_BYTES);
        rules++;
        if (run(count, 1 + (int)below(6), false)) { ran++; }
        if (current_seed % 8 == 0) { run_refused(count, (refusal)below(REFUSE_MODES), 7 + below(60), until); }
    }
    printf("%llu rules (%llu ran), %llu calls; failed: %llu raised, %llu time, %llu memory, %llu fan-out, %llu payload; %llu calls took 20 budgets\n",
           (unsigned long long)rules, (unsigned long long)ran, (unsigned long long)calls, (unsigned long long)failures[SHUNT_FAILED],
           (unsigned long long)failures[SHUNT_TIME], (unsigned long long)failures[SHUNT_MEMORY], (unsigned long long)failures[SHUNT_FANOUT],
           (unsigned long long)failures[SHUNT_PAYLOAD], (unsigned long long)reported);
    return 0;
}
