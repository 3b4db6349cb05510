// msgpack.encode, msgpack.decode, msgpack.bytes, msgpack.extension; cbor.encode, cbor.decode, cbor.bytes.
#include "packed.h"

#include <math.h>

static char key_packed_type;

packed_value *packed_value_new(lua_State *L, const void *bytes, size_t count) {
    packed_value *value = lua_newuserdatauv(L, sizeof *value + count, 0);
    *value = (packed_value){.tag = TAG_PACKED, .count = count};
    if (count > 0) { memcpy(value->bytes, bytes, count); }
    set_type(L, &key_packed_type);
    return value;
}

static int encode_msgpack(lua_State *L) {
    luaL_checkany(L, 1);
    packed_encode(L, 1, &msgpack_format);
    return 1;
}

static int encode_cbor(lua_State *L) {
    luaL_checkany(L, 1);
    packed_encode(L, 1, &cbor_format);
    return 1;
}

static shunt_bytes text_at(lua_State *L, int index) {
    shunt_bytes text;
    luaL_checktype(L, index, LUA_TSTRING);
    text.start = lua_tolstring(L, index, &text.count);
    return text;
}

static int decode_msgpack(lua_State *L) { return msgpack_decode(L, text_at(L, 1)); }
static int decode_cbor(lua_State *L) { return cbor_decode(L, text_at(L, 1)); }

static int bytes(lua_State *L) {
    shunt_bytes text = text_at(L, 1);
    packed_value_new(L, text.start, text.count);
    return 1;
}

static int extension(lua_State *L) {
    lua_Integer type = luaL_checkinteger(L, 1);
    luaL_argcheck(L, type >= -128 && type <= 127, 1, "the type is an integer from -128 to 127");
    shunt_bytes data = text_at(L, 2);
    packed_value *value = packed_value_new(L, data.start, data.count);
    value->is_extension = true;
    value->type = (int8_t)type;
    return 1;
}

static uint64_t number_of(const char *bytes, int count) {
    uint64_t number = 0;
    for (int i = 0; i < count; i++) { number = number << 8 | (unsigned char)bytes[i]; }
    return number;
}

/// Seconds since 1970, of an extension of type -1; nil of any other value.
static void push_time(lua_State *L, const packed_value *value) {
    bool is_time = value->is_extension && value->type == -1;
    if (is_time && value->count == 4) {
        lua_pushnumber(L, (double)number_of(value->bytes, 4));
    } else if (is_time && value->count == 8) {
        uint64_t both = number_of(value->bytes, 8);
        lua_pushnumber(L, (double)(both & 0x3FFFFFFFF) + (double)(both >> 34) / 1e9);
    } else if (is_time && value->count == 12) {
        lua_pushnumber(L, (double)(int64_t)number_of(value->bytes + 4, 8) + (double)number_of(value->bytes, 4) / 1e9);
    } else {
        lua_pushnil(L);
    }
}

static int packed_index(lua_State *L) {
    const packed_value *value = tagged(L, 1, TAG_PACKED);
    luaL_argexpected(L, value != NULL, 1, "bytes or an extension");
    if (key_is(L, 2, "data")) {
        lua_pushlstring(L, value->bytes, value->count);
    } else if (key_is(L, 2, "type")) {
        if (value->is_extension) { lua_pushinteger(L, value->type); } else { lua_pushnil(L); }
    } else if (key_is(L, 2, "time")) {
        push_time(L, value);
    } else {
        luaL_error(L, "bytes and extensions have data, type and time, not '%s'", key_shown(L, 2));
    }
    return 1;
}

void open_msgpack(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"encode", encode_msgpack}, {"decode", decode_msgpack}, {"bytes", bytes}, {"extension", extension}, {NULL, NULL}
    };
    luaL_newlib(L, functions);
}

void open_cbor(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", encode_cbor}, {"decode", decode_cbor}, {"bytes", bytes}, {NULL, NULL}};
    luaL_newlib(L, functions);
}

void open_packed_type(lua_State *L) { new_type(L, &key_packed_type, "bytes", NULL, packed_index, NULL); }
