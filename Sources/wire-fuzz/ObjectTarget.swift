import ExchangeCodec
import ShuntCore

/// The promises of the JSON reader and the bodies for any input.
enum ObjectTarget {
    /// - Returns: whether the input was an object.
    static func check(_ input: Bytes) throws(BrokenInvariant) -> Bool {
        try checkBodies(input)
        do {
            let object = try LenientJSON.object(in: input, subject: "input")
            try expect(count(.object(object)) <= LenientJSON.maximumValues + 1, "values are bounded")
            try expect(depth(.object(object)) <= LenientJSON.maximumDepth, "depth is bounded")
            try expect(isRefused([UInt8](input) + Array("\n{".utf8)), "an object ends the text")
            return true
        } catch let error as ShuntError {
            try expect(error.code == .requestInvalid, "the code is request.invalid")
            let place = error.location.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) }
            try expect(place.map { 0...input.count ~= $0 } == true, "the place is in the text")
            return false
        } catch let broken as BrokenInvariant {
            throw broken
        } catch {
            throw BrokenInvariant("only known errors are thrown")
        }
    }

    private static func isRefused(_ text: [UInt8]) -> Bool {
        (try? text.withUnsafeBytes { try LenientJSON.object(in: $0, subject: "input") }) == nil
    }

    private static func checkBodies(_ input: Bytes) throws(BrokenInvariant) {
        try roundTrip(input, "SUBSCRIBE", read: { try SubscribeBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "REGISTER", read: { try RegisterBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "NOTIFY", read: { try NotifyBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "heartbeat", read: { try HeartbeatBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "device batch", read: { try DeviceBatchBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "chat report", read: { try ChatReportBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "bans", read: { try BansBody(key: "ADD", decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "retained", read: { try RetainedRequestBody(key: "LIST", decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "retained answer", read: { try RetainedAnswerBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "refused", read: { try RefusedRequestBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "refused answer", read: { try RefusedAnswerBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "ALLOCATION", read: { try DeviceAllocationBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "worker", read: { try WorkerAddresses(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "room", read: { try RoomBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "clients", read: { try ClientsRequestBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "client report", read: { try ClientReportBody(decoding: $0) }, write: { $0.encoded() })
        try roundTrip(input, "chat host", read: { try ChatHostBody(decoding: $0) }, write: { $0.encoded() })
    }

    /// An object that was read is written so that it reads the same.
    private static func roundTrip<Body: Equatable>(
        _ input: Bytes, _ name: String, read: (Bytes) throws -> Body, write: (Body) -> [UInt8]
    ) throws(BrokenInvariant) {
        guard let body = try? read(input) else { return }
        let again = try? write(body).withUnsafeBytes { try read($0) }
        try expect(again == body, "a \(name) body reads as it was written")
    }

    private static func count(_ value: LenientJSON) -> Int {
        switch value {
        case .array(let elements): elements.reduce(1) { $0 + count($1) }
        case .object(let object): object.members.reduce(1) { $0 + count($1.value) }
        default: 1
        }
    }

    private static func depth(_ value: LenientJSON) -> Int {
        switch value {
        case .array(let elements): 1 + (elements.map { depth($0) }.max() ?? 0)
        case .object(let object): 1 + (object.members.map { depth($0.value) }.max() ?? 0)
        default: 0
        }
    }
}
