// What rules may call: each library fills a fresh table for a rule's globals. For host.h.
#ifndef SHUNT_LIBRARIES_H
#define SHUNT_LIBRARIES_H

#include <lua5.4/lua.h>

void open_base(lua_State *L);
void open_string(lua_State *L);
void open_table(lua_State *L);
void open_coroutine(lua_State *L);
void open_json(lua_State *L);
void open_hash(lua_State *L);
void open_base64(lua_State *L);
void open_re(lua_State *L);
void open_time(lua_State *L);
void open_log(lua_State *L);
void open_counter(lua_State *L);
void open_stores(lua_State *L);
void open_sessions(lua_State *L);
void open_route(lua_State *L);
void open_message(lua_State *L);
void open_chat(lua_State *L);
void open_peers(lua_State *L);
void open_context(lua_State *L);
void open_counter_type(lua_State *L);
void open_big_integers(lua_State *L);
void free_counters(shunt_rule *rule);
void open_verdicts(lua_State *L);

/// Upvalues: sources by name, loaded modules by name, the rule's globals, its folder.
int base_require(lua_State *L);
/// Pushes the function that a file's text is, or raises what is wrong with it. Byte code is refused.
void load_text(lua_State *L, shunt_bytes text, const char *name);
/// Raises again what ended the call; nothing that rules write may catch it.
void rethrow_kill(lua_State *L, shunt_host *host, int status);
/// Says something about all rules, after the call.
void log_notice(shunt_host *host, const char *text);
/// What conn:close() says without a reason.
#define CLOSED_BY_RULE "closed by a rule"
/// Closes a client after the call.
void close_later(shunt_host *host, uint64_t id, shunt_bytes why);
/// Writes what the rule said in the call that has ended, without what repeats the payload, and closes whom it closed.
void log_flush(shunt_host *host, const shunt_rule *rule);
void log_write(lua_State *L, shunt_log_level level, const char *text, size_t count, int fields);
/// Pushes the text of a value. Where Lua would write an address, it pushes the name of the value's type.
const char *push_text_of(lua_State *L, int index, size_t *count);
/// memmem that looks at the budget.
const char *find_bytes(lua_State *L, const char *at, size_t count, const char *text, size_t text_count);
/// The same for a text that is not longer than the bytes, and not empty.
const char *find_long(lua_State *L, const char *at, size_t count, const char *text, size_t text_count);
/// What `t:message{}` and the like of a rule test go through: a name and a table to the owner; a table back, and where the test stands.
int test_call(lua_State *L);
int string_format(lua_State *L);
int string_rep(lua_State *L);
void bound_strings(lua_State *L);
void bound_utf8(lua_State *L);
int string_find(lua_State *L);
int string_match(lua_State *L);
int string_gmatch(lua_State *L);
int string_gsub(lua_State *L);
int table_sort(lua_State *L);

#endif
