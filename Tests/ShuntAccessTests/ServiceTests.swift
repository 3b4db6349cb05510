import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("a service that is asked about clients")
struct ServiceTests {
    @Test("a question is a JSON object with all members")
    func question() {
        var question = ServiceQuestion()
        (question.clientID, question.user, question.password) = ("a\"b\\\n\u{1}ä", "ada", Array("pass".utf8))
        (question.address, question.listener, question.protocolName) = ("10.0.0.1", "plant", "mqtt")
        let expected =
            #"{"client_id":"a\"b\\\u000a\u0001ä","user":"ada","password":"pass","address":"10.0.0.1","listener":"plant","protocol":"mqtt","#
            + #""certificate":null}"#
        #expect(String(decoding: question.json, as: UTF8.self) == expected)
        #expect(StrictJSON(question.json)?["client_id"] == .string("a\"b\\\n\u{1}ä"))
        (question.password, question.certificate) = ([0xFF, 0], "meter")
        let other = StrictJSON(question.json)
        #expect(other?["password"] == .null && other?["password_base64"] == .string("/wA=") && other?["certificate"] == .string("meter"))
    }

    @Test("base64 is as it is read", arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func base64(text: String) {
        let encoded = Base64.encode(Array(text.utf8))
        #expect(encoded.utf8.count == (text.utf8.count + 2) / 3 * 4)
        #expect(Base64.decode(encoded) == Array(text.utf8))
    }

    private static func admitted(_ uid: String?, _ change: (inout Admitted) -> Void = { _ in }) -> ServiceAnswer {
        var admitted = Admitted(uid: uid)
        change(&admitted)
        return .allow(admitted)
    }

    private static let answers: [(String, ServiceAnswer)] = [
        (#"{"result": "deny"}"#, .deny), (#"{"result": "ignore"}"#, .ignore), (#"{"result": "allow"}"#, admitted("ada")),
        (#"{"result": "allow", "uid": "bob"}"#, admitted("bob")),
        (
            #"{"result": "allow", "uid": "bob", "tags": ["t"], "alias": ["a"], "expires": 1700000000, "acl": {"publish": ["up/%u"]}}"#,
            admitted("bob") {
                ($0.tags, $0.alias, $0.expiresAt, $0.acl) = (["t"], ["a"], 1_700_000_000, TopicLists(publish: ["up/%u"]))
            }
        ),
    ]

    @Test("what it answers", arguments: answers)
    func answer(text: String, expected: ServiceAnswer) throws {
        #expect(try ServiceAnswer(Array(text.utf8), user: "ada") == expected)
    }

    @Test("a client without a name stays without one")
    func nameless() throws {
        #expect(try ServiceAnswer(Array(#"{"result":"allow"}"#.utf8), user: nil) == Self.admitted(nil))
        #expect(throws: ServiceAnswer.Unreadable.self) { try ServiceAnswer(Array(#"{"result":"allow"}"#.utf8), user: "a\nb") }
    }

    @Test(
        "what cannot be read is no answer",
        arguments: [
            "", "allow", "[]", "{}", #"{"result": true}"#, #"{"result": "Allow"}"#, #"{"result": "allow", "uid": ""}"#,
            #"{"result": "allow", "uid": 1}"#, #"{"result": "allow", "expires": "soon"}"#, #"{"result": "allow", "expires": -1}"#,
            #"{"result": "allow", "tags": null}"#, #"{"result": "allow", "acl": null}"#, #"{"result": "allow", "expires": null}"#,
            #"{"result": "allow", "tags": "t"}"#, #"{"result": "allow", "acl": {"write": []}}"#, #"{"result": "allow", "acl": {"publish": ["a#"]}}"#,
            #"{"result": "allow", "result": "deny"}"#, #"{"result": "allow", "superuser": true}"#, #"{"result": "allow"} x"#,
            #"{"result": "deny", "why": "\#(String(repeating: "x", count: 20_000))"}"#,
        ])
    func unreadable(text: String) {
        #expect(throws: ServiceAnswer.Unreadable.self) { try ServiceAnswer(Array(text.utf8), user: "ada") }
    }

    private let one = QuestionKey([1])
    private let other = QuestionKey([2])

    @Test("an answer counts for a while, and one question is asked once")
    func cache() {
        var cache = AnswerCache<Int>(seconds: 60)
        same(cache.ask(one, 1, now: 0, time: 0), .ask)
        same(cache.ask(one, 2, now: 0, time: 0), .wait)
        same(cache.ask(other, 3, now: 0, time: 0), .ask)
        same(cache.answered(one, .deny, now: 1), [1, 2])
        same(cache.ask(one, 4, now: 60.9, time: 0), .answer(.deny))
        same(cache.ask(one, 5, now: 61, time: 0), .ask)
        // No answer is not kept.
        same(cache.answered(other, nil, now: 1), [3])
        same(cache.ask(other, 6, now: 1, time: 0), .ask)
        #expect(QuestionKey([1]) == one && one != other)
    }

    @Test("an answer that ends is not kept longer")
    func ending() {
        var cache = AnswerCache<Int>(seconds: 60)
        same(cache.ask(one, 1, now: 0, time: 1000), .ask)
        let answer = Self.admitted("ada") { $0.expiresAt = 1010 }
        _ = cache.answered(one, answer, now: 0)
        same(cache.ask(one, 2, now: 9, time: 1009), .answer(answer))
        same(cache.ask(one, 3, now: 10, time: 1010), .ask)
    }

    @Test("answers and those who wait are bounded")
    func bounds() {
        var cache = AnswerCache<Int>(seconds: 60, capacity: 1, mostWaiters: 2)
        let steps = [cache.ask(one, 1, now: 0, time: 0), cache.ask(one, 2, now: 0, time: 0), cache.ask(other, 3, now: 0, time: 0)]
        #expect(steps == [.ask, .wait, .full])
        same(cache.answered(one, .ignore, now: 0), [1, 2])
        same(cache.ask(other, 3, now: 0, time: 0), .ask)
        _ = cache.answered(other, .deny, now: 0)
        same(cache.ask(one, 4, now: 0, time: 0), .ask, "the first has made way")
        same(cache.ask(other, 5, now: 0, time: 0), .answer(.deny))
        cache.forget(now: 100)
        same(cache.ask(other, 6, now: 0, time: 0), .ask)
        var without = AnswerCache<Int>(seconds: 0)
        _ = without.ask(one, 1, now: 0, time: 0)
        _ = without.answered(one, .deny, now: 0)
        same(without.ask(one, 2, now: 0, time: 0), .ask)
    }

    @Test("an outage is told once, and its end once it has been quiet")
    func outage() {
        var outage = Outage(quiet: 10)
        same(outage.worked(now: 0), nil)
        same(outage.failed(now: 1), .begins)
        same(outage.failed(now: 2), nil)
        same(outage.worked(now: 11), nil)
        same(outage.worked(now: 12), .ends)
        same(outage.worked(now: 13), nil)
        same(outage.failed(now: 14), .begins)
    }
}
