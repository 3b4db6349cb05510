// Look-ups, and the calls that wait for them. For main.c, whose session keeps these.
#ifndef SHUNT_RULES_FUZZ_WAITS_H
#define SHUNT_RULES_FUZZ_WAITS_H

/// Reads all bytes: a sanitizer sees those that are not there any more.
static void look_at(shunt_bytes bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes.count; i++) { sum += ((const unsigned char *)bytes.start)[i]; }
    __asm__ volatile("" : : "r"(sum));
}

/// A value as answers come: a text that says why there is none, a response, or addresses.
static shunt_bytes answer(char *bytes, size_t limit) {
    static const char response[] = "o\x02\0\0\0s\x06\0\0\0statusi\xC8\0\0\0\0\0\0\0s\x04\0\0\0bodys\x02\0\0\0{}";
    static const char none[] = "s\x02\0\0\0no", addresses[] = "a\x01\0\0\0s\x07\0\0\0192.0.2";
    const shunt_bytes all[] = {{response, sizeof response - 1}, {none, sizeof none - 1}, {addresses, sizeof addresses - 1}};
    shunt_bytes chosen = all[below(3)];
    memcpy(bytes, chosen.start, chosen.count < limit ? chosen.count : limit);
    // Bytes that end in the middle.
    return (shunt_bytes){bytes, below(6) == 0 ? below((uint32_t)chosen.count + 1) : chosen.count};
}

static shunt_look look_up(void *context, uint8_t rule, const shunt_lookup *lookup, shunt_buffer *found) {
    (void)context, (void)rule;
    look_at(lookup->target);
    look_at(lookup->body);
    look_at(lookup->headers);
    if (below(4) != 0) { return SHUNT_LOOK_WAITS; }
    char bytes[128];
    shunt_bytes value = answer(bytes, sizeof bytes);
    shunt_buffer_append(found, value.start, value.count);
    return below(4) == 0 ? SHUNT_LOOK_REFUSED : SHUNT_LOOK_KNOWN;
}

/// Keeps a call that waits, or gives it up where there is no room.
static void keep(session *s, shunt_waiting *call) {
    if (call == NULL) { return; }
    if (s->waiting == MOST_WAITS || below(8) == 0) {
        shunt_waiting_free(s->host, call);
    } else {
        s->waits[s->waiting++] = call;
    }
}

/// Goes on with one of the calls that wait, or gives it up.
static void resume(session *s) {
    if (s->waiting == 0) { return; }
    size_t place = below((uint32_t)s->waiting);
    shunt_waiting *call = s->waits[place], *again = NULL;
    s->waits[place] = s->waits[--s->waiting];
    char bytes[128];
    shunt_bytes found = answer(bytes, sizeof bytes);
    if (below(4) == 0) {
    } else if (shunt_waiting_hook(call) == SHUNT_ON_SUBSCRIBE) {
        shunt_subscribe_outcome outcome = {0};
        shunt_subscribe_resume(s->host, call, found, 0, s->now, &outcome);
        again = outcome.waiting;
        if (again == NULL) { look_at(outcome.topic); }
    } else {
        shunt_connect_outcome outcome = {0};
        shunt_connect_resume(s->host, call, found, 0, s->now, &outcome);
        again = outcome.waiting;
        if (again == NULL) { look_at(outcome.record); }
    }
    if (again != call) { shunt_waiting_free(s->host, call); }
    keep(s, again);
}

#endif
