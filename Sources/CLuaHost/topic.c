// MQTT topic filters (MQTT 5 §4.7): + takes one level, # the rest, and neither takes a first level that begins with $.
#include "CLuaHost.h"

#include <string.h>

bool shunt_filter_is_valid(const char *filter, size_t count) {
    if (count == 0 || count > 65535) { return false; }
    for (size_t i = 0; i < count; i++) {
        if (filter[i] == 0) { return false; }
        if (filter[i] != '+' && filter[i] != '#') { continue; }
        if (i > 0 && filter[i - 1] != '/') { return false; }
        if (filter[i] == '#' ? i + 1 < count : i + 1 < count && filter[i + 1] != '/') { return false; }
    }
    return true;
}

bool shunt_topic_matches(const char *filter, size_t filter_count, const char *topic, size_t topic_count) {
    if (filter_count == 0 || topic_count == 0) { return false; }
    const char *filter_end = filter + filter_count, *topic_end = topic + topic_count;
    if (*topic == '$' && (*filter == '+' || *filter == '#')) { return false; }
    while (filter < filter_end) {
        if (*filter == '#') { return true; }
        if (*filter == '+') {
            filter++;
            while (topic < topic_end && *topic != '/') { topic++; }
            if (topic == topic_end && filter == filter_end) { return true; }
        } else if (topic < topic_end && *filter == *topic) {
            filter++;
            topic++;
            continue;
        }
        if (topic == topic_end) {
            // a/# takes a as well.
            return filter_end - filter == 2 && filter[0] == '/' && filter[1] == '#';
        }
        if (filter == filter_end || *filter != *topic) { return false; }
    }
    return topic == topic_end;
}
