extension LuaDefinitions {
    /// The tables among the globals.
    static let libraries = [
        Library(
            name: "route", doc: "Verdicts: what becomes of a message, a client or a subscription.",
            functions: [
                Function("to", ["topic: string", "msg?: shunt.Message"], ["shunt.Verdict"], "It goes to that topic instead."),
                Function(
                    "fanout", ["messages: (shunt.Message|shunt.Verdict)[]"], ["shunt.Verdict"],
                    "These go out instead: `msg`, `msg:with{}`, `route.to` and others."),
                Function(
                    "push", ["filter: shunt.Filter", "msg?: shunt.Message"], ["shunt.Verdict"],
                    "The payload goes as a broadcast to the devices of this worker that match."),
                Function(
                    "chat", ["id: string", "msg?: shunt.Message"], ["shunt.Verdict"],
                    "The payload goes to all members of that chat, if it is open on this worker."),
                Function("drop", ["why?: string"], ["shunt.Verdict"], "Nobody gets it; the sender is told that it has come."),
                Function("reject", ["why?: string"], ["shunt.Verdict"], "Nobody gets it, or the client is not let in; the sender is told why."),
                Function("done", [], ["shunt.Verdict"], "No other rule sees it; it is delivered as it is now."),
                Function("continue", ["data: string"], ["shunt.Verdict"], "In on_auth: the client is asked for another step, with these data."),
                Function("redirect", ["worker: string"], ["shunt.Verdict"], "The client is told to go to the worker `host:port`."),
                Function(
                    "message", ["fields: { \(messageChanges) }"], ["shunt.Message"],
                    "A message that is made of none: it takes what `msg:with{}` takes, and needs a payload."),
                Function(
                    "delay", ["seconds: number", "msg?: shunt.Message|shunt.Verdict"], ["shunt.Verdict"],
                    "It goes out later instead; it is kept in memory."),
                Function(
                    "always", ["verdict?: shunt.Verdict"], ["shunt.Verdict"],
                    "As the verdict says, for this and every later message of the topic; nothing: the rule passes them all."),
            ]),
        Library(
            name: "json", doc: "JSON.", fields: [Field("null", "userdata", "null of JSON.")],
            functions: [
                Function("decode", ["text: string"], ["any value", "string? why"], "The value, or nil and why."),
                Function("encode", ["value: any"], ["string"], "Text, keys sorted."),
                Function("array", ["list: table"], ["table"], "Marks a table as a list, for empty ones."),
            ]),
        Library(
            name: "msgpack", doc: "MessagePack.",
            functions: packedFunctions("MessagePack") + [
                Function("extension", ["type: integer", "data: string"], ["shunt.Bytes"], "An extension, of a type from -128 to 127.")
            ]),
        Library(name: "cbor", doc: "CBOR.", functions: packedFunctions("CBOR")),
        Library(
            name: "http", doc: "Look-ups in on_connect, on_auth, on_register and on_subscribe, while the client waits.",
            functions: [
                Function(
                    "get", ["url: string", "options?: { headers?: table<string, string>, timeout?: string|number, cache?: string|number }"],
                    ["shunt.Response?", "string? why"], "What the host answers, or nil and why."),
                Function(
                    "post",
                    [
                        "url: string", "body: string|table", "options?: { headers?: table<string, string>, timeout?: string|number }",
                    ],
                    ["shunt.Response?", "string? why"], "What the host answers, or nil and why; a table goes as JSON."),
            ]),
        Library(
            name: "sessions", doc: "Who is there, on all loops of the worker.",
            functions: [
                Function(
                    "find", ["asked: { uid: string }"], ["shunt.Found[] sessions", "boolean more"],
                    "The clients and sessions of a user, at most 100, those that came last first, and whether there are more.")
            ]),
        Library(
            name: "log", doc: "Lines for the worker's log.",
            functions: ["debug", "info", "warn", "error"].map {
                Function($0, ["text: any", "fields?: table"], [], "Writes a line of the level `\($0)`, when the call has ended.")
            }),
        Library(
            name: "re", doc: "Regular expressions, searched in time that grows with the text alone.",
            functions: [
                Function("test", ["text: string", "pattern: string"], ["boolean"], "Whether the expression matches anywhere in the text."),
                Function(
                    "match", ["text: string", "pattern: string"], ["string? first", "string? ..."],
                    "The groups of the leftmost match, or the whole match where there is no group; nil if there is none."),
                Function(
                    "replace", ["text: string", "pattern: string", "with: string", "most?: integer"], ["string text", "integer count"],
                    "The text with its matches replaced, and how many there were; in `with`, %0 is the match, %1 to %9 are groups."),
            ]),
        Library(
            name: "hash", doc: "Hashes, in hexadecimal digits.",
            functions: [
                Function("sha256", ["text: string"], ["string"], "SHA-256."),
                Function("hmac", ["key: string", "text: string"], ["string"], "HMAC-SHA-256."),
                Function("crc32", ["text: string"], ["string"], "CRC-32: not for what clients must not be able to choose."),
            ]),
        Library(
            name: "base64", doc: "Base64.",
            functions: [
                Function("encode", ["bytes: string"], ["string"], "The text of bytes."),
                Function("decode", ["text: string"], ["string? bytes", "string? why"], "The bytes, or nil and why."),
            ]),
        Library(
            name: "time", doc: "Time, in UTC.",
            functions: [
                Function("now", [], ["number"], "Seconds since 1970."),
                Function(
                    "format", ["seconds?: number", "pattern?: string"], ["string"], "RFC 3339 without a pattern, else %Y %m %d %H %M %S %w %%."),
                Function("parse", ["text: string"], ["number? seconds", "string? why"], "Seconds since 1970 of a time in RFC 3339, or nil and why."),
            ]),
        Library(name: "kv", doc: "This rule's store on this loop: 10,000 entries and 8 MiB.", type: "shunt.Store"),
        Library(
            name: "shared", doc: "The store of all rules and loops of the worker: 100,000 entries, 64 MiB; `incr` is atomic.", type: "shunt.Store"),
    ]

    private static func packedFunctions(_ format: String) -> [Function] {
        [
            Function("decode", ["bytes: string"], ["any value", "string? why"], "The value of \(format), or nil and why."),
            Function("encode", ["value: any"], ["string"], "The value in \(format), keys sorted."),
            Function("bytes", ["data: string"], ["shunt.Bytes"], "Bytes that go out as bytes even where they are UTF-8."),
        ]
    }

    static let functions = [
        Function(
            "resolve", ["name: string", "options?: { timeout?: string|number, cache?: string|number }"], ["string[]?", "string? why"],
            "The addresses of a name, or nil and why; where `http` may be called."),
        Function("match", ["topic: string|nil", "filter: string"], ["boolean"], "Whether an MQTT topic filter takes a topic; false for nil."),
        Function(
            "counter", ["name: string", "labels?: table<string, string|number|boolean>"], ["shunt.Counter"],
            "A counter, shown in /metrics as `shunt_rule_NAME_total`."),
        Function("require", ["name: string"], ["any"], "A file of the plugin's own, without `.lua`."),
    ]

    /// The words that `settings` is written with. `table` is Lua's own.
    static let settingWords = SettingsSchema.words.filter { $0.name != "table" }.map { word in
        Function(word.name, ["...: any"], ["shunt.Type"], "While the rule loads: a setting that is \(word.doc).")
    }

    // MARK: tests

    private static func test(_ name: String, _ asked: String, _ doc: String) -> Function {
        Function(name, ["asked?: \(asked)"], ["shunt.Outcome"], doc)
    }

    private static let contentFields =
        "payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, "
        + "content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, "
        + "sender?: table, hops?: integer, id?: integer"
    private static let messageFields = "topic?: string, " + contentFields
    private static let chatFields = "id?: string, members?: { uid: string, online?: boolean }[], created_at?: number"
    private static let clientFields =
        "uid?: string, device?: string, tags?: string[], alias?: string[], address?: string, groups?: string[], protocol?: string, "
        + "client_id?: string, version?: string, keep_alive?: integer, props?: table, will?: table, attributes?: table<string, string>, "
        + "auth_method?: string, id?: integer, connected_at?: number"

    private static let sessionFields =
        "event?: string, client_id?: string, uid?: string, version?: string, expiry?: integer, connected?: boolean, subscriptions?: integer, "
        + "waiting?: integer, inflight?: integer"

    static let testClass = Class(
        name: "shunt.Test", doc: "What a test of rule_test.lua is given: it calls the rule without a server.",
        methods: [
            test("message", "{ \(messageFields) }", "A topic message."),
            test("broadcast", "{ filter?: table|string, \(contentFields) }", "A broadcast."),
            test("chat", "{ \(chatFields), \(contentFields) }", "A message to a chat."),
            test("deliver", "{ to?: table, kind?: string, filter?: table|string, \(messageFields) }", "A delivery to `to`."),
            test("undelivered", "{ why?: string, kind?: string, filter?: table|string, \(messageFields) }", "A message that has not arrived."),
            test("chat_open", "{ \(chatFields), sender?: table }", "A client creates a chat."),
            test("chat_join", "{ \(chatFields), sender?: table }", "A client joins a chat."),
            test("chat_close", "{ \(chatFields), why?: string }", "A chat has ended."),
            test("connect", "{ \(clientFields) }", "A client connects."),
            test("subscribe", "{ topic?: string, group?: string, key?: string, qos?: integer, sender?: table }", "A client subscribes."),
            test(
                "unsubscribe", "{ topic?: string, group?: string, key?: string, qos?: integer, sender?: table }", "One is given up."),
            test("disconnect", "{ why?: string, \(clientFields) }", "A client goes."),
            test("register", "{ \(clientFields) }", "A client registers as a device."),
            test("select", "{ group?: string, members?: table[], \(messageFields) }", "A group chooses among its members."),
            test("will", "{ \(messageFields) }", "A will is about to be published."),
            test("acked", "{ by?: table, kind?: string, filter?: table|string, \(messageFields) }", "The client `by` has acknowledged a message."),
            test("session", "{ \(sessionFields) }", "A session is created, resumed, over."),
            test("auth", "{ method: string, data?: string, \(clientFields) }", "A client takes a step of its authentication."),
            Function("http", ["request: string", "answer?: table", "why?: string"], [], "Says what a look-up finds; `request` is `GET https://…`."),
            Function("resolve", ["name: string", "addresses?: string[]", "why?: string"], [], "Says what addresses a name has."),
            Function("sessions", ["sessions: table[]"], [], "Says whom sessions.find finds: a table each, as it gives them."),
            Function(
                "settings", ["settings: table"], ["true?", "string? why"], "The rule starts anew with these; nil and why where it does not take them."
            ),
            Function("advance", ["seconds: number"], ["shunt.Outcome"], "Moves the clock; on_tick is called when it is due."),
            Function("eq", ["value: any", "expected: any", "what?: string"], [], "Fails the test where they differ, and tells where."),
            Function("ok", ["value: any", "what?: string"], [], "Fails the test where the value is false or nil."),
        ])

    static let outcome = Class(
        name: "shunt.Outcome", doc: "What came of a call of a test.",
        fields: [
            Field(
                "verdict", "string", "pass, replace, route, fanout, push, chat, drop, reject, done, redirect, accept, deliver, continue or unmatched."
            ),
            Field("why", "string?", "The reason of a drop or a reject."), Field("worker", "string?", "Where a client is redirected to."),
            Field("messages", "table[]", "What is sent."), Field("always", "boolean?", "Whether `route.always` said it."),
            Field("logs", "string[]", "The lines that the rule logged."), Field("error", "string?", "The text of the rule's failure."),
            Field("closed", "string?", "The reason given to `conn:close`."), Field("topic", "string?", "Of the first message, or the subscription."),
            Field("payload", "string?", "Of the first message."), Field("key", "string?", "Of the first message."),
            Field("format", "string?", "Of the first message."), Field("qos", "integer?", "Of the first message, or the subscription."),
            Field("retain", "boolean?", "Of the first message."), Field("props", "table?", "Of the first message."),
            Field("content_type", "string?", "Of the first message."), Field("response_topic", "string?", "Of the first message."),
            Field("correlation_data", "string?", "Of the first message."), Field("expiry", "integer?", "Of the first message."),
            Field("payload_format", "integer?", "Of the first message."),
            Field("filter", "table?", "Of the first message, where it is a broadcast."), Field("group", "string?", "Of the subscription."),
            Field("delay", "number?", "Seconds after which the first message goes out; nil: at once."),
            Field("kind", "string?", "Of the first message."), Field("member", "integer?", "The place of the member that `on_select` chose."),
            Field("attributes", "table?", "Of the client."), Field("expires_at", "number?", "When the client's time ends."),
            Field("limits", "table?", "Of the client."),
            Field("data", "string?", "Of `continue`."), Field("uid", "string?", "Of the client."), Field("tags", "string[]?", "Of the client."),
            Field("alias", "string[]?", "Of the client."),
        ])
}
