import ExchangeCodec
import MQTTCodec
import ShuntCore
import ShuntReactor
import Testing

@testable import ShuntWorker

@Suite("Frames in out-buffers")
struct FramingTests {
    private func extent(_ framing: Framing, _ bytes: [UInt8]) -> FrameExtent { (bytes + [1, 2, 3]).withUnsafeBytes { framing.measure($0) } }

    @Test(
        "Of the exchange protocol messages may be dropped, and of these only topics' hold their producers",
        arguments: [
            (.message, .message), (.notify, .notice), (.chat, .notice), (.acknowledgement, .answer), (.register, .answer), (.ping, .answer),
        ] as [(FrameType, FrameKind)])
    func exchange(type: FrameType, kind: FrameKind) {
        let frame = Frame(type, id: 1).encoded()
        #expect(extent(.exchange, frame) == FrameExtent(length: frame.count, kind: kind))
        #expect(extent(.link, frame) == FrameExtent(length: frame.count, kind: .answer))
    }

    @Test(
        "Of MQTT a PUBLISH of QoS 0 may be dropped, and one of another is owed",
        arguments: [
            ([0x30, 5, 0, 1, 0x61, 0, 0], .message), ([0x31, 3, 0, 1, 0x61], .message), ([0x32, 5, 0, 1, 0x61, 0, 9], .assured),
            ([0x34, 5, 0, 1, 0x61, 0, 9], .assured), ([0x3A, 5, 0, 1, 0x61, 0, 9], .assured), ([0x40, 2, 0, 9], .answer), ([0xD0, 0], .answer),
            ([0x30, 0x80, 0x01, 0, 1, 0x61] + [UInt8](repeating: 7, count: 125), .message),
        ] as [([UInt8], FrameKind)])
    func mqtt(packet: [UInt8], kind: FrameKind) {
        #expect(extent(.mqtt, packet) == FrameExtent(length: packet.count, kind: kind))
    }

    @Test("What may be dropped, held for and counted")
    func kinds() {
        let kinds: [FrameKind] = [.answer, .message, .notice, .assured]
        #expect(kinds.map(\.mayDrop) == [false, true, true, false])
        #expect(kinds.map(\.mayHold) == [false, true, false, true])
        #expect(kinds.map(\.isMessage) == [false, true, true, true])
    }
}
