// A run of eight bytes that stands in both is a repetition; of a payload of four to seven bytes, all of it. What was said and the
// payload are each taken as they are and with JSON's escapes undone, so that neither json.encode nor msg:json() changes a text
// beyond recognition. Control characters count as blanks, which they become in reasons and in errors that are no text. What stands in the
// rule's own files is not hidden. A rule that takes a payload apart and logs the pieces is not found out.
#define _GNU_SOURCE
#include "guard.h"
#include "utf8.h"

#include <stdlib.h>

/// What is said of a larger payload is not compared with it, which would take some milliseconds: it is hidden, except what stands
/// in the rule's own files, in the topic or in Lua's errors. Of such a text no more than so many runs are looked for there. For all texts of
/// a call so many bytes of these are searched, about two milliseconds; what comes after that counts as in none of them.
enum { RUN = 8, SHORTEST = 4, MOST_COMPARED = 512 * 1024, MOST_KNOWN = 4096, MOST_SEARCHED = 4 << 20 };
/// Bits of the filter for each place of the table, which is at most half full.
enum { FILTER_BITS = 4 };

/// What Lua's errors say besides names and values.
static const char lua_errors[] =
    "attempt to index a nil value (field '?') attempt to call a nil value (global 'attempt to call a nil value (method '"
    "attempt to perform arithmetic on a nil value (local 'attempt to concatenate a nil value (upvalue '"
    "attempt to compare number with nil attempt to compare two nil values attempt to get length of a nil value (constant '"
    "attempt to perform bitwise operation on a nil value number has no integer representation"
    " a nil value a boolean value a number value a string value a table value a function value a userdata value a big integer value"
    " number with string with table with boolean with userdata with function two table values two boolean values two string values"
    " bad argument #1 to 'bad argument #2 to ' (number expected, got nil) (string expected, got nil) (table expected, got nil)"
    " expected, got no value) expected, got table) expected, got string) expected, got number) expected, got boolean)"
    " expected, got userdata) expected, got function) stack overflow raised a table instead of a text: {"
    " raised a nil instead of a text raised a number instead of a text raised a boolean instead of a text";

struct guard_run {
    uint64_t bytes;
    bool used, found;
};

static uint64_t mixed(const payload_guard *guard, uint64_t run) { return (run ^ guard->seed) * 0x9E3779B97F4A7C15u; }

static size_t place_of(const payload_guard *guard, uint64_t run) {
    run = mixed(guard, run);
    return (run ^ run >> 32) * 0xD6E8FEB86659FD93u >> 32 & guard->mask;
}

/// A run has two bits in one word of the filter: enough to tell that it was not said, which is so of nearly all.
static uint64_t *filter_word(const payload_guard *guard, uint64_t run) { return &guard->filter[mixed(guard, run) >> (64 - guard->filter_log)]; }

static uint64_t filter_bits(const payload_guard *guard, uint64_t run) {
    uint64_t rest = mixed(guard, run) << guard->filter_log;
    return (uint64_t)1 << (rest >> 58) | (uint64_t)1 << (rest >> 52 & 63);
}

// MARK: escapes

static bool read_unit(const char *at, const char *end, uint32_t *unit) {
    *unit = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') { return false; }
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) { return false; }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

/// Undoes the escape at a place. - Returns: its length; 0 where there is none.
static size_t undo_one(const char *at, const char *end, char *out, size_t *written) {
    if (*at != '\\') { return 0; }
    static const char values[256] = {
        ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
    };
    uint32_t code, low;
    if (read_unit(at, end, &code)) {
        bool pair = code >= 0xD800 && code < 0xDC00 && read_unit(at + 6, end, &low) && low >= 0xDC00 && low < 0xE000;
        if (pair) { code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00); }
        *written = utf8_encode(code, out);
        return pair ? 12 : 6;
    }
    *out = end - at < 2 ? 0 : values[(unsigned char)at[1]];
    if (*out == 0) { return 0; }
    *written = 1;
    return 2;
}

/// A text with its escapes undone, which is never longer; empty where it has none. The owner frees it.
static shunt_bytes undo(payload_guard *guard, shunt_bytes text) {
    if (text.count == 0 || memchr(text.start, '\\', text.count) == NULL) { return (shunt_bytes){0}; }
    const char *at = text.start, *end = at + text.count;
    char *result = malloc(text.count), *out = result;
    guard->failed |= result == NULL;
    if (result == NULL) { return (shunt_bytes){0}; }
    while (at < end) {
        size_t written = 1, length = undo_one(at, end, out, &written);
        if (length == 0) {
            const char *next = memchr(at + 1, '\\', (size_t)(end - at - 1));
            written = length = (size_t)((next == NULL ? end : next) - at);
            memcpy(out, at, length);
        }
        out += written;
        at += length;
    }
    return (shunt_bytes){result, (size_t)(out - result)};
}

// MARK: runs

static guard_run *find(const payload_guard *guard, uint64_t run) {
    size_t place = place_of(guard, run);
    while (guard->runs[place].used && guard->runs[place].bytes != run) { place = (place + 1) & guard->mask; }
    return &guard->runs[place];
}

static uint64_t run_at(const char *text, size_t offset) {
    uint64_t run;
    memcpy(&run, text + offset, sizeof run);
    return run;
}

/// A run with blanks for its control characters. A byte is one where its three upper bits are 0, or where it is 0x7F.
static uint64_t blank_run_at(const char *text, size_t offset) {
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7, deletes = ones * 0x7F;
    uint64_t run = run_at(text, offset), rest = run ^ deletes;
    uint64_t controls = ~(run | run << 1 | run << 2) & tops;
    controls |= ~(((rest & deletes) + deletes) | rest) & tops;
    uint64_t bytes = (controls >> 7) * 0xFF;
    return (run & ~bytes) | (ones * ' ' & bytes);
}

static void add_runs(payload_guard *guard, shunt_bytes text) {
    for (size_t i = 0; i + RUN <= text.count; i++) {
        uint64_t run = blank_run_at(text.start, i);
        *find(guard, run) = (guard_run){.bytes = run, .used = true};
        *filter_word(guard, run) |= filter_bits(guard, run);
    }
}

static void mark_runs(payload_guard *guard, shunt_bytes payload) {
    // A copy: what is written below can't be in it.
    const payload_guard fixed = *guard;
    for (size_t i = 0; i + RUN <= payload.count; i++) {
        uint64_t run = blank_run_at(payload.start, i);
        if ((~*filter_word(&fixed, run) & filter_bits(&fixed, run)) != 0) { continue; }
        guard_run *place = find(&fixed, run);
        if (place->used) { place->found = true; }
    }
}

/// Makes room for the runs of a text of so many bytes.
static void make_runs(payload_guard *guard, size_t count) {
    size_t size = 64;
    while (size < 2 * count) { size *= 2; }
    size_t words = size * FILTER_BITS / 64;
    guard->mask = size - 1;
    guard->filter_log = __builtin_ctzll(words);
    guard->runs = calloc(1, size * sizeof *guard->runs + words * sizeof *guard->filter);
    guard->filter = guard->runs == NULL ? NULL : (uint64_t *)(guard->runs + size);
    guard->failed |= guard->runs == NULL;
}

static bool is_punctuation(char byte) { return memchr("{}[]\",: \\", byte, 9) != NULL; }

/// What stands in the rule's own files is no secret, such as the name of a field that an error names; nor is the punctuation of JSON
/// around it.
static bool is_of_rule(payload_guard *guard, const char *run, size_t count) {
    const shunt_callbacks *callbacks = &guard->host->options.callbacks;
    while (count > 0 && is_punctuation(run[count - 1])) { count--; }
    while (count > 0 && is_punctuation(*run)) {
        run++;
        count--;
    }
    if (count < SHORTEST || guard->searched >= MOST_SEARCHED) { return false; }
    return callbacks->stands_in_rule(callbacks->context, guard->rule->index, (shunt_bytes){run, count}, &guard->searched);
}

static bool has_found_run(payload_guard *guard, shunt_bytes text) {
    const char *start = text.start;
    for (size_t i = 0; i + RUN <= text.count; i++) {
        if (find(guard, blank_run_at(start, i))->found && !is_of_rule(guard, start + i, RUN)) { return true; }
    }
    return false;
}

static bool is_known(payload_guard *guard, const char *run, size_t count) {
    if (count < SHORTEST || guard->searched >= MOST_SEARCHED) { return false; }
    const shunt_bytes bytes = {run, count}, errors = {lua_errors, sizeof lua_errors - 1};
    guard->searched += errors.count + guard->host->message.topic.count;
    return shunt_contains(errors, bytes) || shunt_contains(guard->host->message.topic, bytes) || is_of_rule(guard, run, count);
}

/// Whether a text may repeat a payload that it was not compared with: eight bytes in a row that are in no known run.
static bool has_unknown_run(payload_guard *guard, shunt_bytes text) {
    size_t known_to = 0, unknown = 0;
    if (text.count > MOST_KNOWN) { return true; }
    for (size_t i = 0; i < text.count; i++) {
        size_t count = text.count - i < RUN ? text.count - i : RUN;
        if (is_known(guard, (const char *)text.start + i, count)) { known_to = i + count; }
        unknown = i < known_to ? 0 : unknown + 1;
        if (unknown == RUN) { return true; }
    }
    return false;
}

static char blank(char byte) { return (unsigned char)byte < 0x20 || byte == 0x7F ? ' ' : byte; }

/// Whether a text has another in it, where control characters are as good as blanks.
static bool has_blank(shunt_bytes text, shunt_bytes part) {
    const char *bytes = text.start, *wanted = part.start;
    for (size_t i = 0; i + part.count <= text.count; i++) {
        size_t same = 0;
        while (same < part.count && blank(bytes[i + same]) == blank(wanted[same])) { same++; }
        if (same == part.count) { return true; }
    }
    return false;
}

/// A word of the rule's own, or of Lua's errors, is no secret even where it is all of a payload.
static bool has_short(payload_guard *guard, shunt_bytes text, shunt_bytes payload) {
    const shunt_bytes errors = {lua_errors, sizeof lua_errors - 1};
    return payload.count >= SHORTEST && payload.count < RUN && has_blank(text, payload) && !shunt_contains(errors, payload)
        && !is_of_rule(guard, payload.start, payload.count);
}

// MARK: the guard

void guard_open(payload_guard *guard, const shunt_host *host, const shunt_rule *rule, shunt_bytes said) {
    *guard = (payload_guard){.host = host, .rule = rule, .plain = host->message.payload, .seed = host->guard_seed};
    if (host->message.compression != 0) {
        // What no rule has read is in nothing that it says.
        guard->plain = host->payload_inflated ? (shunt_bytes){host->inflated.bytes, host->inflated.count} : (shunt_bytes){0};
    }
    if (!host->in_message || host->options.tells_payloads) { guard->plain.count = 0; }
    if (!host->options.tells_payloads && host->secret_serial == host->serial) {
        guard->secret = (shunt_bytes){host->secret.bytes, host->secret.count};
        guard->failed = host->secret.full || host->secret.count > MOST_COMPARED;
    }
    if (guard->failed || (guard->plain.count < SHORTEST && guard->secret.count < SHORTEST)) { return; }
    guard->is_large = guard->plain.count > MOST_COMPARED;
    if (guard->is_large) { return; }
    guard->undone = undo(guard, guard->plain);
    guard->secret_undone = undo(guard, guard->secret);
    shunt_bytes said_undone = undo(guard, said);
    make_runs(guard, said.count + said_undone.count);
    if (!guard->failed) {
        add_runs(guard, said);
        add_runs(guard, said_undone);
        mark_runs(guard, guard->plain);
        mark_runs(guard, guard->undone);
        mark_runs(guard, guard->secret);
        mark_runs(guard, guard->secret_undone);
    }
    free((void *)said_undone.start);
}

bool guard_hides(payload_guard *guard, shunt_bytes part) {
    if (guard->failed) { return true; }
    if (guard->is_large) { return has_unknown_run(guard, part); }
    if (guard->runs == NULL || part.count == 0) { return false; }
    payload_guard scratch = {0};
    shunt_bytes undone = undo(&scratch, part);
    const shunt_bytes texts[] = {part, undone};
    bool hides = scratch.failed;
    for (int i = 0; i < 2 && !hides; i++) {
        hides = has_found_run(guard, texts[i]) || has_short(guard, texts[i], guard->plain) || has_short(guard, texts[i], guard->undone)
            || has_short(guard, texts[i], guard->secret) || has_short(guard, texts[i], guard->secret_undone);
    }
    free((void *)undone.start);
    return hides;
}

shunt_bytes guard_notice(const payload_guard *guard) {
    if (guard->is_large) { return (shunt_bytes){GUARD_NOTICE_LARGE, sizeof GUARD_NOTICE_LARGE - 1}; }
    return (shunt_bytes){GUARD_NOTICE, sizeof GUARD_NOTICE - 1};
}

void guard_close(payload_guard *guard) {
    free(guard->runs);
    free((void *)guard->undone.start);
    free((void *)guard->secret_undone.start);
}

static bool repeats(shunt_host *host, const shunt_rule *rule, shunt_bytes text) {
    payload_guard guard;
    guard_open(&guard, host, rule, text);
    bool found = guard_hides(&guard, text);
    guard_close(&guard);
    return found;
}

bool shunt_rule_repeats_payload(shunt_host *host, const shunt_rule *rule, shunt_bytes text) {
    bool was_in_message = host->in_message;
    host->in_message = true;
    bool found = repeats(host, rule, text);
    host->in_message = was_in_message;
    return found;
}

bool shunt_rule_repeats_secret(shunt_host *host, const shunt_rule *rule, shunt_bytes text) { return repeats(host, rule, text); }

/// memmem takes up to ten times as long for so few bytes.
static bool contains_run(shunt_bytes text, shunt_bytes part) {
    uint64_t run = 0, mask = part.count < RUN ? ((uint64_t)1 << part.count * 8) - 1 : UINT64_MAX;
    memcpy(&run, part.start, part.count);
    for (size_t i = 0; i + RUN <= text.count; i++) {
        if ((run_at(text.start, i) & mask) == run) { return true; }
    }
    const char *rest = (const char *)text.start + text.count - (RUN - 1);
    return memmem(rest, RUN - 1, part.start, part.count) != NULL;
}

bool shunt_contains(shunt_bytes text, shunt_bytes part) {
    if (part.count > 0 && part.count <= RUN && text.count >= RUN) { return contains_run(text, part); }
    return part.count == 0 || (text.count >= part.count && memmem(text.start, text.count, part.start, part.count) != NULL);
}
