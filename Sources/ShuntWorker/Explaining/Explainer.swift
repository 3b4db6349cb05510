import ShuntAccess
import ShuntCore
import ShuntEngine
import ShuntJSON
import ShuntRules
import Synchronization

/// Answers `shunt admin explain`: rules run on a thread of its own, in states of their own; the loops are asked where topics lead.
final class Explainer: Sendable {
    private let peers: LoopPeers
    private let underWay = Atomic<Int>(0)

    /// Questions that are answered at a time.
    private static let capacity = 2
    /// Groups that are named in place of one that is not there.
    private static let groups = 10
    /// Filters among which the one is looked for that an operator may have meant.
    private static let filters = 2000

    init(_ peers: LoopPeers) { self.peers = peers }

    func perform(_ arguments: [UInt8], _ done: @escaping WorkerCommands.Done) {
        guard underWay.add(1, ordering: .relaxed).newValue <= Self.capacity else {
            underWay.subtract(1, ordering: .relaxed)
            return done(.failure(ShuntError(.memoryLimit, "the worker explains other messages already", help: "try again in a moment")))
        }
        do throws(ShuntError) {
            try OwnThread.startDetached(isNice: false) { [self] in
                defer { underWay.subtract(1, ordering: .relaxed) }
                do throws(ShuntError) {
                    done(.success(try encoded(try explain(try Self.request(arguments)))))
                } catch {
                    done(.failure(error))
                }
            }
        } catch {
            underWay.subtract(1, ordering: .relaxed)
            done(.failure(error))
        }
    }

    private func encoded(_ record: ExplainRecord) throws(ShuntError) -> [UInt8] {
        do {
            return try RecordJSON.encode(record)
        } catch {
            throw ShuntError(.internalError, "the answer cannot be written as JSON: \(error)")
        }
    }

    private static func request(_ arguments: [UInt8]) throws(ShuntError) -> ExplainRequest {
        guard let request = try? RecordJSON.decode(ExplainRequest.self, from: arguments) else {
            throw ShuntError(.requestInvalid, "this is not what explain takes", help: #"send {"topic": "orders/1", "uid": "ada"}"#)
        }
        var topic = request.topic
        guard !topic.isEmpty, topic.withUTF8({ TopicFilter.isTopic(Bytes($0)) }) else {
            throw ShuntError(
                .topicInvalid, "'\(request.topic)' is not a topic that a message can have", at: "topic",
                help: "explain follows one message: a topic without + and #, such as orders/1")
        }
        guard let limit = request.limit, (1...ExplainRequest.maximumLimit).contains(limit) else {
            guard request.limit == nil else {
                throw ShuntError(.requestInvalid, "limit is not from 1 to \(ExplainRequest.maximumLimit)", at: "limit")
            }
            return request
        }
        return request
    }

    private static func payload(of request: ExplainRequest) throws(ShuntError) -> [UInt8] {
        var payload = Array((request.payload ?? "").utf8)
        if let text = request.payloadBase64 {
            guard let bytes = JSONBytes.decode(text) else { throw ShuntError(.requestInvalid, "payload_base64 is no base64", at: "payload_base64") }
            payload = bytes
        }
        guard payload.count <= ExplainRequest.maximumPayload else {
            throw ShuntError(
                .requestInvalid, "the payload has \(payload.count) bytes", at: "payload", help: "at most \(ExplainRequest.maximumPayload)")
        }
        return payload
    }

    // MARK: The answer

    private func explain(_ request: ExplainRequest) throws(ShuntError) -> ExplainRecord {
        let began = Worker.now
        let payload = try Self.payload(of: request)
        let (rights, permissions) = try rights(of: request)
        let topic = Array(request.topic.utf8)
        let state = peers.ask { loop in
            (loop.rulesVersion, loop.engine.hopLimit, loop.switchedOff, topic.withUnsafeBytes { loop.engine.refusal(ofTopic: $0) })
        }
        guard let (version, hopLimit, _, refusal) = state[0] else { throw ShuntError(.connectionLost, "the worker ends") }
        let (sender, note) = sender(of: request, now: began)
        // Rules do not keep their directory alive.
        defer { withExtendedLifetime(sender) {} }
        let rules = try version.sandbox(peers: sender, now: began)
        var message = RuleMessage(topic: topic, key: request.key.map { Array($0.utf8) }, payload: payload)
        // As a frame has it, or a PUBLISH that says nothing else.
        if sender.speaksMQTT { (message.qos, message.format) = (.atMostOnce, .none) } else { message.qos = .atLeastOnce }
        if let qos = request.qos.flatMap({ QoS(rawValue: UInt8(clamping: $0)) }) { message.qos = qos }
        message.sender = sender.id
        var path = MessagePath(
            rules: rules, permissions: permissions, hopLimit: hopLimit, showsPayloads: request.payloads == true, now: began)
        path.follow(message, refusedBy: refusal)
        var record = path.record
        (record.rights, record.sender) = (rights, note)
        let off = state.values.flatMap(\.2)
        for place in record.rules.indices {
            let count = off.count { $0 == record.rules[place].rule }
            if count > 0 { record.rules[place].offLoops = count }
        }
        record.routes = path.stops.prefix(ExplainRequest.maximumLimit).map { route(to: $0, request, rules, sender) }
        let arrives = record.routes.contains { $0.recipients > 0 && $0.refused == nil && $0.after == nil }
        if record.outcome == "delivered", !path.hasOthers, !arrives {
            (record.outcome, record.why) = Self.end(of: record, path)
        }
        record.seconds = Worker.now - began
        return record
    }

    /// Whom rules are asked about: the client that is connected by the names which are given, or else one with no more than these.
    /// - Returns: what is to be said of it, too.
    private func sender(of request: ExplainRequest, now: Double) -> (ImaginarySender, note: String?) {
        let speaks = request.listener.flatMap { name in peers.listeners.first { $0.name == name }?.speaks }
        let isNamed = request.uid != nil || request.client != nil
        let found =
            isNamed
            ? peers.ask { $0.engine.connected(uid: request.uid, name: request.client, limit: 2) }.values.joined()
                .filter { speaks == nil || $0.protocolName == speaks?.rawValue } : []
        if found.count == 1, let own = found.first {
            let names = [own.uid, own.name == own.uid ? "" : "client \(own.name)", own.address].filter { !$0.isEmpty }.joined(separator: ", ")
            return (ImaginarySender(own, now: now), "\(names), as it is connected")
        }
        let protocolName = speaks?.rawValue ?? (request.client == nil ? ClientProtocol.exchange : .mqtt).rawValue
        let client = request.client ?? request.uid ?? ""
        let isMQTT = protocolName == ClientProtocol.mqtt.rawValue
        let own = Peer(
            id: ConnectionID(loop: 0, slot: 0, generation: 0), uid: request.uid ?? (isMQTT ? client : ""),
            device: isMQTT ? client : request.client ?? "", tags: [], alias: [], protocolName: protocolName, address: "127.0.0.1:1", groups: [],
            connectedAt: now, mqtt: isMQTT ? Peer.MQTT(clientID: client, version: "5.0", keepAlive: 60) : nil)
        let isUnclear = found.count > 1 ? "several clients are connected by this name" : "no client is connected by this name"
        let help = found.count > 1 && request.client == nil ? "; --client names one" : ""
        let note = "\(isUnclear): rules are asked about one without tags, alias, groups and attributes\(help)"
        return (ImaginarySender(own, now: now), isNamed ? note : nil)
    }

    /// Why nobody gets a message that rules let pass.
    private static func end(of record: ExplainRecord, _ path: MessagePath) -> (String, String) {
        if path.isRefused { return ("rejected", "the sender may not send what a rule makes of the message") }
        if let refused = record.routes.first?.refused, record.routes.allSatisfy({ $0.refused != nil }) { return ("nobody", refused) }
        let withheld = record.routes.flatMap { $0.clients + $0.groups.flatMap { $0.chosen.map(\.client) } }.compactMap(\.withheldBy)
        if let why = withheld.first { return ("nobody", why) }
        return ("nobody", "nobody has subscribed the topic")
    }

    /// What each listener lets the sender do, and the permissions of the one that counts.
    private func rights(of request: ExplainRequest) throws(ShuntError) -> ([ExplainRecord.Right], (any Permissions)?) {
        let doors = peers.doorkeeper.current
        if let name = request.listener, !doors.contains(where: { $0.name == name }) {
            throw ShuntError(
                .requestInvalid, "this worker has no listener \(name)", at: "listener",
                help: "it has " + doors.map(\.name).sorted().joined(separator: ", "))
        }
        var admitted = Admitted(uid: request.uid)
        admitted.certificate = nil
        var (rights, counts): ([ExplainRecord.Right], (any Permissions)?) = ([], nil)
        var topic = request.topic
        for door in doors where request.listener == nil || request.listener == door.name {
            guard let permissions = door.access().permissions?(admitted, request.client ?? "", PeerAddress()) else { continue }
            if counts == nil { counts = permissions }
            topic.withUTF8 { bytes in
                let topic = Bytes(bytes)
                rights.append(
                    .init(
                        listener: door.name, mayPublish: permissions.may(.publish, topic, group: nil),
                        publishBy: permissions.place(of: .publish, topic, group: nil),
                        maySubscribe: permissions.may(.subscribe, topic, group: nil),
                        subscribeBy: permissions.place(of: .subscribe, topic, group: nil)))
            }
        }
        return (rights, counts)
    }

    // MARK: Routes

    private func route(
        to stop: MessagePath.Stop, _ request: ExplainRequest, _ rules: LoopRules?, _ sender: ImaginarySender
    ) -> ExplainRecord.Route {
        var route = ExplainRecord.Route(topic: MessagePath.text(stop.message.topic), by: stop.by)
        (route.refused, route.after) = (stop.refused, stop.after > 0 ? stop.after : nil)
        if stop.refused == nil { find(stop.message, request, &route, rules, sender) }
        return route
    }

    /// Asks `on_deliver` about clients, as it would be asked for each recipient.
    /// - Returns: why it keeps the message from a client.
    private func withheld(
        _ message: RuleMessage, from ids: Set<ConnectionID>, _ rules: LoopRules, _ sender: ImaginarySender
    ) -> [ConnectionID: String] {
        sender.others = peers.ask { loop in
            ids.compactMap { id in loop.engine.peer(id).map { (id, $0) } }
        }.values.reduce(into: [:]) { known, found in for (id, peer) in found { known[id] = peer } }
        return message.withView { view in
            ids.reduce(into: [:]) { withheld, id in
                rules.beginTurn()
                guard case .drop(let why) = rules.onDeliver(view, filter: .none, to: id, now: sender.now) else { return }
                withheld[id] = "on_deliver of a rule drops it" + (why.isEmpty ? "" : ": \(why)")
            }
        }
    }

    /// Asks `on_select` about groups, as each loop would.
    /// - Returns: by loop and group: whom a rule has chosen.
    private func selected(
        _ message: RuleMessage, in names: Set<String>, _ rules: LoopRules, _ sender: ImaginarySender
    ) -> [UInt8: [String: ConnectionID]] {
        let (topic, key) = (message.topic, message.key)
        return peers.ask { $0.engine.candidates(topic, key: key, groups: names) }.mapValues { groups in
            groups.reduce(into: [:]) { chosen, group in
                // A loop knows its own clients alone.
                sender.others = Dictionary(group.peers.map { ($0.id, $0) }) { first, _ in first }
                rules.beginTurn()
                let place = message.withView { rules.onSelect(group.group, group.members, $0, now: sender.now) }
                if let place, group.members.indices.contains(place) { chosen[group.group] = group.members[place].id }
            }
        }
    }

    private func find(
        _ message: RuleMessage, _ request: ExplainRequest, _ route: inout ExplainRecord.Route, _ rules: LoopRules?, _ sender: ImaginarySender
    ) {
        let (topic, key, group, limit) = (message.topic, message.key, request.group, request.limit ?? 10)
        let name = route.topic
        let looks = peers.ask { loop in
            (
                loop.engine.inspect(topic, key: key, group: group, limit: limit),
                loop.retainedPage(RetainedQuery(filter: name, after: nil, limit: 1, bytes: 1 << 16)).messages.first?.bytes
            )
        }
        let asksSelect = topic.withUnsafeBytes { rules?.choosers(of: $0).isEmpty == false }
        let names = Set(looks.values.flatMap { $0.0.groups.map(\.name) })
        let selected = asksSelect ? rules.map { self.selected(message, in: names, $0, sender) } ?? [:] : [:]
        let ids = Set(looks.values.flatMap { $0.0.plain + $0.0.groups.compactMap(\.chosen) } + selected.values.flatMap(\.values))
        let known = peers.ask { $0.engine.describe(Array(ids), topic: topic) }.values.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
        let asksRules = rules?.wanted.contains(.deliver) == true
        let withheld = asksRules ? rules.map { self.withheld(message, from: ids, $0, sender) } ?? [:] : [:]
        func client(_ id: ConnectionID) -> ExplainRecord.Client {
            var client = known[id] ?? .init(uid: "", client: "", address: "gone meanwhile")
            client.withheldBy = withheld[id]
            return client
        }
        guard let first = looks[0]?.0 else { return }
        route.filters = first.filters.map { .init(filter: $0.filter, subscriptions: $0.subscriptions) }
        (route.recipients, route.isExact) = (first.recipients, first.isExact)
        route.clients = first.plain.map(client)
        // Of those that are not named, nobody has asked.
        let asked = first.plain.count + first.groups.count
        route.recipients -= first.plain.count { withheld[$0] != nil }
        if asksRules, first.recipients > asked { route.isExact = false }
        route.groups = first.groups.map { group in
            var choices: [(ConnectionID, [Int])] = []
            for loop in looks.keys.sorted() {
                let byStrategy = looks[loop]?.0.groups.first { $0.name == group.name }?.chosen
                guard let chosen = selected[loop]?[group.name] ?? byStrategy else { continue }
                if let place = choices.firstIndex(where: { $0.0 == chosen }) {
                    choices[place].1.append(Int(loop))
                } else {
                    choices.append((chosen, [Int(loop)]))
                }
            }
            var told = ExplainRecord.Group(
                name: group.name, strategy: group.strategy.rawValue, members: group.members,
                chosen: choices.map { .init(loops: $0.1, client: client($0.0)) })
            told.isSelected = selected.values.contains { $0[group.name] != nil }
            return told
        }
        route.recipients -= route.groups.count { !$0.chosen.isEmpty && $0.chosen.allSatisfy { $0.client.withheldBy != nil } }
        if let group, route.groups.isEmpty {
            route.missingGroup = group
            let others = peers.ask { $0.engine.inspect(topic, key: key, group: nil, limit: Self.groups).groups.map(\.name) }
            route.otherGroups = Set(others.values.joined()).sorted()
        }
        route.retainedBytes = looks.values.compactMap(\.1).first
        guard first.recipients == 0 else { return }
        let filters = peers.ask { $0.loop.index == 0 ? $0.engine.someFilters(Self.filters) : [] }[0] ?? []
        route.nearest = Suggestion.closest(to: name, in: filters.filter { abs($0.utf8.count - name.utf8.count) <= 4 })
    }
}

/// The one who sends a message that nobody sends.
private final class ImaginarySender: PeerDirectory {
    var id: ConnectionID { own.id }
    var speaksMQTT: Bool { own.mqtt != nil }
    /// Seconds since 1970.
    let now: Double
    private let own: Peer
    /// Clients whom the message may go to.
    var others: [ConnectionID: Peer] = [:]

    init(_ own: Peer, now: Double) { (self.own, self.now) = (own, now) }

    func peer(_ id: ConnectionID) -> Peer? { id == self.id ? own : others[id] }
    /// Nobody is there to be closed.
    func close(_ id: ConnectionID, why: String, by rule: String) {}
}
