import ExchangeCodec
import ShuntCore

extension LoopEngine {
    /// Makes the connection a device, in place of what it was before.
    /// - Parameter decided: what the rules have decided already.
    /// - Returns: false where they look something up first: then `whenDecided`, this again.
    /// - Throws: `device.invalid`, `rule.rejected`.
    func register(
        uid: String, device: String, tags: [String], alias: [String], decided: RegisterOutcome? = nil, _ connection: ConnectionID
    ) throws(ShuntError) -> Bool {
        let client = clients[connection.slot]
        var device = Device(
            uid: uid, device: device, tags: Self.each(tags), alias: Self.each(alias), connection: connection, address: client.address,
            connectedAt: client.connectedAt, registeredAt: now)
        try device.validate()
        if let hooks, hooks.wanted.contains(.register) {
            guard try pass(&device, through: hooks, decided) else { return false }
            guard isCurrent(connection), clients[connection.slot].state == .open else { return true }
        }
        let identity = client.identity ?? Client.Identity()
        (identity.uid, identity.tags, identity.alias) = (device.uid, device.tags, device.alias)
        identity.setDevice(device.device, client.protocolName)
        clients[connection.slot].identity = identity
        clients[connection.slot].isDevice = true
        list(connection)
        let displaced = devices.register(device)
        for old in [displaced.renamed, displaced.takenOver] { if let old { gone(old) } }
        if let old = displaced.takenOver { replaced(old.connection) }
        output.figures.devices = devices.count
        if clients[connection.slot].isInChat {
            output.tell(.chat(.named(connection, uid: device.uid), nil))
            handle(.named(connection, uid: device.uid))
        }
        output.news.append(.registered(device))
        output.tell(.registered(uid: device.uid, device: device.device, connection, at: now))
        return true
    }

    /// What rules make of a device that registers.
    /// - Returns: false where they look something up first.
    /// - Throws: `rule.rejected`; `device.invalid` for what a rule has made of it.
    private func pass(_ device: inout Device, through hooks: any RuleHooks, _ decided: RegisterOutcome?) throws(ShuntError) -> Bool {
        guard var peer = peer(device.connection) else { return true }
        (peer.uid, peer.device, peer.tags, peer.alias) = (device.uid, device.device, device.tags, device.alias)
        let outcome = decided ?? hooks.onRegister(peer, now: now)
        sendEmitted(hooks)
        switch outcome {
        case .accept: break
        case .waits:
            beginWait(device.connection)
            return false
        case .acceptAs(let tags, let alias):
            if let tags { device.tags = Self.each(tags) }
            if let alias { device.alias = Self.each(alias) }
            try device.validate()
        case .reject(let why): throw ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the device" : why)
        }
        return true
    }

    /// The most registrations of one connection in a second. The worker sends each to all of its loops and to the master.
    static let registrationsPerSecond = 1000

    /// - Throws: `limit.memory` where the client registers too often.
    func countRegistration(_ connection: ConnectionID) throws(ShuntError) {
        // The first is free: what a whole second's counts take is bounded by the clients that register again.
        guard clients[connection.slot].isDevice else { return }
        if registrations.second != now.rounded(.down) { registrations = (now.rounded(.down), [:]) }
        registrations.counts[connection, default: 0] += 1
        guard registrations.counts[connection, default: 0] <= Self.registrationsPerSecond else {
            throw ShuntError(
                .memoryLimit, "this connection registers too often", help: "at most \(Self.registrationsPerSecond) times a second")
        }
    }

    /// Each label once, in the order in which they came first.
    private static func each(_ labels: [String]) -> [String] {
        var seen: Set<ExactText> = []
        return labels.filter { seen.insert(ExactText($0)).inserted }
    }

    /// The same device has registered on another loop.
    func takenOver(_ uid: String, _ device: String, by connection: ConnectionID, at registeredAt: Double) {
        guard let old = devices.remove(uid: uid, device: device, takenBy: connection, at: registeredAt) else { return }
        output.figures.devices = devices.count
        replaced(old.connection)
    }

    /// The master says that the device has registered at another worker: the earlier session here ends.
    /// - Parameter registeredAt: microseconds since 1970, of the session that is meant; a later one stays.
    public func displaced(uid: String, device: String, registeredAt: Int64, now: Double) {
        router.now = now
        guard let old = devices.remove(uid: uid, device: device, registeredUntil: registeredAt) else { return }
        output.figures.devices = devices.count
        gone(old)
        replaced(old.connection)
    }

    /// A client has stopped being a device. The worker tells a client of the exchange protocol so; Java clients ignore REGISTERED (§4.1,
    /// §13.4), and MQTT has no packet for it.
    private func replaced(_ connection: ConnectionID) {
        guard isCurrent(connection) else { return }
        clients[connection.slot].isDevice = false
        guard clients[connection.slot].protocolName == .exchange else { return }
        let frame = Frame(.registered, id: router.makeID(), format: .json, value: ChatNoticeBody(event: "replaced").encoded(), name: "device")
        output.actions.append(.answer(connection, output.made.append(frame.encoded(), .exchange)))
    }

    func deviceLeft(_ connection: ConnectionID) {
        guard clients[connection.slot].isDevice, let device = devices.remove(connection) else { return }
        output.figures.devices = devices.count
        gone(device)
    }

    private func gone(_ device: Device) {
        output.news.append(.unregistered(uid: device.uid, device: device.device, registeredAt: device.registeredAt))
    }

    /// All devices of this loop, for a new master.
    public func forEachDevice(_ body: (Device) -> Void) { devices.forEach(body) }
}
