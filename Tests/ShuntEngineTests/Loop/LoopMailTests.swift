import ShuntCore
@testable import ShuntEngine
import Testing

@Suite("Mail between loops")
struct LoopMailTests {
    private let frame = [UInt8](repeating: 7, count: 100)

    private func recipient(_ number: Int) -> ConnectionID { ConnectionID(loop: 1, slot: UInt32(number), generation: 0) }

    @Test("A frame for many clients is copied once, and each of them costs its place in the list")
    func fanout() {
        let mail = LoopMail()
        frame.withUnsafeBytes { bytes in
            for number in 0..<1000 { mail.append(bytes, Stretch(.input, .exchange, offset: 0, count: 100), to: recipient(number)) }
        }
        #expect(mail.items.count == 1000)
        #expect(mail.bytes == 100)
        #expect(mail.cost == 100 + 1000 * MemoryLayout<LoopMail.Item>.stride)
    }

    @Test("A message of the largest size keeps its length and form", arguments: WireForm.allCases)
    func largest(form: WireForm) {
        // limits.frame is at most 256 MiB; another form's header comes besides.
        let count = 1 << 28 + 1 << 20
        let handOver = HandOver(qos: .exactlyOnce, isRetained: true, isShared: true)
        let item = LoopMail.Item(recipient(1), offset: 0, Stretch(.input, form, offset: 0, count: count), handOver)
        #expect((item.count, item.form) == (count, form))
        #expect(item.handOver == handOver)
        #expect(item.recipient(on: recipient(1).loop) == recipient(1))
    }

    @Test("The same stretch of another event is another frame")
    func batches() {
        let mail = LoopMail()
        for _ in 0..<2 {
            frame.withUnsafeBytes { mail.append($0, Stretch(.input, .exchange, offset: 0, count: 100), to: recipient(1)) }
            mail.endBatch()
        }
        #expect(mail.bytes == 200)
        #expect(mail.items.map(\.offset) == [0, 100])
    }

    @Test("Letters cost what they carry")
    func letters() {
        let mail = LoopMail()
        mail.append(.left(recipient(1)))
        let empty = mail.cost
        #expect(empty > 0)
        let payload = ChatPayload([UInt8](repeating: 1, count: 5000))
        mail.append(.chatAction(.deliver(recipient(1), chat: "c", .session, payload)))
        mail.append(.chat(.request(ChatRequest(ChatMember(recipient(1)), .exchange(id: 1), chat: "c", .session, payload)), nil))
        mail.append(.broadcast(BroadcastID(loop: 0, number: 1), .all, frame: frame))
        #expect(mail.cost == empty * 4 + 10_100)
    }
}
