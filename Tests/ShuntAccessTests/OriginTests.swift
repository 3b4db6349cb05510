import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("Rights by origin and action")
struct OriginTests {
    /// Who asks, and whether the sender has the right, and the rule's table has it.
    struct Case: CustomTestStringConvertible {
        var origin: AccessOrigin
        var action: AccessAction
        var has: Bool
        var isGranted: Bool

        var testDescription: String { "\(origin) \(action) \(has) \(isGranted)" }
    }

    static let cases = AccessOrigin.allCases.flatMap { origin in
        AccessAction.allCases.flatMap { action in
            [true, false].flatMap { has in [true, false].map { Case(origin: origin, action: action, has: has, isGranted: $0) } }
        }
    }

    private static let subjects: [AccessAction: (subject: String, filter: String)] = [
        .publish: ("audit/1", "audit/#"), .subscribe: ("audit/+", "audit/#"), .share: ("audit/+", "audit/#"), .chat: ("room", "$chat/room"),
        .broadcast: ("", "$shunt/notify"),
    ]

    @Test("grants are for rules alone, admins need no right, and each right is for its action alone", arguments: cases)
    func table(_ given: Case) throws {
        let (subject, filter) = try #require(Self.subjects[given.action])
        let effect = given.has ? "allow" : "deny"
        let other = given.has ? "deny" : "allow"
        let others = AccessAction.allCases.filter { $0 != given.action }.map(\.name).joined(separator: ", ")
        let yaml = "rules: [{\(effect): \(given.action.name), topics: ['\(filter)']}, {\(other): [\(others)]}]"
        let rights = Rights(AccessLists(rules: try AccessRules(yaml, name: "r"))).rights(of: Who(uid: "ann"))
        let grants = try Grants([given.action: given.isGranted ? [filter] : []])
        let expected = given.has || given.origin == .admin || (given.origin == .rule && given.isGranted)
        let decided = bytes(subject) { rights.may(given.action, $0, group: bytes("g") { $0 }, origin: given.origin, grants: grants) }
        #expect(decided == expected)
        // A grant of one action is none of another.
        for action in AccessAction.allCases where action != given.action {
            let subject = try #require(Self.subjects[action]).subject
            let decided = bytes(subject) { rights.may(action, $0, origin: given.origin, grants: grants) }
            #expect(decided == (!given.has || given.origin == .admin), "\(action)")
        }
    }

    @Test("a grant is no filter that a client could have meant")
    func wrongGrants() {
        #expect(throws: ShuntError.self) { try Grants([.publish: ["a/#/b"]]) }
    }

    @Test("a topic that was decided on is decided again the same, also after others")
    func remembered() throws {
        let acl = try ACLFile("topic a/+\ntopic b/+\ntopic c/#\ntopic deny a/no\n", name: "acl")
        let rights = Rights(AccessLists(acl: acl)).rights(of: Who())
        for _ in 0..<3 {
            for (topic, isAllowed) in [("a/1", true), ("a/1", true), ("a/no", false), ("a/no", false), ("a/1", true), ("d", false)] {
                #expect(bytes(topic) { rights.may(.publish, $0) } == isAllowed)
                #expect(bytes(topic) { rights.mayReceive($0) } == isAllowed)
            }
        }
    }
}
