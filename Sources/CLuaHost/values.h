// Values in other forms: JSON, MessagePack, CBOR, and the bytes that Swift is given. For host.h.
#ifndef SHUNT_VALUES_H
#define SHUNT_VALUES_H

#include "CLuaHost.h"

#include <lua5.4/lua.h>

/// Pushes the decoded value, or nil and what was wrong with its byte.
int json_decode(lua_State *L, const char *text, size_t count);
/// Pushes the value of a text that is surely right, with all that is in it.
void json_decode_all(lua_State *L, const char *text, size_t count);
int msgpack_decode(lua_State *L, shunt_bytes bytes);
int cbor_decode(lua_State *L, shunt_bytes bytes);
void json_encode(lua_State *L, int index);
/// The metatable that marks JSON's arrays.
void *json_array_type(lua_State *L);
/// Whether the table at an index is one of JSON's arrays.
bool json_is_array(lua_State *L, int index);
void json_add_number(lua_State *L, shunt_host *host, int index);
void json_add_escaped(lua_State *L, shunt_host *host, unsigned char c);
/// Pushes any value as a JSON object of at most `limit` bytes: what JSON has not is replaced, what is too much is left out.
void json_encode_bounded(lua_State *L, int index, size_t limit);
/// Pushes a text with what is not UTF-8 replaced by U+FFFD, of at most `limit` bytes.
void push_repaired(lua_State *L, const char *text, size_t count, size_t limit);
/// Digits may begin with a minus.
void push_big_integer(lua_State *L, const char *digits, size_t count);
/// Empty for any other value.
shunt_bytes big_integer_digits(lua_State *L, int index);
void value_write(lua_State *L, int index, shunt_buffer *out, int depth);
/// Pushes a value; false (nothing pushed) where the bytes are not one.
bool value_push(lua_State *L, const char **cursor, const char *end, int depth);

void open_msgpack(lua_State *L);
void open_cbor(lua_State *L);
void open_packed_type(lua_State *L);

#endif
