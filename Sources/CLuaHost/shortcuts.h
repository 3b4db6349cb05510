// What of the last messages is used again.
#ifndef SHUNT_SHORTCUTS_H
#define SHUNT_SHORTCUTS_H

#include "host.h"

static inline uint64_t word_at(const char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline bool are_equal(shunt_bytes a, shunt_bytes b) {
    const char *one = a.start, *two = b.start;
    size_t last = a.count - sizeof(uint64_t);
    if (a.count != b.count) { return false; }
    if (last > sizeof(uint64_t)) { return a.count == 0 || memcmp(one, two, a.count) == 0; }
    return ((word_at(one) ^ word_at(two)) | (word_at(one + last) ^ word_at(two + last))) == 0;
}

/// A producer mostly repeats its topic: the text made last is used again.
static inline bool is_last_topic(const shunt_rule *rule, shunt_bytes topic) {
    return rule->topic_bytes.start != NULL && are_equal(rule->topic_bytes, topic);
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
