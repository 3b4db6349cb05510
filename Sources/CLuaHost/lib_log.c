// log.debug/info/warn/error(text, fields): bounded in length and in lines a second; whatever they are given, it does not fail the
// call, since that may be a client's. Lines wait for the end of their call, so that
// they are compared with the payload, and written, outside of its budget. So do the reasons of conn:close(why), which are logged, too.
#include "guard.h"

#include <stdio.h>

enum { MAX_LOG_TEXT = 1024, MAX_LOG_FIELDS = 4096, LINES_KEPT = 16 * 1024 };

/// What a line waits as in `host->lines`, with its text and fields after it.
typedef struct {
    shunt_log_level level;
    bool is_rules;
    /// Its text is why the rule closes this client.
    bool closes;
    uint64_t client;
    size_t text, fields;
} waiting_line;

/// How many of a text's bytes fit, not in the middle of a character.
static size_t fitting(const char *text, size_t count, size_t limit) {
    if (count <= limit) { return count; }
    for (count = limit; count > 0 && ((unsigned char)text[count] & 0xC0) == 0x80; count--) {}
    return count;
}

/// - Returns: false where there is no room.
static bool keep_line(shunt_host *host, const waiting_line *line, shunt_bytes text, shunt_bytes fields) {
    shunt_buffer *lines = &host->lines;
    size_t before = lines->count;
    host->untidy = true;
    if (shunt_buffer_append(lines, line, sizeof *line) && shunt_buffer_append(lines, text.start, text.count)
        && shunt_buffer_append(lines, fields.start, fields.count)) {
        return true;
    }
    lines->count = before;
    return false;
}

static void add_line(shunt_host *host, shunt_log_level level, bool is_rules, shunt_bytes text, shunt_bytes fields) {
    waiting_line line = {.level = level, .is_rules = is_rules, .text = text.count, .fields = fields.count};
    if (!keep_line(host, &line, text, fields)) { host->lines_lost++; }
}

void close_later(shunt_host *host, uint64_t id, shunt_bytes why) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    waiting_line line = {.is_rules = true, .closes = true, .client = id, .text = why.count};
    if (keep_line(host, &line, why, (shunt_bytes){0})) { return; }
    callbacks->close(callbacks->context, host->rule->index, id, (shunt_bytes){CLOSED_BY_RULE, sizeof CLOSED_BY_RULE - 1});
}

void log_notice(shunt_host *host, const char *text) {
    add_line(host, SHUNT_WARN, false, (shunt_bytes){text, strlen(text)}, (shunt_bytes){0});
}

/// Each rule and level has lines of its own: what one says too much of, another, or an error, does not miss.
static bool may_log(shunt_host *host, shunt_log_level level) {
    log_quota *quota = &host->rule->log;
    uint64_t second = (uint64_t)host->now;
    if (second != quota->second) {
        uint32_t dropped = quota->dropped;
        *quota = (log_quota){.second = second};
        if (dropped > 0) {
            char text[256];
            snprintf(text, sizeof text, "rule %s: %u lines were not logged: too many a second, or too long", host->rule->name, dropped);
            log_notice(host, text);
        }
    }
    if (quota->lines[level] >= host->options.log_lines_per_second) {
        quota->dropped++;
        return false;
    }
    quota->lines[level]++;
    return true;
}

void log_write(lua_State *L, shunt_log_level level, const char *text, size_t count, int fields) {
    shunt_host *host = host_of(L);
    shunt_bytes json = {0};
    if (!may_log(host, level)) { return; }
    if (fields != 0 && !lua_isnoneornil(L, fields)) {
        json_encode_bounded(L, fields, MAX_LOG_FIELDS);
        json.start = lua_tolstring(L, -1, &json.count);
    }
    add_line(host, level, true, (shunt_bytes){text, fitting(text, count, MAX_LOG_TEXT)}, json);
}

// MARK: after the call

static void write_line(const shunt_host *host, const shunt_rule *rule, payload_guard *guard, const waiting_line *line,
                       const char *bytes) {
    const shunt_callbacks *callbacks = &host->options.callbacks;
    shunt_bytes name = {rule->name, line->is_rules ? strlen(rule->name) : 0};
    shunt_bytes text = {bytes, line->text}, fields = {bytes + line->text, line->fields};
    if (line->is_rules && (guard_hides(guard, text) || guard_hides(guard, fields))) {
        text = guard_notice(guard);
        fields = (shunt_bytes){0};
    }
    if (line->closes) { return callbacks->close(callbacks->context, rule->index, line->client, text); }
    callbacks->log(callbacks->context, line->level, name, text, fields);
}

void log_flush(shunt_host *host, const shunt_rule *rule) {
    shunt_buffer *lines = &host->lines;
    if (lines->count == 0) { return; }
    payload_guard guard;
    guard_open(&guard, host, rule, (shunt_bytes){lines->bytes, lines->count});
    for (size_t at = 0; at < lines->count;) {
        waiting_line line;
        memcpy(&line, lines->bytes + at, sizeof line);
        write_line(host, rule, &guard, &line, lines->bytes + at + sizeof line);
        at += sizeof line + line.text + line.fields;
    }
    guard_close(&guard);
    if (host->lines_lost > 0) {
        char text[256];
        int count = snprintf(text, sizeof text, "rule %s: %u lines of one call were not logged: too much at once", rule->name, host->lines_lost);
        waiting_line line = {.level = SHUNT_WARN, .text = (size_t)count};
        write_line(host, rule, NULL, &line, text);
        host->lines_lost = 0;
    }
    lines->count = 0;
    lines->full = false;
    if (lines->capacity > LINES_KEPT) { shunt_buffer_free(lines); }
}

// MARK: the library

static int write_at(lua_State *L, shunt_log_level level) {
    size_t count;
    lua_settop(L, 2);
    const char *text = push_text_of(L, 1, &count);
    log_write(L, level, text, count, 2);
    return 0;
}

static int log_debug(lua_State *L) { return write_at(L, SHUNT_DEBUG); }
static int log_info(lua_State *L) { return write_at(L, SHUNT_INFO); }
static int log_warn(lua_State *L) { return write_at(L, SHUNT_WARN); }
static int log_error(lua_State *L) { return write_at(L, SHUNT_ERROR); }

void open_log(lua_State *L) {
    static const luaL_Reg functions[] = {{"debug", log_debug}, {"info", log_info}, {"warn", log_warn}, {"error", log_error}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
