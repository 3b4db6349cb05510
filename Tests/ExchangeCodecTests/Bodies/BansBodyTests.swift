import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("What a master tells workers of bans")
struct BansBodyTests {
    private func read(_ body: BansBody) throws -> BansBody { try body.encoded().withUnsafeBytes { try BansBody(key: body.key, decoding: $0) } }

    @Test("is read as it was written")
    func roundTrip() throws {
        let addresses = try #require(BanSubject("10.0.0.0/8"))
        let bans = [Ban(.client("a\"\nü"), until: 1_700_000_000.5, why: "x\u{1}"), Ban(.uid("ann")), Ban(addresses, until: 5)]
        for body in [.all(bans), .all([]), .add(bans), .remove(bans.map(\.subject))] as [BansBody] { #expect(try read(body) == body) }
    }

    @Test(
        "is refused where it is something else",
        arguments: [
            ("ALL", "{}"), ("all", #"{"bans":[]}"#), (nil, #"{"bans":[]}"#), ("ADD", #"{"bans":[{"subject":"ann"}]}"#), ("ADD", #"{"bans":[1]}"#),
        ])
    func wrong(key: String?, text: String) {
        #expect(throws: ShuntError.self) { try Array(text.utf8).withUnsafeBytes { try BansBody(key: key, decoding: $0) } }
    }

    @Test("fits a worker's frames, however many and long they are; the first part begins anew")
    func parts() throws {
        let why = String(repeating: "\u{1}", count: Bans.maximumWhy)
        let bans = (0..<1_000).map { Ban(.client(ExactText("c\($0)" + String(repeating: "\"", count: 1_000))), why: why) }
        let parts = BansBody.parts(of: bans)
        #expect(parts.count > 1 && parts.allSatisfy { EncodedBans($0).frame(id: 1).encoded().count <= 1 << 20 })
        var read: [Ban] = []
        for (number, part) in parts.enumerated() {
            switch part {
            case .all(let some): #expect(number == 0); read += some
            case .add(let some): #expect(number > 0); read += some
            case .remove: Issue.record("nothing is lifted")
            }
        }
        #expect(read == bans)
        #expect(BansBody.parts(of: []) == [.all([])])
    }
}
