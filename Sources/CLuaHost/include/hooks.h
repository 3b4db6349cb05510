/// The one table of the hooks that this version calls, and the one table of verdicts: C makes its enums and names of them, Swift reads them by
/// `shunt_hook_name`, `shunt_hook_kinds` and `shunt_verdict_name`.
#ifndef SHUNT_HOOK_TABLE_H
#define SHUNT_HOOK_TABLE_H

/// Name in C, name in a rule, and the kinds of messages that the hook is about and a rule's `match` may narrow, as bits of `1 << kind`; 0
/// where `match` is nothing to it. The place here is that in a rule's figures. on_load and on_unload come first.
#define SHUNT_HOOK_TABLE(X) \
    X(LOAD, "on_load", 0) \
    X(UNLOAD, "on_unload", 0) \
    X(CONNECT, "on_connect", 0) \
    X(SUBSCRIBE, "on_subscribe", 0) \
    X(MESSAGE, "on_message", 1 << SHUNT_TOPIC) \
    X(DISCONNECT, "on_disconnect", 0) \
    X(BROADCAST, "on_broadcast", 1 << SHUNT_BROADCAST) \
    X(CHAT_OPEN, "on_chat_open", 1 << SHUNT_CHAT) \
    X(CHAT_JOIN, "on_chat_join", 1 << SHUNT_CHAT) \
    X(CHAT, "on_chat", 1 << SHUNT_CHAT) \
    X(CHAT_CLOSE, "on_chat_close", 1 << SHUNT_CHAT) \
    X(DELIVER, "on_deliver", 1 << SHUNT_TOPIC | 1 << SHUNT_BROADCAST | 1 << SHUNT_CHAT) \
    X(UNDELIVERED, "on_undelivered", 1 << SHUNT_TOPIC | 1 << SHUNT_BROADCAST | 1 << SHUNT_CHAT) \
    X(UNSUBSCRIBE, "on_unsubscribe", 0) \
    X(TICK, "on_tick", 0) \
    X(REGISTER, "on_register", 0) \
    X(SELECT, "on_select", 1 << SHUNT_TOPIC) \
    X(WILL, "on_will", 1 << SHUNT_TOPIC) \
    X(SESSION, "on_session", 0) \
    X(ACKED, "on_acked", 1 << SHUNT_TOPIC | 1 << SHUNT_BROADCAST | 1 << SHUNT_CHAT) \
    X(AUTH, "on_auth", 0)

/// Name in C, and in figures and rule tests.
#define SHUNT_VERDICT_TABLE(X) \
    X(PASS, "pass") \
    X(REPLACE, "replace") \
    X(ROUTE, "route") \
    X(FANOUT, "fanout") \
    X(PUSH, "push") \
    X(CHAT, "chat") \
    X(DROP, "drop") \
    X(REJECT, "reject") \
    X(DONE, "done") \
    X(REDIRECT, "redirect") \
    X(DELAY, "delay") \
    X(SELECT, "select") \
    X(CONTINUE, "continue")

#endif
