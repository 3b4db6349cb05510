extension LuaDefinitions {
    /// The classes of objects, and what rule.lua and a test's functions take and give.
    static let classes = [
        rule, message, property, properties, filter, client, member, session, will, subscription, chat, context, verdict, counterClass, store,
        testClass,
        outcome, response, packed, found, settingType,
    ]

    private static let decision = "shunt.Verdict|shunt.Message|nil"

    private static func hook(_ name: String, _ parameters: String, _ result: String, _ doc: String) -> Field {
        Field(name + "?", "fun(\(parameters))\(result.isEmpty ? "" : ": \(result)")", doc)
    }

    private static func texts(_ texts: String...) -> String { texts.map { "\"\($0)\"" }.joined(separator: "|") }

    /// What rule.lua returns.
    static let rule = Class(
        name: "shunt.Rule", doc: "What rule.lua returns: hooks, and what the worker is to know of the rule. Any other key is an error.",
        fields: [
            Field("name?", "string", "In the log and the metrics; the folder's name where there is none."),
            Field("priority?", "integer", "Higher runs first; 0 where there is none."),
            Field(
                "match?", "{ kind?: string|string[], topic?: string|string[] }|fun(settings: table): table",
                "Which messages and chats the hooks are called for."),
            Field("budget?", "{ time?: string, memory?: string }", "Of a call; at most the configuration's."),
            Field("grants?", "{ publish?: string[], chat?: string[], broadcast?: boolean }", "What the rule may do besides what the sender may."),
            Field("on_error?", "\"pass\"|\"drop\"|\"reject\"", "What stands where a call fails."),
            Field(
                "settings?", "table<string, shunt.Type|table>|shunt.Type",
                "What the rule's settings are: names with types, such as `integer { default = 4 }`."),
            Field("mode?", texts("live", "shadow", "canary"), "Whether it decides, is on trial, or decides for some clients."),
            Field("tick?", "number", "Seconds between two calls of on_tick: 0.1 to 86,400, 60 where there is none."),
            Field("breaker?", "{ errors?: integer, window?: string, retry?: string }", "When a rule that keeps failing is switched off."),
            hook("on_load", "settings: table, saved: table?", "", "The rule starts; an error keeps it from starting."),
            hook("on_unload", "", "table?", "Another version takes over, or the worker ends; the table is the next version's `saved`."),
            hook("on_connect", "conn: shunt.Client, ctx: shunt.Context", "shunt.Verdict|shunt.Client|nil", "A client's first frame has come."),
            hook(
                "on_auth", "conn: shunt.Client, data: string, ctx: shunt.Context", "shunt.Verdict|shunt.Client|nil",
                "A client of MQTT 5.0 takes a step of its authentication."),
            hook(
                "on_subscribe", "sub: shunt.Subscription, ctx: shunt.Context", "shunt.Verdict|shunt.Subscription|nil",
                "A subscription is asked for."),
            hook("on_unsubscribe", "sub: shunt.Subscription, ctx: shunt.Context", "", "A client that stays has given a subscription up."),
            hook("on_message", "msg: shunt.Message, ctx: shunt.Context", decision, "A topic message has come."),
            hook("on_broadcast", "push: shunt.Message, ctx: shunt.Context", decision, "A broadcast has come; `push.filter` is its device filter."),
            hook("on_chat_open", "chat: shunt.Chat, conn: shunt.Client, ctx: shunt.Context", "shunt.Verdict|nil", "A client creates a chat."),
            hook("on_chat_join", "chat: shunt.Chat, conn: shunt.Client, ctx: shunt.Context", "shunt.Verdict|nil", "A client joins a chat."),
            hook("on_chat", "msg: shunt.Message, chat: shunt.Chat, ctx: shunt.Context", decision, "A member sends to a chat; `msg.topic` is its id."),
            hook(
                "on_chat_close",
                "chat: shunt.Chat, why: \(texts("destroyed", "idle", "deserted", "moved", "closed by an operator")), ctx: shunt.Context", "",
                "A chat has ended."),
            hook("on_deliver", "msg: shunt.Message, conn: shunt.Client, ctx: shunt.Context", decision, "Once for each recipient of a message."),
            hook(
                "on_undelivered",
                "msg: shunt.Message, "
                    + "why: \(texts("no subscriber", "no device", "too many hops", "queue full", "gone", "session ended", "expired")), "
                    + "ctx: shunt.Context",
                "",
                "A message has not reached anybody, or a recipient."),
            hook("on_register", "conn: shunt.Client, ctx: shunt.Context", "shunt.Verdict|shunt.Client|nil", "A client registers as a device."),
            hook(
                "on_select", "group: string, members: shunt.Member[], msg: shunt.Message, ctx: shunt.Context", "shunt.Member?",
                "A consumer group has several members who may get a message."),
            hook("on_will", "msg: shunt.Message, conn: shunt.Client, ctx: shunt.Context", decision, "A will is about to be published."),
            hook(
                "on_session",
                "event: \(texts("created", "resumed", "taken_over", "expired", "ended")), session: shunt.Session, ctx: shunt.Context", "",
                "A session of MQTT is created, resumed, over."),
            hook("on_acked", "msg: shunt.Message, conn: shunt.Client, ctx: shunt.Context", "", "A client has acknowledged a message of QoS 1 or 2."),
            hook("on_disconnect", "conn: shunt.Client, why: string, ctx: shunt.Context", "", "A client that was let in has gone."),
            hook("on_tick", "ctx: shunt.Context", "", "Every `tick` seconds on each loop."),
        ])

    /// What `msg:with{}` and `route.message{}` take besides a payload and a filter.
    static let messageChanges =
        "topic?: string, key?: string|false, payload?: string, format?: \"text\"|\"json\", qos?: 0|1|2, retain?: boolean, props?: table|false, "
        + "content_type?: string|false, response_topic?: string|false, correlation_data?: string|false, expiry?: integer|false, "
        + "payload_format?: 0|1|false"

    static let message = Class(
        name: "shunt.Message", doc: "A message. It is there during the call; keep its fields, or a copy by `msg:with{}`. No field can be set.",
        fields: [
            Field("kind", "\"topic\"|\"broadcast\"|\"chat\"", "What it is."),
            Field("topic", "string", "The topic, or the chat's id; empty for a broadcast."),
            Field("key", "string?", "Its key."),
            Field("payload", "string", "Its payload, inflated."),
            Field("format", "\"json\"|\"text\"", "What the payload is."),
            Field("filter", "shunt.Filter?", "Of a broadcast: a copy of the filter of its devices."),
            Field("qos", "integer", "0, 1 or 2; 1 for the exchange protocol."),
            Field("retain", "boolean", "Whether it is kept for later subscribers of its topic."),
            Field("props", "shunt.Properties", "The user properties of MQTT 5.0."),
            Field("content_type", "string?", "As MQTT 5.0 has it."),
            Field("response_topic", "string?", "As MQTT 5.0 has it."),
            Field("correlation_data", "string?", "As MQTT 5.0 has it."),
            Field("expiry", "integer?", "Seconds until it expires."),
            Field("payload_format", "integer?", "1 where the payload is UTF-8."),
            Field("sender", "shunt.Client?", "Who sent it; nil once it has gone, and in on_deliver."),
            Field("hops", "integer", "How many rules have sent it on to another topic."),
            Field("id", "integer", "The sender's number of it."),
        ],
        methods: [
            Function("json", [], ["any value", "string? why"], "The payload decoded, once a call; nil and why where it is not JSON."),
            Function("msgpack", [], ["any value", "string? why"], "The payload decoded from MessagePack, once a call, or nil and why."),
            Function("cbor", [], ["any value", "string? why"], "The payload decoded from CBOR, once a call, or nil and why."),
            Function(
                "with",
                [
                    "changes: { \(messageChanges), filter?: shunt.Filter }"
                ], ["shunt.Message"], "A copy with these changed; `false` takes a property off."),
        ])

    static let property = Class(
        name: "shunt.Property", doc: "A user property.", fields: [Field("name", "string", "Its name."), Field("value", "string", "Its value.")])

    static let properties = Class(
        name: "shunt.Properties", doc: "User properties: a list of pairs in their order, and the first value of each name.",
        fields: [
            Field("[integer]", "shunt.Property", "A pair."), Field("[string]", "string|false|nil", "The first value of a name."),
        ])

    static let filter = Class(
        name: "shunt.Filter", doc: "Which devices get a broadcast.",
        fields: [
            Field("uid?", "string", "Devices of this user."), Field("device?", "string", "Devices of this name."),
            Field("match_tags?", "string[]", "Devices with one of these tags."),
            Field("match_alias?", "string[]", "Devices with one of these aliases."),
            Field("filter_tags?", "string[]", "No device with one of these tags."),
            Field("filter_alias?", "string[]", "No device with one of these aliases."),
        ])

    static let client = Class(
        name: "shunt.Client", doc: "A client: `conn`, `msg.sender`, `sub.sender`.",
        fields: [
            Field("id", "integer", "Its connection."), Field("uid", "string", "Its user; empty where it is not known."),
            Field("device", "string", "Its device's name; empty where it is not known."), Field("tags", "string[]", "Its tags."),
            Field("alias", "string[]", "Its aliases."), Field("protocol", "\"exchange\"|\"mqtt\"", "What it speaks."),
            Field("version", "string?", "Of MQTT: 3.1, 3.1.1 or 5.0."), Field("client_id", "string?", "Of MQTT: its identifier."),
            Field("auth_method", "string?", "Of MQTT 5.0: the authentication method that it names."),
            Field("keep_alive", "integer?", "Of MQTT: seconds; 0: none."), Field("will", "shunt.Will?", "Of MQTT: its will."),
            Field("props", "shunt.Properties?", "Of MQTT: the user properties of its CONNECT."), Field("address", "string", "As in 10.0.0.1:50000."),
            Field("groups", "string[]", "The groups that it subscribes in."), Field("connected_at", "number", "Seconds since 1970."),
            Field("attributes", "table<string, string>", "Texts that rules have given it."),
        ],
        methods: [
            Function("close", ["why?: string"], [], "Closes its connection at the end of the turn; before it is let in, refuses it."),
            Function(
                "with",
                [
                    "changes: { uid?: string, tags?: string[], alias?: string[], attributes?: table<string, string>, expires_at?: number, "
                        + "limits?: { messages_per_second?: integer, bytes_per_second?: integer } }"
                ], ["shunt.Client"], "In on_connect, on_register and on_auth: lets the client in with these in place of its own."),
        ])

    static let member = Class(
        name: "shunt.Member", doc: "A member of a consumer group, for on_select to choose.",
        fields: [
            Field("id", "integer", "Its connection."), Field("uid", "string?", "Its uid."), Field("conn", "shunt.Client?", "The client."),
            Field("delivered", "integer", "Messages that this loop has given it."), Field("congested", "boolean", "Its queue is filling up."),
            Field("absent", "boolean", "Its session waits for it to come back."),
        ])

    static let session = Class(
        name: "shunt.Session", doc: "A session of MQTT.",
        fields: [
            Field("client_id", "string", "Its client identifier."), Field("uid", "string", "Its user."),
            Field("version", "string", "3.1, 3.1.1 or 5.0."),
            Field("expiry", "integer?", "Seconds that it is kept without a connection; nil: without end."),
            Field("connected", "boolean", "Whether its client is there."), Field("subscriptions", "integer", "How many it has."),
            Field("waiting", "integer", "Messages that wait for its client."),
            Field("inflight", "integer", "Messages that it has yet to acknowledge."),
        ])

    static let found = Class(
        name: "shunt.Found", doc: "A client, or a session of MQTT, as `sessions.find` gives it.",
        fields: [
            Field("uid", "string", "Its user."), Field("device", "string", "The device that it is; of MQTT its client identifier."),
            Field("client_id", "string?", "Its client identifier; nil for the exchange protocol."),
            Field("protocol", "\"exchange\"|\"mqtt\"", "What it speaks."), Field("loop", "integer", "The loop that it is on."),
            Field("connected", "boolean", "Whether the client is there."),
            Field("id", "integer?", "Its connection; nil while the client is away, as are address and connected_at."),
            Field("address", "string?", "Where it comes from."), Field("connected_at", "number?", "In seconds since 1970."),
            Field("tags", "string[]", "Its tags."), Field("alias", "string[]", "Its other names."),
        ])

    static let will = Class(
        name: "shunt.Will", doc: "The will of a client of MQTT.",
        fields: [
            Field("topic", "string", "Its topic."), Field("payload", "string", "Its payload."), Field("qos", "integer", "0, 1 or 2."),
            Field("retain", "boolean", "Whether it is retained."), Field("delay", "integer", "Seconds."),
            Field("props", "shunt.Properties", "Its user properties."),
        ])

    static let subscription = Class(
        name: "shunt.Subscription", doc: "A subscription that a client asks for, or gives up.",
        fields: [
            Field("topic", "string", "A topic, or a topic filter."), Field("group", "string", "Its consumer group."),
            Field("key", "string?", "Only messages with this key."), Field("qos", "integer", "The most that messages come with."),
            Field("sender", "shunt.Client", "Who asks for it."),
        ],
        methods: [
            Function(
                "with", ["changes: { topic?: string, group?: string, qos?: 0|1|2 }"], ["shunt.Subscription"],
                "In on_subscribe: the subscription with these changed. The QoS can only be made lower.")
        ])

    static let chat = Class(
        name: "shunt.Chat", doc: "A chat, during the call.",
        fields: [
            Field("id", "string", "Its id."), Field("members", "string[]", "The uids of its members."),
            Field("created_at", "number", "Seconds since 1970."),
        ],
        methods: [Function("online", ["uid: string"], ["boolean"], "Whether this member is connected; false for who is no member.")])

    static let context = Class(
        name: "shunt.Context", doc: "Where the rule runs.",
        fields: [
            Field("rule", "string", "The rule's name."), Field("settings", "table", "The rule's settings."),
            Field("worker", "string", "The worker's name."),
            Field("loop", "integer", "The loop's number."), Field("now", "number", "Seconds since 1970."),
        ],
        methods: [
            Function(
                "emit", ["what: shunt.Message|shunt.Verdict"], [],
                "Sends this besides what the hook returns: at most 100 messages a call.")
        ])

    static let verdict = Class(name: "shunt.Verdict", doc: "A decision of `route`: return it, or give it to `ctx:emit`. It has no fields.")

    static let counterClass = Class(
        name: "shunt.Counter", doc: "A counter of the rule.",
        methods: [Function("inc", ["by?: number"], [], "Counts on by a number of at least 0; 1 where there is none.")])

    static let store = Class(
        name: "shunt.Store", doc: "Values under keys of at most 512 bytes: texts of up to 64 KiB, numbers, booleans.",
        fields: [
            Field("get", "fun(key: string): string|number|boolean|nil", "The value of a key."),
            Field("set", "fun(key: string, value: string|number|boolean, ttl?: number): boolean?, string?", "nil and `full` where there is no room."),
            Field("delete", "fun(key: string)", "Takes a key away."),
            Field(
                "incr", "fun(key: string, by?: number, ttl?: number): number?, string?",
                "Adds, and gives the sum; `ttl` counts only when it makes the entry."),
        ])

    static let response = Class(
        name: "shunt.Response", doc: "What a host has answered.",
        fields: [
            Field("status", "integer", "Its status, such as 200."), Field("headers", "table<string, string>", "By names in small letters."),
            Field("body", "string", "Its body."),
        ],
        methods: [Function("json", [], ["any value", "string? why"], "The body decoded from JSON, or nil and why.")])

    static let packed = Class(
        name: "shunt.Bytes", doc: "Bytes, or an extension of MessagePack, that go out as such.",
        fields: [
            Field("data", "string", "The bytes."), Field("type", "integer?", "Of an extension: its type."),
            Field("time", "number?", "Of an extension of type -1: seconds since 1970."),
        ])

    static let settingType = Class(name: "shunt.Type", doc: "What a setting may be: `text`, `list(text)`, `integer { min = 1 }`.")
}
