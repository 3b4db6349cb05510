// The string functions that can run long, over patterns that look at the budget.
#define _GNU_SOURCE
#include "arguments.h"
#include "pattern.h"

#include <ctype.h>

/// Bytes: a text with more is searched in parts; what is looked for is long if it has more than so many.
enum { SEARCHED_AT_ONCE = 64 * 1024, LONG_TEXT = 4096, PIECE = 64 * 1024, MAX_PACK_FORMAT = 1024 };

static size_t start_of(lua_Integer init, size_t count) {
    if (init > 0) { return (size_t)init - 1; }
    if (init == 0) { return 0; }
    return init < -(lua_Integer)count ? 0 : count + (size_t)init;
}

static void push_capture(const pattern_match *m, int index, const char *start, const char *end) {
    if (m->pattern->captures == 0 && index == 0) {
        lua_pushlstring(m->L, start, (size_t)(end - start));
    } else if (index >= m->pattern->captures) {
        luaL_error(m->L, "invalid capture index %%%d", index + 1);
    } else if (m->pattern->positions >> index & 1) {
        lua_pushinteger(m->L, m->starts[index] - m->subject + 1);
    } else {
        lua_pushlstring(m->L, m->starts[index], (size_t)(m->ends[index] - m->starts[index]));
    }
}

/// - Parameter whole: whether the match itself stands for captures where there are none.
static int push_captures(const pattern_match *m, bool whole, const char *start, const char *end) {
    int count = m->pattern->captures == 0 && whole ? 1 : m->pattern->captures;
    luaL_checkstack(m->L, count, "too many captures");
    for (int i = 0; i < count; i++) { push_capture(m, i, start, end); }
    return count;
}

#ifdef __SSE2__
#include <emmintrin.h>

enum { BLOCK = 32, MOST_CANDIDATES = 32 };

/// Of 32 places, those that have one byte, and another one so many bytes later: a bit each.
static inline uint32_t places_of(const char *at, size_t later, __m128i first, __m128i last) {
    const __m128i *starts = (const __m128i *)at, *ends = (const __m128i *)(at + later);
    __m128i low = _mm_and_si128(_mm_cmpeq_epi8(_mm_loadu_si128(starts), first), _mm_cmpeq_epi8(_mm_loadu_si128(ends), last));
    __m128i high = _mm_and_si128(_mm_cmpeq_epi8(_mm_loadu_si128(starts + 1), first), _mm_cmpeq_epi8(_mm_loadu_si128(ends + 1), last));
    return (uint32_t)_mm_movemask_epi8(high) << 16 | (uint32_t)_mm_movemask_epi8(low);
}

/// In less than a hundred bytes, where memmem would take longer to begin than to search.
static const char *find_in_few(const char *at, size_t count, const char *text, size_t text_count) {
    const char *end = at + count;
    for (; (size_t)(end - at) >= text_count; at++) {
        at = memchr(at, text[0], (size_t)(end - at) - text_count + 1);
        if (at == NULL) { return NULL; }
        if (memcmp(at, text, text_count) == 0) { return at; }
    }
    return NULL;
}

/// Looks for the first and the last byte of a text at 32 places together. Where too many places have both, memmem takes over, whose time is
/// bounded.
static const char *find_short(const char *at, size_t count, const char *text, size_t text_count) {
    const __m128i first = _mm_set1_epi8(text[0]), last = _mm_set1_epi8(text[text_count - 1]);
    const size_t window = BLOCK + text_count - 1;
    const char *end = at + count;
    if (count < window) { return find_in_few(at, count, text, text_count); }
    for (int candidates = 0; candidates < MOST_CANDIDATES; at += BLOCK) {
        // The last 32 places overlap those before.
        if ((size_t)(end - at) < window) { at = end - window; }
        for (uint32_t found = places_of(at, text_count - 1, first, last); found != 0; found &= found - 1, candidates++) {
            const char *place = at + __builtin_ctz(found);
            if (memcmp(place, text, text_count) == 0) { return place; }
        }
        if (at + window == end) { return NULL; }
    }
    return memmem(at, (size_t)(end - at), text, text_count);
}
#endif

/// memmem, which takes longest for what most rules look for: a few bytes in a few hundred.
static const char *find_in_part(const char *at, size_t count, const char *text, size_t text_count) {
#ifdef __SSE2__
    if (text_count > 1 && text_count <= 64) { return find_short(at, count, text, text_count); }
#endif
    return memmem(at, count, text, text_count);
}

/// In parts: each takes some microseconds.
static const char *find_in_parts(lua_State *L, const char *at, size_t count, const char *text, size_t text_count) {
    for (;; at += SEARCHED_AT_ONCE, count -= SEARCHED_AT_ONCE) {
        budget_check(L, host_of(L));
        size_t part = count < SEARCHED_AT_ONCE + text_count ? count : SEARCHED_AT_ONCE + text_count;
        const char *found = find_in_part(at, part, text, text_count);
        if (found != NULL || part == count) { return found; }
    }
}

/// A long text, by the two-way algorithm of Crochemore and Perrin: in time that grows with the lengths alone, whatever the texts are.
const char *find_bytes(lua_State *L, const char *at, size_t count, const char *text, size_t text_count) {
    if (text_count <= LONG_TEXT) { return find_in_parts(L, at, count, text, text_count); }
    if (count < text_count) { return NULL; }
    return find_long(L, at, count, text, text_count);
}

static int find_or_match(lua_State *L, bool find) {
    size_t count, pattern_count;
    const char *subject = check_bytes(L, 1, &count);
    const char *text = check_bytes(L, 2, &pattern_count);
    size_t init = start_of(optional_integer(L, 3, 1), count);
    if (init > count) {
        luaL_pushfail(L);
        return 1;
    }
    const char *start, *end;
    if (find && (lua_toboolean(L, 4) || pattern_is_plain(text, pattern_count))) {
        start = find_bytes(L, subject + init, count - init, text, pattern_count);
        if (start == NULL) {
            luaL_pushfail(L);
            return 1;
        }
        lua_pushinteger(L, start - subject + 1);
        lua_pushinteger(L, start - subject + (lua_Integer)pattern_count);
        return 2;
    }
    pattern own;
    pattern_match m;
    pattern_begin(&m, L, pattern_kept(L, &own, text, pattern_count), text, (shunt_bytes){subject, count});
    end = pattern_search(&m, subject + init, &start);
    if (end == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    if (!find) { return push_captures(&m, true, start, end); }
    lua_pushinteger(L, start - subject + 1);
    lua_pushinteger(L, end - subject);
    return 2 + push_captures(&m, false, start, end);
}

int string_find(lua_State *L) { return find_or_match(L, true); }
int string_match(lua_State *L) { return find_or_match(L, false); }

// MARK: gmatch

typedef struct {
    uint32_t tag;
    size_t at, last;
    pattern compiled;
} gmatch_state;

/// Upvalues: subject, pattern, state.
static int gmatch_next(lua_State *L) {
    size_t count;
    const char *subject = lua_tolstring(L, lua_upvalueindex(1), &count);
    gmatch_state *state = lua_touserdata(L, lua_upvalueindex(3));
    pattern_match m = {.L = L, .host = host_of(L), .pattern = &state->compiled,
                       .text = lua_tostring(L, lua_upvalueindex(2)), .subject = subject, .end = subject + count};
    while (state->at <= count) {
        const char *start, *end = pattern_search(&m, subject + state->at, &start);
        if (end == NULL) { break; }
        if ((size_t)(end - subject) == state->last) {
            // An empty match where the one before ended.
            state->at = (size_t)(start - subject) + 1;
            continue;
        }
        state->at = state->last = (size_t)(end - subject);
        return push_captures(&m, true, start, end);
    }
    state->at = count + 1;
    return 0;
}

int string_gmatch(lua_State *L) {
    size_t count, pattern_count;
    luaL_checklstring(L, 1, &count);
    const char *text = luaL_checklstring(L, 2, &pattern_count);
    size_t init = start_of(luaL_optinteger(L, 3, 1), count);
    lua_settop(L, 2);
    gmatch_state *state = lua_newuserdatauv(L, sizeof *state, 0);
    state->tag = TAG_GMATCH;
    state->at = init;
    state->last = SIZE_MAX;
    pattern_compile(L, &state->compiled, text, pattern_count, false);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

// MARK: gsub

static void add_template(pattern_match *m, const char *template, size_t count, const char *start, const char *end) {
    for (size_t i = 0; i < count; i++) {
        if (template[i] != '%') {
            scratch_char(m->L, m->host, template[i]);
            continue;
        }
        char c = ++i < count ? template[i] : 0;
        if (c == '%') {
            scratch_char(m->L, m->host, '%');
        } else if (c == '0') {
            scratch_add(m->L, m->host, start, (size_t)(end - start));
        } else if (c >= '1' && c <= '9') {
            size_t length;
            push_capture(m, c - '1', start, end);
            const char *text = luaL_tolstring(m->L, -1, &length);
            scratch_add(m->L, m->host, text, length);
            lua_pop(m->L, 2);
        } else {
            luaL_error(m->L, "invalid use of '%%' in replacement string");
        }
    }
}

/// Adds what replaces a match, by the third argument of gsub: a text, a table or a function.
static void add_replacement(pattern_match *m, const char *start, const char *end) {
    lua_State *L = m->L;
    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, true, start, end), 1);
        break;
    case LUA_TTABLE:
        push_capture(m, 0, start, end);
        lua_gettable(L, 3);
        break;
    default: {
        size_t count;
        const char *template = lua_tolstring(L, 3, &count);
        add_template(m, template, count, start, end);
        return;
    }
    }
    if (!lua_toboolean(L, -1)) {
        scratch_add(L, m->host, start, (size_t)(end - start));
    } else if (lua_isstring(L, -1)) {
        size_t count;
        const char *text = lua_tolstring(L, -1, &count);
        scratch_add(L, m->host, text, count);
    } else {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

int string_gsub(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count, pattern_count;
    const char *subject = luaL_checklstring(L, 1, &count);
    const char *text = luaL_checklstring(L, 2, &pattern_count);
    int type = lua_type(L, 3);
    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION, 3,
                     "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)count + 1), done = 0;
    if (type == LUA_TNUMBER) { lua_tostring(L, 3); }
    pattern compiled;
    pattern_compile(L, &compiled, text, pattern_count, true);
    pattern_match m = {.L = L, .host = host, .pattern = &compiled, .text = text, .subject = subject, .end = subject + count};
    size_t base = host->scratch.count;
    const char *at = subject, *last = NULL;
    while (done < most) {
        const char *end = pattern_match_at(&m, at);
        if (end != NULL && end != last) {
            done++;
            add_replacement(&m, at, end);
            at = last = end;
        } else if (at < m.end) {
            scratch_char(L, host, *at++);
        } else {
            break;
        }
        if (compiled.anchored) { break; }
    }
    scratch_add(L, host, at, (size_t)(m.end - at));
    scratch_push(L, host, base);
    lua_pushinteger(L, done);
    return 2;
}

// MARK: rep

int string_rep(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count, separator_count;
    const char *text = luaL_checklstring(L, 1, &count);
    lua_Integer times = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_count);
    size_t total;
    if (times <= 0 || count + separator_count == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (__builtin_mul_overflow(count + separator_count, (size_t)times, &total)) { total = SIZE_MAX; }
    // All of it is reserved before any is written; then the bytes so far are doubled.
    size_t base = host->scratch.count, unit = count + separator_count, done = unit;
    char *place = scratch_need(L, host, total);
    memcpy(place, text, count);
    memcpy(place + count, separator, separator_count);
    while (done < total) {
        size_t part = done < total - done ? done : total - done;
        // In pieces that begin where the text does.
        if (part > PIECE && unit < PIECE) { part = PIECE / unit * unit; }
        budget_check(L, host);
        memcpy(place + done, place, part);
        done += part;
    }
    host->scratch.count += total - separator_count;
    scratch_push(L, host, base);
    return 1;
}

/// Upvalue: Lua's own. What it does grows with its format, which has an option for each value.
static int bounded_pack(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_argcheck(L, lua_rawlen(L, 1) <= MAX_PACK_FORMAT, 1, "a format has at most 1024 bytes");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

// MARK: letters

/// Pushes the text with each byte translated, piece by piece.
static int push_translated(lua_State *L, int (*letter)(int)) {
    shunt_host *host = host_of(L);
    size_t count, base = host->scratch.count;
    const char *text = luaL_checklstring(L, 1, &count);
    for (size_t at = 0; at < count; at += PIECE) {
        size_t part = count - at < PIECE ? count - at : PIECE;
        char *place = scratch_need(L, host, part);
        for (size_t i = 0; i < part; i++) { place[i] = (char)letter((unsigned char)text[at + i]); }
        host->scratch.count += part;
    }
    scratch_push(L, host, base);
    return 1;
}

static int string_upper(lua_State *L) { return push_translated(L, toupper); }
static int string_lower(lua_State *L) { return push_translated(L, tolower); }

static int string_reverse(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count, base = host->scratch.count;
    const char *text = luaL_checklstring(L, 1, &count);
    for (size_t at = 0; at < count; at += PIECE) {
        size_t part = count - at < PIECE ? count - at : PIECE;
        char *place = scratch_need(L, host, part);
        for (size_t i = 0; i < part; i++) { place[i] = text[count - at - i - 1]; }
        host->scratch.count += part;
    }
    scratch_push(L, host, base);
    return 1;
}

/// A copy of the library's own table: the rest of its functions take time by the length of what they are given.
void open_string(lua_State *L) {
    lua_createtable(L, 0, 20);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_strings);
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
}

/// Puts what is bounded in place of Lua's own, in the table on the top of the stack.
void bound_strings(lua_State *L) {
    static const luaL_Reg own[] = {{"upper", string_upper}, {"lower", string_lower}, {"reverse", string_reverse}, {NULL, NULL}};
    luaL_setfuncs(L, own, 0);
    static const char *const names[] = {"pack", "packsize", "unpack", NULL};
    for (int i = 0; names[i] != NULL; i++) {
        lua_getfield(L, -1, names[i]);
        lua_pushcclosure(L, bounded_pack, 1);
        lua_setfield(L, -2, names[i]);
    }
}
