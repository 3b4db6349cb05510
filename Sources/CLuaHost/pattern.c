// A pattern becomes a list of items, so that captures have fixed places and only quantifiers need to backtrack:
// the depth of recursion is at most the number of items. Every step looks at the budget.
#define _GNU_SOURCE
#include "pattern.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

enum { RUN, ONE, ANY, SET, OPEN, CLOSE, POSITION, BACK, BALANCE, FRONTIER, AT_END, DONE };

typedef struct {
    lua_State *L;
    pattern *result;
    const unsigned char *text, *at, *end;
    int items, open[MAX_CAPTURES], depth;
} compiler;

// MARK: compiling

static pattern_item *add(compiler *c, int operation) {
    if (c->items >= MAX_ITEMS) { luaL_error(c->L, "malformed pattern (more than %d items)", MAX_ITEMS); }
    pattern_item *item = &c->result->items[c->items++];
    *item = (pattern_item){.operation = (uint8_t)operation};
    return item;
}

static void bit_set(uint64_t *bits, int c) { bits[c >> 6] |= (uint64_t)1 << (c & 63); }
static bool bit_get(const uint64_t *bits, int c) { return bits[c >> 6] >> (c & 63) & 1; }

/// The characters of each class, by its small letter; made once.
static uint64_t classes[26][4];
static pthread_once_t classes_made = PTHREAD_ONCE_INIT;

static void make_classes(void) {
    static const struct { char letter; int (*test)(int); } tests[] = {
        {'a', isalpha}, {'c', iscntrl}, {'d', isdigit}, {'g', isgraph}, {'l', islower},
        {'p', ispunct}, {'s', isspace}, {'u', isupper}, {'w', isalnum}, {'x', isxdigit},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        for (int c = 0; c < 256; c++) {
            if (tests[i].test(c)) { bit_set(classes[tests[i].letter - 'a'], c); }
        }
    }
    bit_set(classes['z' - 'a'], 0);
}

/// Adds the characters of a class like `%a`, or those outside of `%A`; false where the letter names none.
static bool add_class(uint64_t *bits, int letter) {
    if (!isalpha(letter) || strchr("acdglpsuwxz", tolower(letter)) == NULL) { return false; }
    const uint64_t *members = classes[tolower(letter) - 'a'];
    for (int i = 0; i < 4; i++) { bits[i] |= isupper(letter) ? ~members[i] : members[i]; }
    return true;
}

/// The place of a set, which equal ones share.
static int set_of(compiler *c, const uint64_t bits[4]) {
    pattern *result = c->result;
    for (int i = 0; i < result->sets; i++) {
        if (memcmp(result->bits[i], bits, sizeof result->bits[i]) == 0) { return i; }
    }
    if (result->sets >= MAX_SETS) { luaL_error(c->L, "malformed pattern (more than %d different sets)", MAX_SETS); }
    memcpy(result->bits[result->sets], bits, sizeof result->bits[0]);
    return result->sets++;
}

static int next_in_set(compiler *c) {
    if (c->at >= c->end) { luaL_error(c->L, "malformed pattern (missing ']')"); }
    return *c->at++;
}

/// After the `[`.
static int compile_set(compiler *c) {
    uint64_t bits[4] = {0};
    bool negated = c->at < c->end && *c->at == '^';
    if (negated) { c->at++; }
    for (bool first = true;; first = false) {
        int low = next_in_set(c);
        if (low == ']' && !first) { break; }
        if (low == '%') {
            int escaped = next_in_set(c);
            if (!add_class(bits, escaped)) { bit_set(bits, escaped); }
        } else if (c->end - c->at >= 2 && c->at[0] == '-' && c->at[1] != ']') {
            int high = c->at[1];
            c->at += 2;
            for (int member = low; member <= high; member++) { bit_set(bits, member); }
        } else {
            bit_set(bits, low);
        }
    }
    for (int i = 0; negated && i < 4; i++) { bits[i] = ~bits[i]; }
    return set_of(c, bits);
}

static void compile_quantifier(compiler *c, pattern_item *item) {
    if (c->at < c->end && memchr("*+-?", *c->at, 4) != NULL) { item->quantifier = *c->at++; }
}

static void compile_literal(compiler *c, const unsigned char *place) {
    bool quantified = c->at < c->end && memchr("*+-?", *c->at, 4) != NULL;
    uint32_t start = (uint32_t)(place - c->text);
    pattern_item *last = c->items > 0 ? &c->result->items[c->items - 1] : NULL;
    if (!quantified && last != NULL && last->operation == RUN && last->start + last->count == start) {
        last->count++;
        return;
    }
    pattern_item *item = add(c, quantified ? ONE : RUN);
    item->first = *place;
    item->start = start;
    item->count = 1;
    if (quantified) { compile_quantifier(c, item); }
}

static void compile_escape(compiler *c) {
    if (c->at >= c->end) { luaL_error(c->L, "malformed pattern (ends with '%%')"); }
    int letter = *c->at++;
    if (letter == 'b') {
        if (c->end - c->at < 2) { luaL_error(c->L, "malformed pattern (missing arguments to '%%b')"); }
        pattern_item *item = add(c, BALANCE);
        item->first = c->at[0];
        item->second = c->at[1];
        c->at += 2;
    } else if (letter == 'f') {
        if (c->at >= c->end || *c->at != '[') { luaL_error(c->L, "missing '[' after '%%f' in pattern"); }
        c->at++;
        int set = compile_set(c);
        add(c, FRONTIER)->first = (uint8_t)set;
    } else if (isdigit(letter)) {
        int index = letter - '1';
        bool open = index < 0 || index >= c->result->captures;
        for (int i = 0; i < c->depth && !open; i++) { open = c->open[i] == index; }
        if (open) { luaL_error(c->L, "invalid capture index %%%d in pattern", index + 1); }
        if (c->result->positions >> index & 1) { luaL_error(c->L, "malformed pattern (%%%d is a position, not a text)", index + 1); }
        add(c, BACK)->first = (uint8_t)index;
    } else {
        uint64_t bits[4] = {0};
        if (!add_class(bits, letter)) {
            compile_literal(c, c->at - 1);
            return;
        }
        int set = set_of(c, bits);
        pattern_item *item = add(c, SET);
        item->first = (uint8_t)set;
        compile_quantifier(c, item);
    }
}

static void compile_open(compiler *c) {
    if (c->result->captures >= MAX_CAPTURES) { luaL_error(c->L, "too many captures"); }
    int index = c->result->captures++;
    bool position = c->at < c->end && *c->at == ')';
    if (position) {
        c->at++;
        c->result->positions |= (uint32_t)1 << index;
    } else {
        c->open[c->depth++] = index;
    }
    add(c, position ? POSITION : OPEN)->first = (uint8_t)index;
}

static void compile_item(compiler *c) {
    const unsigned char *place = c->at++;
    pattern_item *item;
    switch (*place) {
    case '(':
        compile_open(c);
        break;
    case ')':
        if (c->depth == 0) { luaL_error(c->L, "invalid pattern capture"); }
        add(c, CLOSE)->first = (uint8_t)c->open[--c->depth];
        break;
    case '%':
        compile_escape(c);
        break;
    case '.':
        item = add(c, ANY);
        compile_quantifier(c, item);
        break;
    case '[': {
        int set = compile_set(c);
        item = add(c, SET);
        item->first = (uint8_t)set;
        compile_quantifier(c, item);
        break;
    }
    case '$':
        if (c->at == c->end) {
            add(c, AT_END);
            break;
        }
        compile_literal(c, place);
        break;
    default:
        compile_literal(c, place);
    }
}

void pattern_compile(lua_State *L, pattern *result, const char *text, size_t count, bool anchors) {
    pthread_once(&classes_made, make_classes);
    compiler c = {.L = L, .result = result, .text = (const unsigned char *)text};
    c.at = c.text;
    c.end = c.text + count;
    result->captures = result->sets = 0;
    result->positions = 0;
    result->anchored = anchors && count > 0 && *text == '^';
    if (result->anchored) { c.at++; }
    while (c.at < c.end) { compile_item(&c); }
    if (c.depth > 0) { luaL_error(L, "unfinished capture"); }
    result->items[c.items] = (pattern_item){.operation = DONE};
}

// MARK: patterns that are used again

/// Rules write their patterns out: each is compiled once, and found by its bytes.
enum { KEPT_PATTERNS = 8 };
struct kept_pattern {
    uint8_t count;
    char text[LUA_SHORT_TEXT_LIMIT];
    pattern compiled;
};

const pattern *pattern_kept(lua_State *L, pattern *own, const char *text, size_t count) {
    shunt_host *host = host_of(L);
    bool is_short = count > 0 && count <= LUA_SHORT_TEXT_LIMIT;
    if (is_short && host->patterns == NULL) { host->patterns = calloc(KEPT_PATTERNS, sizeof *host->patterns); }
    if (!is_short || host->patterns == NULL) {
        pattern_compile(L, own, text, count, true);
        return own;
    }
    const lua_text *whole = (const lua_text *)(text - offsetof(lua_text, contents));
    kept_pattern *kept = &host->patterns[whole->hash % KEPT_PATTERNS];
    if (kept->count == count && memcmp(kept->text, text, count) == 0) { return &kept->compiled; }
    kept->count = 0;
    pattern_compile(L, &kept->compiled, text, count, true);
    memcpy(kept->text, text, count);
    kept->count = (uint8_t)count;
    return &kept->compiled;
}

void pattern_free_kept(shunt_host *host) {
    free(host->patterns);
    host->patterns = NULL;
}

bool pattern_is_plain(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (memchr("^$*+?.([%-", text[i], 10) != NULL) { return false; }
    }
    return true;
}

// MARK: matching

static inline bool takes(const pattern *p, const pattern_item *item, unsigned char c) {
    switch (item->operation) {
    case ANY: return true;
    case SET: return bit_get(p->bits[item->first], c);
    default: return item->first == c;
    }
}

static const char *run(pattern_match *m, const pattern_item *item, const char *at);

static const char *run_greedy(pattern_match *m, const pattern_item *item, const char *at, size_t least, size_t most) {
    size_t count = 0;
    while (count < most && at + count < m->end && takes(m->pattern, item, (unsigned char)at[count])) {
        if ((++count & 4095) == 0) { budget_check(m->L, m->host); }
    }
    for (; count + 1 > least; count--) {
        budget_check(m->L, m->host);
        const char *end = run(m, item + 1, at + count);
        if (end != NULL) { return end; }
        if (count == 0) { break; }
    }
    return NULL;
}

static const char *run_lazy(pattern_match *m, const pattern_item *item, const char *at) {
    for (;; at++) {
        budget_check(m->L, m->host);
        const char *end = run(m, item + 1, at);
        if (end != NULL) { return end; }
        if (at >= m->end || !takes(m->pattern, item, (unsigned char)*at)) { return NULL; }
    }
}

static const char *run_balance(const pattern_match *m, const pattern_item *item, const char *at) {
    if (at >= m->end || (unsigned char)*at != item->first) { return NULL; }
    size_t depth = 1;
    for (at++; at < m->end; at++) {
        if (((at - m->subject) & 4095) == 0) { budget_check(m->L, m->host); }
        if ((unsigned char)*at == item->second) {
            if (--depth == 0) { return at + 1; }
        } else if ((unsigned char)*at == item->first) {
            depth++;
        }
    }
    return NULL;
}

static bool at_frontier(const pattern_match *m, const pattern_item *item, const char *at) {
    const uint64_t *bits = m->pattern->bits[item->first];
    unsigned char before = at == m->subject ? 0 : (unsigned char)at[-1];
    unsigned char here = at == m->end ? 0 : (unsigned char)*at;
    return !bit_get(bits, before) && bit_get(bits, here);
}

static const char *run_single(const pattern_match *m, const pattern_item *item, const char *at) {
    return at < m->end && takes(m->pattern, item, (unsigned char)*at) ? at + 1 : NULL;
}

static const char *run_text(const pattern_match *m, const char *text, size_t count, const char *at) {
    return (size_t)(m->end - at) >= count && memcmp(at, text, count) == 0 ? at + count : NULL;
}

static const char *run(pattern_match *m, const pattern_item *item, const char *at) {
    for (;; item++) {
        budget_check(m->L, m->host);
        switch (item->operation) {
        case DONE: return at;
        case RUN: at = run_text(m, m->text + item->start, item->count, at); break;
        case OPEN:
        case POSITION: m->starts[item->first] = m->ends[item->first] = at; break;
        case CLOSE: m->ends[item->first] = at; break;
        case BACK: at = run_text(m, m->starts[item->first], (size_t)(m->ends[item->first] - m->starts[item->first]), at); break;
        case BALANCE: at = run_balance(m, item, at); break;
        case FRONTIER: at = at_frontier(m, item, at) ? at : NULL; break;
        case AT_END: at = at == m->end ? at : NULL; break;
        default:
            switch (item->quantifier) {
            case '*': return run_greedy(m, item, at, 0, SIZE_MAX);
            case '+': return run_greedy(m, item, at, 1, SIZE_MAX);
            case '?': return run_greedy(m, item, at, 0, 1);
            case '-': return run_lazy(m, item, at);
            default: at = run_single(m, item, at);
            }
        }
        if (at == NULL) { return NULL; }
    }
}

const char *pattern_match_at(pattern_match *m, const char *at) { return run(m, m->pattern->items, at); }

const char *pattern_search(pattern_match *m, const char *at, const char **start) {
    const pattern_item *first = m->pattern->items;
    for (;; at++) {
        if (first->operation == RUN && !m->pattern->anchored) {
            // No match starts before the text that it must start with.
            at = find_bytes(m->L, at, (size_t)(m->end - at), m->text + first->start, first->count);
            if (at == NULL) { return NULL; }
        }
        const char *end = run(m, first, at);
        if (end != NULL) {
            *start = at;
            return end;
        }
        if (m->pattern->anchored || at >= m->end) { return NULL; }
    }
}
