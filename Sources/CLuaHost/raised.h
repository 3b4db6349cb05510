// Errors of rules that are no text.
#ifndef SHUNT_RAISED_H
#define SHUNT_RAISED_H

#include "host.h"

int base_error(lua_State *L);

/// Where the value on the top of the stack was raised, as `plugin/rule.lua:12: `; else where the hook stands.
const char *raised_place(lua_State *L, const shunt_host *host);

/// Writes the type of the value on the top of the stack and, of a number, a boolean or a table, its contents.
void raised_text(lua_State *L, char *out, size_t size);

#endif
