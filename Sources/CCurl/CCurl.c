#include "CCurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// MARK: The library

static struct {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
    __typeof__(curl_multi_init) *multi_init;
    __typeof__(curl_multi_cleanup) *multi_cleanup;
    CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
    __typeof__(curl_multi_add_handle) *multi_add_handle;
    __typeof__(curl_multi_remove_handle) *multi_remove_handle;
    __typeof__(curl_multi_perform) *multi_perform;
    __typeof__(curl_multi_poll) *multi_poll;
    __typeof__(curl_multi_wakeup) *multi_wakeup;
    __typeof__(curl_multi_info_read) *multi_info_read;
} curl;

static const char *library_error;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        library_error = "libcurl.so.4 is not there: install Debian's package libcurl4";
        return;
    }
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"curl_global_init", &curl.global_init},
        {"curl_easy_init", &curl.easy_init},
        {"curl_easy_cleanup", &curl.easy_cleanup},
        {"curl_easy_setopt", &curl.easy_setopt},
        {"curl_easy_getinfo", &curl.easy_getinfo},
        {"curl_easy_strerror", &curl.easy_strerror},
        {"curl_slist_append", &curl.slist_append},
        {"curl_slist_free_all", &curl.slist_free_all},
        {"curl_multi_init", &curl.multi_init},
        {"curl_multi_cleanup", &curl.multi_cleanup},
        {"curl_multi_setopt", &curl.multi_setopt},
        {"curl_multi_add_handle", &curl.multi_add_handle},
        {"curl_multi_remove_handle", &curl.multi_remove_handle},
        {"curl_multi_perform", &curl.multi_perform},
        {"curl_multi_poll", &curl.multi_poll},
        {"curl_multi_wakeup", &curl.multi_wakeup},
        {"curl_multi_info_read", &curl.multi_info_read},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found) {
            library_error = "libcurl.so.4 is too old: 7.85 or newer";
            return;
        }
        memcpy(functions[i].place, &found, sizeof found);
    }
    if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) library_error = "libcurl does not start";
}

const char *fetch_library_error(void) {
    pthread_once(&once, load);
    return library_error;
}

// MARK: A transfer

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} received;

typedef struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    uint64_t id;
    received body, heads;
    // Bytes that the body may have.
    size_t maximum;
    bool is_too_large, has_all_heads;
    char why[CURL_ERROR_SIZE];
    struct transfer *previous, *next;
} transfer;

struct fetch_loop {
    CURLM *multi;
    transfer *first;
    // What the last result points to.
    transfer *told;
};

static void release(transfer *transfer) {
    if (!transfer) return;
    if (transfer->easy) curl.easy_cleanup(transfer->easy);
    curl.slist_free_all(transfer->headers);
    free(transfer->body.bytes);
    free(transfer->heads.bytes);
    free(transfer);
}

// Adds to bytes that have come. - Returns: false where they would be more than `maximum`, or there is no memory.
static bool append(transfer *transfer, received *to, size_t maximum, const char *data, size_t added) {
    if (added > maximum - to->length) {
        transfer->is_too_large = true;
        return false;
    }
    size_t needed = to->length + added;
    if (needed > to->capacity) {
        size_t capacity = to->capacity ? to->capacity : 1024;
        while (capacity < needed) capacity *= 2;
        uint8_t *larger = realloc(to->bytes, capacity);
        if (!larger) return false;
        to->bytes = larger;
        to->capacity = capacity;
    }
    memcpy(to->bytes + to->length, data, added);
    to->length = needed;
    return true;
}

static size_t receive(char *data, size_t one, size_t count, void *argument) {
    transfer *transfer = argument;
    size_t added = one * count;
    return append(transfer, &transfer->body, transfer->maximum, data, added) ? added : 0;
}

enum { MAX_HEADS = 64 * 1024 };

// A header of the answer. A new status line begins anew: there was an answer of another kind before, such as 100. Behind the empty line come
// trailers, which are no headers of the answer.
static size_t receive_head(char *data, size_t one, size_t count, void *argument) {
    transfer *transfer = argument;
    size_t added = one * count;
    if (added >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        transfer->heads.length = 0;
        transfer->has_all_heads = false;
    }
    if (transfer->has_all_heads) return added;
    transfer->has_all_heads = added <= 2 && (data[0] == '\r' || data[0] == '\n');
    return append(transfer, &transfer->heads, MAX_HEADS, data, added) ? added : 0;
}

// Behind a header's name is a colon, or a semicolon where it has no value.
static bool is_named(const char *line, const char *name) {
    size_t length = strlen(name);
    return strncasecmp(line, name, length) == 0 && (line[length] == ':' || line[length] == ';');
}

static bool add_header(transfer *transfer, const char *line) {
    struct curl_slist *longer = curl.slist_append(transfer->headers, line);
    if (!longer) return false;
    transfer->headers = longer;
    return true;
}

// Nothing but the request itself: no redirects, proxies of the environment, .netrc, cookies, or compressed bodies that grow.
static bool set(transfer *transfer, const fetch_request *request) {
    CURL *easy = transfer->easy;
    CURLcode failures = CURLE_OK;
#define SET(option, value) failures |= curl.easy_setopt(easy, option, value)
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_NOSIGNAL, 1L);
    // A look-up of a name that hangs is left alone.
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_TIMEOUT_MS, request->milliseconds);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->maximum);
    SET(CURLOPT_WRITEFUNCTION, receive);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->why);
    SET(CURLOPT_USERAGENT, "shunt");
    if (request->authorities) {
        struct curl_blob blob = {(void *)request->authorities, request->authorities_length, CURL_BLOB_COPY};
        SET(CURLOPT_CAINFO_BLOB, &blob);
    }
    bool has_type = false;
    for (size_t at = 0; at < request->headers_length; at += strlen(request->headers + at) + 1) {
        has_type |= is_named(request->headers + at, "content-type");
        if (!add_header(transfer, request->headers + at)) return false;
    }
    if (request->headers) {
        SET(CURLOPT_HEADERFUNCTION, receive_head);
        SET(CURLOPT_HEADERDATA, transfer);
    } else if (!add_header(transfer, "Accept: application/json")) {
        return false;
    }
    if (request->body) {
        if (!has_type && !add_header(transfer, "Content-Type: application/json")) return false;
        if (!add_header(transfer, "Expect:")) return false;
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        SET(CURLOPT_COPYPOSTFIELDS, request->body);
    }
    SET(CURLOPT_HTTPHEADER, transfer->headers);
#undef SET
    return failures == CURLE_OK;
}

// MARK: A loop

fetch_loop *fetch_loop_new(long connections) {
    if (fetch_library_error()) return NULL;
    fetch_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    loop->multi = curl.multi_init();
    if (!loop->multi) {
        free(loop);
        return NULL;
    }
    curl.multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, connections);
    return loop;
}

static void forget(fetch_loop *loop, transfer *transfer) {
    curl.multi_remove_handle(loop->multi, transfer->easy);
    if (transfer->previous) transfer->previous->next = transfer->next;
    else loop->first = transfer->next;
    if (transfer->next) transfer->next->previous = transfer->previous;
}

void fetch_loop_free(fetch_loop *loop) {
    release(loop->told);
    while (loop->first) {
        transfer *transfer = loop->first;
        forget(loop, transfer);
        release(transfer);
    }
    curl.multi_cleanup(loop->multi);
    free(loop);
}

void fetch_wake(fetch_loop *loop) { curl.multi_wakeup(loop->multi); }

bool fetch_begin(fetch_loop *loop, const fetch_request *request) {
    transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) return false;
    transfer->id = request->id;
    transfer->maximum = request->maximum;
    transfer->easy = curl.easy_init();
    if (!transfer->easy || !set(transfer, request) || curl.multi_add_handle(loop->multi, transfer->easy) != CURLM_OK) {
        release(transfer);
        return false;
    }
    transfer->next = loop->first;
    if (loop->first) loop->first->previous = transfer;
    loop->first = transfer;
    return true;
}

void fetch_wait(fetch_loop *loop, int milliseconds) {
    int running;
    curl.multi_poll(loop->multi, NULL, 0, milliseconds, NULL);
    curl.multi_perform(loop->multi, &running);
}

static enum fetch_end end_of(CURLcode code, const transfer *transfer) {
    if (transfer->is_too_large) return FETCH_TOO_LARGE;
    switch (code) {
    case CURLE_OK: return FETCH_ANSWERED;
    case CURLE_OPERATION_TIMEDOUT: return FETCH_TIMED_OUT;
    case CURLE_FILESIZE_EXCEEDED: return FETCH_TOO_LARGE;
    default: return FETCH_FAILED;
    }
}

bool fetch_next(fetch_loop *loop, fetch_result *result) {
    release(loop->told);
    loop->told = NULL;
    int rest;
    CURLMsg *message;
    while ((message = curl.multi_info_read(loop->multi, &rest))) {
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode code = message->data.result;
        char *owner = NULL;
        curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
        transfer *transfer = (void *)owner;
        memset(result, 0, sizeof *result);
        result->id = transfer->id;
        result->end = end_of(code, transfer);
        curl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &result->status);
        result->body = transfer->body.bytes;
        result->body_length = transfer->body.length;
        result->headers = transfer->heads.bytes;
        result->headers_length = transfer->heads.length;
        result->why = transfer->why[0] ? transfer->why : curl.easy_strerror(code);
        forget(loop, transfer);
        loop->told = transfer;
        return true;
    }
    return false;
}
