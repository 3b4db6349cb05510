import FoundationEssentials
import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("Contexts of client commands") struct ClientContextTests {
    private static let text = """
        # mine
        current: prod
        contexts:
          prod: { admin: 10.0.0.1, master: "10.0.0.1, 10.0.0.2:5000", token_file: prod.token, user: ada, password_file: ~/p }
          here: { worker: "127.0.0.1:4091,[::1]:4092", token_file: /etc/token }
          far: { admin: "https://far:4443/", tls: true, cafile: ca.pem, cert: me.pem, jwt_file: ~/me.jwt }
        """

    @Test("Addresses have their usual ports, and paths are relative to the file") func read() throws {
        let contexts = try ClientContexts(Self.text, path: "/users/ada/.config/shunt/client.yaml", home: "/users/ada")
        #expect(contexts.current == "prod" && contexts.contexts.count == 3)
        let prod = try contexts.context("prod", at: "")
        #expect(prod.admin == AdminAddress(HostPort("10.0.0.1", 4080)))
        #expect(prod.masters == [HostPort("10.0.0.1", 4088), HostPort("10.0.0.2", 5000)])
        #expect((prod.tokenFile, prod.user, prod.passwordFile) == ("/users/ada/.config/shunt/prod.token", "ada", "/users/ada/p"))
        let here = try contexts.context("here", at: "")
        #expect(here.workers == [HostPort("127.0.0.1", 4091), HostPort("::1", 4092)] && here.tokenFile == "/etc/token")
        #expect(here.adminAddresses.first == nil)
        #expect(prod.knows(host: "10.0.0.2") && !prod.knows(host: "10.0.0.3") && here.knows(host: "::1"))
        #expect(here.fields.map(\.key) == ["worker", "token_file"])
        let far = try contexts.context("far", at: "")
        #expect(far.admin?.address == HostPort("far", 4443) && far.admin?.isSecure == true && far.tls)
        #expect((far.cafile, far.jwtFile) == ("/users/ada/.config/shunt/ca.pem", "/users/ada/me.jwt"))
        #expect(far.fields.first?.value == "https://far:4443" && far.fields.map(\.key) == ["admin", "tls", "cafile", "cert", "jwt_file"])
    }

    @Test(
        "What is wrong is told with its place",
        arguments: [
            ("current: x\n", "f.yaml:1:10", "no context 'x'"), ("curent: prod\n", "f.yaml:1:1", "unknown key curent"),
            ("contexts:\n  a: { admn: x }\n", "f.yaml:2:8", "unknown key contexts.a.admn"),
            ("contexts:\n  a:\n    worker: host\n", "f.yaml:3:13", "contexts.a.worker"),
            ("contexts:\n  a: { admin: 'a b' }\n", "f.yaml:2:15", "contexts.a.admin"), ("contexts: [a]\n", "f.yaml:1:11", "not a mapping"),
            ("contexts: {", "f.yaml", "yaml"), ("contexts:\n  'a b': {}\n", "f.yaml:2:3", "cannot be a name"),
        ])
    func wrong(text: String, place: String, says: String) throws {
        let error = try #require(throws: ShuntError.self) { try ClientContexts(text, path: "f.yaml") }
        #expect(error.location?.hasPrefix(place) == true, "\(error)")
        #expect(error.description.lowercased().contains(says.lowercased()), "\(error)")
    }

    @Test("Another context is chosen, and the rest of the file stays") func using() throws {
        let edited = try ClientContexts.using("here", in: Self.text, path: "f.yaml")
        #expect(edited == Self.text.replacing("current: prod", with: "current: here"))
        let without = Self.text.replacing("current: prod\n", with: "")
        #expect(try ClientContexts.using("prod", in: without, path: "f.yaml") == "current: prod\n" + without)
        #expect(throws: ShuntError.self) { try ClientContexts.using("nothing", in: Self.text, path: "f.yaml") }
        #expect(throws: ShuntError.self) { try ClientContexts.using("a", in: "{ contexts: { a: {} } }", path: "f.yaml") }
    }

    @Test("The option goes before the variable, and that before the file") func choice() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "shunt-contexts-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder.appending(path: "shunt"), withIntermediateDirectories: true)
        let environment = ["XDG_CONFIG_HOME": folder.path, "HOME": "/nowhere"]
        #expect(try ContextChoice.find(nil, environment: environment) == nil)
        #expect(throws: ShuntError.self) { try ContextChoice.find("prod", environment: environment) }
        try Data(Self.text.utf8).write(to: folder.appending(path: "shunt/client.yaml"))
        let here = environment.merging(["SHUNT_CONTEXT": "here"]) { $1 }
        #expect(try ContextChoice.find(nil, environment: environment)?.name == "prod")
        #expect(try ContextChoice.find(nil, environment: here)?.name == "here")
        #expect(try ContextChoice.find("prod", environment: here)?.name == "prod")
        #expect(try ContextChoice.find("prod", environment: here)?.isAskedFor == true)
        #expect(try ContextChoice.find("", environment: here) == nil)
        #expect(throws: ShuntError.self) { try ContextChoice.find("prd", environment: here) }
        #expect(ClientContexts.path(["HOME": "/h"]) == "/h/.config/shunt/client.yaml")
        #expect(ClientContexts.path(["XDG_CONFIG_HOME": "relative", "HOME": "/h"]) == "/h/.config/shunt/client.yaml")
        #expect(ClientContexts.path([:]) == nil)
    }
}
