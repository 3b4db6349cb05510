import MQTTCodec
import ShuntCore

// Unsafe: memory of its own for `size` bytes, freed with it; offsets come from the packet's layout.

/// A PUBLISH of a run, encoded once. Of each message only topic, identifier and stamp are written anew: all topics are of one length.
final class PublishTemplate {
    let size: Int
    private let packet: UnsafeMutableRawPointer
    private let topicAt: Int
    private let topicLength: Int
    private let identifierAt: Int?
    private let payloadAt: Int

    init(_ version: MQTTVersion, topic: String, qos: QoS, payload: [UInt8]) {
        let topic = Array(topic.utf8)
        let encoded = topic.withUnsafeBytes { topic in
            payload.withUnsafeBytes { PublishFields(version, topic: topic, payload: $0, qos: qos, identifier: 1).encoded() }
        }
        size = encoded.count
        payloadAt = size - payload.count
        topicLength = topic.count
        // Behind the topic: an identifier where there is one, and the length of no properties in 5.0.
        let identifierAt = payloadAt - (version.hasProperties ? 1 : 0) - (qos == .atMostOnce ? 0 : 2)
        topicAt = identifierAt - topicLength
        self.identifierAt = qos == .atMostOnce ? nil : identifierAt
        packet = .allocate(byteCount: size, alignment: 8)
        encoded.withUnsafeBytes { packet.copyMemory(from: $0.baseAddress!, byteCount: size) }
    }

    deinit { packet.deallocate() }

    /// Of the messages that follow.
    /// - Parameter topic: of the template's length.
    func setTopic(_ topic: UnsafeRawPointer) { (packet + topicAt).copyMemory(from: topic, byteCount: topicLength) }

    /// Writes a message to `size` bytes of memory.
    @inline(__always)
    func write(to place: UnsafeMutableRawPointer, identifier: UInt16, stamp: PayloadStamp) {
        place.copyMemory(from: packet, byteCount: size)
        if let identifierAt { place.storeBytes(of: identifier.bigEndian, toByteOffset: identifierAt, as: UInt16.self) }
        stamp.write(to: place + payloadAt)
    }
}
