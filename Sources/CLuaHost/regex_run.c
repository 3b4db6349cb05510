// Searches a text for what a program matches. Whether there is a match at all is asked of an automaton whose states are made as the text needs
// them; where it is, and its groups, of all ways through the program at once, the better ones first.
#include "regex.h"

enum { LOOK_EVERY = 4096, LOOK_AT_WAYS = 256, MAX_STATES = 1024, NO_STATE = 0xFFFF, BUCKETS = 256 };

// MARK: the automaton

/// A state: the instructions where the ways through the program are. Behind it, the states that follow by class, then its instructions.
typedef struct {
    uint32_t hash;
    uint16_t count;
    bool matches;
    /// The next state of the same bucket.
    uint16_t same;
    uint16_t next[];
} automaton_state;

/// What lies in a program's arena.
typedef struct {
    uint16_t count, buckets[BUCKETS];
    /// Bytes in use; where each state is.
    uint32_t used;
    uint32_t states[MAX_STATES];
} automaton;

/// A set of instructions, while it is made.
typedef struct {
    const regex_program *program;
    bool at_begin, at_end, matches;
    uint16_t count, depth;
    /// A bit each, in the program's own memory. An instruction is looked at once, and leaves at most one more than itself on the stack.
    uint64_t *seen, *kept;
    uint16_t *stack;
} instruction_set;

static instruction_set set_of(regex_program *program) {
    size_t words = regex_set_words(program->count);
    uint64_t *bits = (uint64_t *)((char *)program + program->sets);
    return (instruction_set){.program = program, .seen = bits, .kept = bits + words, .stack = (uint16_t *)(bits + 2 * words)};
}

static void set_clear(instruction_set *set) {
    size_t words = regex_set_words(set->program->count);
    memset(set->seen, 0, words * sizeof set->seen[0]);
    memset(set->kept, 0, words * sizeof set->kept[0]);
    set->matches = false;
    set->count = 0;
}

/// Adds an instruction and all that follow it without a byte.
static void set_add(instruction_set *set, uint16_t start) {
    set->stack[0] = start;
    set->depth = 1;
    while (set->depth > 0) {
        uint16_t at = set->stack[--set->depth];
        if (set->seen[at / 64] >> at % 64 & 1) { continue; }
        set->seen[at / 64] |= 1ull << at % 64;
        const regex_instruction *one = &set->program->code[at];
        bool keeps = one->operation == REGEX_RANGE || (one->operation == REGEX_END && !set->at_end);
        if (keeps) {
            set->kept[at / 64] |= 1ull << at % 64;
            set->count++;
        } else if (one->operation == REGEX_MATCH) {
            set->matches = true;
        } else if (one->operation != REGEX_BEGIN || set->at_begin) {
            if (one->operation == REGEX_SPLIT) { set->stack[set->depth++] = one->other; }
            set->stack[set->depth++] = one->next;
        }
    }
}

static automaton *automaton_of(const regex_program *program) { return (automaton *)((char *)program + program->arena); }

static automaton_state *state_at(const automaton *a, uint16_t number) { return (automaton_state *)((char *)a + a->states[number]); }

static uint16_t *instructions_of(const regex_program *program, automaton_state *state) { return state->next + program->class_count; }

static void automaton_clear(automaton *a) {
    a->count = 0;
    a->used = sizeof *a;
    memset(a->buckets, 0xFF, sizeof a->buckets);
}

static uint32_t hash_of(const instruction_set *set) {
    uint64_t hash = set->matches ? 0x9E3779B97F4A7C15u : 0;
    for (size_t i = 0; i < regex_set_words(set->program->count); i++) { hash = (hash ^ set->kept[i]) * 0xFF51AFD7ED558CCDu, hash ^= hash >> 32; }
    return (uint32_t)hash;
}

static bool is_same(const regex_program *program, automaton_state *state, const instruction_set *set) {
    if (state->count != set->count || state->matches != set->matches) { return false; }
    const uint16_t *list = instructions_of(program, state);
    for (int i = 0; i < state->count; i++) {
        if ((set->kept[list[i] / 64] >> list[i] % 64 & 1) == 0) { return false; }
    }
    return true;
}

/// The state of a set; NO_STATE where there is no room, even for one.
static uint16_t state_of(regex_program *program, automaton *a, const instruction_set *set) {
    uint32_t hash = hash_of(set);
    for (uint16_t at = a->buckets[hash % BUCKETS]; at != NO_STATE; at = state_at(a, at)->same) {
        automaton_state *state = state_at(a, at);
        if (state->hash == hash && is_same(program, state, set)) { return at; }
    }
    size_t size = (sizeof(automaton_state) + sizeof(uint16_t) * ((size_t)program->class_count + set->count) + 3) / 4 * 4;
    if (a->count == MAX_STATES || a->used + size > program->arena_count) { return NO_STATE; }
    uint16_t number = a->count++;
    a->states[number] = a->used;
    a->used += (uint32_t)size;
    automaton_state *state = state_at(a, number);
    *state = (automaton_state){.hash = hash, .count = set->count, .matches = set->matches, .same = a->buckets[hash % BUCKETS]};
    a->buckets[hash % BUCKETS] = number;
    memset(state->next, 0xFF, sizeof(uint16_t) * program->class_count);
    uint16_t *list = instructions_of(program, state), count = 0;
    for (size_t word = 0; word < regex_set_words(program->count); word++) {
        for (uint64_t bits = set->kept[word]; bits != 0; bits &= bits - 1) { list[count++] = (uint16_t)(64 * word + (size_t)__builtin_ctzll(bits)); }
    }
    return number;
}

/// Makes the set of what follows a state by a byte, and of a match that begins behind it.
static void step(instruction_set *set, automaton_state *state, unsigned char byte) {
    const regex_program *program = set->program;
    const uint16_t *list = instructions_of(program, state);
    set_clear(set);
    for (int i = 0; i < state->count; i++) {
        const regex_instruction *one = &program->code[list[i]];
        if (one->operation == REGEX_RANGE && one->low <= byte && byte <= one->high) { set_add(set, one->next); }
    }
    set_add(set, program->start);
}

/// Whether the ways of a state match if the text ends here.
static bool matches_at_end(instruction_set *set, automaton_state *state, bool at_begin) {
    set_clear(set);
    set->at_end = true;
    set->at_begin = at_begin;
    const uint16_t *list = instructions_of(set->program, state);
    for (int i = 0; i < state->count; i++) {
        if (set->program->code[list[i]].operation == REGEX_END) { set_add(set, list[i]); }
    }
    return set->matches;
}

/// Whether it matches anywhere, without a program's words' ends.
static bool automaton_test(lua_State *L, regex_program *program, const unsigned char *text, size_t count) {
    automaton *a = automaton_of(program);
    shunt_host *host = host_of(L);
    instruction_set made_set = set_of(program), *set = &made_set;
    set->at_begin = true;
    set_clear(set);
    set_add(set, program->start);
    if (a->used == 0) { automaton_clear(a); }
    uint16_t number = state_of(program, a, set);
    if (number == NO_STATE) {
        automaton_clear(a);
        number = state_of(program, a, set);
    }
    if (number == NO_STATE) { return luaL_error(L, "re: the pattern is too large for a search"); }
    set->at_begin = false;
    automaton_state *state = state_at(a, number);
    // A state without instructions has no way on, as of a pattern that begins with ^.
    for (size_t i = 0; i < count && !state->matches && state->count > 0; i++) {
        if (i % LOOK_EVERY == 0) { budget_check(L, host); }
        uint16_t *next = &state->next[program->classes[text[i]]];
        if (*next == NO_STATE) {
            budget_check(L, host);
            step(set, state, text[i]);
            uint16_t made = state_of(program, a, set);
            if (made == NO_STATE) {
                automaton_clear(a);
                made = state_of(program, a, set);
                if (made == NO_STATE) { return luaL_error(L, "re: the pattern is too large for a search"); }
            } else {
                *next = made;
            }
            state = state_at(a, made);
        } else {
            state = state_at(a, *next);
        }
    }
    return state->matches || matches_at_end(set, state, count == 0);
}

// MARK: all ways at once

/// A way through the program: an instruction, and the places that it has noted.
typedef struct {
    uint16_t count;
    /// The ways in order, and where each instruction stands among them.
    uint16_t *dense, *sparse;
    uint32_t *slots;
} way_list;

typedef struct {
    /// An instruction to add; or SLOT: a slot gets back what it had.
    int32_t instruction;
    uint32_t slot, value;
} way_step;

enum { SLOT_BACK = -1, NO_PLACE = UINT32_MAX };

typedef struct {
    lua_State *L;
    shunt_host *host;
    const regex_program *program;
    const unsigned char *text;
    uint32_t count, width, looks;
    way_step *stack;
    uint32_t *places;
} search;

static bool is_word(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
}

static bool holds(const search *s, uint8_t assertion, uint32_t at) {
    if (assertion == REGEX_BEGIN) { return at == 0; }
    if (assertion == REGEX_END) { return at == s->count; }
    bool before = at > 0 && is_word(s->text[at - 1]), after = at < s->count && is_word(s->text[at]);
    return (before != after) == (assertion == REGEX_WORD);
}

static bool has(const way_list *list, uint16_t instruction) {
    uint16_t place = list->sparse[instruction];
    return place < list->count && list->dense[place] == instruction;
}

/// Adds a way, and all that it becomes without a byte, after those that are there.
static void add_ways(search *s, way_list *list, uint16_t start, uint32_t at) {
    uint32_t depth = 0;
    s->stack[depth++] = (way_step){.instruction = start};
    while (depth > 0) {
        way_step one = s->stack[--depth];
        if (one.instruction == SLOT_BACK) {
            s->places[one.slot] = one.value;
            continue;
        }
        if (++s->looks % LOOK_AT_WAYS == 0) { budget_check(s->L, s->host); }
        uint16_t place = (uint16_t)one.instruction;
        if (has(list, place)) { continue; }
        list->sparse[place] = list->count;
        list->dense[list->count] = place;
        uint32_t *slots = list->slots + (size_t)list->count++ * s->width;
        const regex_instruction *instruction = &s->program->code[place];
        switch (instruction->operation) {
        case REGEX_RANGE: case REGEX_MATCH: memcpy(slots, s->places, s->width * sizeof *slots); break;
        case REGEX_SPLIT:
            s->stack[depth++] = (way_step){.instruction = instruction->other};
            s->stack[depth++] = (way_step){.instruction = instruction->next};
            break;
        case REGEX_SAVE:
            if (instruction->other < s->width) {
                s->stack[depth++] = (way_step){.instruction = SLOT_BACK, .slot = instruction->other, .value = s->places[instruction->other]};
                s->places[instruction->other] = at;
            }
            s->stack[depth++] = (way_step){.instruction = instruction->next};
            break;
        default:
            if (holds(s, instruction->operation, at)) { s->stack[depth++] = (way_step){.instruction = instruction->next}; }
        }
    }
}

/// Takes the byte at a place. The first way that matches ends those after it.
/// - Returns: whether one has matched; then `result` has its places.
static bool advance(search *s, const way_list *from, way_list *to, uint32_t at, uint32_t *result) {
    to->count = 0;
    for (uint16_t i = 0; i < from->count; i++) {
        const regex_instruction *one = &s->program->code[from->dense[i]];
        const uint32_t *slots = from->slots + (size_t)i * s->width;
        if (one->operation == REGEX_MATCH) {
            memcpy(result, slots, s->width * sizeof *result);
            return true;
        }
        if (one->operation != REGEX_RANGE || at >= s->count || s->text[at] < one->low || s->text[at] > one->high) { continue; }
        memcpy(s->places, slots, s->width * sizeof *slots);
        add_ways(s, to, one->next, at + 1);
    }
    return false;
}

static void *part(char **at, size_t size) {
    void *start = *at;
    *at += (size + 7) / 8 * 8;
    return start;
}

static bool may_begin(const regex_program *program, unsigned char byte) { return program->first[byte / 64] >> byte % 64 & 1; }

bool regex_search(lua_State *L, regex_program *program, const char *text, size_t count, size_t from, size_t *slots) {
    if (count >= NO_PLACE) { return luaL_error(L, "re: the text is too long"); }
    size_t ways = program->count, width = 2 * (size_t)program->groups;
    size_t list = 2 * ((2 * ways + 7) / 8 * 8) + (4 * ways * width + 7) / 8 * 8, steps = sizeof(way_step) * (3 * ways + 4);
    // It stays for the next search.
    if (lua_getiuservalue(L, -1, 1) != LUA_TUSERDATA) {
        size_t size = 2 * list + steps + 16 + 2 * ((4 * width + 7) / 8 * 8);
        memset(lua_newuserdatauv(L, size, 0), 0, size);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -4, 1);
        lua_remove(L, -2);
    }
    char *memory = lua_touserdata(L, -1);
    way_list lists[2];
    for (int i = 0; i < 2; i++) {
        lists[i].count = 0;
        lists[i].dense = part(&memory, 2 * ways);
        lists[i].sparse = part(&memory, 2 * ways);
        lists[i].slots = part(&memory, 4 * ways * width);
    }
    search s = {.L = L, .host = host_of(L), .program = program, .text = (const unsigned char *)text, .count = (uint32_t)count,
                .width = (uint32_t)width};
    s.stack = part(&memory, steps);
    s.places = part(&memory, 4 * width);
    uint32_t *result = part(&memory, 4 * width);
    bool found = false;
    way_list *now = &lists[0], *then = &lists[1];
    for (size_t at = from; at <= count; at++) {
        if (++s.looks % LOOK_AT_WAYS == 0) { budget_check(L, s.host); }
        if (now->count == 0) {
            if (found) { break; }
            while (!program->may_be_empty && at < count && !may_begin(program, s.text[at])) {
                if (++s.looks % LOOK_EVERY == 0) { budget_check(L, s.host); }
                at++;
            }
        }
        if (!found) {
            for (size_t i = 0; i < width; i++) { s.places[i] = NO_PLACE; }
            add_ways(&s, now, program->start, (uint32_t)at);
        }
        if (advance(&s, now, then, (uint32_t)at, result)) { found = true; }
        way_list *empty = now;
        now = then;
        then = empty;
    }
    for (size_t i = 0; found && i < width; i++) { slots[i] = result[i] == NO_PLACE ? SIZE_MAX : result[i]; }
    lua_pop(L, 1);
    return found;
}

bool regex_test(lua_State *L, regex_program *program, const char *text, size_t count) {
    if (!program->has_words) { return automaton_test(L, program, (const unsigned char *)text, count); }
    size_t slots[2 * REGEX_MAX_GROUPS];
    return regex_search(L, program, text, count, 0, slots);
}
