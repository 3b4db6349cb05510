import ShuntCore
import Testing

@testable import ShuntAdmin

@Suite("Server-sent events, as the master sends them")
struct EventStreamReaderTests {
    private static let text =
        "retry: 2000\nid: r:4\nevent: open\ndata: {\"a\":1}\n\n:\n\nid: r:5\ndata: one\ndata:two\r\n\r\ndata\n\nevent: gap\n\n"
        + "unknown: x\ndata: last\n\n"
    private static let events = [
        ServerSentEvent(name: "open", id: "r:4", data: Array("{\"a\":1}".utf8)), ServerSentEvent(id: "r:5", data: Array("one\ntwo".utf8)),
        ServerSentEvent(), ServerSentEvent(data: Array("last".utf8)),
    ]

    @Test("However the bytes are cut, the same events come; comments, and names without data, are none", arguments: 1...40)
    func cuts(size: Int) throws {
        var (reader, found) = (EventStreamReader(), [ServerSentEvent]())
        let bytes = Array(Self.text.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) { found += try reader.push(bytes[start..<min(start + size, bytes.count)]) }
        #expect(found == Self.events)
    }

    @Test("An event that is too long ends the stream, as one line and as many", arguments: [false, true])
    func tooLong(inLines: Bool) {
        var reader = EventStreamReader()
        let line = Array(("data: " + String(repeating: "x", count: inLines ? 1_000 : 2_000_000) + "\n").utf8)
        #expect {
            for _ in 0..<2_000 { _ = try reader.push(line) }
        } throws: {
            ($0 as? ShuntError)?.code == .masterUnavailable
        }
    }
}
