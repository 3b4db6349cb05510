// The tree of a pattern becomes a program, from its end to its begin: each node is told what comes after it.
#include "regex_tree.h"

/// An automaton has room for about this many states of usual size.
enum { ARENA_LEAST = 16 * 1024, ARENA_MOST = 64 * 1024, ARENA_STATES = 32 };

static uint16_t emit(compiler *c, regex_instruction instruction) {
    if (c->code_count == REGEX_MAX_INSTRUCTIONS) { regex_wrong(c, "the pattern makes too long a program: it repeats too much"); }
    c->code[c->code_count] = instruction;
    return c->code_count++;
}

static uint16_t emit_split(compiler *c, uint16_t next, uint16_t other) {
    return emit(c, (regex_instruction){.operation = REGEX_SPLIT, .next = next, .other = other});
}

/// Code points of the same length in UTF-8, as one sequence or several.
static uint16_t emit_same_length(compiler *c, uint32_t low, uint32_t high, int more, uint16_t next, uint16_t other) {
    for (int i = 1; i <= more; i++) {
        uint32_t rest = (1u << (6 * i)) - 1;
        if ((low & ~rest) == (high & ~rest)) { continue; }
        if ((low & rest) != 0) {
            other = emit_same_length(c, (low | rest) + 1, high, more, next, other);
            return emit_same_length(c, low, low | rest, more, next, other);
        }
        if ((high & rest) != rest) {
            other = emit_same_length(c, high & ~rest, high, more, next, other);
            return emit_same_length(c, low, (high & ~rest) - 1, more, next, other);
        }
    }
    static const uint8_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    uint16_t at = next;
    for (int i = 0; i <= more; i++) {
        uint32_t from = low >> (6 * i), to = high >> (6 * i);
        uint8_t mark = i == more ? leads[more] : 0x80;
        uint8_t bits = i == more ? 0xFF : 0x3F;
        at = emit(c, (regex_instruction){
            .operation = REGEX_RANGE, .low = (uint8_t)(mark | (from & bits)), .high = (uint8_t)(mark | (to & bits)), .next = at});
    }
    return other == UINT16_MAX ? at : emit_split(c, at, other);
}

static uint16_t emit_set(compiler *c, const regex_node *node, uint16_t next) {
    static const uint32_t ends[] = {0x7F, 0x7FF, 0xFFFF, LAST_CODE_POINT};
    uint16_t other = UINT16_MAX;
    for (int i = node->least - 1; i >= 0; i--) {
        code_range range = c->ranges[node->last + i];
        for (int more = 3; more >= 0; more--) {
            uint32_t begin = more == 0 ? 0 : ends[more - 1] + 1;
            uint32_t low = range.low > begin ? range.low : begin, high = range.high < ends[more] ? range.high : ends[more];
            if (low <= high) { other = emit_same_length(c, low, high, more, next, other); }
        }
    }
    // An empty set, such as [^\x00-\x{10FFFF}], takes nothing.
    return other != UINT16_MAX ? other : emit(c, (regex_instruction){.operation = REGEX_RANGE, .low = 1, .high = 0, .next = next});
}

static uint16_t emit_node(compiler *c, uint16_t index, uint16_t next);

static uint16_t emit_option(compiler *c, bool greedy, uint16_t body, uint16_t next) {
    return greedy ? emit_split(c, body, next) : emit_split(c, next, body);
}

static uint16_t emit_repeat(compiler *c, const regex_node *node, uint16_t next) {
    bool greedy = node->detail != 0;
    uint16_t at = next;
    int copies = node->least;
    if (node->most == 0) {
        // The way back is taken after the body, so that a body that takes nothing ends the loop.
        uint16_t loop = emit_split(c, 0, 0), body = emit_node(c, node->last, loop);
        c->code[loop].next = greedy ? body : next;
        c->code[loop].other = greedy ? next : body;
        at = copies > 0 ? body : emit_option(c, greedy, body, next);
        copies -= copies > 0;
    }
    for (int i = node->least; i < node->most; i++) { at = emit_option(c, greedy, emit_node(c, node->last, at), next); }
    for (int i = 0; i < copies; i++) { at = emit_node(c, node->last, at); }
    return at;
}

static uint16_t emit_node(compiler *c, uint16_t index, uint16_t next) {
    const regex_node *node = &c->nodes[index];
    budget_check(c->L, host_of(c->L));
    switch (node->kind) {
    case NODE_SET: return emit_set(c, node, next);
    case NODE_REPEAT: return emit_repeat(c, node, next);
    case NODE_ALL_OF:
        for (uint16_t link = node->last; link != 0; link = c->nodes[link].before) { next = emit_node(c, c->nodes[link].last, next); }
        return next;
    case NODE_ASSERTION:
        c->has_words |= node->detail == REGEX_WORD || node->detail == REGEX_NO_WORD;
        return emit(c, (regex_instruction){.operation = node->detail, .next = next});
    case NODE_ONE_OF: {
        uint16_t way = node->last, at = emit_node(c, way, next);
        while ((way = c->nodes[way].before) != 0) { at = emit_split(c, emit_node(c, way, next), at); }
        return at;
    }
    case NODE_GROUP: {
        uint16_t end = emit(c, (regex_instruction){.operation = REGEX_SAVE, .next = next, .other = (uint16_t)(2 * node->detail + 1)});
        uint16_t body = emit_node(c, node->last, end);
        return emit(c, (regex_instruction){.operation = REGEX_SAVE, .next = body, .other = (uint16_t)(2 * node->detail)});
    }
    default: return next;
    }
}

// MARK: what a search wants to know of it

static void find_classes(regex_program *program) {
    bool begins[257] = {[0] = true};
    for (int i = 0; i < program->count; i++) {
        const regex_instruction *one = &program->code[i];
        if (one->operation != REGEX_RANGE || one->low > one->high) { continue; }
        begins[one->low] = true;
        begins[one->high + 1] = true;
    }
    int number = -1;
    for (int byte = 0; byte < 256; byte++) {
        number += begins[byte];
        program->classes[byte] = (uint8_t)number;
    }
    program->class_count = (uint16_t)(number + 1);
}

/// Follows all that takes no byte, as if every assertion held.
static void find_first(lua_State *L, regex_program *program) {
    uint64_t seen[REGEX_MAX_INSTRUCTIONS / 64] = {0};
    uint16_t *stack = lua_newuserdatauv(L, sizeof(uint16_t) * 2 * ((size_t)program->count + 1), 0);
    size_t count = 0;
    stack[count++] = program->start;
    while (count > 0) {
        uint16_t at = stack[--count];
        if (seen[at / 64] >> at % 64 & 1) { continue; }
        seen[at / 64] |= 1ull << at % 64;
        const regex_instruction *one = &program->code[at];
        if (one->operation == REGEX_RANGE) {
            for (int byte = one->low; byte <= one->high; byte++) { program->first[byte / 64] |= 1ull << byte % 64; }
        } else if (one->operation == REGEX_MATCH) {
            program->may_be_empty = true;
        } else {
            stack[count++] = one->next;
            if (one->operation == REGEX_SPLIT) { stack[count++] = one->other; }
        }
    }
    lua_pop(L, 1);
}

static size_t arena_for(const compiler *c) {
    size_t wanted = ARENA_STATES * sizeof(uint16_t) * ((size_t)c->code_count + 64);
    return wanted < ARENA_LEAST ? ARENA_LEAST : wanted > ARENA_MOST ? ARENA_MOST : wanted;
}

regex_program *regex_compile(lua_State *L, const char *text, size_t count) {
    if (count > REGEX_MAX_PATTERN) { luaL_error(L, "re: a pattern has at most %d bytes", REGEX_MAX_PATTERN); }
    compiler *c = lua_newuserdatauv(L, sizeof *c, 0);
    const unsigned char *bytes = (const unsigned char *)text;
    memset(c, 0, sizeof *c);
    c->L = L;
    c->text = c->at = bytes;
    c->end = bytes + count;
    c->groups = 1;
    uint16_t root = regex_parse(c);
    uint16_t match = emit(c, (regex_instruction){.operation = REGEX_MATCH});
    uint16_t end = emit(c, (regex_instruction){.operation = REGEX_SAVE, .next = match, .other = 1});
    uint16_t body = emit_node(c, root, end);
    uint16_t start = emit(c, (regex_instruction){.operation = REGEX_SAVE, .next = body, .other = 0});
    size_t code = sizeof(regex_instruction) * c->code_count, arena = c->has_words ? 0 : arena_for(c);
    size_t sets = 16 * regex_set_words(c->code_count) + 2 * ((size_t)c->code_count + 4);
    size_t head = (sizeof(regex_program) + code + 15) / 16 * 16, begin = (head + sets + 15) / 16 * 16;
    regex_program *program = lua_newuserdatauv(L, begin + arena, 1);
    memset(program, 0, begin + arena);
    program->count = c->code_count;
    program->start = start;
    program->groups = c->groups;
    program->has_words = c->has_words;
    program->sets = (uint32_t)head;
    program->arena = (uint32_t)begin;
    program->arena_count = (uint32_t)arena;
    memcpy(program->code, c->code, code);
    lua_remove(L, -2);
    find_classes(program);
    find_first(L, program);
    return program;
}
