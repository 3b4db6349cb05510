import SeededRandom
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT: queues, held messages, deadlines, aliases")
struct MQTTPartsTests {
    @Test("A queue is a queue, whatever is put in front or taken out of the middle")
    func fifo() {
        var random = SplitMix(seed: 3)
        var queue = Fifo<Int>(), model: [Int] = []
        for number in 0..<20_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...3:
                queue.append(number)
                model.append(number)
            case 4:
                let place = Int.random(in: 0...min(2, model.count), using: &random)
                queue.insert(number, at: place)
                model.insert(number, at: place)
            case 5 where !model.isEmpty:
                let place = Int.random(in: 0..<model.count, using: &random)
                #expect(queue.remove(at: place) == model.remove(at: place))
            default: #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            }
            #expect(queue.count == model.count && queue.first == model.first)
        }
        #expect(Array(queue.all) == model)
    }

    @Test("Deadlines come in order of time, and the ones that no longer count can be taken out")
    func deadlines() {
        var random = SplitMix(seed: 5)
        var deadlines = Deadlines<Int>()
        let times = (0..<500).map { _ in Int.random(in: 0..<1000, using: &random) }
        for time in times { deadlines.insert(time, at: Double(time)) }
        deadlines.keep { _, time in time % 3 != 0 }
        var due: [Int] = []
        while let next = deadlines.popDue(now: 600) { due.append(next) }
        #expect(due == times.filter { $0 % 3 != 0 && $0 <= 600 }.sorted())
        #expect(deadlines.count == times.filter { $0 % 3 != 0 && $0 > 600 }.count)
    }

    @Test("A message is kept once for all who want it in one batch, and goes with the last of them")
    func held() {
        let held = HeldMessages()
        let packet = Array(repeating: UInt8(7), count: 100)
        let numbers = packet.withUnsafeBytes { bytes in
            (0..<3).map { _ in held.hold(bytes, .mqtt5Numbered, expiry: MessageView.noExpiry, isShared: true, now: 0) }
        }
        #expect(Set(numbers).count == 1)
        #expect(held.bytes == 100 + HeldMessages.overhead)
        held.endBatch()
        let other = packet.withUnsafeBytes { held.hold($0, .mqtt5Numbered, expiry: 5, isShared: true, now: 10) }
        #expect(other != numbers[0])
        #expect(held.expiresAt(other) == 15)
        for number in numbers { held.release(number) }
        #expect(held.count == 1)
        held.release(other)
        #expect((held.count, held.bytes) == (0, 0))
    }

    @Test("Aliases go to the topics that come most, and there are never more than the client takes")
    func aliases() {
        var aliases = OutgoingAliases(limit: 2)
        func use(_ topic: String, mayTell: Bool = true) -> OutgoingAliases.Use {
            Array(topic.utf8).withUnsafeBytes {
                let use = aliases.use(of: $0, mayTell: mayTell)
                aliases.took(use, $0) { 0 }
                return use
            }
        }
        #expect(use("a") == .first(1))
        #expect(use("b") == .first(2))
        #expect(use("a") == .known(1))
        // One message of another topic takes no number away; two in a row take the number that was used longest ago.
        #expect(use("c") == .none)
        #expect(use("b") == .known(2))
        #expect(use("c") == .first(1))
        #expect(use("c") == .known(1))
        // Where none may be told, those that are known stay.
        #expect(["d", "d", "c"].map { use($0, mayTell: false) } == [.none, .none, .known(1)])
        aliases.forget()
        #expect(use("b") == .first(2))
        #expect(use("b") == .known(2))
        // A number that the client does not know is free for any topic.
        #expect(use("d") == .first(1))
    }

    @Test("What a number stood for is known as long as packets with it may wait, also after one was not taken")
    func aliasMeanings() {
        var aliases = OutgoingAliases(limit: 1)
        var waiting = 0
        func use(_ topic: String) {
            Array(topic.utf8).withUnsafeBytes { aliases.took(aliases.use(of: $0, mayTell: true), $0) { waiting } }
        }
        func meanings() -> [String?] { (0...3).map { aliases.topic(1, before: $0).map { String(decoding: $0, as: UTF8.self) } } }
        use("a")
        #expect(meanings() == ["a", nil, nil, nil])
        #expect(!aliases.isToldAnew(1))
        // It is told once another topic has come twice.
        for topic in ["b", "b", "c", "c", "c"] { use(topic) }
        #expect(meanings() == ["c", "b", "a", nil])
        // This one tells it, and does not go out.
        for topic in ["d", "d"] { use(topic) }
        aliases.forget()
        #expect(meanings() == ["c", "b", "a", nil])
        use("c")
        #expect(meanings() == ["c", "c", "b", "a"])
        // The second of each two tells it.
        waiting = 60
        for number in 0..<100 { for _ in 0..<2 { use("t\(number)") } }
        #expect(meanings() == ["t99", "t98", "t97", "t96"])
        #expect((0..<30).allSatisfy { aliases.topic(1, before: $0).map { String(decoding: $0, as: UTF8.self) } == "t\(99 - $0)" })
        waiting = 0
        for number in 100..<120 { for _ in 0..<2 { use("t\(number)") } }
        #expect(aliases.topic(1, before: 9) == nil)
        #expect(aliases.topic(2, before: 0) == nil)
    }
}
