// Lua's patterns (manual §6.4.1), compiled before they run.
#ifndef SHUNT_PATTERN_H
#define SHUNT_PATTERN_H

#include "host.h"

/// Sets are counted once, however often a pattern has them.
enum { MAX_ITEMS = 128, MAX_SETS = 32, MAX_CAPTURES = 32 };

typedef struct {
    uint8_t operation, quantifier, first, second;
    uint32_t start, count;
} pattern_item;

typedef struct {
    bool anchored;
    uint8_t captures, sets;
    uint32_t positions;
    pattern_item items[MAX_ITEMS + 1];
    uint64_t bits[MAX_SETS][4];
} pattern;

typedef struct {
    lua_State *L;
    shunt_host *host;
    const pattern *pattern;
    const char *text, *subject, *end;
    const char *starts[MAX_CAPTURES], *ends[MAX_CAPTURES];
} pattern_match;

/// Raises if the text is not a pattern. `anchors`: whether a leading `^` is an anchor.
void pattern_compile(lua_State *L, pattern *result, const char *text, size_t count, bool anchors);
/// The same for one that is used again: it stays the host's until another one is asked for. - Parameter own: where it is made that can't be kept.
const pattern *pattern_kept(lua_State *L, pattern *own, const char *text, size_t count);
void pattern_free_kept(shunt_host *host);
/// Begins a match. Captures have no places before they match.
static inline void pattern_begin(pattern_match *match, lua_State *L, const pattern *pattern, const char *text, shunt_bytes subject) {
    match->L = L;
    match->host = host_of(L);
    match->pattern = pattern;
    match->text = text;
    match->subject = subject.start;
    match->end = match->subject + subject.count;
}
/// The end of the match that starts exactly at `at`, or NULL. Ends an overdue call.
const char *pattern_match_at(pattern_match *match, const char *at);
/// The first match from `at` on: its end, with its start in `*start`; or NULL.
const char *pattern_search(pattern_match *match, const char *at, const char **start);
/// Whether the text has none of the characters that mean something in a pattern.
bool pattern_is_plain(const char *text, size_t count);

#endif
