import ShuntCore

/// What one of Shunt's masters asks a worker of Shunt about its retained messages: a BINDING frame, which message-channel never sends, with the
/// name `retained` and the key `LIST` or `CLEAR`. The worker acknowledges it with a `RetainedAnswerBody`.
public enum RetainedRequestBody: Equatable, Sendable {
    public static let frameName = "retained"
    private static let listKey = "LIST"
    private static let clearKey = "CLEAR"

    case list(RetainedQuery)
    case clear(filter: String)

    /// - Throws: `request.invalid` if this is not the object, or the key is another one, `filter.invalid` if the filter is none.
    public init(key: String?, decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "retained")
        guard let filter = try object.string("filter") else { throw object.missing("filter") }
        try RetainedRequest.check(filter)
        switch key {
        case Self.listKey:
            let from = try object.string("from")
            let after = try object.string("after")
            self = .list(
                RetainedQuery(
                    filter: filter, after: from ?? after, includesAfter: from != nil,
                    limit: min(max(1, try object.count("limit")), RetainedRequest.maximumLimit),
                    bytes: min(max(1, try object.count("bytes")), RetainedQuery.maximumBytes)))
        case Self.clearKey: self = .clear(filter: filter)
        default: throw ShuntError(.requestInvalid, "the key is unknown", at: "retained", help: "\(Self.listKey) and \(Self.clearKey) are known")
        }
    }

    public var key: String {
        switch self {
        case .list: Self.listKey
        case .clear: Self.clearKey
        }
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            switch self {
            case .list(let query):
                json.member("filter", query.filter)
                if let after = query.after { json.member(query.includesAfter ? "from" : "after", after) }
                json.member("limit", query.limit)
                json.member("bytes", query.bytes)
            case .clear(let filter): json.member("filter", filter)
            }
        }
    }
}

extension Frame {
    /// One of Shunt's masters' question to one of Shunt's workers.
    public static func retained(id: Int64, _ body: RetainedRequestBody) -> Frame {
        Frame(.binding, id: id, format: .json, value: body.encoded(), name: RetainedRequestBody.frameName, key: body.key)
    }
}

/// A worker's answer to a `RetainedRequestBody`: the value of the acknowledgement. Nothing of a payload is in it.
public enum RetainedAnswerBody: Equatable, Sendable {
    /// - total: how many the filter takes at this worker.
    /// - hasMore: whether there are any behind these.
    case list([RetainedRecord], total: Int, hasMore: Bool)
    case cleared(Int)

    /// - Throws: `request.invalid` if this is not the object, or a message has no topic.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "retained answer")
        guard let elements = try object.array("retained") else {
            guard object["cleared"] != nil else { throw object.missing("retained") }
            self = .cleared(try object.count("cleared"))
            return
        }
        var messages: [RetainedRecord] = []
        for element in elements {
            guard case .object(let one) = element else { throw object.mismatch("retained", element, wanted: "objects") }
            guard let topic = try one.string("topic"), !topic.isEmpty else { throw one.missing("topic") }
            messages.append(
                RetainedRecord(
                    topic: topic, bytes: try one.count("bytes"), qos: min(2, try one.count("qos")),
                    storedAt: MillisecondTime.seconds(try one.integer("stored") ?? 0),
                    expiresAt: try one.integer("expires").map(MillisecondTime.seconds)))
        }
        self = .list(messages, total: try object.count("total"), hasMore: try object.bool("more") ?? false)
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            switch self {
            case .list(let messages, let total, let hasMore):
                json.member("retained", objects: messages) { json, one in
                    json.member("topic", one.topic)
                    json.member("bytes", one.bytes)
                    json.member("qos", one.qos)
                    json.member("stored", MillisecondTime.milliseconds(one.storedAt))
                    json.member("expires", one.expiresAt.map(MillisecondTime.milliseconds))
                }
                json.member("total", total)
                if hasMore { json.member("more", true) }
            case .cleared(let count): json.member("cleared", count)
            }
        }
    }
}
