// on_select, and the members that it chooses from. Called while messages are being delivered, so it leaves alone what the last chain sent.
#include "trial.h"
#include "made.h"

typedef struct {
    uint32_t tag;
    /// Its place in the list that the hook was given, and in which call.
    uint32_t place;
    uint64_t serial;
    shunt_member member;
} member_object;

static char key_member_type;

static void push_member(lua_State *L, const shunt_member *member, uint32_t place) {
    member_object *object = lua_newuserdatauv(L, sizeof *object, 0);
    *object = (member_object){TAG_MEMBER, place, host_of(L)->serial, *member};
    set_type(L, &key_member_type);
}

static int member_index(lua_State *L) {
    const member_object *object = tagged(L, 1, TAG_MEMBER);
    luaL_argexpected(L, object != NULL, 1, "member");
    const char *name = luaL_checkstring(L, 2);
    bool is_uid = key_is(L, 2, "uid");
    if (key_is(L, 2, "id")) {
        lua_pushinteger(L, (lua_Integer)object->member.id);
    } else if (is_uid || key_is(L, 2, "conn")) {
        push_peer(L, host_of(L), object->member.id);
        if (is_uid && !lua_isnil(L, -1)) { lua_getfield(L, -1, "uid"); }
    } else if (key_is(L, 2, "delivered")) {
        lua_pushinteger(L, (lua_Integer)object->member.delivered);
    } else if (key_is(L, 2, "congested")) {
        lua_pushboolean(L, object->member.is_congested);
    } else if (key_is(L, 2, "absent")) {
        lua_pushboolean(L, object->member.is_absent);
    } else {
        return luaL_error(L, "a member has no '%s': it has id, uid, conn, delivered, congested, absent", name);
    }
    return 1;
}

void open_members(lua_State *L) { new_type(L, &key_member_type, "member", NULL, member_index, NULL); }

typedef struct {
    shunt_bytes group;
    const shunt_member *members;
    size_t count;
} select_arguments;

/// Arguments: what to choose from, the hook, msg, ctx. The members are made within the protected call.
static int select_body(lua_State *L) {
    const select_arguments *arguments = lua_touserdata(L, 1);
    push_bytes(L, arguments->group);
    lua_insert(L, 3);
    lua_createtable(L, (int)arguments->count, 0);
    for (size_t i = 0; i < arguments->count; i++) {
        budget_check(L, host_of(L));
        push_member(L, &arguments->members[i], (uint32_t)i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_insert(L, 4);
    lua_call(L, 4, 1);
    return 1;
}

/// The place of the member on the top of the stack; -1 where the rule leaves the choice to others. False, with the error set, for what
/// is no member of this call's list.
static bool chosen(shunt_host *host, const shunt_rule *rule, int *place) {
    const member_object *object = tagged(rule->L, -1, TAG_MEMBER);
    *place = -1;
    if (lua_isnil(rule->L, -1)) { return true; }
    if (object == NULL) { return unexpected(host, rule, SHUNT_ON_SELECT, "nothing, or one of the members"); }
    if (object->serial != host->serial) {
        hook_error(host, rule, SHUNT_ON_SELECT, "on_select returned a member of an earlier call: it may return one of the members");
        return false;
    }
    *place = (int)object->place;
    return true;
}

int shunt_on_select(shunt_host *host, shunt_bytes group, const shunt_member *members, size_t count_of, const shunt_message *message,
                    uint64_t rules, double now) {
    int place = -1;
    if (host->rule != NULL) { return place; }
    select_arguments arguments = {group, members, count_of};
    take_message(host, message);
    begin_message(host, now);
    shunt_rule *rule;
    while (place < 0 && (rule = next_rule(host, &rules, SHUNT_ON_SELECT)) != NULL) {
        lua_State *L = rule->L;
        int top = lua_gettop(L);
        lua_pushcfunction(L, select_body);
        lua_pushlightuserdata(L, &arguments);
        push_hook(rule, SHUNT_ON_SELECT);
        push_slot(rule, SLOT_MESSAGE);
        push_context(rule);
        if (call_hook(host, rule, SHUNT_ON_SELECT, 4) && chosen(host, rule, &place)) {
            count(rule, SHUNT_ON_SELECT, place < 0 ? SHUNT_VERDICT_PASS : SHUNT_VERDICT_SELECT);
            if (is_observed(host, rule)) { place = -1; }
        } else {
            hook_failed(host, rule, SHUNT_ON_SELECT);
        }
        lua_settop(L, top);
    }
    host->in_message = false;
    return place;
}
