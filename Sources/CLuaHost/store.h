// What rules keep: values by key, for one rule (`kv`) or for all of a worker (`shared`).
#ifndef SHUNT_STORE_H
#define SHUNT_STORE_H

#include "CLuaHost.h"

enum { STORE_TEXT, STORE_INTEGER, STORE_NUMBER, STORE_BOOLEAN };

typedef struct {
    int type;
    /// Of an integer or a boolean; any other number.
    int64_t integer;
    double number;
    const char *text;
    size_t count;
} store_value;

/// Copies the value's text to `text`, which the caller owns.
bool store_get(shunt_store *store, const char *key, size_t count, double now, store_value *value, shunt_buffer *text);
/// False where the store is full.
bool store_set(shunt_store *store, const char *key, size_t count, const store_value *value, double expires, double now);
void store_delete(shunt_store *store, const char *key, size_t count, double now);
/// STORE_NO_NUMBER: there is a text or a boolean, which stays.
typedef enum { STORE_ADDED, STORE_FULL, STORE_NO_NUMBER } store_added;
/// Adds to a number, from 0 where there is none, in one step.
/// From here on one thread uses it: it is not locked.
void store_keep_to_thread(shunt_store *store);
store_added store_add(shunt_store *store, const char *key, size_t count, const store_value *by, double expires, double now,
               store_value *result);

#endif
