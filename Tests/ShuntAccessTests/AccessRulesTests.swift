import ShuntConfig
import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("Rules about clients and topics")
struct AccessRulesTests {
    static let text = """
        groups:
          plant: [ann, bob]
        rules:
          - deny: [publish, subscribe]
            topics: ["plant/secret/#"]
          - allow: all
            to: { group: plant, address: [10.0.0.0/8, "::1"] }
          - allow: [share]
            topics: ["jobs/#"]
            consumer_groups: [workers, "%u"]
          - allow: chat
            topics: ["$chat/room-%u", "$chat/lobby/+"]
          - allow: [publish, broadcast]
            to: { certificate: meter-1 }
          - allow: subscribe
            to: { client_id: [c1, c2] }
            topics: ["clients/%c/+"]
          - allow: subscribe
            to: { uid: "" }
            topics: [public]
        """

    private func may(
        _ who: Who, _ action: AccessAction, _ subject: String = "", group: String? = nil, text: String = text
    ) throws -> Bool {
        let rights = Rights(AccessLists(rules: try AccessRules(text, name: "acl.yaml"))).rights(of: who)
        return bytes(subject) { subject in
            guard let group else { return rights.may(action, subject) }
            return bytes(group) { rights.may(action, subject, group: $0) }
        }
    }

    private func address(_ text: String) -> PeerAddress { PeerAddress(host: text) ?? PeerAddress() }

    @Test("the first entry that fits decides, and where none does it is denied")
    func firstMatch() throws {
        let ann = Who(uid: "ann", address: address("10.1.2.3"))
        #expect(try may(ann, .publish, "plant/1"))
        #expect(try may(ann, .publish, "$SYS/broker/x"))
        #expect(try may(ann, .broadcast))
        #expect(try may(ann, .share, "plant/1", group: "any"))
        #expect(try !may(ann, .publish, "plant/secret/1"))
        #expect(try !may(ann, .subscribe, "plant/secret/+"))
        #expect(try may(ann, .subscribe, "plant/#"))
        #expect(try may(Who(uid: "bob", address: address("::1")), .publish, "x"))
        #expect(try !may(Who(uid: "bob", address: address("11.1.2.3")), .publish, "x"))
        #expect(try !may(Who(uid: "eve", address: address("10.1.2.3")), .publish, "x"))
    }

    @Test("consumer groups, chats, certificates and client identifiers")
    func conditions() throws {
        let eve = Who(uid: "eve", clientID: "c1")
        #expect(try may(eve, .share, "jobs/+", group: "workers"))
        #expect(try may(eve, .share, "jobs/1", group: "eve"))
        #expect(try !may(eve, .share, "jobs/1", group: "others"))
        #expect(try !may(eve, .share, "other", group: "workers"))
        #expect(try !may(eve, .subscribe, "jobs/1"))
        #expect(try may(eve, .chat, "room-eve"))
        #expect(try may(eve, .chat, "lobby/$1"))
        #expect(try !may(eve, .chat, "room-ann"))
        #expect(try !may(eve, .chat, "lobby/1/2"))
        #expect(try may(eve, .subscribe, "clients/c1/+"))
        #expect(try !may(eve, .subscribe, "clients/c2/+"))
        #expect(try !may(Who(clientID: "c3"), .subscribe, "clients/c3/+"))
        #expect(try !may(eve, .broadcast))
        #expect(try may(Who(certificate: "meter-1"), .broadcast))
        #expect(try may(Who(certificate: "meter-1"), .publish, "$shunt/device"))
        #expect(try !may(Who(certificate: "meter-2"), .publish, "x"))
        #expect(try may(Who(), .subscribe, "public"))
        #expect(try !may(eve, .subscribe, "public"))
    }

    @Test("# takes no topic that begins with $, and an entry without topics takes each")
    func dollar() throws {
        let text = "rules: [{allow: all, topics: ['#']}]"
        #expect(try may(Who(), .publish, "a", text: text))
        #expect(try !may(Who(), .publish, "$SYS/a", text: text))
        #expect(try !may(Who(), .broadcast, text: text))
        #expect(try !may(Who(), .chat, "room", text: text))
        #expect(try may(Who(), .chat, "room", text: "rules: [{allow: all}]"))
        #expect(try may(Who(), .chat, "$room", text: "rules: [{allow: chat, topics: [$chat/#]}]"))
    }

    @Test("rules go before the token's lists, which go before the ACL file")
    func order() throws {
        let lists = AccessLists(
            rules: try AccessRules("rules: [{deny: publish, topics: [a]}, {allow: publish, topics: [b]}]", name: "r"),
            acl: try ACLFile("topic deny b\ntopic deny c\ntopic d\ntopic deny e", name: "acl"))
        let rights = Rights(lists).rights(of: Who(acl: TopicLists(publish: ["a", "c", "f/%c"], subscribe: ["$chat/+"])))
        func may(_ topic: String) -> Bool { bytes(topic) { rights.may(.publish, $0) } }
        #expect(["a", "b", "c", "d", "e", "f/x"].map(may) == [false, true, true, true, false, false])
        #expect(bytes("a") { rights.place(of: .publish, $0) } == "r:1:9")
        #expect(bytes("c") { rights.place(of: .publish, $0) } == "the client's token")
        #expect(bytes("room") { !rights.may(.chat, $0) })
    }

    static let wrong: [(String, String)] = [
        ("rulez: []", "acl.yaml:1:1: unknown key rulez"), ("[]", "acl.yaml:1:1: the file is of another type"),
        ("rules: 5", "acl.yaml:1:8: rules is of another type"), ("rules: [5]", "acl.yaml:1:9: a rule is of another type"),
        ("rules: [{to: {uid: a}}]", "acl.yaml:1:9: a rule neither allows nor denies"),
        ("rules: [{allow: publish, deny: chat}]", "acl.yaml:1:9: a rule allows and denies"),
        ("rules: [{allow: pubish}]", "acl.yaml:1:17: unknown action 'pubish'"), ("rules: [{allow: []}]", "acl.yaml:1:17: the actions: 0 elements"),
        ("rules: [{allow: }]", "acl.yaml:1:17: the actions is nothing"),
        ("rules: [{allow: chat, to: {user: a}}]", "acl.yaml:1:28: unknown key user"),
        ("rules: [{allow: chat, to: {group: a}}]", "acl.yaml:1:35: no group is called 'a'"),
        ("rules: [{allow: chat, to: {address: a}}]", "acl.yaml:1:37: no address"),
        ("rules: [{allow: chat, topics: ['a/#/b']}]", "acl.yaml:1:31: 'a/#/b' is not a topic filter"),
        ("rules: [{allow: chat, topics: }]", "acl.yaml:1:31: topics is nothing"), ("rules: [{allow: chat, to: }]", "acl.yaml:1:27: to is nothing"),
        ("rules: [{allow: chat, consumer_groups: g}]", "acl.yaml:1:40: consumer_groups of a rule that is not about share"),
        ("groups: [a]", "acl.yaml:1:9: groups is of another type"), ("groups: {a: {b: c}}", "acl.yaml:1:13: group a is a mapping"),
    ]

    @Test("what is wrong is an error with its line and column, and nothing of the file is taken", arguments: wrong)
    func wrongFiles(text: String, message: String) {
        #expect(errors { () throws(ConfigurationErrors) in _ = try AccessRules(text, name: "acl.yaml") } == [message])
    }
}
