import ShuntCore

extension Configuration {
    /// The table of keys, in the order of the reference.
    static let keys: [ConfigKey<Configuration>] =
        profileKeys + masterKeys + clusterKeys + workerKeys + accessKeys.map { $0.of("access", \.access, .live) } + chatKeys + mqttKeys + rulesKeys
        + ruleChangeKeys + limitKeys + logKeys

    private static let profileKeys: [ConfigKey<Configuration>] = [
        ConfigKey(
            "profile", \.profile, .word, .restart,
            "standard, or hardened for what the internet reaches: keys have the stricter defaults that are told below as \"Hardened\", and the "
                + "process does not start where a door stands open to other machines. What a file says counts in both. docs/security.md lists it.")
    ]

    private static let masterKeys: [ConfigKey<Configuration>] = [
        ConfigKey(
            "master.name", \.master.name, .name(maximum: 255, emptyMeans: "the host's name"), .restart,
            "The master's name in logs and the registry."),
        ConfigKey(
            "master.exchange.listen", \.master.exchange.listen, .address(ports: 0...65535), .restart,
            "The address for workers and clients. Port 0: any free one, which the ready file names."),
        ConfigKey(
            "master.peers", \.master.peers, .list(of: .address(ports: 1...65535), maximum: 16), .restart,
            "All masters of the cluster, each as workers have it in worker.masters; this one may be among them. One serves, and the others stand "
                + "by. []: this master serves alone."),
        ConfigKey(
            "master.advertise", \.master.advertise, .host(emptyMeans: "the host of master.exchange.listen"), .restart,
            "The host by which worker.masters and master.peers name this master."),
        ConfigKey(
            "master.admin.listen", \.master.admin.listen, .address(ports: 0...65535), .restart,
            "The address of the admin API. Without master.admin.tokens_file it is open to whoever reaches it: keep it on loopback."),
        ConfigKey(
            "master.admin.hosts", \.master.admin.hosts, .list(of: .hostPattern, maximum: 64), .restart,
            "Names by which the admin API may be asked, besides IP addresses, localhost, the machine's own name and the host that it "
                + "listens on, as in [master.example.org, \"*.internal\"]. A web page could otherwise ask it under a name of its own "
                + "that leads here (DNS rebinding)."),
        ConfigKey(
            "master.admin.tokens_file", \.master.adminTokensFile, .path(emptyMeans: "whoever reaches the admin API may ask it"), .live,
            "The file of those who may ask the admin API, a line each: role:name:token, or role:name:sha256=HEX. The role is read, or operate "
                + "for commands too. SIGHUP reads the file again."),
        ConfigKey(
            "master.admin.tls.certificate", \.master.admin.tls.certificate, .path(emptyMeans: "no TLS"), .restart,
            "The admin API's certificate, in PEM, then those that lead to its root: it speaks HTTPS alone. SIGHUP reads the files again."),
        ConfigKey(
            "master.admin.tls.key", \.master.admin.tls.key, .path(emptyMeans: "in the certificate's file, or beside it as its name with .key"),
            .restart, "The certificate's private key, in PEM without a passphrase."),
        ConfigKey(
            "master.registry.path", \.master.registry.path, .path, .restart,
            "The registry's SQLite file: workers and events, nothing of a message."),
        ConfigKey(
            "master.registry.batch", \.master.registry.batch, .duration(.milliseconds(1)...(.seconds(60))), .restart,
            "The longest time before a change is written to the registry."),
        ConfigKey(
            "master.registry.events_keep", \.master.registry.eventsKeep, .int(1...10_000_000), .restart,
            "How many of the newest events the registry keeps."),
        ConfigKey(
            "master.registry.clients", \.master.registry.clients, .bool, .restart,
            "Whether the registry lists the clients of all workers: about 300 bytes each."),
        ConfigKey(
            "master.registry.history", \.master.registry.history, .word, .restart,
            "How far back the history of the workers' figures goes: about 300 KB a worker for a month, 200 KB for a day, 40 KB for an hour."),
        ConfigKey(
            "master.heartbeat.live_for", \.master.heartbeat.liveFor, .duration(.milliseconds(100)...(.seconds(3600))), .restart,
            "A worker that is silent for this long is lost; several times the workers' worker.heartbeat.every."),
    ]

    private static let workerKeys: [ConfigKey<Configuration>] = [
        ConfigKey(
            "worker.name", \.worker.name, .name(maximum: 255, emptyMeans: "the host's name"), .restart,
            "The worker's name in logs, for rules, and in shunt admin, which finds the worker by it."),
        ConfigKey(
            "worker.advertise", \.worker.advertise, .host(emptyMeans: "the source address that the master sees"), .restart,
            "The address that clients are told to connect to."),
        ConfigKey(
            "worker.masters", \.worker.masters, .list(of: .address(ports: 1...65535), maximum: 16), .restart,
            "The masters' master.exchange.listen, tried in turn. []: the worker routes by itself."),
        ConfigKey(
            "worker.loops", \.worker.loops, .int(0...254), .restart,
            "Threads, each with connections and Lua states of its own. 0: one per core."),
        ConfigKey(
            "worker.listeners", \.worker.listeners,
            .entries("listeners by name", keys: listenerKeys, count: 1...64) {
                Worker.Listener(listen: .tcp(HostPort("127.0.0.1", 0)))
            },
            .restart,
            "Where clients connect: any number of listeners, each under a name of its own. "
                + "A file that names any replaces the one below."),
        ConfigKey(
            "worker.http.listen", \.worker.http.listen, .address(ports: 0...65535), .restart,
            "The address of health and metrics: /healthz, /readyz, /metrics."),
        ConfigKey(
            "worker.http.hosts", \.worker.http.hosts, .list(of: .hostPattern, maximum: 64), .restart,
            "Names by which they may be asked for, as master.admin.hosts says; worker.advertise is one too. Prometheus asks by the name in "
                + "its target."),
        ConfigKey(
            "worker.heartbeat.every", \.worker.heartbeat.every, .duration(.milliseconds(10)...(.seconds(600))), .restart,
            "How often the worker sends its master a heartbeat with its figures."),
        ConfigKey(
            "worker.balance", \.worker.balance, .bool, .restart,
            "Whether the worker closes connections that have subscribed nothing when a message-channel master tells it by BALANCE that it has "
                + "more than the mean. Shunt's own masters balance by `shunt admin balance`."),
        ConfigKey(
            "worker.groups.strategy", \.worker.groups.standard, .word, .live,
            "How a consumer group chooses the member that gets a message: the one given the fewest; each in turn; "
                + "the same for the same key; the one that has been there longest."),
        ConfigKey(
            "worker.groups.overrides", \.worker.groups.overrides,
            .names("by a group's name", name: { $0.isEmpty ? nil : $0 }, written: { $0 }, element: .word), .live,
            "Groups with another strategy, as in {audit: sticky}."),
        ConfigKey(
            "worker.slow_consumer", \.worker.slowConsumer, .word, .live,
            "What happens to a consumer that reads more slowly than its producers send: its producers are not read from while its "
                + "out-buffer drains from a half to a quarter; or, when limits.out_buffer is reached, the new message is dropped, messages "
                + "that wait are, or the connection is closed."),
        ConfigKey(
            "worker.groups.slow", \.worker.slowGroups,
            .names("by a group's name", name: { $0.isEmpty ? nil : $0 }, written: { $0 }, element: .word), .live,
            "Groups with another policy for slow members, as in {audit: drop_newest}."),
        ConfigKey(
            "worker.slow_patience", \.worker.slowPatience, .duration(.milliseconds(100)...(.seconds(3600))), .live,
            "A consumer whose out-buffer is over half full, and that takes less than a quarter of limits.out_buffer in this time, is "
                + "stuck: producers wait for it no longer."),
        ConfigKey(
            "worker.stuck_consumer", \.worker.stuckConsumer, .word, .live,
            "What happens to messages for a stuck consumer when limits.out_buffer is reached, until it has drained."),
        ConfigKey(
            "worker.admin_payloads", \.worker.adminPayloads, .bool, .restart,
            "Whether operators whose token has the role operate may see payloads of live messages: shunt admin trace --payloads, and record."),
    ]

    private static let listenerKeys: [ConfigKey<Worker.Listener>] =
        [
            ConfigKey("protocol", \.protocol, .word, .restart, "The clients' protocol: message-channel's exchange protocol, or MQTT 3.1.1 and 5.0."),
            ConfigKey(
                "listen", \.listen, .listenAddress, .restart, required: true,
                "The address that clients connect to. Port 0: any free one, which the ready file names. unix:PATH: a socket in the file system, "
                    + "for clients of this machine that its owner or group runs."),
            ConfigKey(
                "transport", \.transport, .word, .restart,
                "What the clients' protocol travels in: TCP as it is, or the binary messages of WebSocket."),
            ConfigKey(
                "path", \.path, .requestPath, .restart, "The path that clients of WebSocket ask for, as in ws://host:port/mqtt."),
            ConfigKey(
                "origins", \.origins, .list(of: .origin, maximum: 64), .restart,
                "The origins of pages whose scripts may connect by WebSocket. Pages of the host that they connect to may as well, where that is an "
                    + "IP address or localhost, or the listener speaks TLS: a page could have another name lead here (DNS rebinding). Clients "
                    + "that are no browsers may."),
            ConfigKey(
                "proxy_protocol.from", \.proxies, .list(of: .addressRange, maximum: 256), .restart,
                "The proxies that connect here, and say by a PROXY header, version 1 or 2, who their client is. Connections from elsewhere are "
                    + "refused. []: clients connect themselves."),
            ConfigKey(
                "allow_anonymous", \.allowAnonymous, .bool, .restart,
                "Whether a client may come in that gives no name: it has the rights of clients without a uid."),
        ] + listenerLimitKeys + tlsKeys + accessKeys.map { $0.of("access", \.access, .restart) }

    private static let chatKeys: [ConfigKey<Configuration>] = [
        ConfigKey("chat.members", \.chat.members, .int(2...64), .live, "Members of one chat, including members that may still come back."),
        ConfigKey(
            "chat.rejoin", \.chat.rejoin, .duration(.zero...(.seconds(86_400))), .live,
            "How long a member that lost its connection keeps its place, and messages are held for it."),
        ConfigKey(
            "chat.idle", \.chat.idle, .duration(.zero...(.seconds(30 * 86_400))), .live,
            "How long a chat without messages and joins stays open; 0s: for ever."),
        ConfigKey(
            "devices.keep", \.devices.keep, .duration(.zero...(.seconds(365 * 86_400))), .restart,
            "How long a master remembers a device that has left."),
        ConfigKey(
            "devices.memory", \.devices.memory, .size(1 << 20...(1 << 40)), .restart,
            "The memory that devices may take of a master. Those that left longest ago make way; then new ones are kept without tags and "
                + "aliases, or not at all."),
    ]

    private static let rulesKeys: [ConfigKey<Configuration>] = [
        ConfigKey("rules.directory", \.rules.directory, .path, .live, "The folder with the plugins, a folder each."),
        ConfigKey(
            "rules.enabled", \.rules.enabled, .enabledRules, .live, "The plugins that run; all: every one in the directory."),
        ConfigKey(
            "rules.settings", \.rules.settings, .settings, .live, secret: true,
            "What plugins are given when they start, as in {redact: {redactions: [{topic: \"orders/+\", remove: [card]}]}}."),
        ConfigKey(
            "rules.lookups", \.rules.lookups, .entries("what plugins may look up, by their names", keys: lookupKeys, count: 0...64) { .init() },
            .live,
            "Whom the rules of plugins may ask, by http.get, http.post and resolve, while a client waits. None may ask anybody otherwise."),
        ConfigKey(
            "rules.budget.time", \.rules.budget.time, .duration(.microseconds(10)...(.seconds(10))), .live,
            "The longest that one call of a rule may take; a rule's own budget cannot ask for more."),
        ConfigKey(
            "rules.budget.memory", \.rules.budget.memory, .size(4096...(1 << 30)), .live,
            "The most memory that one call of a rule may add; a rule's own budget cannot ask for more."),
        ConfigKey(
            "rules.state_memory", \.rules.stateMemory, .size(1 << 20...(16 << 30)), .live,
            "The most memory that all rules of one loop may hold. Each has an equal share of it for itself."),
        ConfigKey(
            "rules.log_payloads", \.rules.logPayloads, .bool, .live,
            "Whether what rules log, and their errors, may repeat payloads. Otherwise the log hides what does."),
        ConfigKey(
            "rules.delay.messages", \.rules.delay.messages, .int(0...10_000_000), .live,
            "Messages that rules of the worker may have delayed at a time (route.delay); each loop has an equal share."),
        ConfigKey(
            "rules.delay.bytes", \.rules.delay.bytes, .size(0...(16 << 30)), .live,
            "Bytes of these messages."),
        ConfigKey(
            "rules.dead_letter", \.rules.deadLetter, .topicOrNone, .live,
            "The topic for messages that a rule failed on, that were dropped at a bound, or that nobody has subscribed; empty: none."),
    ]

    private static let limitKeys: [ConfigKey<Configuration>] = [
        ConfigKey(
            "limits.frame", \.limits.frame, .size(1024...(1 << 28)), .live,
            "The largest frame of the exchange protocol, head and body; a client that sends more is disconnected."),
        ConfigKey(
            "limits.out_buffer", \.limits.outBuffer, .size(1024...(1 << 30)), .live,
            "Bytes that may wait to be written to one connection; then worker.slow_consumer applies."),
        ConfigKey(
            "limits.buffers", \.limits.buffers, .size(1 << 20...(1 << 40)), .live,
            "Bytes that may wait in the buffers of all connections of a worker."),
        ConfigKey("limits.connections", \.limits.connections, .int(1...100_000_000), .live, "The most clients of a worker."),
        ConfigKey("limits.subscriptions", \.limits.subscriptions, .int(1...1_000_000), .live, "Subscriptions of one connection."),
        ConfigKey("limits.topic", \.limits.topic, .size(1...65535), .live, "The longest name of a topic."),
        ConfigKey("limits.group", \.limits.group, .size(1...65535), .live, "The longest name of a consumer group."),
        ConfigKey(
            "limits.fanout", \.limits.fanout, .int(1...1_000_000), .live,
            "Messages that a call of a rule may make of one message, and all rules together, over all hops."),
        ConfigKey(
            "limits.hops", \.limits.hops, .int(1...255), .live,
            "How often rules may send a message on, one after the other, before it is dropped."),
        ConfigKey(
            "limits.inflated", \.limits.inflated, .size(1024...(1 << 30)), .live,
            "The largest payload once it is decompressed for a rule."),
        ConfigKey("limits.mailbox", \.limits.mailbox, .size(1 << 16...(1 << 40)), .live, "Bytes that may wait between two loops."),
        ConfigKey(
            "limits.frame_time", \.limits.frameTime, .duration(.milliseconds(100)...(.seconds(3600))), .live,
            "A frame that has begun must be complete within this, or its client is disconnected."),
        ConfigKey(
            "limits.peer_timeout", \.limits.peerTimeout, .duration(.zero...(.seconds(3600))), .live,
            "A connection whose other machine does not answer for this long, by TCP, is closed; silent ones that answer stay. Whole seconds; "
                + "0s: the system decides, after two hours of silence. Holds for connections made from then on."),
    ]

    private static let logKeys: [ConfigKey<Configuration>] = [
        ConfigKey("log.level", \.log.level, .word, .live, "The lowest level that is written to standard error."),
        ConfigKey(
            "log.levels", \.log.levels,
            .names(
                "by subsystem", known: Log.Subsystem.allCases.map(\.rawValue), name: Log.Subsystem.init(rawValue:),
                written: \.rawValue, element: .word),
            .live,
            "Subsystems that tell more or less, as in {link: debug}. There are "
                + Log.Subsystem.allCases.map(\.rawValue).joined(separator: ", ") + "."),
        ConfigKey("log.format", \.log.format, .word, .restart, "auto: text on a terminal, JSON lines elsewhere."),
    ]
}
