// The words that say what a rule's settings are: in its globals only while its files load.
#ifndef SHUNT_SCHEMA_H
#define SHUNT_SCHEMA_H

#include "host.h"

/// Adds the words to the globals at an index, and pushes what `schema_close` needs.
void schema_open(lua_State *L, int environment);
/// Takes those away that are still the host's, and notes in the `settings` of the rule's table, which is on the top of the stack, which
/// globals were read and are not there: one may be a misspelt word.
/// - Parameter own: where `schema_open` has pushed what it made.
void schema_close(lua_State *L, int environment, int own);

#endif
