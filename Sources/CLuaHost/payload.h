// A message's payload, as a rule reads it (payload.c). For host.h.
#ifndef SHUNT_PAYLOAD_H
#define SHUNT_PAYLOAD_H

#include "CLuaHost.h"
#include "lua_layout.h"

/// How a payload is read. `msg` has two places for each form, from `first` on: what it gave and what was wrong.
typedef enum { AS_JSON, AS_MSGPACK, AS_CBOR } payload_form;
/// Pushes what the payload decodes to, or nil, and what was wrong with it. The payload of `msg`, which is at 1, is decoded once a call.
void push_decoded(lua_State *L, const shunt_message *message, bool current, payload_form form, int first);
/// Bytes; of a longer payload of `msg`, one text is made a call.
enum { SHORT_PAYLOAD = 1024 };
/// The payload as the application sent it, or an error.
shunt_bytes plain_payload(lua_State *L, const shunt_message *message);
/// Pushes it as a text, for the rule that runs.
void push_payload(lua_State *L, const shunt_message *message);
/// Where `msg` keeps the text of a long payload that the call has read; nil in any other call.
lua_value *message_payload(const shunt_rule *rule);

#endif
