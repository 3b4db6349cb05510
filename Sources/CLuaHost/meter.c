// What a rule's calls allocate, counted around its allocator: calls pay for it only while somebody asks.
#include "host.h"
#include "memory.h"

static void *metered_allocate(void *context, void *block, size_t old_size, size_t size) {
    shunt_rule *rule = context;
    size_t before = block == NULL ? 0 : old_size;
    void *moved = state_allocate(context, block, old_size, size);
    if (moved != NULL && size > before) {
        rule->meter.allocations++;
        rule->meter.bytes += size - before;
    }
    return moved;
}

void shunt_rule_set_metered(shunt_rule *rule, bool metered) {
    lua_setallocf(rule->L, metered ? metered_allocate : state_allocate, rule);
}

shunt_meter shunt_rule_meter(const shunt_rule *rule) { return rule->meter; }
