import ShuntCore

/// Where clients of each listener reach a worker: what Shunt's masters tell Shunt's workers of one another.
public struct WorkerAddresses: Equatable, Sendable {
    /// Its name in the master's directory: `host:port` of its clients of the exchange protocol.
    public var worker: String
    /// `host:port` by listener name.
    public var listeners: [String: String]

    public init(worker: String, listeners: [String: String]) {
        self.worker = worker
        self.listeners = listeners
    }

    /// The text of a redirection to a worker's question that asked for addresses, in place of the worker's name.
    /// - Throws: `request.invalid` if this is not the object.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        try self.init(LenientJSON.object(in: bytes, subject: "worker"))
    }

    fileprivate init(_ object: LenientObject) throws(ShuntError) {
        guard let worker = try object.string("worker"), !worker.isEmpty else { throw object.missing("worker") }
        self.init(worker: worker, listeners: try ShuntExtension.listeners(in: object))
    }

    public func encoded() -> [UInt8] { JSONWriter.object { write(to: &$0) } }

    fileprivate func write(to json: inout JSONWriter) {
        json.member("worker", worker)
        json.member("listeners") { json in
            for (name, address) in listeners.sorted(by: { $0.key < $1.key }) { json.member(name, address) }
        }
    }
}

/// The value of an ALLOCATION with the name `room` from a Shunt worker, and of its answer: the other workers that have room for more
/// clients, the least loaded first. The question has none.
public struct RoomBody: Equatable, Sendable {
    /// The name of the question's frame, and of its answer.
    public static let frameName = "room"
    /// The most workers of an answer.
    public static let capacity = 16

    public var workers: [WorkerAddresses]

    public init(workers: [WorkerAddresses] = []) { self.workers = workers }

    /// - Throws: `request.invalid` if this is not the object.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        var workers: [WorkerAddresses] = []
        let object = try LenientJSON.object(in: bytes, subject: "room")
        for element in try object.array("workers")?.prefix(Self.capacity) ?? [] {
            guard case .object(let one) = element else { throw object.mismatch("workers", element, wanted: "objects") }
            workers.append(try WorkerAddresses(one))
        }
        self.workers = workers
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { $0.member("workers", objects: workers) { json, worker in worker.write(to: &json) } }
    }
}

extension Frame {
    /// A worker's question to its master: which other workers have room?
    public static func room(id: Int64) -> Frame {
        Frame(.allocation, id: id, format: .json, value: RoomBody().encoded(), name: RoomBody.frameName)
    }
}
