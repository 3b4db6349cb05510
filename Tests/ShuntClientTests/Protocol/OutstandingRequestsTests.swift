import SeededRandom
import Testing

@testable import ShuntClient

@Suite("Requests that wait for an answer")
struct OutstandingRequestsTests {
    @Test("have consecutive ids that begin with the seconds and the salt")
    func ids() {
        var requests = OutstandingRequests<Int>(ids: RequestIDs(seconds: 1_548_000_000, salt: 0xFFFF_FFFE))
        let ids = (0..<3).map { requests.add($0) }
        #expect(ids == [1_548_000_000 << 32 | 0xFFFF_FFFE, 1_548_000_000 << 32 | 0xFFFF_FFFF, 1_548_000_001 << 32])
    }

    @Test("are found by id in any order, once, and nobody else is")
    func anyOrder() {
        var requests = OutstandingRequests<Int>(ids: RequestIDs(seconds: 1, salt: 7))
        let ids = (0..<100).map { requests.add($0) }
        #expect(requests.take(ids[0] - 1) == nil)
        #expect(requests.take(ids[99] + 1) == nil)
        for (number, id) in ids.enumerated().reversed() {
            #expect(requests.take(id) == number)
            #expect(requests.take(id) == nil)
        }
        #expect(requests.isEmpty && requests.span == 0 && requests.oldest == nil)
    }

    @Test("span from the oldest without an answer to the newest")
    func span() {
        var requests = OutstandingRequests<Int>(ids: RequestIDs(seconds: 1, salt: 0))
        let ids = (0..<40).map { requests.add($0) }
        for id in ids[1..<40] { _ = requests.take(id) }
        #expect(requests.count == 1 && requests.span == 40 && requests.oldest == ids[0])
        _ = requests.take(ids[0])
        #expect(requests.span == 0)
    }

    @Test("are given back oldest first, and the ids go on")
    func takeAll() {
        var requests = OutstandingRequests<Int>(ids: RequestIDs(seconds: 1, salt: 0))
        let ids = (0..<20).map { requests.add($0) }
        _ = requests.take(ids[3])
        #expect(requests.takeAll() == Array(0..<3) + Array(4..<20))
        #expect(requests.add(20) == ids[19] + 1)
        #expect(requests.take(ids[5]) == nil)
    }

    @Test("behave like a dictionary, whatever comes", arguments: 0..<20)
    func model(seed: Int) {
        var generator = SplitMix(seed: UInt64(seed))
        let ids = RequestIDs(seconds: 5, salt: UInt32.random(in: 0...UInt32.max, using: &generator))
        var requests = OutstandingRequests<Int>(ids: ids)
        var model: [Int64: Int] = [:]
        for step in 0..<2000 {
            if Bool.random(using: &generator) || model.isEmpty {
                model[requests.add(step)] = step
            } else if let id = model.keys.sorted().randomElement(using: &generator) {
                #expect(requests.take(id) == model.removeValue(forKey: id))
            }
            #expect(requests.count == model.count)
        }
        #expect(requests.takeAll() == model.sorted { $0.key < $1.key }.map(\.value))
    }
}
