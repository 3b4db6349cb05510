import ShuntCore

/// Which device sessions to read: those that are all that is given.
public struct DeviceSessionQuery: Equatable, Sendable {
    public static let maximumLimit = 1_000

    public var uid: String?
    /// One of the device's tags.
    public var tag: String?
    /// The worker's whole name.
    public var worker: String?
    public var isOnline: Bool?
    public var limit: Int
    public var offset: Int

    public init(
        uid: String? = nil, tag: String? = nil, worker: String? = nil, isOnline: Bool? = nil, limit: Int = 100, offset: Int = 0
    ) {
        self.uid = uid
        self.tag = tag
        self.worker = worker
        self.isOnline = isOnline
        self.limit = limit
        self.offset = offset
    }
}

/// Some of the device sessions, by uid and device; `total` is how many match.
public struct DevicePage: Codable, Equatable, Sendable {
    public var devices: [DeviceRecord]
    public var total: Int
    public var offset: Int
    public var limit: Int

    public init(devices: [DeviceRecord], total: Int, offset: Int, limit: Int) {
        self.devices = devices
        self.total = total
        self.offset = offset
        self.limit = limit
    }
}

/// Which chats to read.
public struct ChatQuery: Equatable, Sendable {
    public static let maximumLimit = 1_000

    /// The worker's whole name.
    public var worker: String?
    public var limit: Int
    public var offset: Int

    public init(worker: String? = nil, limit: Int = 100, offset: Int = 0) {
        self.worker = worker
        self.limit = limit
        self.offset = offset
    }
}

/// A chat that its worker was told to close.
public struct ClosedChat: Codable, Equatable, Sendable {
    /// The chat's id.
    public var closed: String

    public init(closed: String) {
        self.closed = closed
    }
}

/// Some of the chats, by id; `total` is how many match.
public struct ChatPage: Codable, Equatable, Sendable {
    public var chats: [ChatRecord]
    public var total: Int
    public var offset: Int
    public var limit: Int

    public init(chats: [ChatRecord], total: Int, offset: Int, limit: Int) {
        self.chats = chats
        self.total = total
        self.offset = offset
        self.limit = limit
    }
}
