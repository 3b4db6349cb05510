// Encodes a table that is not filled yet from its text, as it would be encoded once it is filled: without blanks, and its members sorted.
// What would not be written as it stands there, such as an escape or 1.50, is left to a filled table.
#include "encoder.h"
#include "json_skip.h"

enum { MOST_WHOLE = 9, MOST_DECIMALS = 6, LEAST_DECIMALS = 4 };

typedef struct {
    encoder *e;
    const char *at, *end;
} source;

/// A member: its name in the source, and where the whole is in the scratch.
typedef struct {
    const char *name;
    size_t name_count, start, count;
} written_member;

static bool add_value(source *s, size_t depth);

static void add_to(source *s, const char *end) {
    add(s->e, s->at, (size_t)(end - s->at));
    s->at = end;
}

/// Whole numbers are written as they are, and fractions of few digits that don't end with a zero too many.
static bool is_as_written(const char *at, const char *end) {
    at += *at == '-';
    const char *point = memchr(at, '.', (size_t)(end - at));
    if (point == NULL) { return !(*at == '0' && at[-1] == '-'); }
    size_t whole = (size_t)(point - at), decimals = (size_t)(end - point - 1);
    if (whole > MOST_WHOLE || decimals > MOST_DECIMALS || (decimals > 1 && end[-1] == '0')) { return false; }
    for (size_t i = 0; i < decimals && i < LEAST_DECIMALS && *at == '0'; i++) {
        if (point[1 + i] != '0') { return true; }
    }
    return *at != '0';
}

static bool add_simple(source *s) {
    const char *end = skip_simple(s->at, s->end);
    bool is_number = *s->at == '-' || (*s->at >= '0' && *s->at <= '9');
    if (end == NULL || (is_number && !is_as_written(s->at, end))) { return false; }
    add_to(s, end);
    return true;
}

static bool add_array(source *s, size_t depth) {
    scratch_char(s->e->L, s->e->host, '[');
    s->at = skip_blanks(s->at + 1, s->end);
    while (*s->at != ']') {
        if (!add_value(s, depth)) { return false; }
        s->at = skip_blanks(s->at, s->end);
        if (*s->at != ',') { continue; }
        scratch_char(s->e->L, s->e->host, ',');
        s->at = skip_blanks(s->at + 1, s->end);
    }
    s->at++;
    scratch_char(s->e->L, s->e->host, ']');
    return true;
}

static int compare_names(const written_member *a, const written_member *b) {
    int order = memcmp(a->name, b->name, a->name_count < b->name_count ? a->name_count : b->name_count);
    return order != 0 ? order : a->name_count < b->name_count ? -1 : a->name_count > b->name_count;
}

/// Puts a member in its place among those before. - Returns: false where it is the last already.
static bool sort_last(written_member *members, size_t last) {
    written_member member = members[last];
    size_t place = last;
    for (; place > 0 && compare_names(&members[place - 1], &member) > 0; place--) { members[place] = members[place - 1]; }
    members[place] = member;
    return place < last;
}

/// Writes the members, which begin at a place in the scratch, again in their order.
static void write_sorted(encoder *e, const written_member *members, size_t count, size_t start) {
    shunt_buffer *scratch = &e->host->scratch;
    size_t end = scratch->count, size = end - start;
    scratch_need(e->L, e->host, size);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) { scratch->bytes[scratch->count++] = ','; }
        memcpy(scratch->bytes + scratch->count, scratch->bytes + members[i].start, members[i].count);
        scratch->count += members[i].count;
    }
    memcpy(scratch->bytes + start, scratch->bytes + end, size);
    scratch->count = end;
}

static bool add_member(source *s, written_member *member, size_t depth) {
    const char *name = s->at + 1, *end = skip_quoted(name, s->end);
    *member = (written_member){name, (size_t)(end - 1 - name), s->e->host->scratch.count, 0};
    add_to(s, end);
    scratch_char(s->e->L, s->e->host, ':');
    s->at = skip_blanks(skip_blanks(s->at, s->end) + 1, s->end);
    if (!add_value(s, depth)) { return false; }
    member->count = s->e->host->scratch.count - member->start;
    return true;
}

static bool add_object(source *s, size_t depth) {
    written_member members[KEYS_ON_STACK];
    size_t count = 0;
    bool is_moved = false;
    scratch_char(s->e->L, s->e->host, '{');
    size_t start = s->e->host->scratch.count;
    s->at = skip_blanks(s->at + 1, s->end);
    while (*s->at != '}') {
        if (count == KEYS_ON_STACK || !add_member(s, &members[count], depth)) { return false; }
        is_moved |= sort_last(members, count++);
        s->at = skip_blanks(s->at, s->end);
        if (*s->at != ',') { continue; }
        scratch_char(s->e->L, s->e->host, ',');
        s->at = skip_blanks(s->at + 1, s->end);
    }
    for (size_t i = 1; i < count; i++) {
        // Of two with one name the last counts.
        if (compare_names(&members[i - 1], &members[i]) == 0) { return false; }
    }
    if (is_moved) { write_sorted(s->e, members, count, start); }
    s->at++;
    scratch_char(s->e->L, s->e->host, '}');
    return true;
}

static bool add_value(source *s, size_t depth) {
    budget_check(s->e->L, s->e->host);
    if (*s->at != '{' && *s->at != '[') { return add_simple(s); }
    if (depth >= s->e->host->options.json_depth) { return false; }
    return *s->at == '{' ? add_object(s, depth + 1) : add_array(s, depth + 1);
}

bool json_encode_lazy(encoder *e, const lua_table *t, size_t depth) {
    const lua_text *text = t->nodes->bits.pointer;
    source s = {e, text->contents, text->contents + text->long_length};
    size_t start = e->host->scratch.count;
    if (memchr(s.at, '\\', text->long_length) == NULL && add_value(&s, depth)) { return true; }
    e->host->scratch.count = start;
    return false;
}
