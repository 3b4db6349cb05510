import ExchangeCodec
import ShuntCore

extension LoopEngine {
    /// REGISTER (exchange protocol §9.4, §10.3): makes the connection a device, in place of what it was before.
    func register(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        do throws(ShuntError) {
            try countRegistration(connection)
            let value = try controlValue(of: frame, start)
            let body = try RegisterBody(decoding: value)
            let session = sessions[connection.slot]
            let device = Device(
                uid: body.uid, device: body.device, tags: Self.each(body.tags), alias: Self.each(body.alias), connection: connection,
                address: session.address, connectedAt: session.connectedAt, registeredAt: now)
            try device.validate()
            let identity = session.identity ?? Session.Identity()
            (identity.uid, identity.device, identity.tags, identity.alias) = (device.uid, device.device, device.tags, device.alias)
            sessions[connection.slot].identity = identity
            sessions[connection.slot].isDevice = true
            let displaced = devices.register(device)
            for old in [displaced.renamed, displaced.takenOver] { if let old { gone(old) } }
            if let old = displaced.takenOver { replaced(old.connection) }
            figures.devices = devices.count
            if sessions[connection.slot].isInChat {
                tell(.chat(.named(connection, uid: device.uid), nil))
                handle(.named(connection, uid: device.uid))
            }
            messages.append(.registered(device))
            tell(.registered(uid: device.uid, device: device.device, connection, at: now))
            acknowledgeConfirmed(frame.id, connection)
        } catch {
            refuse(frame.id, connection, error)
        }
    }

    /// The most registrations of one connection in a second. The worker sends each to all of its loops and to the master.
    static let registrationsPerSecond = 1000

    private func countRegistration(_ connection: ConnectionID) throws(ShuntError) {
        guard let identity = sessions[connection.slot].identity else { return }
        if abs(now - identity.registrations.since) >= 1 { identity.registrations = (0, now) }
        identity.registrations.count += 1
        guard identity.registrations.count <= Self.registrationsPerSecond else {
            throw ShuntError(
                .memoryLimit, "this connection registers too often", help: "at most \(Self.registrationsPerSecond) times a second")
        }
    }

    /// Each label once, in the order in which they came first.
    private static func each(_ labels: [String]?) -> [String] {
        var seen: Set<ExactText> = []
        return (labels ?? []).filter { seen.insert(ExactText($0)).inserted }
    }

    /// The value of a frame that must have one, and not compressed.
    func controlValue(of frame: FrameView, _ start: UnsafeRawPointer) throws(ShuntError) -> Bytes {
        guard let value = frame.value(in: start) else { throw ShuntError(.requestInvalid, "the request has no body", help: "a JSON object") }
        guard frame.compression == .none else {
            throw ShuntError(.requestInvalid, "a control frame can't be compressed", help: "send the JSON as it is")
        }
        return value
    }

    /// The same device has registered on another loop.
    func takenOver(_ uid: String, _ device: String, by connection: ConnectionID, at registeredAt: Double) {
        guard let old = devices.remove(uid: uid, device: device, takenBy: connection, at: registeredAt) else { return }
        figures.devices = devices.count
        replaced(old.connection)
    }

    /// The master says that the device has registered at another worker: the earlier session here ends.
    /// - Parameter registeredAt: microseconds since 1970, of the session that is meant; a later one stays.
    public func displaced(uid: String, device: String, registeredAt: Int64, now: Double) {
        self.now = now
        guard let old = devices.remove(uid: uid, device: device, registeredUntil: registeredAt) else { return }
        figures.devices = devices.count
        gone(old)
        replaced(old.connection)
    }

    /// Tells a client that it is no device any more. Java clients take no notice of REGISTERED (§4.1, §13.4).
    private func replaced(_ connection: ConnectionID) {
        guard isCurrent(connection) else { return }
        sessions[connection.slot].isDevice = false
        let frame = Frame(.registered, id: makeID(), format: .json, value: ChatNoticeBody(event: "replaced").encoded(), name: "device")
        actions.append(.answer(connection, made.append(frame.encoded())))
    }

    func deviceLeft(_ connection: ConnectionID) {
        guard sessions[connection.slot].isDevice, let device = devices.remove(connection) else { return }
        figures.devices = devices.count
        gone(device)
    }

    private func gone(_ device: Device) {
        messages.append(.unregistered(uid: device.uid, device: device.device, registeredAt: device.registeredAt))
    }

    /// All devices of this loop, for a new master.
    public func forEachDevice(_ body: (Device) -> Void) { devices.forEach(body) }
}
