---@meta shunt

-- What rules of Shunt have besides Lua's own, for the Lua language server. Made by `shunt rule definitions`.

---What rule.lua returns: hooks, and what the worker is to know of the rule. Any other key is an error.
---@class shunt.Rule
---@field name? string In the log and the metrics; the folder's name where there is none.
---@field priority? integer Higher runs first; 0 where there is none.
---@field match? { kind?: string|string[], topic?: string|string[] }|fun(settings: table): table Which messages and chats the hooks are called for.
---@field budget? { time?: string, memory?: string } Of a call; at most the configuration's.
---@field grants? { publish?: string[], chat?: string[], broadcast?: boolean } What the rule may do besides what the sender may.
---@field on_error? "pass"|"drop"|"reject" What stands where a call fails.
---@field settings? table<string, shunt.Type|table>|shunt.Type What the rule's settings are: names with types, such as `integer { default = 4 }`.
---@field mode? "live"|"shadow"|"canary" Whether it decides, is on trial, or decides for some clients.
---@field tick? number Seconds between two calls of on_tick: 0.1 to 86,400, 60 where there is none.
---@field breaker? { errors?: integer, window?: string, retry?: string } When a rule that keeps failing is switched off.
---@field on_load? fun(settings: table, saved: table?) The rule starts; an error keeps it from starting.
---@field on_unload? fun(): table? Another version takes over, or the worker ends; the table is the next version's `saved`.
---@field on_connect? fun(conn: shunt.Client, ctx: shunt.Context): shunt.Verdict|shunt.Client|nil A client's first frame has come.
---@field on_auth? fun(conn: shunt.Client, data: string, ctx: shunt.Context): shunt.Verdict|shunt.Client|nil A client of MQTT 5.0 takes a step of its authentication.
---@field on_subscribe? fun(sub: shunt.Subscription, ctx: shunt.Context): shunt.Verdict|shunt.Subscription|nil A subscription is asked for.
---@field on_unsubscribe? fun(sub: shunt.Subscription, ctx: shunt.Context) A client that stays has given a subscription up.
---@field on_message? fun(msg: shunt.Message, ctx: shunt.Context): shunt.Verdict|shunt.Message|nil A topic message has come.
---@field on_broadcast? fun(push: shunt.Message, ctx: shunt.Context): shunt.Verdict|shunt.Message|nil A broadcast has come; `push.filter` is its device filter.
---@field on_chat_open? fun(chat: shunt.Chat, conn: shunt.Client, ctx: shunt.Context): shunt.Verdict|nil A client creates a chat.
---@field on_chat_join? fun(chat: shunt.Chat, conn: shunt.Client, ctx: shunt.Context): shunt.Verdict|nil A client joins a chat.
---@field on_chat? fun(msg: shunt.Message, chat: shunt.Chat, ctx: shunt.Context): shunt.Verdict|shunt.Message|nil A member sends to a chat; `msg.topic` is its id.
---@field on_chat_close? fun(chat: shunt.Chat, why: "destroyed"|"idle"|"deserted"|"moved"|"closed by an operator", ctx: shunt.Context) A chat has ended.
---@field on_deliver? fun(msg: shunt.Message, conn: shunt.Client, ctx: shunt.Context): shunt.Verdict|shunt.Message|nil Once for each recipient of a message.
---@field on_undelivered? fun(msg: shunt.Message, why: "no subscriber"|"no device"|"too many hops"|"queue full"|"gone"|"session ended"|"expired", ctx: shunt.Context) A message has not reached anybody, or a recipient.
---@field on_register? fun(conn: shunt.Client, ctx: shunt.Context): shunt.Verdict|shunt.Client|nil A client registers as a device.
---@field on_select? fun(group: string, members: shunt.Member[], msg: shunt.Message, ctx: shunt.Context): shunt.Member? A consumer group has several members who may get a message.
---@field on_will? fun(msg: shunt.Message, conn: shunt.Client, ctx: shunt.Context): shunt.Verdict|shunt.Message|nil A will is about to be published.
---@field on_session? fun(event: "created"|"resumed"|"taken_over"|"expired"|"ended", session: shunt.Session, ctx: shunt.Context) A session of MQTT is created, resumed, over.
---@field on_acked? fun(msg: shunt.Message, conn: shunt.Client, ctx: shunt.Context) A client has acknowledged a message of QoS 1 or 2.
---@field on_disconnect? fun(conn: shunt.Client, why: string, ctx: shunt.Context) A client that was let in has gone.
---@field on_tick? fun(ctx: shunt.Context) Every `tick` seconds on each loop.

---A message. It is there during the call; keep its fields, or a copy by `msg:with{}`. No field can be set.
---@class shunt.Message
---@field kind "topic"|"broadcast"|"chat" What it is.
---@field topic string The topic, or the chat's id; empty for a broadcast.
---@field key string? Its key.
---@field payload string Its payload, inflated.
---@field format "json"|"text" What the payload is.
---@field filter shunt.Filter? Of a broadcast: a copy of the filter of its devices.
---@field qos integer 0, 1 or 2; 1 for the exchange protocol.
---@field retain boolean Whether it is kept for later subscribers of its topic.
---@field props shunt.Properties The user properties of MQTT 5.0.
---@field content_type string? As MQTT 5.0 has it.
---@field response_topic string? As MQTT 5.0 has it.
---@field correlation_data string? As MQTT 5.0 has it.
---@field expiry integer? Seconds until it expires.
---@field payload_format integer? 1 where the payload is UTF-8.
---@field sender shunt.Client? Who sent it; nil once it has gone, and in on_deliver.
---@field hops integer How many rules have sent it on to another topic.
---@field id integer The sender's number of it.
local shunt_Message = {}

---The payload decoded, once a call; nil and why where it is not JSON.
---@return any value
---@return string? why
function shunt_Message:json() end

---The payload decoded from MessagePack, once a call, or nil and why.
---@return any value
---@return string? why
function shunt_Message:msgpack() end

---The payload decoded from CBOR, once a call, or nil and why.
---@return any value
---@return string? why
function shunt_Message:cbor() end

---A copy with these changed; `false` takes a property off.
---@param changes { topic?: string, key?: string|false, payload?: string, format?: "text"|"json", qos?: 0|1|2, retain?: boolean, props?: table|false, content_type?: string|false, response_topic?: string|false, correlation_data?: string|false, expiry?: integer|false, payload_format?: 0|1|false, filter?: shunt.Filter }
---@return shunt.Message
function shunt_Message:with(changes) end

---A user property.
---@class shunt.Property
---@field name string Its name.
---@field value string Its value.

---User properties: a list of pairs in their order, and the first value of each name.
---@class shunt.Properties
---@field [integer] shunt.Property A pair.
---@field [string] string|false|nil The first value of a name.

---Which devices get a broadcast.
---@class shunt.Filter
---@field uid? string Devices of this user.
---@field device? string Devices of this name.
---@field match_tags? string[] Devices with one of these tags.
---@field match_alias? string[] Devices with one of these aliases.
---@field filter_tags? string[] No device with one of these tags.
---@field filter_alias? string[] No device with one of these aliases.

---A client: `conn`, `msg.sender`, `sub.sender`.
---@class shunt.Client
---@field id integer Its connection.
---@field uid string Its user; empty where it is not known.
---@field device string Its device's name; empty where it is not known.
---@field tags string[] Its tags.
---@field alias string[] Its aliases.
---@field protocol "exchange"|"mqtt" What it speaks.
---@field version string? Of MQTT: 3.1, 3.1.1 or 5.0.
---@field client_id string? Of MQTT: its identifier.
---@field auth_method string? Of MQTT 5.0: the authentication method that it names.
---@field keep_alive integer? Of MQTT: seconds; 0: none.
---@field will shunt.Will? Of MQTT: its will.
---@field props shunt.Properties? Of MQTT: the user properties of its CONNECT.
---@field address string As in 10.0.0.1:50000.
---@field groups string[] The groups that it subscribes in.
---@field connected_at number Seconds since 1970.
---@field attributes table<string, string> Texts that rules have given it.
local shunt_Client = {}

---Closes its connection at the end of the turn; before it is let in, refuses it.
---@param why? string
function shunt_Client:close(why) end

---In on_connect, on_register and on_auth: lets the client in with these in place of its own.
---@param changes { uid?: string, tags?: string[], alias?: string[], attributes?: table<string, string>, expires_at?: number, limits?: { messages_per_second?: integer, bytes_per_second?: integer } }
---@return shunt.Client
function shunt_Client:with(changes) end

---A member of a consumer group, for on_select to choose.
---@class shunt.Member
---@field id integer Its connection.
---@field uid string? Its uid.
---@field conn shunt.Client? The client.
---@field delivered integer Messages that this loop has given it.
---@field congested boolean Its queue is filling up.
---@field absent boolean Its session waits for it to come back.

---A session of MQTT.
---@class shunt.Session
---@field client_id string Its client identifier.
---@field uid string Its user.
---@field version string 3.1, 3.1.1 or 5.0.
---@field expiry integer? Seconds that it is kept without a connection; nil: without end.
---@field connected boolean Whether its client is there.
---@field subscriptions integer How many it has.
---@field waiting integer Messages that wait for its client.
---@field inflight integer Messages that it has yet to acknowledge.

---The will of a client of MQTT.
---@class shunt.Will
---@field topic string Its topic.
---@field payload string Its payload.
---@field qos integer 0, 1 or 2.
---@field retain boolean Whether it is retained.
---@field delay integer Seconds.
---@field props shunt.Properties Its user properties.

---A subscription that a client asks for, or gives up.
---@class shunt.Subscription
---@field topic string A topic, or a topic filter.
---@field group string Its consumer group.
---@field key string? Only messages with this key.
---@field qos integer The most that messages come with.
---@field sender shunt.Client Who asks for it.
local shunt_Subscription = {}

---In on_subscribe: the subscription with these changed. The QoS can only be made lower.
---@param changes { topic?: string, group?: string, qos?: 0|1|2 }
---@return shunt.Subscription
function shunt_Subscription:with(changes) end

---A chat, during the call.
---@class shunt.Chat
---@field id string Its id.
---@field members string[] The uids of its members.
---@field created_at number Seconds since 1970.
local shunt_Chat = {}

---Whether this member is connected; false for who is no member.
---@param uid string
---@return boolean
function shunt_Chat:online(uid) end

---Where the rule runs.
---@class shunt.Context
---@field rule string The rule's name.
---@field settings table The rule's settings.
---@field worker string The worker's name.
---@field loop integer The loop's number.
---@field now number Seconds since 1970.
local shunt_Context = {}

---Sends this besides what the hook returns: at most 100 messages a call.
---@param what shunt.Message|shunt.Verdict
function shunt_Context:emit(what) end

---A decision of `route`: return it, or give it to `ctx:emit`. It has no fields.
---@class shunt.Verdict

---A counter of the rule.
---@class shunt.Counter
local shunt_Counter = {}

---Counts on by a number of at least 0; 1 where there is none.
---@param by? number
function shunt_Counter:inc(by) end

---Values under keys of at most 512 bytes: texts of up to 64 KiB, numbers, booleans.
---@class shunt.Store
---@field get fun(key: string): string|number|boolean|nil The value of a key.
---@field set fun(key: string, value: string|number|boolean, ttl?: number): boolean?, string? nil and `full` where there is no room.
---@field delete fun(key: string) Takes a key away.
---@field incr fun(key: string, by?: number, ttl?: number): number?, string? Adds, and gives the sum; `ttl` counts only when it makes the entry.

---What a test of rule_test.lua is given: it calls the rule without a server.
---@class shunt.Test
local shunt_Test = {}

---A topic message.
---@param asked? { topic?: string, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:message(asked) end

---A broadcast.
---@param asked? { filter?: table|string, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:broadcast(asked) end

---A message to a chat.
---@param asked? { id?: string, members?: { uid: string, online?: boolean }[], created_at?: number, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:chat(asked) end

---A delivery to `to`.
---@param asked? { to?: table, kind?: string, filter?: table|string, topic?: string, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:deliver(asked) end

---A message that has not arrived.
---@param asked? { why?: string, kind?: string, filter?: table|string, topic?: string, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:undelivered(asked) end

---A client creates a chat.
---@param asked? { id?: string, members?: { uid: string, online?: boolean }[], created_at?: number, sender?: table }
---@return shunt.Outcome
function shunt_Test:chat_open(asked) end

---A client joins a chat.
---@param asked? { id?: string, members?: { uid: string, online?: boolean }[], created_at?: number, sender?: table }
---@return shunt.Outcome
function shunt_Test:chat_join(asked) end

---A chat has ended.
---@param asked? { id?: string, members?: { uid: string, online?: boolean }[], created_at?: number, why?: string }
---@return shunt.Outcome
function shunt_Test:chat_close(asked) end

---A client connects.
---@param asked? { uid?: string, device?: string, tags?: string[], alias?: string[], address?: string, groups?: string[], protocol?: string, client_id?: string, version?: string, keep_alive?: integer, props?: table, will?: table, attributes?: table<string, string>, auth_method?: string, id?: integer, connected_at?: number }
---@return shunt.Outcome
function shunt_Test:connect(asked) end

---A client subscribes.
---@param asked? { topic?: string, group?: string, key?: string, qos?: integer, sender?: table }
---@return shunt.Outcome
function shunt_Test:subscribe(asked) end

---One is given up.
---@param asked? { topic?: string, group?: string, key?: string, qos?: integer, sender?: table }
---@return shunt.Outcome
function shunt_Test:unsubscribe(asked) end

---A client goes.
---@param asked? { why?: string, uid?: string, device?: string, tags?: string[], alias?: string[], address?: string, groups?: string[], protocol?: string, client_id?: string, version?: string, keep_alive?: integer, props?: table, will?: table, attributes?: table<string, string>, auth_method?: string, id?: integer, connected_at?: number }
---@return shunt.Outcome
function shunt_Test:disconnect(asked) end

---A client registers as a device.
---@param asked? { uid?: string, device?: string, tags?: string[], alias?: string[], address?: string, groups?: string[], protocol?: string, client_id?: string, version?: string, keep_alive?: integer, props?: table, will?: table, attributes?: table<string, string>, auth_method?: string, id?: integer, connected_at?: number }
---@return shunt.Outcome
function shunt_Test:register(asked) end

---A group chooses among its members.
---@param asked? { group?: string, members?: table[], topic?: string, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:select(asked) end

---A will is about to be published.
---@param asked? { topic?: string, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:will(asked) end

---The client `by` has acknowledged a message.
---@param asked? { by?: table, kind?: string, filter?: table|string, topic?: string, payload?: string|table, key?: string, format?: string, qos?: integer, retain?: boolean, props?: table, content_type?: string, response_topic?: string, correlation_data?: string, expiry?: integer, payload_format?: integer, sender?: table, hops?: integer, id?: integer }
---@return shunt.Outcome
function shunt_Test:acked(asked) end

---A session is created, resumed, over.
---@param asked? { event?: string, client_id?: string, uid?: string, version?: string, expiry?: integer, connected?: boolean, subscriptions?: integer, waiting?: integer, inflight?: integer }
---@return shunt.Outcome
function shunt_Test:session(asked) end

---A client takes a step of its authentication.
---@param asked? { method: string, data?: string, uid?: string, device?: string, tags?: string[], alias?: string[], address?: string, groups?: string[], protocol?: string, client_id?: string, version?: string, keep_alive?: integer, props?: table, will?: table, attributes?: table<string, string>, auth_method?: string, id?: integer, connected_at?: number }
---@return shunt.Outcome
function shunt_Test:auth(asked) end

---Says what a look-up finds; `request` is `GET https://…`.
---@param request string
---@param answer? table
---@param why? string
function shunt_Test:http(request, answer, why) end

---Says what addresses a name has.
---@param name string
---@param addresses? string[]
---@param why? string
function shunt_Test:resolve(name, addresses, why) end

---Says whom sessions.find finds: a table each, as it gives them.
---@param sessions table[]
function shunt_Test:sessions(sessions) end

---The rule starts anew with these; nil and why where it does not take them.
---@param settings table
---@return true?
---@return string? why
function shunt_Test:settings(settings) end

---Moves the clock; on_tick is called when it is due.
---@param seconds number
---@return shunt.Outcome
function shunt_Test:advance(seconds) end

---Fails the test where they differ, and tells where.
---@param value any
---@param expected any
---@param what? string
function shunt_Test:eq(value, expected, what) end

---Fails the test where the value is false or nil.
---@param value any
---@param what? string
function shunt_Test:ok(value, what) end

---What came of a call of a test.
---@class shunt.Outcome
---@field verdict string pass, replace, route, fanout, push, chat, drop, reject, done, redirect, accept, deliver, continue or unmatched.
---@field why string? The reason of a drop or a reject.
---@field worker string? Where a client is redirected to.
---@field messages table[] What is sent.
---@field always boolean? Whether `route.always` said it.
---@field logs string[] The lines that the rule logged.
---@field error string? The text of the rule's failure.
---@field closed string? The reason given to `conn:close`.
---@field topic string? Of the first message, or the subscription.
---@field payload string? Of the first message.
---@field key string? Of the first message.
---@field format string? Of the first message.
---@field qos integer? Of the first message, or the subscription.
---@field retain boolean? Of the first message.
---@field props table? Of the first message.
---@field content_type string? Of the first message.
---@field response_topic string? Of the first message.
---@field correlation_data string? Of the first message.
---@field expiry integer? Of the first message.
---@field payload_format integer? Of the first message.
---@field filter table? Of the first message, where it is a broadcast.
---@field group string? Of the subscription.
---@field delay number? Seconds after which the first message goes out; nil: at once.
---@field kind string? Of the first message.
---@field member integer? The place of the member that `on_select` chose.
---@field attributes table? Of the client.
---@field expires_at number? When the client's time ends.
---@field limits table? Of the client.
---@field data string? Of `continue`.
---@field uid string? Of the client.
---@field tags string[]? Of the client.
---@field alias string[]? Of the client.

---What a host has answered.
---@class shunt.Response
---@field status integer Its status, such as 200.
---@field headers table<string, string> By names in small letters.
---@field body string Its body.
local shunt_Response = {}

---The body decoded from JSON, or nil and why.
---@return any value
---@return string? why
function shunt_Response:json() end

---Bytes, or an extension of MessagePack, that go out as such.
---@class shunt.Bytes
---@field data string The bytes.
---@field type integer? Of an extension: its type.
---@field time number? Of an extension of type -1: seconds since 1970.

---A client, or a session of MQTT, as `sessions.find` gives it.
---@class shunt.Found
---@field uid string Its user.
---@field device string The device that it is; of MQTT its client identifier.
---@field client_id string? Its client identifier; nil for the exchange protocol.
---@field protocol "exchange"|"mqtt" What it speaks.
---@field loop integer The loop that it is on.
---@field connected boolean Whether the client is there.
---@field id integer? Its connection; nil while the client is away, as are address and connected_at.
---@field address string? Where it comes from.
---@field connected_at number? In seconds since 1970.
---@field tags string[] Its tags.
---@field alias string[] Its other names.

---What a setting may be: `text`, `list(text)`, `integer { min = 1 }`.
---@class shunt.Type

---Verdicts: what becomes of a message, a client or a subscription.
route = {}

---It goes to that topic instead.
---@param topic string
---@param msg? shunt.Message
---@return shunt.Verdict
function route.to(topic, msg) end

---These go out instead: `msg`, `msg:with{}`, `route.to` and others.
---@param messages (shunt.Message|shunt.Verdict)[]
---@return shunt.Verdict
function route.fanout(messages) end

---The payload goes as a broadcast to the devices of this worker that match.
---@param filter shunt.Filter
---@param msg? shunt.Message
---@return shunt.Verdict
function route.push(filter, msg) end

---The payload goes to all members of that chat, if it is open on this worker.
---@param id string
---@param msg? shunt.Message
---@return shunt.Verdict
function route.chat(id, msg) end

---Nobody gets it; the sender is told that it has come.
---@param why? string
---@return shunt.Verdict
function route.drop(why) end

---Nobody gets it, or the client is not let in; the sender is told why.
---@param why? string
---@return shunt.Verdict
function route.reject(why) end

---No other rule sees it; it is delivered as it is now.
---@return shunt.Verdict
function route.done() end

---In on_auth: the client is asked for another step, with these data.
---@param data string
---@return shunt.Verdict
function route.continue(data) end

---The client is told to go to the worker `host:port`.
---@param worker string
---@return shunt.Verdict
function route.redirect(worker) end

---A message that is made of none: it takes what `msg:with{}` takes, and needs a payload.
---@param fields { topic?: string, key?: string|false, payload?: string, format?: "text"|"json", qos?: 0|1|2, retain?: boolean, props?: table|false, content_type?: string|false, response_topic?: string|false, correlation_data?: string|false, expiry?: integer|false, payload_format?: 0|1|false }
---@return shunt.Message
function route.message(fields) end

---It goes out later instead; it is kept in memory.
---@param seconds number
---@param msg? shunt.Message|shunt.Verdict
---@return shunt.Verdict
function route.delay(seconds, msg) end

---As the verdict says, for this and every later message of the topic; nothing: the rule passes them all.
---@param verdict? shunt.Verdict
---@return shunt.Verdict
function route.always(verdict) end

---JSON.
json = {}

---null of JSON.
---@type userdata
json.null = nil

---The value, or nil and why.
---@param text string
---@return any value
---@return string? why
function json.decode(text) end

---Text, keys sorted.
---@param value any
---@return string
function json.encode(value) end

---Marks a table as a list, for empty ones.
---@param list table
---@return table
function json.array(list) end

---MessagePack.
msgpack = {}

---The value of MessagePack, or nil and why.
---@param bytes string
---@return any value
---@return string? why
function msgpack.decode(bytes) end

---The value in MessagePack, keys sorted.
---@param value any
---@return string
function msgpack.encode(value) end

---Bytes that go out as bytes even where they are UTF-8.
---@param data string
---@return shunt.Bytes
function msgpack.bytes(data) end

---An extension, of a type from -128 to 127.
---@param type integer
---@param data string
---@return shunt.Bytes
function msgpack.extension(type, data) end

---CBOR.
cbor = {}

---The value of CBOR, or nil and why.
---@param bytes string
---@return any value
---@return string? why
function cbor.decode(bytes) end

---The value in CBOR, keys sorted.
---@param value any
---@return string
function cbor.encode(value) end

---Bytes that go out as bytes even where they are UTF-8.
---@param data string
---@return shunt.Bytes
function cbor.bytes(data) end

---Look-ups in on_connect, on_auth, on_register and on_subscribe, while the client waits.
http = {}

---What the host answers, or nil and why.
---@param url string
---@param options? { headers?: table<string, string>, timeout?: string|number, cache?: string|number }
---@return shunt.Response?
---@return string? why
function http.get(url, options) end

---What the host answers, or nil and why; a table goes as JSON.
---@param url string
---@param body string|table
---@param options? { headers?: table<string, string>, timeout?: string|number }
---@return shunt.Response?
---@return string? why
function http.post(url, body, options) end

---Who is there, on all loops of the worker.
sessions = {}

---The clients and sessions of a user, at most 100, those that came last first, and whether there are more.
---@param asked { uid: string }
---@return shunt.Found[] sessions
---@return boolean more
function sessions.find(asked) end

---Lines for the worker's log.
log = {}

---Writes a line of the level `debug`, when the call has ended.
---@param text any
---@param fields? table
function log.debug(text, fields) end

---Writes a line of the level `info`, when the call has ended.
---@param text any
---@param fields? table
function log.info(text, fields) end

---Writes a line of the level `warn`, when the call has ended.
---@param text any
---@param fields? table
function log.warn(text, fields) end

---Writes a line of the level `error`, when the call has ended.
---@param text any
---@param fields? table
function log.error(text, fields) end

---Regular expressions, searched in time that grows with the text alone.
re = {}

---Whether the expression matches anywhere in the text.
---@param text string
---@param pattern string
---@return boolean
function re.test(text, pattern) end

---The groups of the leftmost match, or the whole match where there is no group; nil if there is none.
---@param text string
---@param pattern string
---@return string? first
---@return string? ...
function re.match(text, pattern) end

---The text with its matches replaced, and how many there were; in `with`, %0 is the match, %1 to %9 are groups.
---@param text string
---@param pattern string
---@param with string
---@param most? integer
---@return string text
---@return integer count
function re.replace(text, pattern, with, most) end

---Hashes, in hexadecimal digits.
hash = {}

---SHA-256.
---@param text string
---@return string
function hash.sha256(text) end

---HMAC-SHA-256.
---@param key string
---@param text string
---@return string
function hash.hmac(key, text) end

---CRC-32: not for what clients must not be able to choose.
---@param text string
---@return string
function hash.crc32(text) end

---Base64.
base64 = {}

---The text of bytes.
---@param bytes string
---@return string
function base64.encode(bytes) end

---The bytes, or nil and why.
---@param text string
---@return string? bytes
---@return string? why
function base64.decode(text) end

---Time, in UTC.
time = {}

---Seconds since 1970.
---@return number
function time.now() end

---RFC 3339 without a pattern, else %Y %m %d %H %M %S %w %%.
---@param seconds? number
---@param pattern? string
---@return string
function time.format(seconds, pattern) end

---Seconds since 1970 of a time in RFC 3339, or nil and why.
---@param text string
---@return number? seconds
---@return string? why
function time.parse(text) end

---This rule's store on this loop: 10,000 entries and 8 MiB.
---@type shunt.Store
kv = {}

---The store of all rules and loops of the worker: 100,000 entries, 64 MiB; `incr` is atomic.
---@type shunt.Store
shared = {}

---The addresses of a name, or nil and why; where `http` may be called.
---@param name string
---@param options? { timeout?: string|number, cache?: string|number }
---@return string[]?
---@return string? why
function resolve(name, options) end

---Whether an MQTT topic filter takes a topic; false for nil.
---@param topic string|nil
---@param filter string
---@return boolean
function match(topic, filter) end

---A counter, shown in /metrics as `shunt_rule_NAME_total`.
---@param name string
---@param labels? table<string, string|number|boolean>
---@return shunt.Counter
function counter(name, labels) end

---A file of the plugin's own, without `.lua`.
---@param name string
---@return any
function require(name) end

---While the rule loads: a setting that is a text; min and max are bytes.
---@param ... any
---@return shunt.Type
function text(...) end

---While the rule loads: a setting that is a whole number of 64 bits.
---@param ... any
---@return shunt.Type
function integer(...) end

---While the rule loads: a setting that is a number.
---@param ... any
---@return shunt.Type
function number(...) end

---While the rule loads: a setting that is true or false.
---@param ... any
---@return shunt.Type
function boolean(...) end

---While the rule loads: a setting that is a time such as "500ms", "30s", "5m", "1h", "7d", or a number of seconds; the rule gets seconds.
---@param ... any
---@return shunt.Type
function duration(...) end

---While the rule loads: a setting that is a size such as "64KiB", "1MiB", "1GiB", or a number of bytes; the rule gets bytes.
---@param ... any
---@return shunt.Type
function size(...) end

---While the rule loads: a setting that is a topic, without + and #.
---@param ... any
---@return shunt.Type
function topic(...) end

---While the rule loads: a setting that is a topic filter, such as "orders/+".
---@param ... any
---@return shunt.Type
function filter(...) end

---While the rule loads: a setting that is a dotted path to a field, such as "card.pin" or "items.*.cost"; the rule gets a list of its names.
---@param ... any
---@return shunt.Type
function path(...) end

---While the rule loads: a setting that is one of the values that it names: enum { "drop", "reject" }.
---@param ... any
---@return shunt.Type
function enum(...) end

---While the rule loads: a setting that is a list, and what each element is: list(text); min and max are elements.
---@param ... any
---@return shunt.Type
function list(...) end

---While the rule loads: a setting that is names with values, and what each value is: map(integer); min and max are entries.
---@param ... any
---@return shunt.Type
function map(...) end

---While the rule loads: a setting that is whatever YAML can say.
---@param ... any
---@return shunt.Type
function any(...) end
