import ShuntCore

/// The value of an ALLOCATION in JSON: which workers hold the devices of a user. Only Shunt's own masters know it.
///
/// They answer with a list as for `true`, of these workers alone, in a frame with the name `device`, or with 404 if no live worker has a
/// device of the user. Message-channel's masters take the question for a question after any worker: their answer has no name, and says
/// nothing of the user.
public struct DeviceAllocationBody: Equatable, Sendable {
    /// The name of the question's frame, and of its answer.
    public static let frameName = "device"

    public var uid: String

    public init(uid: String) { self.uid = uid }

    /// - Throws: `request.invalid` if this is not the object, or has no uid.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "ALLOCATION body")
        guard let uid = try object.string("uid"), !uid.isEmpty else { throw object.missing("uid") }
        self.init(uid: uid)
    }

    public func encoded() -> [UInt8] { JSONWriter.object { $0.member("uid", uid) } }
}

extension Frame {
    /// A client's question to a master: which workers hold a user's devices?
    public static func allocation(id: Int64, _ body: DeviceAllocationBody) -> Frame {
        Frame(.allocation, id: id, format: .json, value: body.encoded(), name: DeviceAllocationBody.frameName)
    }
}
