// `chat`: a chat as rules see it. One object a loop, like `msg`: its fields are read from the chat's record when they are
// asked for, while a hook of chats runs.
#include "record.h"

static char key_chat_type;
enum { HEADER = sizeof(double) };

// MARK: records

void shunt_chat_begin(shunt_buffer *record, double created_at, shunt_bytes id, uint32_t members) {
    record->count = 0;
    record->full = false;
    shunt_buffer_append(record, &created_at, sizeof created_at);
    record_text(record, id);
    shunt_buffer_append(record, &members, sizeof members);
}

void shunt_chat_member(shunt_buffer *record, shunt_bytes uid, bool online) {
    shunt_buffer_append(record, online ? "\1" : "\0", 1);
    record_text(record, uid);
}

static bool read_member(reader *r, shunt_bytes *uid, bool *online) {
    if (r->at >= r->end) { return false; }
    *online = *r->at++ != 0;
    *uid = read_text(r);
    return true;
}

// MARK: fields

static reader check_chat(lua_State *L) {
    shunt_host *host = host_of(L);
    luaL_argexpected(L, tagged(L, 1, TAG_CHAT) != NULL, 1, "chat");
    if (host->chat.count < HEADER) { luaL_error(L, "chat is only there while its hook runs: keep its fields"); }
    const char *start = host->chat.start;
    return (reader){start + HEADER, start + host->chat.count};
}

static void push_members(lua_State *L, reader *r) {
    shunt_bytes uid;
    bool online;
    lua_newtable(L);
    for (lua_Integer i = 1; read_member(r, &uid, &online); i++) {
        push_bytes(L, uid);
        lua_rawseti(L, -2, i);
    }
}

/// Upvalue: online.
static int chat_index(lua_State *L) {
    reader r = check_chat(L);
    size_t count;
    const char *name = luaL_checklstring(L, 2, &count);
    shunt_bytes id = read_text(&r);
    read_count(&r);
    if (IS(name, count, "id")) {
        push_bytes(L, id);
    } else if (IS(name, count, "members")) {
        push_members(L, &r);
    } else if (IS(name, count, "created_at")) {
        double at;
        memcpy(&at, host_of(L)->chat.start, sizeof at);
        lua_pushnumber(L, at);
    } else if (IS(name, count, "online")) {
        lua_pushvalue(L, lua_upvalueindex(1));
    } else {
        return luaL_error(L, "chat has no '%s': it has id, members, created_at, online()", name);
    }
    return 1;
}

/// False for who is no member, too.
static int chat_online(lua_State *L) {
    reader r = check_chat(L);
    shunt_bytes wanted, uid;
    bool online = false, found = false;
    wanted.start = luaL_checklstring(L, 2, &wanted.count);
    read_text(&r);
    read_count(&r);
    while (!found && read_member(&r, &uid, &online)) {
        found = uid.count == wanted.count && memcmp(uid.start, wanted.start, uid.count) == 0;
    }
    lua_pushboolean(L, found && online);
    return 1;
}

void push_chat(lua_State *L) {
    uint32_t *object = lua_newuserdatauv(L, sizeof *object, 0);
    *object = TAG_CHAT;
    set_type(L, &key_chat_type);
}

void open_chat(lua_State *L) {
    static const luaL_Reg methods[] = {{"online", chat_online}, {NULL, NULL}};
    new_type(L, &key_chat_type, "chat", NULL, chat_index, methods);
}
