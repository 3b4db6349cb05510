// How clients and chats come from Swift: texts with their counts before them. A reader never leaves the record.
#ifndef SHUNT_RECORD_H
#define SHUNT_RECORD_H

#include "host.h"

typedef struct {
    const char *at, *end;
} reader;

/// Appends bytes, mostly few, where there is room.
static inline void record_bytes(shunt_buffer *record, const void *bytes, size_t count) {
    if (__builtin_expect(count > record->capacity - record->count, 0)) {
        shunt_buffer_append(record, bytes, count);
        return;
    }
    if (count > 0) { memcpy(record->bytes + record->count, bytes, count); }
    record->count += count;
}

static inline void record_text(shunt_buffer *record, shunt_bytes text) {
    uint32_t count = (uint32_t)text.count;
    record_bytes(record, &count, sizeof count);
    record_bytes(record, text.start, text.count);
}

static inline uint32_t read_count(reader *r) {
    uint32_t count = 0;
    if ((size_t)(r->end - r->at) < sizeof count) { return 0; }
    memcpy(&count, r->at, sizeof count);
    r->at += sizeof count;
    return count;
}

static inline shunt_bytes read_text(reader *r) {
    size_t count = read_count(r);
    if (count > (size_t)(r->end - r->at)) { count = (size_t)(r->end - r->at); }
    shunt_bytes text = {r->at, count};
    r->at += count;
    return text;
}

#endif
