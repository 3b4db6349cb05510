// Messages that rules make, and members that they choose from.
#ifndef SHUNT_MADE_H
#define SHUNT_MADE_H

#include "host.h"

/// What makes a message, as its errors begin: msg:with{}, push:with{} or route.message{}.
const char *making(lua_State *L);
/// What comes before the name of what is checked: what makes the message, where the name begins with a colon.
const char *prefix(lua_State *L, const char *what);
/// Pushes a copy of a message with what the table at 2 says. `from` is the copy at 1 that it is made of, if it is one.
int push_copy(lua_State *L, const char *making, const shunt_message *source, const copy_object *from, uint16_t before);
int route_message(lua_State *L);
int route_delay(lua_State *L);
/// Of a delay whose message is the last one of the host's results: notes it there. What was wrong, or NULL.
const char *delay_last(shunt_host *host, uint32_t milliseconds);
/// Why what rules have changed of a message can't go out as a broadcast, or NULL: the frames of broadcasts are JSON.
const char *text_problem(const shunt_message *message, uint16_t changes);
void open_members(lua_State *L);

#endif
