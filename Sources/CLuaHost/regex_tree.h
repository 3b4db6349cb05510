// The tree of a regular expression, while its pattern is compiled.
#ifndef SHUNT_REGEX_TREE_H
#define SHUNT_REGEX_TREE_H

#include "regex.h"

enum { MAX_NODES = 3 * REGEX_MAX_PATTERN, MAX_RANGES = 6 * REGEX_MAX_PATTERN, LAST_CODE_POINT = 0x10FFFF };

typedef enum { NODE_EMPTY, NODE_SET, NODE_ALL_OF, NODE_ONE_OF, NODE_REPEAT, NODE_GROUP, NODE_ASSERTION } node_kind;

typedef struct {
    uint8_t kind;
    /// Of a repetition: whether more is better. Of a group, its number; of an assertion, its operation.
    uint8_t detail;
    /// Of a repetition; 0 for any number.
    uint16_t least, most;
    /// The last child, and the node before this one; 0 for none. Of a set: where its ranges begin, and in `least` how many there are.
    uint16_t last, before;
} regex_node;

typedef struct {
    uint32_t low, high;
} code_range;

typedef struct {
    lua_State *L;
    const unsigned char *text, *at, *end;
    int depth;
    bool folds, dot_takes_all;
    uint8_t groups;
    uint16_t node_count, range_count, code_count;
    bool has_words;
    regex_node nodes[MAX_NODES];
    code_range ranges[MAX_RANGES];
    regex_instruction code[REGEX_MAX_INSTRUCTIONS];
} compiler;

_Noreturn void regex_wrong(compiler *c, const char *why);
/// Reads the whole pattern.
/// - Returns: the tree's root.
uint16_t regex_parse(compiler *c);

#endif
