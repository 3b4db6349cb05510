// MessagePack and CBOR: what their decoders share, and a value of their own. For msgpack.c, cbor.c and lib_packed.c.
#ifndef SHUNT_PACKED_H
#define SHUNT_PACKED_H

#include "encoder.h"
#include "tables.h"

/// Bytes that are no text, or an extension of MessagePack: so marked they are encoded as what they are.
typedef struct {
    uint32_t tag;
    bool is_extension;
    int8_t type;
    size_t count;
    char bytes[];
} packed_value;

typedef struct {
    lua_State *L;
    shunt_host *host;
    const unsigned char *start, *at, *end;
    /// What is wrong, once something is; it is at `at`.
    const char *wrong;
    size_t depth;
    void *array_type;
} packed_reader;

typedef bool (*packed_push)(packed_reader *r);

bool packed_fail(packed_reader *r, const char *wrong);
/// Reads a number of so many bytes, the highest first.
bool packed_number(packed_reader *r, int size, uint64_t *number);
/// Takes so many bytes; NULL where there are fewer.
const char *packed_take(packed_reader *r, uint64_t count);
bool packed_push_text(packed_reader *r, uint64_t count);
bool packed_push_bytes(packed_reader *r, uint64_t count);
/// Pushes a float of 2, 4 or 8 bytes.
bool packed_push_float(packed_reader *r, int size);
/// Pushes `number`, or -1 - `number`.
void packed_push_integer(packed_reader *r, uint64_t number, bool is_negative);
/// `is_last` says where a container without a count ends; NULL for one that has one.
bool packed_push_list(packed_reader *r, uint64_t count, packed_push push, packed_push is_last);
bool packed_push_map(packed_reader *r, uint64_t count, packed_push push, packed_push is_last);
/// Decodes the one value that the bytes are: pushes it, or nil and what was wrong.
int packed_decode(lua_State *L, shunt_bytes bytes, packed_push push);

/// How a format writes what values begin with.
typedef enum { PACKED_TEXT, PACKED_BYTES, PACKED_LIST, PACKED_MAP } packed_kind;
typedef struct {
    const char *name;
    void (*head)(encoder *e, packed_kind kind, uint64_t count);
    /// `number`, or -1 - `number`.
    void (*integer)(encoder *e, uint64_t number, bool is_negative);
    void (*real)(encoder *e, double number);
    void (*extension)(encoder *e, const packed_value *value);
    /// Digits of an integer of more than 64 bits, which may begin with a minus.
    void (*large)(encoder *e, shunt_bytes digits);
    unsigned char nothing, no, yes;
} packed_format;

/// Adds a byte and a number of so many bytes, the highest first.
void packed_add(encoder *e, unsigned char first, uint64_t number, int size);
/// Pushes what the value at an index is, encoded.
void packed_encode(lua_State *L, int index, const packed_format *format);
packed_value *packed_value_new(lua_State *L, const void *bytes, size_t count);

extern const packed_format msgpack_format, cbor_format;

#endif
