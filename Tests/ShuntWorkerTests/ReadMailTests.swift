import ShuntCore
import Testing

@testable import ShuntEngine
@testable import ShuntWorker

@Suite("Mail that was read")
struct ReadMailTests {
    private func mail(bytes: Int) -> LoopMail {
        let mail = LoopMail()
        [UInt8](repeating: 1, count: bytes).withUnsafeBytes {
            mail.append($0, Stretch(.input, .exchange, offset: 0, count: bytes), to: ConnectionID(loop: 1, slot: 1, generation: 0))
        }
        mail.append(.left(ConnectionID(loop: 0, slot: 1, generation: 0)))
        return mail
    }

    @Test("Its memory is filled again, and nothing of what was in it is left")
    func usedAgain() {
        let read = ReadMail()
        let first = mail(bytes: 100_000)
        let capacity = first.capacity
        read.give(first)
        let again = read.take()
        #expect(again === first)
        #expect(again.isEmpty && again.letters.isEmpty && again.items.isEmpty && again.cost == 0)
        #expect(again.capacity == capacity)
    }

    @Test("As much is kept as is allowed, none that is large, and none after ten ticks without use")
    func bounds() {
        let read = ReadMail()
        read.give(mail(bytes: ReadMail.mostMemory + 1))
        #expect(read.count == 0)
        for _ in 0..<ReadMail.mostMail + 5 { read.give(mail(bytes: 10)) }
        #expect(read.count == ReadMail.mostMail)
        for _ in 0..<9 { read.tick() }
        _ = read.take()
        for _ in 0..<9 { read.tick() }
        #expect(read.count == ReadMail.mostMail - 1)
        read.tick()
        #expect(read.count == 0)
    }
}
