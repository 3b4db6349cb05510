import ShuntCore
import ShuntRehearsal
import ShuntRules
import Testing

@Suite("Reports of messages that go through rules")
struct ReportTests {
    private let plain = ReportStyle(colors: false)

    @Test("Differences of JSON are told by their paths, numbers by their values")
    func differences() throws {
        let rig = try Rig(["one": #"return { on_message = function(m) return m:with { payload = m.key, key = false } end }"#])
        func fields(_ before: String, _ after: String) throws -> [String] {
            let description = JSONTree.object([
                .init(name: "topic", value: .string("t")), .init(name: "payload", value: .string(before)), .init(name: "key", value: .string(after)),
            ])
            let result = try rig.rehearsal.run(MessageDescription.message(description, at: "test"))
            let replacement = try #require(result.steps.first?.replacement)
            return MessageChange.all(from: result.message, to: replacement).filter { $0.field != "key" }.map { change in
                "\(change.field) \(change.before?.text ?? "-") \(change.after?.text ?? "-")"
            }
        }
        #expect(try fields(#"{"a":1,"b":[1,{"c d":2}]}"#, #"{"b":[1,{"c d":3},4],"a":1}"#) == [#"payload.b[2]["c d"] 2 3"#, "payload.b[3] - 4"])
        #expect(try fields(#"{"a":1E2}"#, #"{ "a" : 100 }"#) == [])
        #expect(try fields(#"{"a":9007199254740993}"#, #"{"a":9007199254740992}"#) == ["payload.a 9007199254740993 9007199254740992"])
        #expect(try fields(#"{"a":null}"#, #"{}"#) == ["payload.a null -"])
        #expect(try fields("old", "new") == [#"payload "old" "new""#])
    }

    @Test("Text for people has no character that steers a terminal, and colours where they are wanted")
    func printable() throws {
        let rig = try Rig(["one": "return { on_message = function(m) log.info('\\27[31m') return route.reject('\\27]0;x\\7') end }"])
        let result = try rig.run(#"{"topic":"t","payload":"\u001b[2J"}"#)
        #expect(!result.text(plain).unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        #expect(result.text(ReportStyle(colors: true)).contains("\u{1B}[31mrejected\u{1B}[0m"))
        #expect(!result.tree.safeText.contains("\u{1B}"))
        #expect(JSONTree(Array(result.tree.safeText.utf8)) == result.tree)
    }

    @Test("A payload that is no text is told as base64, and can be given as such")
    func binary() throws {
        let rig = try Rig(["one": "return { on_message = function(m) return m:with { payload = m.payload .. '\\255' } end }"])
        let result = try rig.run(#"{"topic":"t","payload_base64":"/wA="}"#)
        #expect(result.message.payload == [0xFF, 0])
        #expect(result.out.first?.payload == [0xFF, 0, 0xFF])
        #expect(result.tree.safeText.contains(#""payload_base64":"/wD/""#))
        #expect(throws: ShuntError.self) { try Rig.message(#"{"payload_base64":"/wA"}"#) }
    }

    @Test("Many messages are summed up by what became of them")
    func summary() throws {
        let rig = try Rig([
            "one":
                "return { on_message = function(m) if m.payload == 'no' then return route.reject('bad') end assert(m.payload ~= 'e', 'x') end }"
        ])
        var summary = RehearsalSummary()
        for payload in ["a", "no", "b", "e", "no"] { summary.add(try rig.run(#"{"topic":"t","payload":"\#(payload)"}"#)) }
        let text = summary.text(plain)
        #expect(text.hasPrefix("5 messages: 3 passed, 2 rejected\na rule failed on 1 of them\n     message 4: on_message: one/rule.lua:1: x"))
        #expect(text.contains("     2  bad\n"))
        #expect(text.contains("5"))
        #expect(summary.tree["outcomes"]?.text == #"{"passed":3,"rejected":2}"#)
    }

    @Test("Two versions are compared message by message")
    func comparison() throws {
        let old = try Rig(["one": "return { on_message = function(m) if m.payload == 'b' then return route.drop('old') end end }"])
        let new = try Rig(["one": "return { on_message = function(m) if m.payload ~= 'a' then return route.drop('new') end end }"])
        var comparison = RehearsalComparison(examples: 1)
        for payload in ["a", "b", "c"] {
            let message = try Rig.message(#"{"topic":"t","payload":"\#(payload)"}"#)
            comparison.add(try old.rehearsal.run(message), try new.rehearsal.run(message))
        }
        #expect(comparison.differing == 2)
        let text = comparison.text(plain)
        #expect(text.hasPrefix("2 of 3 messages differ"))
        #expect(text.contains("dropped, with other values"))
        #expect(text.contains("passed → dropped"))
        #expect(text.contains(#"why   "old" → "new""#))
        #expect(text.contains("and 1 more"))
    }

    @Test("An error that only has moved in its file is no difference")
    func movedErrors() throws {
        let old = try Rig(["one": "return { on_message = function(m) error('x') end }"])
        let new = try Rig(["one": "\n\nreturn { on_message = function(m) error('x') end }"])
        var comparison = RehearsalComparison(examples: 1)
        let message = try Rig.message(#"{"topic":"t","payload":"p"}"#)
        comparison.add(try old.rehearsal.run(message), try new.rehearsal.run(message))
        #expect(comparison.text(plain) == "no difference over 1 message")
    }

    @Test(
        "What is wrong in a file is told with its place",
        arguments: [
            (#"{"topic":"t"}"# + "\n{", "m:2:1:2: not JSON"), ("[]", "m:1: a message is a JSON object"),
            (#"{"topik":"t"}"#, "m:1: the message does not take topik"),
            (#"{"kind":"letter"}"#, "m:1: the message: kind is a text"), (#"{"qos":3}"#, "m:1: the message: qos is a number"),
            ("", "m: there is no message"),
            (#"{"kind":"broadcast","payload_base64":"/w=="}"#, "m:1: the text of a broadcast is UTF-8"), (#"{"a":01}"#, "m:1:1:6: not JSON"),
            (#"{"a":"\x"}"#, "m:1:1:9: not JSON"), (#"{"a":tru}"#, "m:1:1:6: not JSON"),
            (#"{"sender":{"uidd":"a"}}"#, "m:1: the message: sender does not take uidd"),
        ])
    func wrong(_ text: String, _ wanted: String) throws {
        let error = #expect(throws: ShuntError.self) { try MessageDescription.messages(Array(text.utf8), at: "m") }
        #expect(error?.description.hasPrefix(wanted) == true, "\(error?.description ?? "")")
        #expect(error?.code == .usage)
    }

    @Test(
        "So is what is wrong in a file of subscribers",
        arguments: [
            ("a b c d", "s:1: a subscriber of 4 words"), (#"{"topik":"a"}"#, "s:1: a subscriber has no topik"),
            (#"{"topic":1}"#, "s:1: topic of a subscriber is a text"),
            ("{}", "s:1: a subscriber without topic"),
        ])
    func wrongSubscribers(_ text: String, _ wanted: String) throws {
        let error = #expect(throws: ShuntError.self) { try RehearsedSubscriber.list(Array(text.utf8), at: "s") }
        #expect(error?.description.hasPrefix(wanted) == true, "\(error?.description ?? "")")
    }

    @Test("A subscription that a worker refuses is refused here")
    func refusedSubscription() throws {
        let error = #expect(throws: ShuntError.self) { try Rig(["one": "return {}"], subscribers: "a/#/b g u") }
        #expect(error?.description.contains("subscribers:1") == true, "\(error?.description ?? "")")
    }

    @Test("Hooks are timed beside an empty one, with what a call allocates")
    func timings() throws {
        let rig = try Rig(["one": "return { on_message = function(m) local t = {} for i = 1, 50 do t[i] = i end end, on_connect = function() end }"])
        let set = try RuleSet.load(directory: rig.folder)
        let timings = try RuleTimer(set, limits: RuleLimits(), batches: 20).run([])
        #expect(timings.map(\.hook) == ["on_message", "on_connect"])
        #expect(timings[0].nanoseconds.median > timings[0].empty.median, "fifty assignments take longer than nothing")
        #expect(timings[0].nanoseconds.p99 >= timings[0].nanoseconds.median)
        #expect(timings[0].allocations >= 6 && timings[0].bytes >= 800, "a table that grows to 50")
        #expect(timings[1].allocations < timings[0].allocations)
        #expect(timings[0].verdicts.keys.sorted() == ["pass"] && timings[0].failures == 0)
    }

    @Test("Failing calls are counted, with the first failure's text")
    func failingTimings() throws {
        let rig = try Rig(["one": "return { on_message = function(m) error('x') end }"])
        let timings = try RuleTimer(RuleSet.load(directory: rig.folder), limits: RuleLimits(), batches: 10).run([])
        #expect(timings[0].failures > 0)
        #expect(timings[0].failure?.contains("one/rule.lua:1: x") == true)
        #expect(TimingReport(timings).text(plain).contains("failed in"))
    }
}
