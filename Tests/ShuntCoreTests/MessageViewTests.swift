import ShuntCore
import Testing

@Suite("A message while it is routed")
struct MessageViewTests {
    private func message() -> MessageView {
        MessageView(kind: .topic, topic: .none, key: nil, payload: .none, format: .none, id: 1, sender: .none)
    }

    @Test("its traits are each its own")
    func traits() {
        for kind in MessageKind.allCases {
            for format in PayloadFormat.allCases {
                for compression in PayloadCompression.allCases {
                    for qos in QoS.allCases {
                        var message = message()
                        (message.isRetained, message.hops) = (true, 255)
                        (message.kind, message.format, message.compression, message.qos) = (kind, format, compression, qos)
                        #expect(message.kind == kind && message.format == format && message.compression == compression)
                        #expect(message.qos == qos && message.isRetained && message.hops == 255 && message.key == nil)
                        (message.isRetained, message.hops) = (false, 3)
                        #expect(message.kind == kind && message.format == format && message.compression == compression)
                        #expect(message.qos == qos && !message.isRetained && message.hops == 3)
                        let same = MessageView(
                            kind: kind, topic: .none, key: nil, payload: .none, format: format, compression: compression, id: 1, hops: 3,
                            sender: .none, qos: qos)
                        #expect(same.kind == kind && same.format == format && same.compression == compression)
                        #expect(same.qos == qos && !same.isRetained && same.hops == 3 && same.key == nil)
                    }
                }
            }
        }
    }

    @Test("a key that is empty is a key")
    func keys() {
        var message = message()
        #expect(message.key == nil)
        message.key = Bytes.none
        #expect(message.key?.isEmpty == true)
        withUnsafeBytes(of: UInt16(0)) { bytes in
            message.key = bytes
            #expect(message.key?.count == 2)
        }
        message.key = nil
        #expect(message.key == nil)
        message.setKey(.none, isThere: false)
        #expect(message.key == nil)
        message.setKey(.none, isThere: true)
        #expect(message.key?.isEmpty == true)
    }
}
