// Regular expressions in linear time: RE2's syntax without Unicode classes, names and multi-line mode. A pattern becomes a program over
// bytes; a text runs through all of the program's ways at once, so no text takes longer than its length times the program's.
//
// Not RE2 itself: a search of it can't be stopped, and its memory is no rule's.
#ifndef SHUNT_REGEX_H
#define SHUNT_REGEX_H

#include "host.h"

/// `REGEX_MAX_GROUPS` counts the whole match as one.
enum { REGEX_MAX_PATTERN = 1024, REGEX_MAX_INSTRUCTIONS = 4096, REGEX_MAX_GROUPS = 16 };

typedef enum {
    /// Takes a byte of low...high.
    REGEX_RANGE,
    /// Goes on at `next`, or else at `other`.
    REGEX_SPLIT,
    /// Notes the place in the slot `other`.
    REGEX_SAVE,
    /// The text's begin or end; a place between a word's byte and another, or none.
    REGEX_BEGIN, REGEX_END, REGEX_WORD, REGEX_NO_WORD,
    REGEX_MATCH,
} regex_operation;

typedef struct {
    uint8_t operation, low, high;
    uint16_t next, other;
} regex_instruction;

typedef struct {
    uint16_t count, start;
    /// The whole match and the groups.
    uint8_t groups;
    /// Whether it asks for words' ends: then there is no automaton.
    bool has_words;
    /// Whether an empty text may match somewhere.
    bool may_be_empty;
    /// The bytes that a match may begin with.
    uint64_t first[4];
    /// Bytes that no instruction tells apart have one class.
    uint8_t classes[256];
    uint16_t class_count;
    /// Where the sets and the states of the automaton are, behind the code, and how many bytes the states have.
    uint32_t sets, arena, arena_count;
    regex_instruction code[];
} regex_program;

/// Words of a set of a program's instructions, a bit each.
static inline size_t regex_set_words(size_t instructions) { return (instructions + 63) / 64; }

/// Pushes a program, a userdata with one user value, which a search uses. Raises if the text is no pattern.
regex_program *regex_compile(lua_State *L, const char *text, size_t count);
/// Whether a match is anywhere in the text. The program is at the stack's top. Ends an overdue call.
bool regex_test(lua_State *L, regex_program *program, const char *text, size_t count);
/// The program is at the stack's top. The leftmost match from `from` on; of those that begin there, the one that comes first by the pattern.
/// - Parameter slots: two places for each group, begin and end; SIZE_MAX where a group has no part in the match.
bool regex_search(lua_State *L, regex_program *program, const char *text, size_t count, size_t from, size_t *slots);

#endif
