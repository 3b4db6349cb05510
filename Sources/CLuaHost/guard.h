// Keeps payloads out of the log: what a rule says, or Lua says of it, is hidden where it repeats a part of the message.
#ifndef SHUNT_GUARD_H
#define SHUNT_GUARD_H

#include "host.h"

#define GUARD_NOTICE "(hidden: it repeats the payload)"

typedef struct guard_run guard_run;

typedef struct {
    const shunt_host *host;
    const shunt_rule *rule;
    /// The payload as the rule read it, and with its JSON escapes undone where it has some.
    shunt_bytes plain, undone;
    /// The runs of what was said, and which of them the payload has.
    guard_run *runs;
    size_t mask;
    uint64_t seed;
    bool failed;
    /// The payload is too large to be compared with.
    bool is_large;
} payload_guard;

/// Finds what of all that a rule said in a call is in the payload: one pass over it, however much that is.
void guard_open(payload_guard *guard, const shunt_host *host, const shunt_rule *rule, shunt_bytes said);
/// Whether a part of what was said repeats a part of the payload.
bool guard_hides(const payload_guard *guard, shunt_bytes part);
void guard_close(payload_guard *guard);

#endif
