// What the files of the fuzzer of the Lua host share.
#ifndef SHUNT_RULES_FUZZ_H
#define SHUNT_RULES_FUZZ_H

#include "CLuaHost.h"

enum { RULE_BYTES = 16 * 1024, PAYLOAD_BYTES = 128 * 1024, PROPERTY_BYTES = 80 * 1024 };

/// A number below `limit`; the same ones for the same seed.
uint32_t below(uint32_t limit);
void seed(uint64_t value);

/// Writes a rule of random calls with hostile values. - Returns: its length.
size_t generate_rule(char *text, size_t size);
/// Writes a payload: JSON, broken JSON, or any bytes. - Returns: its length, at least 1.
size_t generate_payload(char *bytes, size_t size);
/// Writes properties of MQTT 5.0, encoded, which are broken now and then, to the end of these bytes. - Returns: their length.
size_t generate_properties(char *bytes, size_t size);

// MARK: allocations that are refused (allocations.c)

typedef enum { REFUSE_ONE, REFUSE_TWO, REFUSE_REST, REFUSE_MODES } refusal;

/// From now on: the n-th allocation of the host is refused, and by mode what follows it.
void refuse_allocation(uint64_t n, refusal mode);
/// - Returns: whether the n-th was asked for.
bool stop_refusing(void);
bool is_refusing(void);

#endif
