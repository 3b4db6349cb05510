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
        #expect(
            text.hasPrefix(
                "5 messages: 3 passed, 2 rejected\na rule failed on 1 of them\n     message 4: on_message: \(rig.folder)/one/rule.lua:1: x"))
        #expect(text.contains("     2  bad\n"))
        #expect(text.contains("5"))
        #expect(summary.tree["outcomes"]?.text == #"{"passed":3,"rejected":2}"#)
        #expect(!text.contains("1 bytes") && !text.contains("1 calls"))
    }

    @Test("The memory of a rule is a call's, in a step, in the sum and in the table beside it")
    func memory() throws {
        let rig = try Rig(["one": "return { on_message = function(m) local t = { 1, 2, 3 } return m:with { payload = 'x' .. #t } end }"])
        var summary = RehearsalSummary()
        var bytes: UInt64 = 0
        for _ in 0..<10 {
            let result = try rig.run(#"{"topic":"t","payload":"p"}"#)
            bytes += result.steps[0].bytes
            summary.add(result)
        }
        guard case .array(let rules)? = summary.tree["rules"], let told = rules.first?["bytes"] else {
            Issue.record("no rule in \(summary.tree.text)")
            return
        }
        #expect(Double(told.text) == Double(bytes) / 10, "\(told.text)")
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

    @Test("Other seconds of a delay are a difference")
    func delays() throws {
        func rig(_ seconds: Int) throws -> Rig { try Rig(["one": "return { on_message = function(m) return route.delay(\(seconds), m) end }"]) }
        let (old, new) = (try rig(5), try rig(500))
        var comparison = RehearsalComparison(examples: 1)
        let message = try Rig.message(#"{"topic":"t","payload":"p"}"#)
        comparison.add(try old.rehearsal.run(message), try new.rehearsal.run(message))
        let text = comparison.text(plain)
        #expect(text.contains("1 of 1 message differ") && text.contains("delayed, with other values"), "\(text)")
        #expect(text.contains("out[1].delay   5 → 500"), "\(text)")
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
            (#"{"topic":"t"}"# + "\n{", "m:2:2: not JSON"), ("[]", "m:1: a message is a JSON object"),
            (#"{"topik":"t"}"#, "m:1: the message does not take topik"), (#"{"topic":""}"#, "m:1: the message: the topic is empty"),
            ("\u{FEFF}" + #"{"topic":"t"}"# + "\n[]", "m:2: a message is a JSON object"),
            (#"{"topic":"a/+"}"#, "m:1: the message: no message has 'a/+' as its topic"),
            (#"{"topic":"a","filter":{"uid":"u"}}"#, "m:1: the message: only a broadcast has a filter"),
            (#"{"topic":"a","members":[{"uid":"u"}]}"#, "m:1: the message: only a chat has members"),
            (#"{"kind":"broadcast","topic":"a"}"#, "m:1: the message: a broadcast has no topic"),
            (#"{"kind":"chat","topic":""}"#, "m:1: the message: the chat's id is empty"),
            (#"{"kind":"letter"}"#, "m:1: the message: kind is \"letter\""), (#"{"qos":3}"#, "m:1: the message: qos is 3"),
            ("", "m: there is no message"),
            (#"{"kind":"broadcast","payload_base64":"/w=="}"#, "m:1: the text of a broadcast is UTF-8"), (#"{"a":01}"#, "m:1:6: not JSON"),
            (#"{"a":"\x"}"#, "m:1:9: not JSON"), (#"{"a":tru}"#, "m:1:6: not JSON"),
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

    @Test("A misspelt field is told with the one that may be meant")
    func misspelt() throws {
        let error = #expect(throws: ShuntError.self) { try Rig.message(#"{"topc":"a"}"#) }
        #expect(
            error?.help?.hasPrefix("did you mean topic? it takes at, ") == true && error?.help?.contains("payload_base64") == true, "\(error as Any)")
    }

    @Test("A file of subscribers may have a byte order mark and comments; a line that may be either is refused")
    func commentedSubscribers() throws {
        let text = "\u{FEFF}orders/1 g ann\n// who listens\n//\n  // more\n//topic h\n#\n"
        let listed = try RehearsedSubscriber.list(Array(text.utf8), at: "s")
        #expect(listed.map(\.topic) == ["orders/1", "//topic", "#"])
        let error = #expect(throws: ShuntError.self) { try RehearsedSubscriber.list(Array("a g u\n# who listens".utf8), at: "s") }
        #expect(error?.description.hasPrefix("s:2: a comment, or one who has subscribed everything?") == true, "\(error as Any)")
        #expect(try Rig.message("\u{FEFF}{\"topic\":\"a\"}").topic == "a")
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

    @Test("A hook is timed with the messages that a worker calls it for; without one of them, with a small one")
    func taken() throws {
        let rig = try Rig([
            "one": "return { match = { topic = 'in/+' }, on_message = function(m) return route.to('x' .. m.topic:match('^in/(.*)')) end }"
        ])
        let timer = RuleTimer(try RuleSet.load(directory: rig.folder), limits: RuleLimits(), batches: 10)
        let messages = try ["in/1", "other/1"].map { try Rig.message(#"{"topic":"\#($0)"}"#) }
        #expect(try timer.untaken(messages) == 1)
        #expect(try timer.run(messages)[0].failures == 0)
        #expect(try timer.untaken([messages[1]]) == 1)
        let timings = try timer.run([messages[1]])
        #expect(timings[0].failures == 0 && timings[0].verdicts.keys.sorted() == ["route"])
        let some = TimingReport(timings, messages: 2, untaken: [("one", 1)]).text(plain)
        #expect(some.contains("one: 1 of 2 messages left out: it is not called for them"), "\(some)")
        #expect(some.split(separator: "\n").allSatisfy { $0.count <= 100 })
        let none = TimingReport(timings, messages: 1, untaken: [("one", 1)]).text(plain)
        #expect(none.contains("one: none of 1 message is one that it is called for"), "\(none)")
    }

    @Test("Hooks of deliveries get messages of all kinds")
    func deliveries() throws {
        let rig = try Rig(["one": "return { match = { kind = 'broadcast' }, on_deliver = function(m) assert(m.kind == 'broadcast') end }"])
        let timer = RuleTimer(try RuleSet.load(directory: rig.folder), limits: RuleLimits(), batches: 10)
        let messages = try [#"{"topic":"a"}"#, #"{"kind":"broadcast","payload":"p","filter":{"uid":"u"}}"#].map(Rig.message)
        #expect(try timer.untaken(messages) == 1)
        #expect(try timer.run(messages)[0].failures == 0)
        #expect(try timer.run([])[0].failures == 0, "a small one is of a kind that match takes")
    }

    @Test("Failing calls are counted, with the first failure's text")
    func failingTimings() throws {
        let rig = try Rig(["one": "return { on_message = function(m) error('x') end }"])
        let timings = try RuleTimer(RuleSet.load(directory: rig.folder), limits: RuleLimits(), batches: 10).run([])
        #expect(timings[0].failures > 0)
        #expect(timings[0].failure?.contains(" \(rig.folder)/one/rule.lua:1: x") == true)
        #expect(TimingReport(timings).text(plain).contains("failed in"))
    }
}
