// What a state may use, and bytes outside of it.
#include "host.h"
#include "memory.h"

#include <stdlib.h>

/// Lua asks a second time after an emergency collection; the second refusal of the same request is final, and ends
/// the call in a way that it cannot catch.
static void *refuse(shunt_host *host, const void *block, size_t size) {
    if (host->refused == block && host->refused_size == size) {
        budget_out_of_memory(host);
    } else {
        host->refused = block;
        host->refused_size = size;
    }
    return NULL;
}

void *state_allocate(void *context, void *block, size_t old_size, size_t size) {
    shunt_host *host = context;
    if (block == NULL) { old_size = 0; }
    if (size == 0) {
        host->used -= old_size;
        free(block);
        return NULL;
    }
    if (size > old_size && (size - old_size > host->ceiling || host->used > host->ceiling - (size - old_size))) {
        return refuse(host, block, size);
    }
    void *moved = realloc(block, size);
    // Lua counts on shrinking to succeed.
    if (moved == NULL) { return size <= old_size ? block : refuse(host, block, size); }
    host->used += size - old_size;
    if (size > old_size) { host->refused_size = 0; }
    return moved;
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
    size_t room = host->ceiling > host->used ? host->ceiling - host->used : 0;
    host->scratch.limit = room;
    if (!buffer_reserve(&host->scratch, count)) {
        budget_out_of_memory(host);
        budget_kill(L, host);
    }
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
