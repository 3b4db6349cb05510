// When Lua's collector runs. For call.c.
#ifndef SHUNT_COLLECTOR_H
#define SHUNT_COLLECTOR_H

#include "host.h"

/// After a call: lets the collector begin later where the state is small. While a rule loads, it is Lua's own.
void tune_collector(shunt_rule *rule);
/// After a call that had no memory left: goes on with the collection.
void collect_some(shunt_rule *rule);

#endif
