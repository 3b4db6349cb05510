import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntBench

@Suite("The pace of messages")
struct PaceTests {
    @Test("is even below 10,000 a second", arguments: [0.5, 1, 3, 7, 999, 1000, 9999])
    func even(rate: Double) {
        let pace = Pace(perSecond: rate)
        #expect(pace.due(0) == 0)
        for number in [1, 2, 3, 1000, 123_456_789] {
            #expect(abs(Double(pace.due(number)) - Double(number) * 1e9 / rate) < 1 + Double(pace.due(number)) * 1e-12)
        }
    }

    @Test("goes in groups each tenth of a millisecond above that, without losing any", arguments: [10_001, 20_000, 123_457, 5_000_000])
    func grouped(rate: Double) {
        let pace = Pace(perSecond: rate)
        #expect((0..<5000).allSatisfy { pace.due($0) % Pace.tick == 0 })
        #expect(abs(pace.count(by: 10_000_000_000) - Int(rate * 10)) <= 1)
        #expect((1..<5000).allSatisfy { pace.due($0) >= pace.due($0 - 1) && Double(pace.due($0)) >= Double($0) * 1e9 / rate - 1 })
    }

    @Test("counts a message as due exactly from its time on", arguments: [0.3, 1, 7, 999, 1000, 9_999, 10_001, 33_333, 1_000_000])
    func count(rate: Double) {
        let pace = Pace(perSecond: rate)
        #expect(pace.count(by: -1) == 0)
        for number in [0, 1, 2, 9, 100, 12_345, 99_999_999] {
            let due = pace.due(number)
            #expect(pace.count(by: due) > number)
            #expect(pace.count(by: due - 1) <= number)
        }
    }

    @Test("gives publishers turns", arguments: [1, 2, 3, 7])
    func shares(publishers: Int) {
        for count in 0..<30 {
            let shares = (0..<publishers).map { Pace.share(of: $0, among: publishers, in: count) }
            #expect(shares.reduce(0, +) == count)
            #expect(shares == (0..<publishers).map { own in (0..<count).count { $0 % publishers == own } })
        }
    }
}

@Suite("A message of a load")
struct PayloadTests {
    @Test(
        "says at its beginning who sent it, its number, and when it was due",
        arguments: [(UInt16.max, 1 << 48 - 1, 1 << 24 - 1, PayloadStamp.maximumNumber), (0, 0, 0, 0), (7, 123_456_789_012, 999_999, 5)])
    func stamp(mark: UInt16, due: Int, publisher: Int, number: Int) {
        let stamp = PayloadStamp(mark: mark, due: due, publisher: publisher, number: number)
        var bytes = [UInt8](repeating: 0xEE, count: PayloadStamp.size + 1)
        bytes.withUnsafeMutableBytes { stamp.write(to: $0.baseAddress!) }
        #expect(bytes.last == 0xEE)
        #expect(bytes.withUnsafeBytes { PayloadStamp($0) } == stamp)
        #expect(bytes[..<15].withUnsafeBytes { PayloadStamp($0) } == nil)
    }

    @Test("is a PUBLISH of the version, with the topic, identifier and stamp that were asked for", arguments: MQTTVersion.allCases, QoS.allCases)
    func template(version: MQTTVersion, qos: QoS) throws {
        var filler = PayloadFiller(seed: 1)
        let template = PublishTemplate(version, topic: "bench/00", qos: qos, payload: filler.bytes(200))
        Array("bench/17".utf8).withUnsafeBytes { template.setTopic($0.baseAddress!) }
        let stamp = PayloadStamp(mark: 1, due: 2, publisher: 17, number: 3)
        var bytes = [UInt8](repeating: 0, count: template.size)
        bytes.withUnsafeMutableBytes { template.write(to: $0.baseAddress!, identifier: 0x1234, stamp: stamp) }
        try bytes.withUnsafeBytes { bytes in
            guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1000) else {
                Issue.record("no packet")
                return
            }
            let message = try PublishView(header, bytes, version)
            #expect(header.size == bytes.count)
            #expect(String(decoding: message.topic, as: UTF8.self) == "bench/17")
            #expect(message.qos == qos && message.identifier == (qos == .atMostOnce ? 0 : 0x1234))
            #expect(message.payload.count == 200 && PayloadStamp(message.payload) == stamp)
        }
    }

    @Test("has a payload that follows from the seed")
    func filler() {
        func bytes(_ seed: UInt32) -> [UInt8] {
            var filler = PayloadFiller(seed: seed)
            return filler.bytes(1000)
        }
        #expect(bytes(1) == bytes(1))
        #expect(bytes(1) != bytes(2))
        #expect(Set(bytes(1)).count > 200, "it does not compress")
    }
}
