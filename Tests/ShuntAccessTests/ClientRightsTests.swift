import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("Rights by action")
struct ClientRightsTests {
    private static let subjects: [AccessAction: (subject: String, filter: String)] = [
        .publish: ("audit/1", "audit/#"), .subscribe: ("audit/+", "audit/#"), .share: ("audit/+", "audit/#"), .chat: ("room", "$chat/room"),
        .broadcast: ("", "$shunt/notify"),
    ]

    @Test("each right is for its action alone", arguments: AccessAction.allCases, [true, false])
    func table(action: AccessAction, has: Bool) throws {
        let filter = try #require(Self.subjects[action]).filter
        let (effect, other) = has ? ("allow", "deny") : ("deny", "allow")
        let others = AccessAction.allCases.filter { $0 != action }.map(\.name).joined(separator: ", ")
        let yaml = "rules: [{\(effect): \(action.name), topics: ['\(filter)']}, {\(other): [\(others)]}]"
        let rights = Rights(AccessLists(rules: try AccessRules(yaml, name: "r"))).rights(of: Who(uid: "ann"))
        for asked in AccessAction.allCases {
            let subject = try #require(Self.subjects[asked]).subject
            #expect(bytes(subject) { subject in bytes("g") { rights.may(asked, subject, group: $0) } } == (has == (asked == action)), "\(asked)")
        }
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
