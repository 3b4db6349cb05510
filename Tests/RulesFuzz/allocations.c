// Stands between the host and the C library (--wrap), so that an allocation can be refused.
#include "fuzz.h"

#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

static bool active;
static uint64_t asked, refused_at;
static refusal mode;

void refuse_allocation(uint64_t n, refusal how) {
    active = true;
    asked = 0;
    refused_at = n;
    mode = how;
}

bool stop_refusing(void) {
    active = false;
    return asked >= refused_at;
}

bool is_refusing(void) { return active; }

static bool refuses(void) {
    if (!active) { return false; }
    asked++;
    return asked == refused_at || (mode == REFUSE_TWO && asked == refused_at + 1) || (mode == REFUSE_REST && asked > refused_at);
}

void *__wrap_malloc(size_t size) { return refuses() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return refuses() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *block, size_t size) { return refuses() ? NULL : __real_realloc(block, size); }

char *__wrap_strdup(const char *text) {
    char *copy = __wrap_malloc(strlen(text) + 1);
    if (copy != NULL) { strcpy(copy, text); }
    return copy;
}
