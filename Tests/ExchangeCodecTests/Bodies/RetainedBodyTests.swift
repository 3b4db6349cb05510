import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("Questions about retained messages, and their answers")
struct RetainedBodyTests {
    @Test(
        "A question is read as it was written",
        arguments: [
            .list(RetainedQuery(filter: "a/\"/+/\\ü/+/#", after: "a\n", limit: 7, bytes: 8)), .clear(filter: "#"),
            .list(RetainedQuery(filter: "#", after: "x", includesAfter: true)), .list(RetainedQuery(filter: "#")),
        ] as [RetainedRequestBody])
    func questions(body: RetainedRequestBody) throws {
        #expect(try body.encoded().withUnsafeBytes { try RetainedRequestBody(key: body.key, decoding: $0) } == body)
    }

    @Test("A question asks for no more than a worker gives")
    func bounded() throws {
        let text = #"{"filter":"a","limit":100000000,"bytes":-5}"#
        let body = try Array(text.utf8).withUnsafeBytes { try RetainedRequestBody(key: "LIST", decoding: $0) }
        #expect(body == .list(RetainedQuery(filter: "a", limit: RetainedRequest.maximumLimit, bytes: 1)))
    }

    @Test(
        "Another key, no filter and a wrong filter are refused",
        arguments: [("LIST", "{}"), (nil, #"{"filter":"a"}"#), ("list", #"{"filter":"a"}"#), ("CLEAR", #"{"filter":"a/#/b"}"#), ("CLEAR", "#")])
    func wrong(key: String?, text: String) {
        #expect(throws: ShuntError.self) { try Array(text.utf8).withUnsafeBytes { try RetainedRequestBody(key: key, decoding: $0) } }
    }

    @Test("An answer is read as it was written, and a wrong one is refused")
    func answers() throws {
        let messages = [
            RetainedRecord(topic: "a/\"ü\u{1}", bytes: 5, qos: 2, storedAt: 1_700_000_000.25, expiresAt: 1_700_000_001.5),
            RetainedRecord(topic: "b", bytes: 0, qos: 0, storedAt: 0),
        ]
        for body in [.list(messages, total: 9, hasMore: true), .list([], total: 0, hasMore: false), .cleared(3)] as [RetainedAnswerBody] {
            #expect(try body.encoded().withUnsafeBytes { try RetainedAnswerBody(decoding: $0) } == body)
        }
        for text in ["", "{}", #"{"retained":[1]}"#, #"{"retained":[{"bytes":1}]}"#, #"{"retained":3}"#] {
            #expect(throws: ShuntError.self) { try Array(text.utf8).withUnsafeBytes { try RetainedAnswerBody(decoding: $0) } }
        }
    }
}
