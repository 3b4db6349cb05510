// Looks for a long text in a longer one, by the two-way algorithm of M. Crochemore and D. Perrin (Two-way string-matching, Journal of the ACM,
// 1991): it takes time in proportion to the lengths, whatever the texts are, and looks at the budget on its way.
#include "host.h"

enum { LOOK = 0xFFF };

/// How far the search is with what it has to do, for the budget.
typedef struct {
    lua_State *L;
    size_t steps;
} search;

static inline void step(search *s) {
    if ((++s->steps & LOOK) == 0) { budget_check(s->L, host_of(s->L)); }
}

/// Where the greatest suffix of the text begins, less one, in the order of bytes or its reverse; and its period.
static size_t greatest_suffix(search *s, const unsigned char *text, size_t count, bool reversed, size_t *period) {
    size_t suffix = SIZE_MAX, at = 0, same = 1, length = 1;
    while (at + same < count) {
        step(s);
        unsigned char next = text[at + same], own = text[suffix + same];
        if (next == own) {
            if (same == length) {
                at += length;
                same = 1;
            } else {
                same++;
            }
        } else if (reversed ? next > own : next < own) {
            at += same;
            same = 1;
            length = at - suffix;
        } else {
            suffix = at++;
            same = length = 1;
        }
    }
    *period = length;
    return suffix;
}

const char *find_long(lua_State *L, const char *bytes, size_t count, const char *sought, size_t sought_count) {
    search s = {.L = L};
    const unsigned char *at = (const unsigned char *)bytes, *text = (const unsigned char *)sought;
    size_t period, other_period;
    size_t half = greatest_suffix(&s, text, sought_count, false, &period) + 1;
    size_t other = greatest_suffix(&s, text, sought_count, true, &other_period) + 1;
    if (other > half) {
        half = other;
        period = other_period;
    }
    // Where the first half comes again after a period, what has been compared after a shift by a period need not be compared again.
    size_t same = 0;
    while (same < half && text[same] == text[same + period]) {
        step(&s);
        same++;
    }
    bool is_periodic = same == half;
    if (!is_periodic) { period = (half > sought_count - half ? half : sought_count - half) + 1; }
    size_t known = 0;
    for (size_t place = 0; place <= count - sought_count;) {
        size_t i = half > known ? half : known;
        while (i < sought_count && text[i] == at[place + i]) {
            step(&s);
            i++;
        }
        step(&s);
        if (i < sought_count) {
            place += i - half + 1;
            known = 0;
            continue;
        }
        size_t left = half;
        while (left > known && text[left - 1] == at[place + left - 1]) {
            step(&s);
            left--;
        }
        if (left <= known) { return bytes + place; }
        place += period;
        known = is_periodic ? sought_count - period : 0;
    }
    return NULL;
}
