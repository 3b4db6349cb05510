import ShuntCore

/// Clients as tables, as CSV, and in detail.
enum ClientListing {
    static func table(_ clients: [ClientRecord], now: Double) -> Table {
        Table(
            columns: [
                .init(title: "CLIENT"), .init(title: "UID", rank: 8), .init(title: "STATE", isWhole: true, rank: 7),
                .init(title: "SINCE", isNumber: true, rank: 6), .init(title: "WORKER", rank: 5), .init(title: "PROTOCOL", rank: 3),
                .init(title: "SUBS", isNumber: true, rank: 4), .init(title: "ADDRESS", rank: 2), .init(title: "SESSION", rank: 1),
            ],
            rows: clients.map { client in
                [
                    .init(orDash(client.client)), .init(orDash(client.uid)),
                    .init(client.state.rawValue, client.state == .connected ? .good : .faint), .init(Humane.age(of: client.since, now: now)),
                    .init(client.worker), .init(client.protocolName), .init("\(client.subscriptions)"), .init(orDash(client.address)),
                    .init(client.session),
                ]
            })
    }

    /// Every field as the registry has it.
    static func csv(_ clients: [ClientRecord]) -> CSV {
        var csv = CSV(
            header: ["worker", "session", "client", "uid", "protocol", "listener", "address", "state", "since", "subscriptions"])
        for client in clients {
            csv.append([
                client.worker, client.session, client.client, client.uid, client.protocolName, client.listener, client.address,
                client.state.rawValue, "\(client.since)", "\(client.subscriptions)",
            ])
        }
        return csv
    }

    /// A line for each subscription; one for a client without any.
    static func csv(_ clients: [(worker: String, client: ClientDetail)]) -> CSV {
        var csv = CSV(
            header: [
                "worker", "session", "client", "uid", "protocol", "listener", "address", "state", "since", "inflight", "queued", "queued_bytes",
                "out_bytes", "pressure", "filter", "group", "key", "qos",
            ])
        for (worker, client) in clients {
            let head = [
                worker, client.session, client.client, client.uid, client.protocolName, client.listener, client.address,
                client.state.rawValue, "\(client.since)", text(client.inflight), text(client.queued), text(client.queuedBytes),
                "\(client.outBytes)", client.pressure,
            ]
            if client.subscriptions.isEmpty { csv.append(head + ["", "", "", ""]) }
            for one in client.subscriptions { csv.append(head + [one.filter, one.group ?? "", one.key ?? "", "\(one.qos)"]) }
        }
        return csv
    }

    static func detail(_ client: ClientDetail, worker: String, now: Double, width: Int?) -> String {
        var fields: [(name: String, value: String)] = [
            ("client", orDash(client.client)), ("uid", orDash(client.uid)), ("state", client.state.rawValue),
            ("since", "\(Humane.time(client.since)), \(Humane.age(of: client.since, now: now))"), ("worker", worker),
            ("session", client.session + (client.lasting ? ", outlives connections" : "")), ("protocol", client.protocolName),
            ("listener", orDash(client.listener)), ("address", orDash(client.address)), ("tags", orDash(client.tags.joined(separator: " "))),
            ("alias", orDash(client.alias.joined(separator: " "))),
            ("waits for it", Humane.bytes(client.outBytes) + (pace(client.pressure).map { "; \($0)" } ?? "")),
            ("read from", client.held ? "not now: a consumer of its messages is congested" : "yes"),
        ]
        if let keepAlive = client.keepAlive { fields.append(("keep alive", keepAlive == 0 ? "none" : "\(keepAlive) s")) }
        if let expiry = client.sessionExpiry { fields.append(("kept for", "\(expiry) s without a connection")) }
        if let endsAt = client.endsAt { fields.append(("ends", Humane.time(endsAt))) }
        if let inflight = client.inflight { fields.append(("in flight", "\(inflight) of \(client.receiveMaximum ?? 0)")) }
        if let queued = client.queued { fields.append(("queued", "\(queued) messages, \(client.queuedBytes ?? 0) bytes")) }
        if let will = client.willTopic { fields.append(("will", will)) }
        let count = client.subscriptionCount
        fields.append(("subscribed", client.subscriptions.count < count ? "\(count), the newest:" : "\(count)"))
        for one in client.subscriptions {
            let parts = [one.group.map { "group \($0)" }, one.key.map { "key \($0)" }, one.qos > 0 ? "QoS \(one.qos)" : nil].compactMap { $0 }
            fields.append(("", one.filter + (parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))")))
        }
        return FieldList.text(fields, width: width)
    }

    /// What a client's pressure means.
    private static func pace(_ pressure: String) -> String? {
        switch pressure {
        case "none": nil
        case "congested": "congested: it reads more slowly than messages come"
        case "stuck": "stuck: it has hardly read anything for worker.slow_patience"
        default: pressure
        }
    }

    private static func text(_ number: Int?) -> String { number.map { "\($0)" } ?? "" }

    private static func orDash(_ text: String) -> String { text.isEmpty ? "-" : text }
}
