// What a state may use, and bytes outside of it.
#include "budget.h"
#include "memory.h"

#include <stdlib.h>

// Small blocks that a state has freed are kept for it: malloc takes ten times as long. A collection frees what hundreds of calls have made, and
// later calls make as much again. If malloc had all of that, it would join hundreds of thousands of blocks in the middle of some call, for tens
// of milliseconds. A state keeps at most as many bytes as it uses, and some more. AddressSanitizer sees each block.
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_BLOCKS 0
#elif defined(__has_feature)
#define KEEPS_BLOCKS !__has_feature(address_sanitizer)
#else
#define KEEPS_BLOCKS 1
#endif
enum { KEPT_BYTES = 256 * 1024 };

static inline bool is_small(size_t size) { return size - 1 < KEPT_STEP * KEPT_CLASSES; }
static inline size_t class_of(size_t size) { return (size - 1) / KEPT_STEP; }
/// Any block of a class can take the place of another.
static inline size_t rounded(size_t size) { return is_small(size) ? (class_of(size) + 1) * KEPT_STEP : size; }

static inline void *take_kept(shunt_rule *rule, size_t size) {
    void **first = &rule->kept[class_of(size)], *block = *first;
    if (block == NULL) { return malloc(rounded(size)); }
    memcpy(first, block, sizeof *first);
    rule->kept_bytes -= rounded(size);
    return block;
}

static inline void keep_block(shunt_rule *rule, void *block, size_t size) {
    void **first = &rule->kept[class_of(size)];
    if (!KEEPS_BLOCKS || rule->kept_bytes + rounded(size) > rule->used + KEPT_BYTES) {
        free(block);
        // Of a state that shrinks, less is kept.
        if (*first != NULL) { free(take_kept(rule, size)); }
        return;
    }
    memcpy(block, first, sizeof *first);
    *first = block;
    rule->kept_bytes += rounded(size);
}

void free_kept(shunt_rule *rule) {
    for (size_t i = 0; i < KEPT_CLASSES; i++) {
        for (void *block = rule->kept[i], *next; block != NULL; block = next) {
            memcpy(&next, block, sizeof next);
            free(block);
        }
        rule->kept[i] = NULL;
    }
    rule->kept_bytes = 0;
}

/// Lua asks a second time after an emergency collection; the second refusal of the same request is final, and ends
/// the call in a way that it cannot catch.
static void *refuse(shunt_rule *rule, const void *block, size_t size) {
    if (rule->refused == block && rule->refused_size == size) {
        budget_out_of_memory(rule->host);
    } else {
        rule->refused = block;
        rule->refused_size = size;
        // So that the next call begins without it.
        rule->ceiling_used = SIZE_MAX;
    }
    return NULL;
}

/// What the host does with a state between calls has no bound.
static inline bool is_called(const shunt_rule *rule) { return rule->host->rule == rule && budget_is_armed(rule->host); }

void *state_allocate(void *context, void *block, size_t old_size, size_t size) {
    shunt_rule *rule = context;
    if (block == NULL) { old_size = 0; }
    if (size == 0) {
        rule->used -= old_size;
        if (block != NULL && is_small(old_size)) { keep_block(rule, block, old_size); } else { free(block); }
        return NULL;
    }
    if (size > old_size && (size - old_size > rule->ceiling || rule->used > rule->ceiling - (size - old_size)) && is_called(rule)) {
        return refuse(rule, block, size);
    }
    void *moved = block == NULL && is_small(size) ? take_kept(rule, size) : realloc(block, rounded(size));
    // Lua counts on shrinking to succeed.
    if (moved == NULL) { return size <= old_size ? block : refuse(rule, block, size); }
    rule->used += size - old_size;
    if (size > old_size) { rule->refused_size = 0; }
    return moved;
}

// MARK: what each rule may use

void update_reserved(shunt_host *host, shunt_rule *rule) {
    if (rule->reserved == 0 || (rule->used <= host->share && rule->reserved == host->share)) { return; }
    size_t reserved = rule->used > host->share ? rule->used : host->share;
    host->reserved += reserved - rule->reserved;
    rule->reserved = reserved;
}

void share_memory(shunt_host *host) {
    for (shunt_rule *rule = host->all; rule != NULL; rule = rule->next) { rule->reserved = 0; }
    host->reserved = 0;
    host->share = host->options.state_memory / (host->rule_count > 0 ? host->rule_count : 1);
    for (size_t i = 0; i < host->rule_count; i++) {
        shunt_rule *rule = host->rules[i];
        host->reserved += rule->reserved = rule->used > host->share ? rule->used : host->share;
        rule->ceiling_used = SIZE_MAX;
    }
}

// MARK: bytes outside Lua

static bool buffer_reserve(shunt_buffer *buffer, size_t count) {
    if (count > buffer->limit || buffer->count > buffer->limit - count) {
        buffer->full = true;
        return false;
    }
    size_t needed = buffer->count + count;
    if (needed <= buffer->capacity) { return true; }
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity * 2;
    if (capacity < needed) { capacity = needed; }
    if (capacity > buffer->limit) { capacity = buffer->limit; }
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        buffer->full = true;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

bool shunt_buffer_append(shunt_buffer *buffer, const void *bytes, size_t count) {
    if (!buffer_reserve(buffer, count)) { return false; }
    if (count > 0) { memcpy(buffer->bytes + buffer->count, bytes, count); }
    buffer->count += count;
    return true;
}

void shunt_buffer_free(shunt_buffer *buffer) {
    free(buffer->bytes);
    *buffer = (shunt_buffer){.limit = buffer->limit};
}

// MARK: scratch

/// Text that grows past what the call may still use ends it, as an allocation would.
void *scratch_need(lua_State *L, shunt_host *host, size_t count) {
    budget_check(L, host);
    const shunt_rule *rule = host->rule;
    size_t room = rule->ceiling > rule->used ? rule->ceiling - rule->used : 0;
    host->scratch.limit = room;
    if (host->scratch.bytes == NULL && count == 0) { count = 1; }
    if (!buffer_reserve(&host->scratch, count)) {
        budget_out_of_memory(host);
        budget_kill(L, host);
    }
    if (host->scratch.capacity > SCRATCH_KEPT) { host->untidy = true; }
    return host->scratch.bytes + host->scratch.count;
}

void scratch_add(lua_State *L, shunt_host *host, const void *bytes, size_t count) {
    void *place = scratch_need(L, host, count);
    if (count > 0) { memcpy(place, bytes, count); }
    host->scratch.count += count;
}

void scratch_push(lua_State *L, shunt_host *host, size_t base) {
    size_t count = host->scratch.count > base ? host->scratch.count - base : 0;
    lua_pushlstring(L, count == 0 ? "" : host->scratch.bytes + base, count);
    host->scratch.count = base;
}
