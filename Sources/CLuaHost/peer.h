// A client as a rule has it: conn, and what conn:with{} makes of it. For peer.c and peer_change.c.
#ifndef SHUNT_PEER_H
#define SHUNT_PEER_H

#include "chain.h"
#include "record.h"

typedef struct {
    uint32_t tag;
    bool has_uid, has_tags, has_alias, has_attributes;
    /// The record is the id alone: the owner knows the rest, until the client goes.
    bool is_asked;
    /// The chain whose client it is (host.h); 0: of none.
    uint64_t chain_number;
    /// Of a change: as `shunt_connect_outcome` has them.
    double expires_at;
    int64_t messages, bytes;
    size_t count;
    char record[];
} connection_object;

/// Before the texts of a record are its id and `connected_at`.
enum { HEADER = sizeof(uint64_t) + sizeof(double) };
static const char *const list_names[SHUNT_PEER_LISTS] = {"tags", "alias", "groups", "attributes"};

extern char key_change_type;

static inline void skip_texts(reader *r, uint32_t count) {
    for (; count > 0 && r->at < r->end; count--) { read_text(r); }
}

static inline reader reader_of(shunt_bytes record) {
    const char *start = record.start;
    return (reader){start + HEADER, start + record.count};
}

static inline connection_object *check_connection(lua_State *L) {
    connection_object *object = tagged(L, 1, TAG_CONNECTION);
    luaL_argexpected(L, object != NULL, 1, "conn");
    return object;
}

/// The connection with its record: itself, or one in its place, which is pushed; NULL once the client has gone.
const connection_object *recorded(lua_State *L, const connection_object *object);
int connection_with(lua_State *L);

#endif
