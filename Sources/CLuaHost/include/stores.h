/// Stores, counters, topics. For CLuaHost.h, which has their types.
#ifndef SHUNT_STORES_H
#define SHUNT_STORES_H

#include "CLuaHost.h"

/// A map of texts to texts, numbers and booleans with a time to live. Locked inside: any thread may use it.
shunt_store *shunt_store_create(uint32_t entries, size_t bytes);
void shunt_store_free(shunt_store *store);
size_t shunt_store_count(shunt_store *store);

typedef struct {
    const char *name, *labels;
    double value;
} shunt_counter_value;
size_t shunt_counter_count(const shunt_rule *rule);
shunt_counter_value shunt_counter_at(const shunt_rule *rule, size_t index);

/// Whether a text has another in it.
bool shunt_contains(shunt_bytes text, shunt_bytes part);

/// Whether an MQTT topic filter (MQTT 5 §4.7) takes a topic.
bool shunt_topic_matches(const char *filter, size_t filter_count, const char *topic, size_t topic_count);
bool shunt_filter_is_valid(const char *filter, size_t count);

#endif
