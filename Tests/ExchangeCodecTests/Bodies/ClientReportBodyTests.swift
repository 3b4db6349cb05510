import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("What a worker tells of its clients")
struct ClientReportBodyTests {
    private let body = ClientReportBody(
        worker: WorkerSource(host: "10.0.0.1", port: 4091), list: 1_795_444_000_000_001, isLast: true, isIncomplete: true,
        listeners: ["exchange", "日本"],
        clients: [
            .init(
                session: ConnectionID(loop: 3, slot: 17, generation: 9), client: "meter-7", uid: "é", speaks: .mqtt5, listener: 1,
                address: PeerAddress(ipv4: 0x0A00_0001, port: 50_000), since: 1_795_444_000_250, subscriptions: 4),
            .init(
                session: ConnectionID(loop: 255, session: 5, generation: .max), client: "", uid: "", speaks: .mqtt3,
                address: PeerAddress(high: 1, low: 2, port: 3), isAway: true, since: -1, subscriptions: .max),
            .init(session: ConnectionID(loop: 0, slot: 0, generation: 0), client: "\0", uid: "u", speaks: .exchange, since: 0, subscriptions: 0),
        ], gone: [ConnectionID(loop: 1, slot: 2, generation: 3)])

    private func decoded(_ bytes: [UInt8]) throws -> ClientReportBody {
        try bytes.withUnsafeBytes { try ClientReportBody(decoding: $0) }
    }

    @Test("All of it comes back, also where there is nothing")
    func roundTrip() throws {
        #expect(try decoded(body.encoded()) == body)
        let empty = ClientReportBody(worker: WorkerSource(port: 1), list: 0)
        #expect(try decoded(empty.encoded()) == empty)
    }

    @Test("A client over IPv4 takes 32 bytes and its names, a session that is gone 8")
    func size() {
        let empty = ClientReportBody(worker: WorkerSource(port: 1), list: 0).encoded().count
        var one = ClientReportBody(worker: WorkerSource(port: 1), list: 0, clients: [body.clients[0]])
        #expect(one.encoded().count == empty + 32 + 7 + 2)
        #expect(body.clients[0].size >= 32 + 7 + 2)
        one.clients = []
        one.gone = body.gone
        #expect(one.encoded().count == empty + 8)
    }

    @Test("What is cut short, has bytes left over, or is of another version is refused")
    func malformed() {
        let bytes = body.encoded()
        for count in 0..<bytes.count { #expect(throws: ShuntError.self) { try decoded(Array(bytes[..<count])) } }
        #expect(throws: ShuntError.self) { try decoded(bytes + [0]) }
        #expect(throws: ShuntError.self) { try decoded([2] + bytes.dropFirst()) }
    }

    @Test("A name is cut between two characters where it is very long")
    func longNames() {
        let client = ClientReportBody.Client(
            session: .none, client: String(repeating: "é", count: 1000), uid: String(repeating: "日", count: 1000), speaks: .mqtt3, since: 0,
            subscriptions: 0)
        #expect(client.client == String(repeating: "é", count: 512))
        #expect(client.uid == String(repeating: "日", count: 341))
    }

    @Test("A session's text names it again, and no other text does")
    func sessionNames() {
        let id = ConnectionID(loop: 3, session: 17, generation: 9)
        #expect(ConnectionID(text: id.description) == id)
        for text in ["", "1", "1-2", "1-2-3-4", "256-0-0", "0-16777216-0", "0-0-4294967296", "-1-2-3", "+1-2-3", "01-2-3", " 1-2-3"] {
            #expect(ConnectionID(text: text) == nil, "\(text)")
        }
    }
}
