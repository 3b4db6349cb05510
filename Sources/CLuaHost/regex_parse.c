// A pattern's text becomes a tree. The tree is bounded, and so is the depth of its groups.
#include "regex_tree.h"

enum { MAX_DEPTH = 64, MAX_REPEAT = 1000 };

_Noreturn void regex_wrong(compiler *c, const char *why) {
    luaL_error(c->L, "re: byte %d of the pattern: %s", (int)(c->at - c->text) + 1, why);
    __builtin_unreachable();
}

static uint16_t new_node(compiler *c, node_kind kind, uint8_t detail) {
    if (c->node_count == MAX_NODES) { regex_wrong(c, "the pattern is too long"); }
    uint16_t node = ++c->node_count;
    if (node == MAX_NODES) { regex_wrong(c, "the pattern is too long"); }
    c->nodes[node] = (regex_node){.kind = (uint8_t)kind, .detail = detail};
    return node;
}

// MARK: sets

static void add_range(compiler *c, uint32_t low, uint32_t high) {
    if (c->range_count == MAX_RANGES) { regex_wrong(c, "the pattern has too many characters in brackets"); }
    c->ranges[c->range_count++] = (code_range){low, high};
}

/// Adds the letters of the other case.
static void add_folded(compiler *c, uint32_t low, uint32_t high) {
    static const struct { uint32_t first, last; int32_t to; } cases[] = {{'a', 'z', 'A' - 'a'}, {'A', 'Z', 'a' - 'A'}};
    add_range(c, low, high);
    for (int i = 0; c->folds && i < 2; i++) {
        uint32_t from = low > cases[i].first ? low : cases[i].first, to = high < cases[i].last ? high : cases[i].last;
        if (from <= to) { add_range(c, (uint32_t)((int32_t)from + cases[i].to), (uint32_t)((int32_t)to + cases[i].to)); }
    }
}

/// Sorts the ranges from `start` on, and joins those that touch.
static void settle(compiler *c, uint16_t start) {
    for (uint16_t i = start + 1; i < c->range_count; i++) {
        budget_check(c->L, host_of(c->L));
        code_range range = c->ranges[i];
        uint16_t j = i;
        for (; j > start && c->ranges[j - 1].low > range.low; j--) { c->ranges[j] = c->ranges[j - 1]; }
        c->ranges[j] = range;
    }
    uint16_t kept = start;
    for (uint16_t i = start; i < c->range_count; i++) {
        code_range range = c->ranges[i];
        if (kept > start && range.low <= c->ranges[kept - 1].high + 1) {
            if (range.high > c->ranges[kept - 1].high) { c->ranges[kept - 1].high = range.high; }
        } else {
            c->ranges[kept++] = range;
        }
    }
    c->range_count = kept;
}

static void negate(compiler *c, uint16_t start) {
    settle(c, start);
    uint16_t count = (uint16_t)(c->range_count - start);
    uint32_t low = 0;
    for (uint16_t i = 0; i < count; i++) {
        code_range range = c->ranges[start + i];
        if (range.low > low) { add_range(c, low, range.low - 1); }
        low = range.high + 1;
    }
    if (low <= LAST_CODE_POINT) { add_range(c, low, LAST_CODE_POINT); }
    uint16_t made = (uint16_t)(c->range_count - start - count);
    memmove(c->ranges + start, c->ranges + start + count, made * sizeof c->ranges[0]);
    c->range_count = (uint16_t)(start + made);
}

/// Adds \d, \w or \s, or what is not in it.
static bool add_class(compiler *c, unsigned char name) {
    uint16_t start = c->range_count;
    switch (name | 0x20) {
    case 'd': add_range(c, '0', '9'); break;
    case 'w':
        add_range(c, '0', '9');
        add_range(c, 'A', 'Z');
        add_range(c, '_', '_');
        add_range(c, 'a', 'z');
        break;
    case 's':
        add_range(c, '\t', '\n');
        add_range(c, '\f', '\r');
        add_range(c, ' ', ' ');
        break;
    default: return false;
    }
    if ((name & 0x20) == 0) { negate(c, start); }
    return true;
}

static uint16_t set_node(compiler *c, uint16_t start) {
    settle(c, start);
    uint16_t node = new_node(c, NODE_SET, 0);
    c->nodes[node].last = start;
    c->nodes[node].least = (uint16_t)(c->range_count - start);
    return node;
}

static uint16_t character(compiler *c, uint32_t point) {
    uint16_t start = c->range_count;
    add_folded(c, point, point);
    return set_node(c, start);
}

// MARK: characters

static uint32_t code_point(compiler *c) {
    unsigned char lead = *c->at;
    int more = lead < 0x80 ? 0 : lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || c->end - c->at <= more) { regex_wrong(c, "it is not UTF-8"); }
    uint32_t point = more == 0 ? lead : lead & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((c->at[i] & 0xC0) != 0x80) { regex_wrong(c, "it is not UTF-8"); }
        point = point << 6 | (c->at[i] & 0x3F);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (point < least[more] || point > LAST_CODE_POINT) { regex_wrong(c, "it is not UTF-8"); }
    c->at += more + 1;
    return point;
}

static int hexadecimal(unsigned char digit) {
    return digit >= '0' && digit <= '9' ? digit - '0' : (digit | 0x20) >= 'a' && (digit | 0x20) <= 'f' ? (digit | 0x20) - 'a' + 10 : -1;
}

/// After `\x`: two digits, or some in braces.
static uint32_t escaped_point(compiler *c) {
    bool braces = c->at < c->end && *c->at == '{';
    uint32_t point = 0;
    int digits = 0;
    for (c->at += braces; c->at < c->end && digits < (braces ? 6 : 2) && hexadecimal(*c->at) >= 0; c->at++, digits++) {
        point = point << 4 | (uint32_t)hexadecimal(*c->at);
    }
    bool closed = !braces || (c->at < c->end && *c->at == '}');
    if (digits < (braces ? 1 : 2) || !closed || point > LAST_CODE_POINT) { regex_wrong(c, "\\x wants two hexadecimal digits, or some in braces"); }
    c->at += braces;
    return point;
}

/// The character that a backslash and a letter, which has been passed, stand for.
static uint32_t escape(compiler *c, unsigned char letter) {
    switch (letter) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'x': return escaped_point(c);
    default: break;
    }
    bool word = (letter >= '0' && letter <= '9') || ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'z');
    if (letter >= '1' && letter <= '9') { regex_wrong(c, "what a group has matched can't be asked for: that has no bound in time"); }
    if (word || letter >= 0x80) { regex_wrong(c, "no such escape; a backslash before a letter means something"); }
    return letter;
}

static uint32_t class_character(compiler *c) {
    if (*c->at != '\\') { return code_point(c); }
    if (++c->at == c->end) { regex_wrong(c, "a backslash at the end"); }
    unsigned char letter = *c->at++;
    return escape(c, letter);
}

/// After `[`.
static uint16_t bracket(compiler *c) {
    uint16_t start = c->range_count;
    bool negated = c->at < c->end && *c->at == '^';
    c->at += negated;
    for (bool first = true; ; first = false) {
        if (c->at == c->end) { regex_wrong(c, "there is no ] for a ["); }
        if (*c->at == ']' && !first) { break; }
        if (*c->at == '[' && c->end - c->at > 1 && c->at[1] == ':') { regex_wrong(c, "classes such as [:alpha:] are not there; write a-zA-Z"); }
        if (*c->at == '\\' && c->end - c->at > 1 && add_class(c, c->at[1])) {
            c->at += 2;
            continue;
        }
        uint32_t low = class_character(c), high = low;
        if (c->end - c->at > 1 && *c->at == '-' && c->at[1] != ']') {
            c->at++;
            if (*c->at == '\\' && c->end - c->at > 1 && strchr("dDwWsS", c->at[1]) != NULL) { regex_wrong(c, "a range ends with a character"); }
            high = class_character(c);
        }
        if (high < low) { regex_wrong(c, "a range is the wrong way round"); }
        add_folded(c, low, high);
    }
    c->at++;
    if (negated) { negate(c, start); }
    return set_node(c, start);
}

// MARK: the tree

static uint16_t alternatives(compiler *c);

/// After `(?`: flags for what follows, or for the group.
/// - Returns: whether it is a group without a number, `(?:` or `(?i:`.
static bool flags(compiler *c) {
    bool on = true;
    for (; c->at < c->end; c->at++) {
        switch (*c->at) {
        case 'i': c->folds = on; break;
        case 's': c->dot_takes_all = on; break;
        case '-': on = false; break;
        case ':': c->at++; return true;
        case ')': c->at++; return false;
        case 'm': regex_wrong(c, "(?m) is not there: ^ and $ are the text's begin and end");
        case 'P': case '<': case '=': case '!': regex_wrong(c, "groups have no names here, and do not look ahead or back");
        default: regex_wrong(c, "(? is followed by i, s, - and : or )");
        }
    }
    regex_wrong(c, "there is no ) for a (");
}

/// After `(`. 0 where it only sets flags.
static uint16_t group(compiler *c) {
    bool folds = c->folds, dot_takes_all = c->dot_takes_all;
    uint8_t number = 0;
    if (c->at < c->end && *c->at == '?') {
        c->at++;
        if (!flags(c)) { return 0; }
    } else {
        if (c->groups == REGEX_MAX_GROUPS) { regex_wrong(c, "there are more than 15 groups; (?:…) is one that is not counted"); }
        number = c->groups++;
    }
    if (++c->depth > MAX_DEPTH) { regex_wrong(c, "groups are nested too deeply"); }
    uint16_t inner = alternatives(c);
    c->depth--;
    if (c->at == c->end) { regex_wrong(c, "there is no ) for a ("); }
    c->at++;
    (c->folds = folds), (c->dot_takes_all = dot_takes_all);
    if (number == 0) { return inner; }
    uint16_t node = new_node(c, NODE_GROUP, number);
    c->nodes[node].last = inner;
    return node;
}

static uint16_t escaped_atom(compiler *c) {
    if (c->at == c->end) { regex_wrong(c, "a backslash at the end"); }
    unsigned char letter = *c->at++;
    uint16_t start = c->range_count;
    if (strchr("dDwWsS", letter) != NULL && letter != 0 && add_class(c, letter)) { return set_node(c, start); }
    switch (letter) {
    case 'A': return new_node(c, NODE_ASSERTION, REGEX_BEGIN);
    case 'z': return new_node(c, NODE_ASSERTION, REGEX_END);
    case 'b': return new_node(c, NODE_ASSERTION, REGEX_WORD);
    case 'B': return new_node(c, NODE_ASSERTION, REGEX_NO_WORD);
    default: return character(c, escape(c, letter));
    }
}

/// 0 where it only sets flags.
static uint16_t atom(compiler *c) {
    unsigned char first = *c->at;
    uint16_t start = c->range_count;
    switch (first) {
    case '(': c->at++; return group(c);
    case '[': c->at++; return bracket(c);
    case '\\': c->at++; return escaped_atom(c);
    case '^': c->at++; return new_node(c, NODE_ASSERTION, REGEX_BEGIN);
    case '$': c->at++; return new_node(c, NODE_ASSERTION, REGEX_END);
    case '*': case '+': case '?': regex_wrong(c, "there is nothing to repeat");
    case '.':
        c->at++;
        if (!c->dot_takes_all) { add_range(c, '\n', '\n'); }
        negate(c, start);
        return set_node(c, start);
    default: return character(c, code_point(c));
    }
}

static bool number(compiler *c, const unsigned char **at, uint32_t *value) {
    const unsigned char *begin = *at;
    for (*value = 0; *at < c->end && **at >= '0' && **at <= '9'; (*at)++) {
        if (*value <= MAX_REPEAT) { *value = *value * 10 + (uint32_t)(**at - '0'); }
    }
    return *at > begin;
}

/// `{n}`, `{n,}`, `{n,m}`; false where a brace is only a brace.
static bool braces(compiler *c, uint32_t *least, uint32_t *most) {
    const unsigned char *at = c->at + 1;
    if (!number(c, &at, least)) { return false; }
    *most = *least;
    bool open = at < c->end && *at == ',';
    at += open;
    if (open && !number(c, &at, most)) { *most = 0; }
    bool unbounded = open && at[-1] == ',';
    if (at == c->end || *at != '}') { return false; }
    if (*least > MAX_REPEAT || *most > MAX_REPEAT) { regex_wrong(c, "more than 1000 repetitions"); }
    if (!unbounded && *most < *least) { regex_wrong(c, "the numbers of a repetition are the wrong way round"); }
    // {0} and {0,0} are nothing at all: the most, then, is told from "any number" by a least beyond it.
    if (!unbounded && *most == 0) { *least = MAX_REPEAT + 1; }
    c->at = at + 1;
    return true;
}

static bool quantifier(compiler *c, uint32_t *least, uint32_t *most) {
    if (c->at == c->end) { return false; }
    *most = 0;
    switch (*c->at) {
    case '*': *least = 0; break;
    case '+': *least = 1; break;
    case '?': *least = 0, *most = 1; break;
    case '{': return braces(c, least, most);
    default: return false;
    }
    c->at++;
    return true;
}

static uint16_t repeated(compiler *c, uint16_t node) {
    uint32_t least, most;
    if (!quantifier(c, &least, &most)) { return node; }
    bool lazy = c->at < c->end && *c->at == '?';
    c->at += lazy;
    uint32_t again, and_again;
    const unsigned char *here = c->at;
    if (quantifier(c, &again, &and_again)) {
        c->at = here;
        regex_wrong(c, "a repetition is repeated: put it in a group");
    }
    if (least > MAX_REPEAT) { return new_node(c, NODE_EMPTY, 0); }
    uint16_t repeat = new_node(c, NODE_REPEAT, !lazy);
    c->nodes[repeat].least = (uint16_t)least;
    c->nodes[repeat].most = (uint16_t)most;
    c->nodes[repeat].last = node;
    return repeat;
}

static uint16_t sequence(compiler *c) {
    uint16_t all = new_node(c, NODE_ALL_OF, 0);
    while (c->at < c->end && *c->at != '|' && *c->at != ')') {
        uint16_t one = atom(c);
        if (one == 0) { continue; }
        one = repeated(c, one);
        uint16_t link = new_node(c, NODE_EMPTY, 0);
        c->nodes[link].last = one;
        c->nodes[link].before = c->nodes[all].last;
        c->nodes[all].last = link;
    }
    return all;
}

static uint16_t alternatives(compiler *c) {
    uint16_t first = sequence(c);
    if (c->at == c->end || *c->at != '|') { return first; }
    uint16_t any = new_node(c, NODE_ONE_OF, 0), last = first;
    while (c->at < c->end && *c->at == '|') {
        c->at++;
        uint16_t other = sequence(c);
        c->nodes[other].before = last;
        last = other;
    }
    c->nodes[any].last = last;
    return any;
}

uint16_t regex_parse(compiler *c) {
    uint16_t root = alternatives(c);
    if (c->at < c->end) { regex_wrong(c, "there is no ( for a )"); }
    return root;
}
