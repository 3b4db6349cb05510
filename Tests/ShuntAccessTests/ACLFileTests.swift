import ShuntConfig
import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("ACL files in mosquitto's syntax")
struct ACLFileTests {
    static let text = """
        # who may what
        topic read news/#
        topic deny news/secret

        user ann
        topic sensors/#
        topic deny sensors/private/#
        topic read with blanks/#
        topic write $shunt/notify

        user bob b
        topic\twrite  jobs/+

        user eve
        pattern write devices/%c/up
        pattern read users/%u/#
        pattern deny users/%u/locked
        """

    private func may(_ who: Who, _ action: AccessAction, _ subject: String, group: String? = nil) throws -> Bool {
        let rights = Rights(AccessLists(acl: try ACLFile(Self.text, name: "acl"))).rights(of: who)
        return bytes(subject) { subject in
            guard let group else { return rights.may(action, subject) }
            return bytes(group) { rights.may(action, subject, group: $0) }
        }
    }

    @Test("a client without a uid has the topics before the first user")
    func anonymous() throws {
        let nobody = Who(clientID: "c1")
        #expect(try may(nobody, .subscribe, "news/#"))
        #expect(try may(nobody, .subscribe, "news/+/today"))
        #expect(try may(nobody, .share, "news/today", group: "g"))
        #expect(try !may(nobody, .subscribe, "#"))
        #expect(try !may(nobody, .subscribe, "news/secret"))
        #expect(try !may(nobody, .publish, "news/today"))
        #expect(try !may(nobody, .subscribe, "sensors/a"))
        #expect(try may(nobody, .publish, "devices/c1/up"))
        #expect(try !may(nobody, .publish, "devices/c2/up"))
    }

    @Test("a user has its own topics, and the patterns that are for all")
    func users() throws {
        let ann = Who(uid: "ann", clientID: "c1")
        #expect(try may(ann, .publish, "sensors/1"))
        #expect(try may(ann, .publish, "sensors"))
        #expect(try may(ann, .subscribe, "sensors/#"))
        #expect(try !may(ann, .publish, "sensors/private/1"))
        #expect(try !may(ann, .subscribe, "sensors/private/+"))
        #expect(try may(ann, .subscribe, "with blanks/1"))
        #expect(try !may(ann, .subscribe, "news/today"))
        #expect(try may(ann, .publish, "devices/c1/up"))
        #expect(try may(ann, .subscribe, "users/ann/#"))
        #expect(try !may(ann, .subscribe, "users/bob/#"))
        #expect(try !may(ann, .subscribe, "users/ann/locked"))
        #expect(try may(ann, .broadcast, ""))
        #expect(try !may(ann, .chat, "room"))
        #expect(try may(Who(uid: "bob b"), .publish, "jobs/1"))
        #expect(try !may(Who(uid: "bob b"), .broadcast, ""))
        #expect(try !may(Who(uid: "eve"), .publish, "sensors/1"))
        #expect(try !may(Who(uid: "unknown"), .publish, "sensors/1"))
    }

    @Test(
        "a name with wildcards or a slash fills in nothing that allows, and denies all that it could have denied", arguments: ["+", "#", "a/b", "a+"])
    func dangerous(name: String) throws {
        #expect(try !may(Who(uid: "ann", clientID: name), .publish, "devices/\(name)/up"))
        #expect(try !may(Who(uid: "ann", clientID: name), .publish, "devices/c1/up"))
        let acl = try ACLFile("pattern read a/#\npattern deny a/%c\n", name: "acl")
        let rights = { (name: String) in Rights(AccessLists(acl: acl)).rights(of: Who(clientID: name)) }
        #expect(bytes("a/1") { rights("c").mayReceive($0) })
        #expect(bytes("a/1") { rights("").mayReceive($0) })
        #expect(!bytes("a/1") { rights(name).mayReceive($0) })
    }

    @Test("messages of topics that are denied within a subscription are withheld")
    func withheld() throws {
        let rights = Rights(AccessLists(acl: try ACLFile(Self.text, name: "acl"))).rights(of: Who(uid: "ann"))
        #expect(bytes("sensors/#") { rights.withholds($0) })
        #expect(bytes("sensors/+/x") { rights.withholds($0) })
        #expect(!bytes("sensors/public/#") { rights.withholds($0) })
        #expect(!bytes("sensors/private/#") { rights.mayReceive($0) })
        #expect(bytes("sensors/public/1") { rights.mayReceive($0) })
        #expect(!bytes("sensors/private/1") { rights.mayReceive($0) })
    }

    @Test("the place of a decision is a line of the file")
    func places() throws {
        let rights = Rights(AccessLists(acl: try ACLFile(Self.text, name: "acl"))).rights(of: Who(uid: "ann"))
        #expect(bytes("sensors/private/1") { rights.place(of: .publish, $0) } == "acl:7")
        #expect(bytes("sensors/1") { rights.place(of: .publish, $0) } == "acl:6")
        #expect(bytes("sensors/#") { rights.place(of: .subscribe, $0) } == "acl:6")
        #expect(bytes("other") { rights.place(of: .publish, $0) } == "no entry")
        #expect(rights.place(of: .broadcast) == "acl:9")
    }

    static let wrong: [(String, String)] = [
        ("topics a", "a line that begins with 'topics'"), ("user", "no name after 'user'"), ("topic", "no topic"), ("topic read", "no topic"),
        ("topic raed a", "'raed' is not a kind of access"), ("topic a/#/b", "'a/#/b' is not a topic filter"),
        ("pattern write a+", "'a+' is not a topic filter"),
    ]

    @Test("a wrong line is an error with its number", arguments: wrong)
    func wrongLines(line: String, message: String) {
        let found = errors { () throws(ConfigurationErrors) in _ = try ACLFile("# 1\ntopic a\n\(line)\n", name: "acl") }
        #expect(found == ["acl:3: \(message)"])
        // A wrong list is a wrong configuration.
        do {
            _ = try ACLFile(line, name: "acl")
        } catch {
            #expect(error.errors.allSatisfy { $0.code.exitCode == 78 })
        }
    }

    @Test("a file without lines denies everything, and no file allows everything")
    func empty() throws {
        let none = Rights(AccessLists(acl: try ACLFile("# nothing\n", name: "acl"))).rights(of: Who(uid: "ann"))
        for action in AccessAction.allCases {
            #expect(!bytes("a") { none.may(action, $0) })
            #expect(bytes("a") { Rights(AccessLists()).rights(of: Who()).may(action, $0) })
        }
    }
}
