// The hooks of the rules as the owner of a host calls them, and what comes of them. For CLuaHost.h.
#ifndef SHUNT_CALLS_H
#define SHUNT_CALLS_H

/// The values of `shunt_message.kind`, the same as `MessageKind`.
enum { SHUNT_TOPIC, SHUNT_BROADCAST, SHUNT_CHAT };

typedef struct {
    uint8_t kind, format, compression, hops;
    bool has_key;
    uint8_t qos;
    bool retain;
    int64_t id;
    uint64_t sender;
    shunt_bytes topic, key, payload;
    /// How many messages, and `room_bytes` of them, rules may still make of it. One that takes its place is not counted. Of a routed
    /// message that is delayed: by how many milliseconds.
    size_t room;
    /// The device filter of a broadcast: a JSON object.
    shunt_bytes filter;
    size_t room_bytes;
    /// MQTT 5.0's, encoded, without their length. Nothing is taken for granted of these bytes.
    shunt_bytes properties;
} shunt_message;

// `MessageView.traits` is these fields as one word.
_Static_assert(offsetof(shunt_message, format) == 1 && offsetof(shunt_message, compression) == 2 && offsetof(shunt_message, hops) == 3
                   && offsetof(shunt_message, has_key) == 4 && offsetof(shunt_message, qos) == 5 && offsetof(shunt_message, retain) == 6
                   && offsetof(shunt_message, id) == 8,
               "compare with MessageView.traits");

/// Where the message of the next hook may be written: then it is not copied. Not while a hook runs.
shunt_message *shunt_host_message(shunt_host *host);

/// Bits of `shunt_routed.changes`, the same as `RoutedMessage.Changes`.
enum {
    SHUNT_KIND_CHANGED = 1, SHUNT_TOPIC_CHANGED = 2, SHUNT_KEY_CHANGED = 4, SHUNT_PAYLOAD_CHANGED = 8, SHUNT_FORMAT_CHANGED = 16,
    SHUNT_FILTER_CHANGED = 32, SHUNT_QOS_CHANGED = 64, SHUNT_RETAIN_CHANGED = 128, SHUNT_PROPERTIES_CHANGED = 256, SHUNT_DELAYED = 512
};

typedef struct {
    shunt_message message;
    uint16_t changes;
    /// The rule that sends it, and the one that has given it its topic: what the latter grants counts.
    uint8_t rule, topic_rule;
    /// The rules that have sent it on, and those that have seen it under its topic (all after `route.done()`): they are not asked about it there.
    uint64_t sent_on, seen_by;
} shunt_routed;

typedef struct {
    /// PASS, ROUTE (send `messages` instead), DROP, REJECT, or of a chat REDIRECT to the worker `why`.
    shunt_verdict verdict;
    /// What the last rule that did not pass returned.
    shunt_verdict decision;
    int rule;
    /// What `rule` decided holds for all messages of the topic.
    bool always;
    /// The rules that pass all messages of the topic.
    uint64_t passing;
    // What follows is there only where a hook says that there is more to do than to pass.
    shunt_bytes why;
    const shunt_routed *messages;
    size_t count;
} shunt_outcome;

/// Returns whether there is more to do than to let the message pass: false where all rules let it pass and sent nothing.
bool shunt_on_message(shunt_host *host, const shunt_message *message, uint64_t rules, double now, shunt_outcome *outcome);
/// The same for a client's message, which begins a turn, and which is in `shunt_host_message`.
bool shunt_on_published(shunt_host *host, uint64_t rules, double now, shunt_outcome *outcome);
bool shunt_on_broadcast(shunt_host *host, const shunt_message *push, uint64_t rules, double now, shunt_outcome *outcome);
/// A will that is about to be published; `record` is its client's.
bool shunt_on_will(shunt_host *host, const shunt_message *message, shunt_bytes record, uint64_t rules, double now,
                   shunt_outcome *outcome);
/// `chat` is a chat's record.
bool shunt_on_chat(shunt_host *host, const shunt_message *message, shunt_bytes chat, uint64_t rules, double now,
                   shunt_outcome *outcome);

typedef struct {
    /// PASS, REPLACE or DROP.
    shunt_verdict verdict;
    shunt_bytes why;
    /// REPLACE: what this recipient gets.
    shunt_routed routed;
} shunt_deliver_outcome;

/// What the last of the hooks above sent stays as it is, as does what it points to.
/// - Parameter recipient: is there.
void shunt_on_deliver(shunt_host *host, const shunt_message *message, uint64_t recipient, uint64_t rules, double now,
                      shunt_deliver_outcome *outcome);
/// The same holds here.
void shunt_on_undelivered(shunt_host *host, const shunt_message *message, shunt_bytes why, uint64_t rules, double now);
/// And here: a recipient has acknowledged a message.
void shunt_on_acked(shunt_host *host, const shunt_message *message, uint64_t recipient, uint64_t rules, double now);

/// A member of a consumer group that may get a message.
typedef struct {
    /// Its connection, or its session.
    uint64_t id;
    /// Messages that this loop has given it.
    uint64_t delivered;
    bool is_congested, is_absent;
} shunt_member;

/// The same holds here, too: a consumer group must choose.
/// - Returns: the place of the member that a rule has chosen; -1 where none has.
int shunt_on_select(shunt_host *host, shunt_bytes group, const shunt_member *members, size_t count, const shunt_message *message,
                    uint64_t rules, double now);

/// What the rules have sent with `ctx:emit` in the last hook, if that is not about a message: given once. It stays until the next hook.
const shunt_routed *shunt_host_emitted(shunt_host *host, size_t *count);
/// How many messages, and bytes of them, may still be delayed.
void shunt_host_set_delay_room(shunt_host *host, size_t messages, size_t bytes);

/// A client's record: its id, connected_at, and the texts in this order, then the lists. Attributes are names, each before its value.
enum { SHUNT_PEER_UID, SHUNT_PEER_DEVICE, SHUNT_PEER_PROTOCOL, SHUNT_PEER_ADDRESS, SHUNT_PEER_TEXTS };
enum { SHUNT_PEER_TAGS, SHUNT_PEER_ALIAS, SHUNT_PEER_GROUPS, SHUNT_PEER_ATTRIBUTES, SHUNT_PEER_LISTS };
void shunt_peer_begin(shunt_buffer *record, uint64_t id, double connected_at);
/// Texts come in order, then each list: its count, then its texts.
void shunt_peer_text(shunt_buffer *record, const char *text, size_t count);
void shunt_peer_list(shunt_buffer *record, uint32_t count);

/// A client, or a session of MQTT, as `sessions.find` gives it. Its tags and alias follow, as in a client's record.
typedef struct {
    /// Of one that is connected.
    uint64_t connection;
    double connected_at;
    bool connected, mqtt;
    uint32_t loop;
    /// No client_id but of MQTT; no address but of one that is connected.
    shunt_bytes device, client_id, address;
} shunt_found;

void shunt_found_begin(shunt_buffer *record, const shunt_found *found);

/// What a client of MQTT has besides: this, then each of its user properties, then its will, where it has one.
/// - Parameter keep_alive: seconds; 0: none.
/// - Parameter method: of its authentication; empty: none.
void shunt_client_begin(shunt_buffer *record, shunt_bytes id, shunt_bytes version, shunt_bytes method, uint32_t keep_alive, uint32_t pairs);
void shunt_client_pair(shunt_buffer *record, shunt_bytes name, shunt_bytes value);

typedef struct {
    shunt_bytes topic, payload;
    /// As those of `shunt_message`.
    shunt_bytes properties;
    uint8_t qos;
    bool retain;
    /// Seconds.
    uint32_t delay;
} shunt_will;

void shunt_client_will(shunt_buffer *record, const shunt_will *will);

typedef struct {
    /// PASS, REPLACE, REJECT or REDIRECT.
    shunt_verdict verdict;
    int rule;
    /// The reason or the worker's address.
    shunt_bytes why;
    bool has_uid, has_tags, has_alias, has_attributes;
    /// REPLACE: the whole record with the changes in it.
    shunt_bytes record;
    /// When the client has to go, in seconds since 1970; infinite where no rule says.
    double expires_at;
    /// What it may send in a second; 0: any number, negative where no rule says.
    int64_t messages, bytes;
    /// CONTINUE: what the client is sent.
    shunt_bytes data;
    /// The call that waits for a look-up, which the owner goes on with, or frees: nothing else counts then.
    shunt_waiting *waiting;
} shunt_connect_outcome;

void shunt_on_connect(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome);
/// A client registers as the device that its record says. The verdict is PASS, REPLACE (of tags and alias) or REJECT.
void shunt_on_register(shunt_host *host, shunt_bytes record, uint64_t rules, double now, shunt_connect_outcome *outcome);
/// A step of a client's authentication: REPLACE where it has shown who it is, CONTINUE, REJECT, or PASS where no rule knows the method.
void shunt_on_auth(shunt_host *host, shunt_bytes record, shunt_bytes data, uint64_t rules, double now, shunt_connect_outcome *outcome);
void shunt_on_disconnect(shunt_host *host, shunt_bytes record, shunt_bytes why, uint64_t rules, double now);

/// A chat's record: when it was opened, its id, and its members, each of whom follows by `shunt_chat_member`.
void shunt_chat_begin(shunt_buffer *record, double created_at, shunt_bytes id, uint32_t members);
void shunt_chat_member(shunt_buffer *record, shunt_bytes uid, bool online);

/// `hook` is on_chat_open or on_chat_join; the verdict is PASS, REJECT or REDIRECT.
void shunt_on_chat_entry(shunt_host *host, shunt_hook hook, shunt_bytes chat, shunt_bytes record, uint64_t rules, double now,
                         shunt_connect_outcome *outcome);
void shunt_on_chat_close(shunt_host *host, shunt_bytes chat, shunt_bytes why, uint64_t rules, double now);

typedef struct {
    shunt_bytes topic, group, key;
    bool has_key;
    uint8_t qos;
    uint64_t sender;
} shunt_subscription;

typedef struct {
    /// PASS, REPLACE or REJECT.
    shunt_verdict verdict;
    int rule;
    shunt_bytes why, topic, group;
    uint8_t qos;
    /// As `shunt_connect_outcome` has it.
    shunt_waiting *waiting;
} shunt_subscribe_outcome;

void shunt_on_subscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now,
                        shunt_subscribe_outcome *outcome);
/// A client has given a subscription up.
void shunt_on_unsubscribe(shunt_host *host, const shunt_subscription *subscription, uint64_t rules, double now);

/// A session that outlives its connection, or may.
typedef struct {
    shunt_bytes client_id, uid, version;
    /// Seconds that it is kept without a connection; UINT32_MAX: without end.
    uint32_t expiry;
    bool is_connected;
    size_t subscriptions, waiting, inflight;
} shunt_session;

void shunt_on_session(shunt_host *host, shunt_bytes event, const shunt_session *session, uint64_t rules, double now);

/// Calls `on_tick` of these rules.
void shunt_on_tick(shunt_host *host, uint64_t rules, double now);

// MARK: look-ups

/// Whether the rule's files have the name `sessions`: what it finds is kept up only for those.
void shunt_rule_set_names_sessions(shunt_rule *rule, bool names);
/// Whether a rule's hooks may look something up. Not while one of them runs.
void shunt_rule_set_lookups(shunt_rule *rule, bool looks_up);
/// Goes on with a call of on_connect or on_auth. The outcome may point into `waiting`: free it then.
/// - Parameters:
///   - answer: a value, as `look_up` gives it.
///   - off: rules that are asked no more.
void shunt_connect_resume(shunt_host *host, shunt_waiting *waiting, shunt_bytes answer, uint64_t off, double now,
                          shunt_connect_outcome *outcome);
void shunt_subscribe_resume(shunt_host *host, shunt_waiting *waiting, shunt_bytes answer, uint64_t off, double now,
                            shunt_subscribe_outcome *outcome);
shunt_hook shunt_waiting_hook(const shunt_waiting *waiting);
/// The rules that are still to be asked when it has ended.
uint64_t shunt_waiting_rules(const shunt_waiting *waiting);
/// Gives a call up, or lets go of one that has ended. Its rule may have gone already.
void shunt_waiting_free(shunt_host *host, shunt_waiting *waiting);

#endif
