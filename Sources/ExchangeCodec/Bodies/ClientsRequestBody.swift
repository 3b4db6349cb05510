import ShuntCore

/// One of Shunt's masters wants to know the clients of one of its workers: a BINDING frame with the name `clients`. The worker tells all that it
/// has, then what changes, in frames of the same name with a `ClientReportBody` each, and waits for the answer to one before it sends the next.
public struct ClientsRequestBody: Equatable, Sendable {
    public static let frameName = "clients"

    /// Names this list: the worker's reports tell it, and a master passes over those of an earlier one.
    public var list: Int64

    public init(list: Int64) { self.list = list }

    /// - Throws: `request.invalid` if this is not the object, or names no list.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "clients")
        guard let list = try object.integer("list") else { throw object.missing("list") }
        self.list = list
    }

    public func encoded() -> [UInt8] { JSONWriter.object { $0.member("list", list) } }
}

extension Frame {
    /// One of Shunt's masters asks one of Shunt's workers for its clients.
    public static func clients(id: Int64, _ body: ClientsRequestBody) -> Frame {
        Frame(.binding, id: id, format: .json, value: body.encoded(), name: ClientsRequestBody.frameName)
    }

    /// A worker tells of its clients. The protocol has no format for what is neither text nor JSON.
    public static func clients(id: Int64, _ body: ClientReportBody) -> Frame {
        Frame(.binding, id: id, format: .text, value: body.encoded(), name: ClientsRequestBody.frameName)
    }
}
