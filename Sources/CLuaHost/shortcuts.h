// What of the last messages is used again.
#ifndef SHUNT_SHORTCUTS_H
#define SHUNT_SHORTCUTS_H

#include "host.h"

static inline uint64_t word_at(const char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/// Whether the bytes from two places on are the same, of as many as two words, or one and less than another.
static inline bool are_equal_words(const char *one, const char *two, size_t count) {
    size_t last = count - sizeof(uint64_t);
    return ((word_at(one) ^ word_at(two)) | (word_at(one + last) ^ word_at(two + last))) == 0;
}

enum { TWO_WORDS = 2 * sizeof(uint64_t) };

/// A producer mostly repeats its topic: the text made last is used again. False for topics of less than 8 bytes and of more than 32, which
/// are looked at with a call.
static inline bool is_last_short_topic(const shunt_rule *rule, shunt_bytes topic) {
    const char *one = rule->topic_bytes.start, *two = topic.start;
    size_t count = topic.count;
    if (one == NULL || count != rule->topic_bytes.count || count - sizeof(uint64_t) > 3 * sizeof(uint64_t)) { return false; }
    if (count <= TWO_WORDS) { return are_equal_words(one, two, count); }
    return are_equal_words(one, two, TWO_WORDS) && are_equal_words(one + count - TWO_WORDS, two + count - TWO_WORDS, TWO_WORDS);
}

/// The same for all topics.
static inline bool is_last_topic(const shunt_rule *rule, shunt_bytes topic) {
    if (is_last_short_topic(rule, topic)) { return true; }
    return rule->topic_bytes.start != NULL && rule->topic_bytes.count == topic.count
        && (topic.count == 0 || memcmp(rule->topic_bytes.start, topic.start, topic.count) == 0);
}

/// The verdict of `route.to` for a topic, where one is kept; else NULL.
static inline const lua_value *kept_verdict(const shunt_rule *rule, const lua_value *topic) {
    const lua_text *text = topic->bits.pointer;
    if (topic->type != LUA_SHORT_TEXT) { return NULL; }
    const kept_route *kept = &rule->routes[text->hash % KEPT_ROUTES];
    return kept->topic == text && text->short_length <= rule->host->options.topic_bytes ? &kept->verdict : NULL;
}

/// Fills a table that is asked for a field or its length. - Returns: false, and nothing done, where the function is another one (lazy.c).
bool lazy_answer(lua_State *L, const lua_value *function, const lua_value *object, const lua_value *key, lua_value *result);

#endif
