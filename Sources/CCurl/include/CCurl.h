// HTTP requests by libcurl's multi interface.
//
// The library is loaded when the first loop is made: linked, it and the thirty libraries that it brings along would cost every process 4 MB
// and 8 ms.
#ifndef SHUNT_CCURL_H
#define SHUNT_CCURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Requests that are under way. One thread makes all calls, except `fetch_wake`.
typedef struct fetch_loop fetch_loop;

typedef struct {
    /// Names the request in its result.
    uint64_t id;
    /// http or https; nothing else is asked.
    const char *url;
    /// JSON to POST; NULL to GET.
    const uint8_t *body;
    size_t body_length;
    /// Header lines, each with a zero byte behind it; NULL: those of JSON. The caller has checked them.
    const char *headers;
    size_t headers_length;
    /// PEM of the authorities that the server's certificate is checked with; NULL: those of the system.
    const uint8_t *authorities;
    size_t authorities_length;
    long milliseconds;
    /// The longest body of an answer.
    size_t maximum;
} fetch_request;

enum fetch_end { FETCH_ANSWERED, FETCH_TIMED_OUT, FETCH_TOO_LARGE, FETCH_FAILED };

typedef struct {
    uint64_t id;
    enum fetch_end end;
    /// Of an answer.
    long status;
    const uint8_t *body;
    size_t body_length;
    /// Its header lines as they came, the status line first; those that are too many are left out.
    const uint8_t *headers;
    size_t headers_length;
    /// Of a request that failed: why.
    const char *why;
} fetch_result;

/// NULL where libcurl is there, else what is wrong.
const char *fetch_library_error(void);
/// NULL where libcurl is not there, or gives no memory.
fetch_loop *fetch_loop_new(long connections);
/// Ends the requests that are under way.
void fetch_loop_free(fetch_loop *loop);
/// Has `fetch_wait` return. From any thread.
void fetch_wake(fetch_loop *loop);
/// Copies what the request points to. false where there is no memory.
bool fetch_begin(fetch_loop *loop, const fetch_request *request);
/// Waits until something happens, at most so long, and goes on with the requests.
void fetch_wait(fetch_loop *loop, int milliseconds);
/// The next request that has ended; false where there is none. What the result points to stays until the next call.
bool fetch_next(fetch_loop *loop, fetch_result *result);

#endif
