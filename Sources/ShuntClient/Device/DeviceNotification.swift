import ExchangeCodec
import ShuntCore

/// A broadcast that came to a device.
public struct DeviceNotification: Equatable, Sendable {
    /// The message; nil if the sender gave none: a broadcast without a body.
    public var message: String?
    /// The filter that the sender gave.
    public var filter: DeviceFilter
    /// The sender's frame id. Opaque, and not unique (exchange protocol §7).
    public var id: Int64

    /// A broadcast of these parts.
    public init(message: String?, filter: DeviceFilter = .all, id: Int64 = 0) {
        self.message = message
        self.filter = filter
        self.id = id
    }

    /// Reads the value of a NOTIFY frame, or the payload of a message to `$shunt/notify`. A value that is not the object of §9.5 is taken for
    /// the message itself, so that nothing gets lost.
    init(value: [UInt8], id: Int64) {
        guard !value.isEmpty else {
            self.init(message: nil, id: id)
            return
        }
        do throws(ShuntError) {
            let body = try value.decoding { bytes throws(ShuntError) in try NotifyBody(decoding: bytes) }
            self.init(message: body.message, filter: DeviceFilter(body), id: id)
        } catch {
            self.init(message: String(decoding: value, as: UTF8.self), id: id)
        }
    }

    init(_ frame: Frame) { self.init(value: frame.value, id: frame.id) }

    /// A worker passes on the text alone; a broker that knows no broadcasts passes on the object that was published.
    init(_ message: ReceivedMessage) {
        if message.mqtt?.contentType == MQTTContentType.text {
            self.init(message: String(decoding: message.payload, as: UTF8.self), id: message.id)
        } else {
            self.init(value: message.payload, id: message.id)
        }
    }
}

extension DeviceNotification: Delivered {
    var size: Int { (message?.utf8.count ?? 0) + 256 }
}

extension DeviceFilter {
    init(_ body: NotifyBody) {
        self.init(
            uid: body.uid, device: body.device, matchTags: body.matchTags, matchAlias: body.matchAlias,
            filterTags: body.filterTags, filterAlias: body.filterAlias)
    }
}

extension Frame {
    /// Reads the value with `body`.
    func decoding<Body: Sendable>(_ body: (Bytes) throws(ShuntError) -> Body) throws(ShuntError) -> Body { try value.decoding(body) }
}

extension [UInt8] {
    /// Reads the bytes with `body`.
    func decoding<Body: Sendable>(_ body: (Bytes) throws(ShuntError) -> Body) throws(ShuntError) -> Body {
        let result: Result<Body, ShuntError> = withUnsafeBytes { bytes in
            do throws(ShuntError) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
