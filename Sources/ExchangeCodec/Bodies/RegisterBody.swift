import ShuntCore

/// The value of REGISTER (§9.4): a device as its app describes it, and as the worker passes it on to the master.
public struct RegisterBody: Equatable, Sendable {
    public var uid: String
    public var device: String
    /// nil where the app has sent none.
    public var tags: [String]?
    public var alias: [String]?
    /// The app's clock, milliseconds since 1970.
    public var createdTime: Int64?
    /// The app's `ip:port`; the worker fills it in if the app has not.
    public var address: String?
    /// The worker's configured name; nil if it has none, and in the app's own frame.
    public var workerHost: String?
    /// 0 until the worker fills it in.
    public var workerPort: Int

    public init(
        uid: String, device: String, tags: [String]? = nil, alias: [String]? = nil, createdTime: Int64? = nil,
        address: String? = nil, workerHost: String? = nil, workerPort: Int = 0
    ) {
        self.uid = uid
        self.device = device
        self.tags = tags
        self.alias = alias
        self.createdTime = createdTime
        self.address = address
        self.workerHost = workerHost
        self.workerPort = workerPort
    }

    /// - Throws: `request.invalid` if this is not the object, `device.invalid` if uid or device is missing or empty.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "REGISTER body")
        guard let uid = try object.string("uid"), !uid.isEmpty else { throw object.missing("uid", code: .deviceInvalid) }
        guard let device = try object.string("device"), !device.isEmpty else {
            throw object.missing("device", code: .deviceInvalid)
        }
        self.init(
            uid: uid, device: device, tags: try object.strings("tags"), alias: try object.strings("alias"),
            createdTime: try object.integer("created_time"), address: try object.string("address"),
            workerHost: try object.string("worker_host"), workerPort: try object.port("worker_port") ?? 0)
    }

    /// Whether this is no device's, but shows only who the client is (`Frame.introduction`).
    public static func isIntroduction(_ bytes: Bytes) -> Bool {
        guard let object = try? LenientJSON.object(in: bytes, subject: "REGISTER body"), let token = try? object.string("token") else { return false }
        return !token.isEmpty && (try? object.string("uid")) == .some(nil) && (try? object.string("device")) == .some(nil)
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("address", address)
            json.member("alias", alias)
            json.member("created_time", createdTime)
            json.member("device", device)
            json.member("tags", tags)
            json.member("uid", uid)
            // A derived member, which Java peers write and no peer reads.
            json.member("workerAddress", "\(workerHost ?? "null"):\(workerPort)")
            json.member("worker_host", workerHost)
            json.member("worker_port", workerPort)
        }
    }
}
