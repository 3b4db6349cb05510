import SeededRandom
import ShuntCore
import Testing

@testable import ShuntAccess

/// Random rules, ACL files, clients and topics: the compiled decision beside a reading of the same lists, word by word.
@Suite("Rights beside a naive interpreter")
struct RightsFuzzTests {
    /// Each text of up to four levels of a few words; no filter has the last of them.
    static let topics: [String] = {
        var (all, last) = ([String](), [[String]]([[]]))
        for _ in 0..<4 {
            last = last.flatMap { levels in ["", "a", "b", "u1", "$x", "z"].map { levels + [$0] } }
            all += last.map { $0.joined(separator: "/") }
        }
        return all
    }()

    /// By levels, with recursion.
    static func takes(_ filter: [Substring], _ topic: [Substring], isFirst: Bool = true) -> Bool {
        guard let want = filter.first else { return topic.isEmpty }
        let isHidden = isFirst && topic.first?.hasPrefix("$") == true
        if want == "#" { return !isHidden }
        guard let level = topic.first, want == level || (want == "+" && !isHidden) else { return false }
        if filter.dropFirst() == ["#"], topic.count == 1 { return true }
        return takes(Array(filter.dropFirst()), Array(topic.dropFirst()), isFirst: false)
    }

    static func levels(_ text: String) -> [Substring] { text.split(separator: "/", omittingEmptySubsequences: false) }

    static func filter(_ random: inout SplitMix) -> String {
        var levels = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            ["a", "b", "u1", "", "+", "+", "$x", "%u", "x%c"].randomElement(using: &random) ?? ""
        }
        if Bool.random(using: &random) { levels[levels.count - 1] = "#" }
        let text = levels.joined(separator: "/")
        return text.isEmpty ? "a" : text
    }

    @Test("how filters relate is what their topics say", arguments: [1, 2, 3] as [UInt64])
    func relations(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let topics = Self.topics.map { ($0, Self.levels($0)) }
        let filters = (0..<25).map { _ in Self.filter(&random).replacing("%u", with: "a").replacing("x%c", with: "b") }
        let taken = filters.map { filter in
            let levels = Self.levels(filter)
            return Set(topics.indices.filter { Self.takes(levels, topics[$0].1) })
        }
        for (one, filter) in filters.enumerated() {
            for place in stride(from: one, to: topics.count, by: 7) {
                guard !topics[place].0.isEmpty else { continue }
                let takes = bytes(filter) { filter in bytes(topics[place].0) { FilterRelation.takes(filter, topic: $0) } }
                #expect(takes == taken[one].contains(place), "\(filter) \(topics[place].0)")
            }
            for (other, narrow) in filters.enumerated() {
                let covers = bytes(filter) { filter in bytes(narrow) { FilterRelation.covers(filter, $0) } }
                #expect(covers == taken[other].isSubset(of: taken[one]), "\(filter) \(narrow)")
                let overlap = bytes(filter) { filter in bytes(narrow) { FilterRelation.overlap(filter, $0) } }
                #expect(overlap == !taken[other].isDisjoint(with: taken[one]), "\(filter) \(narrow)")
            }
        }
    }

    @Test("thousands of decisions are those of the naive interpreter", arguments: [11, 12, 13, 14] as [UInt64])
    func decisions(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        for _ in 0..<60 {
            let lists = NaiveLists(&random)
            let rights = Rights(try lists.compiled())
            for _ in 0..<4 {
                let who = Who(
                    uid: ["", "u1", "a", "a/b", "+"].randomElement(using: &random) ?? "",
                    clientID: ["", "c", "#"].randomElement(using: &random) ?? "",
                    acl: Int.random(in: 0..<4, using: &random) == 0
                        ? TopicLists(publish: [Self.filter(&random)], subscribe: [Self.filter(&random)]) : nil)
                compare(rights.rights(of: who), lists, who, &random)
            }
        }
    }

    private func compare(_ rights: ClientRights, _ lists: NaiveLists, _ who: Who, _ random: inout SplitMix) {
        for _ in 0..<12 {
            // The first one is empty, as no topic is.
            let topic = Self.topics.dropFirst().randomElement(using: &random) ?? ""
            #expect(bytes(topic) { rights.may(.publish, $0) } == lists.allows(.publish, topic, nil, who), "\(lists) \(who) \(topic)")
            #expect(bytes(topic) { rights.mayReceive($0) } == lists.allows(.subscribe, topic, nil, who), "\(lists) \(who) \(topic)")
            #expect(
                bytes(topic) { rights.may(.chat, $0) } == lists.allows(.chat, "$chat/" + topic, nil, who), "\(lists) \(who) \(topic)")
            let group = ["g", "h"].randomElement(using: &random) ?? ""
            let received = bytes(topic) { topic in bytes(group) { rights.may(.share, topic, group: $0) } }
            #expect(received == lists.allows(.share, topic, group, who), "\(lists) \(who) \(topic) \(group)")
        }
        #expect(rights.may(.broadcast) == lists.allows(.broadcast, "$shunt/notify", nil, who), "\(lists) \(who)")
        let filter = Self.filter(&random).replacing("%u", with: "u1").replacing("x%c", with: "a")
        guard bytes(filter, { rights.may(.subscribe, $0) && !rights.withholds($0) }) else { return }
        // What such a subscription brings may be delivered, without a look at each message.
        let levels = Self.levels(filter)
        for topic in Self.topics.filter({ Self.takes(levels, Self.levels($0)) }).prefix(40) {
            #expect(bytes(topic) { rights.mayReceive($0) }, "\(lists) \(who) \(filter) \(topic)")
        }
    }
}

/// Lists that are kept as they are written, and read anew for each question.
private struct NaiveLists: CustomStringConvertible {
    struct Entry {
        var isAllowed: Bool
        var actions: [String]
        var uid: String?
        var topics: [String]?
        var group: String?
    }

    var entries: [Entry]?
    /// A user, empty for none, nil for a pattern; a kind of access; a filter.
    var lines: [(user: String?, access: String, filter: String)]?

    init(_ random: inout SplitMix) {
        func some<T>(_ values: [T]) -> T? { Bool.random(using: &random) ? values.randomElement(using: &random) : nil }
        if Int.random(in: 0..<4, using: &random) > 0 {
            entries = (0..<Int.random(in: 0..<(some([6, 30]) ?? 6), using: &random)).map { _ in
                Entry(
                    isAllowed: Bool.random(using: &random),
                    actions: some([["all"], ["publish", "chat"], ["subscribe", "share"]]) ?? ["subscribe", "broadcast", "share"],
                    uid: some(["u1", "", "a"]),
                    topics: Int.random(in: 0..<6, using: &random) == 0
                        ? nil
                        : (0..<2).map { _ in some(["$shunt/notify", "$shunt/#"]) ?? (some(["$chat/"]) ?? "") + RightsFuzzTests.filter(&random) },
                    group: nil)
            }
            for place in (entries ?? []).indices where entries?[place].actions.contains("share") == true {
                entries?[place].group = some(["g", "%u"])
            }
        }
        if Int.random(in: 0..<4, using: &random) > 0 {
            lines = (0..<Int.random(in: 0..<(some([8, 60]) ?? 8), using: &random)).map { _ in
                (some(["u1", "", "a/b"]), some(["read", "write", "readwrite"]) ?? "deny", RightsFuzzTests.filter(&random))
            }
        }
    }

    func compiled() throws -> AccessLists {
        var lists = AccessLists()
        if let entries {
            var yaml = "rules:\n"
            for entry in entries {
                yaml += "  - \(entry.isAllowed ? "allow" : "deny"): [\(entry.actions.joined(separator: ", "))]\n"
                if let uid = entry.uid { yaml += "    to: {uid: '\(uid)'}\n" }
                if let topics = entry.topics { yaml += "    topics: [\(topics.map { "'\($0)'" }.joined(separator: ", "))]\n" }
                if let group = entry.group { yaml += "    consumer_groups: ['\(group)']\n" }
            }
            lists.rules = try AccessRules(yaml, name: "rules")
        }
        if let lines {
            let named = lines.filter { $0.user != "" || $0.user == nil }
            var text = lines.filter { $0.user == "" }.map { "topic \($0.access) \($0.filter)\n" }.joined()
            for line in named { text += (line.user.map { "user \($0)\ntopic" } ?? "pattern") + " \(line.access) \(line.filter)\n" }
            lists.acl = try ACLFile(text, name: "acl")
        }
        return lists
    }

    /// nil: the filter means nothing for the client; true: it takes everything.
    private func takes(_ filter: String, _ topic: String, _ who: Who, isAllowed: Bool) -> Bool {
        switch filled(filter, who) {
        case nil: return false
        case ""?: return !isAllowed
        case let text?: return RightsFuzzTests.takes(RightsFuzzTests.levels(text), RightsFuzzTests.levels(topic))
        }
    }

    /// nil where a name is missing, empty where one is dangerous.
    private func filled(_ text: String, _ who: Who) -> String? {
        var text = text
        var isDangerous = false
        for (mark, name) in [("%u", who.uid), ("%c", who.clientID)] where text.contains(mark) {
            if name.isEmpty { return nil }
            if name.contains(where: { "+#/".contains($0) }) { isDangerous = true }
            text = text.replacing(mark, with: name)
        }
        return isDangerous ? "" : text
    }

    func allows(_ action: AccessAction, _ topic: String, _ group: String?, _ who: Who) -> Bool {
        for entry in entries ?? [] {
            guard entry.actions.contains("all") || entry.actions.contains("\(action)"), entry.uid == nil || entry.uid == who.uid else { continue }
            if let wanted = entry.group {
                let wanted = filled(wanted, who)
                guard wanted == group && group != nil || (wanted == "" && !entry.isAllowed) else { continue }
            }
            if entry.topics?.contains(where: { takes($0, topic, who, isAllowed: entry.isAllowed) }) ?? true { return entry.isAllowed }
        }
        let isWrite = [.publish, .chat, .broadcast].contains(action)
        if let acl = who.acl, (isWrite ? acl.publish : acl.subscribe).contains(where: { takes($0, topic, who, isAllowed: true) }) { return true }
        let mine = (lines ?? []).filter { $0.user == nil || $0.user == who.uid }
        let isDenied = mine.contains { $0.access == "deny" && takes(plain($0), topic, who, isAllowed: false) }
        if isDenied { return false }
        if mine.contains(where: { $0.access != "deny" && $0.access != (isWrite ? "read" : "write") && takes(plain($0), topic, who, isAllowed: true) })
        {
            return true
        }
        return entries == nil && lines == nil && who.acl == nil
    }

    /// In `topic` lines nothing is filled in: a filter that no client's name can change.
    private func plain(_ line: (user: String?, access: String, filter: String)) -> String {
        line.user == nil ? line.filter : line.filter.replacing("%u", with: "%\u{1}").replacing("%c", with: "%\u{2}")
    }

    var description: String { "\(entries ?? []) \(lines ?? [])" }
}
