// Keeps payloads out of the log: what a rule says, or Lua says of it, is hidden where it repeats a part of the message.
#ifndef SHUNT_GUARD_H
#define SHUNT_GUARD_H

#include "host.h"

#define GUARD_NOTICE "(hidden: it repeats the payload)"
#define GUARD_NOTICE_LARGE "(hidden: the payload is too large to tell whether it is repeated)"

/// What the call has read of a client that no log may repeat: nothing of an earlier call.
static inline shunt_buffer *secret_of(shunt_host *host) {
    if (host->secret_serial != host->serial) {
        host->secret_serial = host->serial;
        host->secret.count = 0;
        host->secret.full = false;
    }
    return &host->secret;
}

/// The rule reads what no log may repeat.
static inline void note_secret(shunt_host *host, shunt_bytes bytes) {
    if (bytes.count > 0) { shunt_buffer_append(secret_of(host), bytes.start, bytes.count); }
}

typedef struct guard_run guard_run;

typedef struct {
    const shunt_host *host;
    const shunt_rule *rule;
    /// The payload as the rule read it, and with its JSON escapes undone where it has some; the same of what it read of a client.
    shunt_bytes plain, undone, secret, secret_undone;
    /// The runs of what was said, and which of them the payload has.
    guard_run *runs;
    size_t mask;
    /// Behind the runs, as many words as this is the logarithm of.
    uint64_t *filter;
    int filter_log;
    /// How many bytes of the rule's files have been searched for what was said.
    size_t searched;
    uint64_t seed;
    bool failed;
    /// The payload is too large to be compared with.
    bool is_large;
} payload_guard;

/// Finds what of all that a rule said in a call is in the payload: one pass over it, however much that is.
void guard_open(payload_guard *guard, const shunt_host *host, const shunt_rule *rule, shunt_bytes said);
/// Whether a part of what was said repeats a part of the payload.
bool guard_hides(payload_guard *guard, shunt_bytes part);
/// What is said instead.
shunt_bytes guard_notice(const payload_guard *guard);
void guard_close(payload_guard *guard);

#endif
