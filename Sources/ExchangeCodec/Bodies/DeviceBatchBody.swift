import ShuntCore

/// A report of one of Shunt's workers to its master about many of its devices. It is the value of a REGISTER frame with the name `batch`; a
/// Java master gets a REGISTER for each device instead.
public struct DeviceBatchBody: Equatable, Sendable {
    /// The name of the frame.
    public static let frameName = "batch"

    public struct Registered: Equatable, Sendable {
        public var uid: String
        public var device: String
        public var tags: [String]
        public var alias: [String]
        /// The client's `ip:port`.
        public var address: String
        /// When the connection was opened, milliseconds since 1970.
        public var connectedAt: Int64
        /// When it registered, microseconds since 1970: of two with one name the later one counts.
        public var registeredAt: Int64

        public init(
            uid: String, device: String, tags: [String] = [], alias: [String] = [], address: String, connectedAt: Int64,
            registeredAt: Int64
        ) {
            self.uid = uid
            self.device = device
            self.tags = tags
            self.alias = alias
            self.address = address
            self.connectedAt = connectedAt
            self.registeredAt = registeredAt
        }
    }

    public struct Left: Equatable, Sendable {
        public var uid: String
        public var device: String
        /// When the device that left had registered. A master keeps a later registration, even if it hears of that first.
        public var registeredAt: Int64

        public init(uid: String, device: String, registeredAt: Int64) {
            self.uid = uid
            self.device = device
            self.registeredAt = registeredAt
        }
    }

    public var worker: WorkerSource
    /// A full list begins with this body: the worker has joined.
    public var isFirst: Bool
    /// A full list ends with this body: devices of this worker that the master has and the list has not are gone.
    public var isLast: Bool
    public var registered: [Registered]
    public var left: [Left]

    public init(
        worker: WorkerSource, isFirst: Bool = false, isLast: Bool = false, registered: [Registered] = [], left: [Left] = []
    ) {
        self.worker = worker
        self.isFirst = isFirst
        self.isLast = isLast
        self.registered = registered
        self.left = left
    }

    /// - Throws: `request.invalid` if this is not the object, `device.invalid` if a uid or device is missing or empty.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "device batch")
        self.init(
            worker: try WorkerSource(report: object), isFirst: try object.bool("first") ?? false,
            isLast: try object.bool("last") ?? false)
        for element in try object.array("registered") ?? [] {
            guard case .object(let one) = element else { throw object.mismatch("registered", element, wanted: "objects") }
            let (uid, device) = try Self.name(one)
            registered.append(
                Registered(
                    uid: uid, device: device, tags: try one.strings("tags") ?? [], alias: try one.strings("alias") ?? [],
                    address: try one.string("address") ?? "", connectedAt: try one.integer("connected") ?? 0,
                    registeredAt: try one.integer("at") ?? 0))
        }
        for element in try object.array("left") ?? [] {
            guard case .object(let one) = element else { throw object.mismatch("left", element, wanted: "objects") }
            let (uid, device) = try Self.name(one)
            left.append(Left(uid: uid, device: device, registeredAt: try one.integer("at") ?? 0))
        }
    }

    private static func name(_ object: LenientObject) throws(ShuntError) -> (uid: String, device: String) {
        guard let uid = try object.string("uid"), !uid.isEmpty else { throw object.missing("uid", code: .deviceInvalid) }
        guard let device = try object.string("device"), !device.isEmpty else {
            throw object.missing("device", code: .deviceInvalid)
        }
        return (uid, device)
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            worker.write(to: &json)
            if isFirst { json.member("first", true) }
            if isLast { json.member("last", true) }
            if !registered.isEmpty {
                json.member("registered", objects: registered) { json, one in
                    json.member("uid", one.uid)
                    json.member("device", one.device)
                    if !one.tags.isEmpty { json.member("tags", one.tags) }
                    if !one.alias.isEmpty { json.member("alias", one.alias) }
                    json.member("address", one.address)
                    json.member("connected", one.connectedAt)
                    json.member("at", one.registeredAt)
                }
            }
            if !left.isEmpty {
                json.member("left", objects: left) { json, one in
                    json.member("uid", one.uid)
                    json.member("device", one.device)
                    json.member("at", one.registeredAt)
                }
            }
        }
    }

    /// The same report in as many bodies as the limits need, to be sent in order; one body if it fits.
    public func split(_ limits: ReportLimits = .init()) -> [DeviceBatchBody] {
        enum Item {
            case registered(Registered)
            case left(Left)
        }
        let items = registered.map(Item.registered) + left.map(Item.left)
        let stretches = limits.stretches(of: items) { item in
            switch item {
            case .registered(let one):
                let texts = [one.uid, one.device, one.address] + one.tags + one.alias
                return (texts.reduce(128) { $0 + JSONWriter.size(of: $1) }, 6 + texts.count)
            case .left(let one):
                return (64 + JSONWriter.size(of: one.uid) + JSONWriter.size(of: one.device), 4)
            }
        }
        guard stretches.count > 1 else { return [self] }
        return stretches.enumerated().map { number, stretch in
            let isEnd = number == stretches.count - 1
            var part = DeviceBatchBody(worker: worker, isFirst: isFirst && number == 0, isLast: isLast && isEnd)
            for item in stretch {
                switch item {
                case .registered(let one): part.registered.append(one)
                case .left(let one): part.left.append(one)
                }
            }
            return part
        }
    }
}
