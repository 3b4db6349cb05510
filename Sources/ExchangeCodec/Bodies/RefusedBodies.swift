import ShuntCore

/// What one of Shunt's masters asks a worker of Shunt about clients that it has refused: a BINDING frame, which message-channel never sends,
/// with the name `refused`. The worker acknowledges it with a `RefusedAnswerBody`.
public struct RefusedRequestBody: Equatable, Sendable {
    public static let frameName = "refused"

    public var query: RefusedQuery

    public init(_ query: RefusedQuery) { self.query = query }

    /// - Throws: `request.invalid` if this is not the object, or the addresses are none.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "refused")
        query = RefusedQuery(limit: min(max(1, try object.count("limit")), RefusedQuery.maximumLimit), user: try object.string("user"))
        if let text = try object.string("addresses") {
            guard let addresses = AddressRange(text) else { throw ShuntError(.requestInvalid, "the addresses are none", at: "refused") }
            query.addresses = addresses
        }
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("limit", query.limit)
            if let addresses = query.addresses { json.member("addresses", addresses.description) }
            if let user = query.user { json.member("user", user) }
        }
    }
}

extension Frame {
    /// One of Shunt's masters' question to one of Shunt's workers.
    public static func refused(id: Int64, _ body: RefusedRequestBody) -> Frame {
        Frame(.binding, id: id, format: .json, value: body.encoded(), name: RefusedRequestBody.frameName)
    }
}

/// A worker's answer to a `RefusedRequestBody`: the value of the acknowledgement.
public struct RefusedAnswerBody: Equatable, Sendable {
    public var refused: [RefusedRecord]
    /// How many match at this worker.
    public var total: Int

    public init(_ refused: [RefusedRecord], total: Int) { (self.refused, self.total) = (refused, total) }

    /// - Throws: `request.invalid` if this is not the object, or a client has no reason.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "refused answer")
        guard let elements = try object.array("refused") else { throw object.missing("refused") }
        var refused: [RefusedRecord] = []
        for element in elements.prefix(RefusedQuery.maximumLimit) {
            guard case .object(let one) = element else { throw object.mismatch("refused", element, wanted: "objects") }
            guard let reason = try one.string("reason") else { throw one.missing("reason") }
            refused.append(
                RefusedRecord(
                    address: try one.string("address") ?? "", user: try one.string("user") ?? "", reason: reason,
                    listener: try one.string("listener") ?? "", count: try one.count("count"),
                    firstAt: MillisecondTime.seconds(try one.integer("first") ?? 0),
                    lastAt: MillisecondTime.seconds(try one.integer("last") ?? 0)))
        }
        self.init(refused, total: try object.count("total"))
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("refused", objects: refused) { json, one in
                json.member("address", one.address)
                json.member("user", one.user)
                json.member("reason", one.reason)
                json.member("listener", one.listener)
                json.member("count", one.count)
                json.member("first", MillisecondTime.milliseconds(one.firstAt))
                json.member("last", MillisecondTime.milliseconds(one.lastAt))
            }
            json.member("total", total)
        }
    }
}
