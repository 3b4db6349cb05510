// kv and shared: maps of texts to values with a time to live, bounded by entries and bytes. A full map first lets go of
// what has expired, by a heap; then it refuses.
#include "store.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

typedef struct entry {
    struct entry *next;
    double expires;
    store_value value;
    uint32_t key_count;
    /// Its place in the heap; NOWHERE of one that does not expire.
    uint32_t place;
    char bytes[];
} entry;

struct shunt_store {
    pthread_mutex_t lock;
    bool is_shared;
    uint64_t seed[2];
    entry **buckets;
    uint32_t bucket_count, limit, count;
    size_t bytes, byte_limit;
    /// The entries that expire: none before the one at (place - 1) / 2.
    entry **heap;
    uint32_t heap_count, heap_room;
};

#define NOWHERE UINT32_MAX

/// Only `shared` is used by more than one thread.
static inline void lock(shunt_store *store) {
    if (store->is_shared) { pthread_mutex_lock(&store->lock); }
}
static inline void unlock(shunt_store *store) {
    if (store->is_shared) { pthread_mutex_unlock(&store->lock); }
}

shunt_store *shunt_store_create(uint32_t entries, size_t bytes) {
    shunt_store *store = calloc(1, sizeof *store);
    if (store == NULL) { return NULL; }
    pthread_mutex_init(&store->lock, NULL);
    store->is_shared = true;
    store->limit = entries;
    store->byte_limit = bytes;
    store->bucket_count = 16;
    while (store->bucket_count < entries && store->bucket_count < (1u << 20)) { store->bucket_count *= 2; }
    if (getrandom(store->seed, sizeof store->seed, GRND_NONBLOCK) < 0) { store->seed[0] = (uint64_t)(uintptr_t)store; }
    return store;
}

void store_keep_to_thread(shunt_store *store) { store->is_shared = false; }

void shunt_store_free(shunt_store *store) {
    if (store == NULL) { return; }
    for (uint32_t i = 0; store->buckets != NULL && i < store->bucket_count; i++) {
        while (store->buckets[i] != NULL) {
            entry *next = store->buckets[i]->next;
            free(store->buckets[i]);
            store->buckets[i] = next;
        }
    }
    free(store->buckets);
    free(store->heap);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

size_t shunt_store_count(shunt_store *store) {
    lock(store);
    size_t count = store->count;
    unlock(store);
    return count;
}

// MARK: hashing: SipHash-1-3, since clients choose keys

static inline uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/// Less than eight bytes as a word, the first in its lowest byte.
static inline uint64_t few_bytes(const char *text, size_t count) {
    uint32_t first = 0, last = 0;
    if (count >= 4) {
        memcpy(&first, text, 4);
        memcpy(&last, text + count - 4, 4);
        return first | (uint64_t)last << (8 * (count - 4));
    }
    if (count == 0) { return 0; }
    size_t middle = count / 2, end = count - 1;
    return (uint64_t)(unsigned char)text[0] | (uint64_t)(unsigned char)text[middle] << 8 * middle | (uint64_t)(unsigned char)text[end] << 8 * end;
}

static uint64_t hash(const uint64_t seed[2], const char *text, size_t count) {
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du, seed[0] ^ 0x6c7967656e657261u,
                     seed[1] ^ 0x7465646279746573u};
    size_t at = 0;
    for (; at + 8 <= count; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)count << 56 | few_bytes(text + at, count - at);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) { sip_round(v); }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// MARK: entries

static size_t size_of(const entry *e) { return sizeof *e + e->key_count + e->value.count; }

static void stand(shunt_store *store, entry *e, uint32_t place) {
    store->heap[place] = e;
    e->place = place;
}

/// Moves an entry to where it belongs, from a place that is free.
static void settle(shunt_store *store, entry *e, uint32_t place) {
    while (place > 0 && store->heap[(place - 1) / 2]->expires > e->expires) {
        stand(store, store->heap[(place - 1) / 2], place);
        place = (place - 1) / 2;
    }
    for (uint32_t next; (next = 2 * place + 1) < store->heap_count; place = next) {
        if (next + 1 < store->heap_count && store->heap[next + 1]->expires < store->heap[next]->expires) { next++; }
        if (store->heap[next]->expires >= e->expires) { break; }
        stand(store, store->heap[next], place);
    }
    stand(store, e, place);
}

static bool has_heap_room(shunt_store *store) {
    if (store->heap_count < store->heap_room) { return true; }
    uint32_t room = store->heap_room == 0 ? 64 : store->heap_room * 2;
    entry **heap = realloc(store->heap, room * sizeof *heap);
    if (heap == NULL) { return false; }
    store->heap = heap;
    store->heap_room = room;
    return true;
}

static void take_out(shunt_store *store, entry **link) {
    entry *e = *link;
    if (e->place != NOWHERE) {
        entry *last = store->heap[--store->heap_count];
        if (last != e) { settle(store, last, e->place); }
    }
    *link = e->next;
    store->count--;
    store->bytes -= size_of(e);
    free(e);
}

static entry **find(shunt_store *store, const char *key, size_t count, double now) {
    entry **link = &store->buckets[hash(store->seed, key, count) & (store->bucket_count - 1)];
    while (*link != NULL) {
        if ((*link)->expires <= now) {
            take_out(store, link);
        } else if ((*link)->key_count == count && memcmp((*link)->bytes, key, count) == 0) {
            break;
        } else {
            link = &(*link)->next;
        }
    }
    return link;
}

static entry **link_of(shunt_store *store, const entry *e) {
    entry **link = &store->buckets[hash(store->seed, e->bytes, e->key_count) & (store->bucket_count - 1)];
    while (*link != e) { link = &(*link)->next; }
    return link;
}

static bool fits(const shunt_store *store, size_t freed, size_t size) {
    return store->count - (freed > 0) < store->limit && store->bytes - freed + size <= store->byte_limit;
}

/// Lets go of what has expired until there is room: of as much as was put in once, and of nothing else.
static void make_room(shunt_store *store, double now, size_t freed, size_t size) {
    while (!fits(store, freed, size) && store->heap_count > 0 && store->heap[0]->expires <= now) {
        take_out(store, link_of(store, store->heap[0]));
    }
}

static bool prepare(shunt_store *store) {
    if (store->buckets == NULL) { store->buckets = calloc(store->bucket_count, sizeof *store->buckets); }
    return store->buckets != NULL;
}

static bool put(shunt_store *store, const char *key, size_t count, const store_value *value, double expires, double now) {
    entry **link = find(store, key, count, now);
    size_t size = sizeof(entry) + count + value->count, freed = *link == NULL ? 0 : size_of(*link);
    if (!fits(store, freed, size)) {
        make_room(store, now, freed, size);
        if (!fits(store, freed, size)) { return false; }
        link = find(store, key, count, now);
    }
    entry *e = has_heap_room(store) ? malloc(size) : NULL;
    if (e == NULL) { return false; }
    if (*link != NULL) { take_out(store, link); }
    *e = (entry){*link, expires, *value, (uint32_t)count, NOWHERE};
    if (expires < HUGE_VAL) { settle(store, e, store->heap_count++); }
    memcpy(e->bytes, key, count);
    if (value->count > 0) { memcpy(e->bytes + count, value->text, value->count); }
    *link = e;
    store->count++;
    store->bytes += size;
    return true;
}

// MARK: for the library

bool store_get(shunt_store *store, const char *key, size_t count, double now, store_value *value, shunt_buffer *text) {
    lock(store);
    entry *e = prepare(store) ? *find(store, key, count, now) : NULL;
    if (e != NULL) {
        *value = e->value;
        text->count = 0;
        text->full = false;
        shunt_buffer_append(text, e->bytes + e->key_count, e->value.count);
        value->text = text->bytes;
    }
    unlock(store);
    return e != NULL;
}

bool store_set(shunt_store *store, const char *key, size_t count, const store_value *value, double expires, double now) {
    lock(store);
    bool done = prepare(store) && put(store, key, count, value, expires, now);
    unlock(store);
    return done;
}

void store_delete(shunt_store *store, const char *key, size_t count, double now) {
    lock(store);
    if (prepare(store)) {
        entry **link = find(store, key, count, now);
        if (*link != NULL) { take_out(store, link); }
    }
    unlock(store);
}

/// Integers stay integers, unless the sum is more than one.
static store_value sum(const store_value *a, const store_value *b) {
    store_value result = {.type = STORE_INTEGER};
    bool integers = a->type == STORE_INTEGER && b->type == STORE_INTEGER;
    if (integers && !__builtin_add_overflow(a->integer, b->integer, &result.integer)) { return result; }
    double left = a->type == STORE_INTEGER ? (double)a->integer : a->number;
    double right = b->type == STORE_INTEGER ? (double)b->integer : b->number;
    return (store_value){.type = STORE_NUMBER, .number = left + right};
}

/// Keeps the time to live that a number has.
store_added store_add(shunt_store *store, const char *key, size_t count, const store_value *by, double expires, double now,
               store_value *result) {
    lock(store);
    store_added added = STORE_FULL;
    entry *e = prepare(store) ? *find(store, key, count, now) : NULL;
    if (e != NULL && e->value.type != STORE_INTEGER && e->value.type != STORE_NUMBER) {
        added = STORE_NO_NUMBER;
    } else if (e != NULL) {
        *result = e->value = sum(&e->value, by);
        added = STORE_ADDED;
    } else if (store->buckets != NULL && put(store, key, count, by, expires, now)) {
        *result = *by;
        added = STORE_ADDED;
    }
    unlock(store);
    return added;
}
