#include "trial.h"

// Decisions of rules on trial, beside those of the rules that they may replace.

bool is_apart(const shunt_host *host) {
    // While a rule loads, it has no place in the order yet.
    return host->rule->shadow || (host->hook > SHUNT_ON_UNLOAD && is_observed(host, host->rule));
}

/// As fast as a message is read; who chooses payloads that collide hides a difference from a report, and nothing else.
static uint64_t fold(uint64_t hash, shunt_bytes bytes) {
    const unsigned char *at = bytes.start;
    uint64_t word = 0;
    for (size_t left = bytes.count; left >= sizeof word; left -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    word = 0;
    if (bytes.count % sizeof word != 0) { memcpy(&word, at, bytes.count % sizeof word); }
    hash = (hash ^ word ^ bytes.count << 56) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

void trial_add(trial_decision *decision, int part, shunt_bytes bytes) { decision->parts[part] = fold(decision->parts[part] + 1, bytes); }

void trial_add_message(trial_decision *decision, const shunt_message *message) {
    const unsigned char rest[] = {message->kind, message->format, message->qos, message->retain, message->has_key};
    trial_add(decision, TRIAL_TOPIC, message->topic);
    trial_add(decision, TRIAL_PAYLOAD, message->payload);
    trial_add(decision, TRIAL_REST, (shunt_bytes){rest, sizeof rest});
    trial_add(decision, TRIAL_REST, message->has_key ? message->key : (shunt_bytes){0});
    trial_add(decision, TRIAL_REST, message->filter);
    trial_add(decision, TRIAL_REST, message->properties);
    decision->parts[TRIAL_COUNT]++;
}

static void compare(shunt_host *host, shunt_rule *rule, shunt_hook hook, const trial_decision *live, const trial_decision *own, shunt_bytes topic) {
    uint32_t parts = 0;
    for (int part = 0; part < TRIAL_PARTS; part++) {
        if (live->parts[part] != own->parts[part]) { parts |= 1u << part; }
    }
    rule->trial[hook].compared++;
    if (live->verdict == own->verdict && parts == 0) { return; }
    rule->trial[hook].different++;
    const shunt_callbacks *callbacks = &host->options.callbacks;
    callbacks->differs(callbacks->context, rule->index, hook, live->verdict, own->verdict, parts, topic);
}

void trial_observed(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const trial_decision *decision, shunt_bytes topic) {
    shunt_rule *on_trial = host->rules[rule->index];
    on_trial->trial[hook].observed++;
    size_t live = rule->index + 1u;
    bool is_asked = rule->has_live && live < host->rule_count && host->rules[live]->hooks[hook] != LUA_NOREF && (host->selected >> live & 1) != 0;
    if (is_asked) {
        host->awaiting = on_trial;
        host->awaited = *decision;
        return;
    }
    trial_decision pass;
    trial_begin(&pass, SHUNT_VERDICT_PASS);
    compare(host, on_trial, hook, &pass, decision, topic);
}

void trial_decided(shunt_host *host, const shunt_rule *rule, shunt_hook hook, const trial_decision *decision, shunt_bytes topic) {
    shunt_rule *on_trial = host->awaiting;
    (void)rule;
    host->awaiting = NULL;
    compare(host, on_trial, hook, decision, &host->awaited, topic);
}

void trial_note(shunt_host *host, const shunt_rule *rule, shunt_hook hook, int verdict, shunt_bytes what, shunt_bytes topic) {
    if (host->observed == 0) { return; }
    trial_decision decision;
    trial_begin(&decision, verdict);
    if (verdict > SHUNT_VERDICT_PASS) { trial_add(&decision, TRIAL_WHY, what); }
    if (is_observed(host, rule)) {
        trial_observed(host, rule, hook, &decision, topic);
    } else if (is_awaited(host, rule)) {
        trial_decided(host, rule, hook, &decision, topic);
    }
}

void shunt_host_observe(shunt_host *host, uint64_t observed, uint64_t skipped) {
    host->observed = observed;
    host->skipped = skipped;
    host->selected = ~skipped;
    host->awaiting = NULL;
}

void shunt_rule_set_trial(shunt_rule *rule, bool is_shadow, bool has_live) {
    rule->shadow = is_shadow;
    rule->has_live = has_live;
}

shunt_trial_figures shunt_rule_trial(const shunt_rule *rule, shunt_hook hook) { return rule->trial[hook]; }
