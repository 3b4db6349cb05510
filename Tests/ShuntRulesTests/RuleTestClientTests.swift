import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Clients in rules' tests are what a worker has")
struct RuleTestClientTests {
    private func failure(_ rule: String, _ test: String) throws -> String? {
        let folder = try PluginFolder(["r/rule.lua": rule, "r/rule_test.lua": "return { x = function(t)\n\(test)\nend }"])
        let result = try #require(try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).run().first)
        return result.failure?.message
    }

    private static let groups = """
        return {
          on_subscribe = function(sub) log.info(sub.topic .. ' [' .. sub.group .. ']') end,
          on_unsubscribe = function(sub) log.info(sub.topic .. ' [' .. sub.group .. ']') end,
        }
        """

    @Test(
        "A subscription of MQTT has the group that its filter names, or none",
        arguments: [
            ("topic = 'aw/#', sender = { client_id = 's' }", "aw/# []"), ("topic = '$share/g/aw/#', sender = { client_id = 's' }", "aw/# [g]"),
            ("topic = 'aw', group = 'own', sender = { client_id = 's' }", "aw [own]"), ("topic = 'aw', sender = { uid = 's' }", "aw [group]"),
        ])
    func groups(asked: String, seen: String) throws {
        for name in ["subscribe", "unsubscribe"] {
            #expect(try failure(Self.groups, "local o = t:\(name) { \(asked) } t:eq(o.logs[1], \"\(seen)\")") == nil)
        }
    }

    private static let named = "return { on_connect = function(c) log.info(c.uid .. ' ' .. c.device .. ' ' .. c.client_id .. ' ' .. c.id) end }"

    @Test("A client of MQTT without a user name is called by its identifier, and each has a connection of its own")
    func names() throws {
        #expect(
            try failure(
                Self.named,
                """
                local function told(client) return t:connect(client).logs[1] end
                t:eq(told { client_id = 'c5' }:match('^c5 c5 c5 %d+$') ~= nil, true)
                t:eq(told { client_id = 'c5', uid = 'ada' }:match('^ada c5 c5 %d+$') ~= nil, true)
                t:eq(told { client_id = 'c1' } == told { client_id = 'c1' }, true)
                local function id(client) return told(client):match('%d+$') end
                t:eq(id { client_id = 'c1', uid = 'ada', device = 'd' } ~= id { client_id = 'c2', uid = 'ada', device = 'd' }, true)
                t:eq(id { client_id = 'c1' } ~= id { client_id = 'c2' }, true)
                t:eq(id { client_id = 'c1', id = 1 } ~= id { client_id = 'c1', id = 2 }, true)
                """) == nil)
    }

    @Test("Nobody sends a will, and it has no format but the one that its content type says")
    func wills() throws {
        let rule = """
            return { on_will = function(msg, conn)
              log.info(('%s %s %s %s %s'):format(
                tostring(msg.sender), conn.uid, conn.protocol, tostring(msg.content_type), tostring(msg.payload_format)))
            end }
            """
        let test = """
            t:eq(t:will { topic = 'gone', payload = 'x', sender = { uid = 'ada' } }.logs[1], 'nil ada mqtt nil nil')
            t:eq(t:will { topic = 'gone', content_type = 'text/plain', sender = { uid = 'ada' } }.logs[1], 'nil ada mqtt text/plain nil')
            """
        #expect(try failure(rule, test) == nil)
        let failing = "return { on_will = function(msg) return route.to('gone/' .. msg.sender.uid) end }"
        #expect(try failure(failing, "t:ok(not t:will { topic = 'gone', sender = { uid = 'ada' } }.error)") != nil)
    }
}
