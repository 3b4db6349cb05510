extension RuleTemplate.Kind {
    /// The texts of the files; NAME stands for the plugin's name.
    var texts: (rule: String, tests: String, page: String) {
        switch self {
        case .message: (messageRule, messageTests, page(messageMeaning, settings: "{ large: 500 }", messageSettings))
        case .connect: (connectRule, connectTests, page(connectMeaning, settings: nil, nil))
        case .broadcast: (broadcastRule, broadcastTests, page(broadcastMeaning, settings: "{ leave_out: resting }", broadcastSettings))
        case .chat: (chatRule, chatTests, page(chatMeaning, settings: "{ longest: 500 }", chatSettings))
        }
    }

    private func page(_ meaning: String, settings: String?, _ row: String?) -> String {
        let table = row.map { row in
            let marks = RuleSheet.pageMarks
            return "\(marks.start)| setting | takes | default | meaning |\n|---|---|---|---|\n| \(row) |\n\(marks.end)\n"
        }
        return """
            # NAME

            \(meaning)

            ```yaml
            rules:
              enabled: [NAME]\(settings.map { "\n  settings: { NAME: \($0) }" } ?? "")
            ```

            \(table ?? "")`shunt rule test` runs its tests\(row == nil ? "" : ", `shunt rule show NAME` shows its settings").
            """
    }
}

private let messageMeaning = "Refuses orders without an id, and sends large ones to `orders/large` too."
private let messageSettings = "`large` | number of at least 0 | `1000` | the total from which an order is large"

private let messageRule = #"""
    -- Decides about orders. See README.md.
    local R = {
      name = "NAME",
      priority = 50, -- rules with a higher priority are asked first
      match = { kind = "topic", topic = "orders/+" }, -- the rule is not asked about other topics
      settings = { -- what rules.settings of the configuration may say; the worker checks it
        large = number { default = 1000, min = 0, doc = "the total from which an order is large" },
      },
    }

    -- Called for each message. The worker does what the function returns; without a return the message goes on as it is.
    function R.on_message(msg, ctx)
      local order = msg:json() -- nil if the payload is not JSON
      if type(order) ~= "table" or not order.id then
        return route.reject("no order id") -- nobody gets it, and the sender is told why
      end
      if (tonumber(order.total) or 0) >= ctx.settings.large then
        return route.fanout { msg, route.to("orders/large") } -- to its own topic and to another one
      end
    end

    return R
    """#

private let messageTests = #"""
    -- Each test stands under what it promises. t calls the rule without a server.
    return {
      ["an order goes on as it is"] = function(t)
        local out = t:message { topic = "orders/eu", payload = { id = 1, total = 5 } }
        t:eq(out.verdict, "pass")
      end,

      ["an order without an id is refused"] = function(t)
        local out = t:message { topic = "orders/eu", payload = { total = 5 } }
        t:eq(out.verdict, "reject")
        t:eq(out.why, "no order id")
      end,

      ["a large order goes to a second topic"] = function(t)
        t:ok(t:settings { large = 500 })
        local out = t:message { topic = "orders/eu", payload = { id = 1, total = 600 } }
        t:eq(out.verdict, "fanout")
        t:eq(out.messages[1].topic, "orders/eu")
        t:eq(out.messages[2].topic, "orders/large")
      end,

      ["the rule is not asked about other topics"] = function(t)
        t:eq(t:message { topic = "payments/1", payload = "x" }.verdict, "unmatched")
      end,
    }
    """#

private let connectMeaning = "Refuses MQTT clients whose identifier begins with `test-`, and gives all other MQTT clients the tag `mqtt`."

private let connectRule = #"""
    -- Decides who is let in. See README.md.
    local R = {
      name = "NAME",
      priority = 50, -- rules with a higher priority are asked first
    }

    -- Called when a client has connected, before it is let in. Without a return it is let in as it is.
    function R.on_connect(conn, ctx)
      if conn.protocol ~= "mqtt" then return end
      if conn.client_id:find("^test%-") then
        return route.reject("no test clients here") -- the client is told why, and the connection closed
      end
      local tags = conn.tags -- a copy: only conn:with changes the client
      tags[#tags + 1] = "mqtt"
      return conn:with { tags = tags }
    end

    return R
    """#

private let connectTests = #"""
    -- Each test stands under what it promises. t calls the rule without a server.
    return {
      ["a test client is refused"] = function(t)
        local out = t:connect { client_id = "test-1" }
        t:eq(out.verdict, "reject")
        t:eq(out.why, "no test clients here")
      end,

      ["another MQTT client gets a tag, and keeps its own"] = function(t)
        local out = t:connect { client_id = "sensor-1", tags = { "roof" } }
        t:eq(out.verdict, "replace")
        t:eq(out.tags, { "roof", "mqtt" })
      end,

      ["a client of the exchange protocol is let in as it is"] = function(t)
        t:eq(t:connect {}.verdict, "accept")
      end,
    }
    """#

private let broadcastMeaning =
    "Refuses broadcasts to everybody, and leaves out devices with a tag."
private let broadcastSettings = "`leave_out` | text of at least 1 byte | `quiet` | the tag of devices that get no broadcasts"

private let broadcastRule = #"""
    -- Decides which devices get a broadcast. See README.md.
    local R = {
      name = "NAME",
      priority = 50, -- rules with a higher priority are asked first
      match = { kind = "broadcast" },
      settings = { -- what rules.settings of the configuration may say; the worker checks it
        leave_out = text { default = "quiet", min = 1, doc = "the tag of devices that get no broadcasts" },
      },
    }

    -- Called for each broadcast. Without a return it goes on as it is.
    function R.on_broadcast(push, ctx)
      local filter = push.filter -- a copy of which devices it is for: uid, match_tags, filter_tags and others
      if next(filter) == nil then
        return route.reject("say who it is for") -- nobody gets it, and the sender is told why
      end
      local left_out = filter.filter_tags or {}
      left_out[#left_out + 1] = ctx.settings.leave_out
      filter.filter_tags = left_out
      return push:with { filter = filter } -- the next rule sees this instead
    end

    return R
    """#

private let broadcastTests = #"""
    -- Each test stands under what it promises. t calls the rule without a server.
    return {
      ["a broadcast to everybody is refused"] = function(t)
        local out = t:broadcast { filter = {}, payload = "hello" }
        t:eq(out.verdict, "reject")
        t:eq(out.why, "say who it is for")
      end,

      ["quiet devices are left out"] = function(t)
        local out = t:broadcast { filter = { match_tags = { "staff" } }, payload = "hello" }
        t:eq(out.verdict, "replace")
        t:eq(out.filter, { match_tags = { "staff" }, filter_tags = { "quiet" } })
      end,

      ["the tag can be set"] = function(t)
        t:ok(t:settings { leave_out = "resting" })
        local out = t:broadcast { filter = { uid = "ann", filter_tags = { "old" } }, payload = "hello" }
        t:eq(out.filter.filter_tags, { "old", "resting" })
      end,
    }
    """#

private let chatMeaning =
    "Refuses long messages in the chats under `support/`, and hides long numbers."
private let chatSettings = "`longest` | size of at least 1B | `2000` | the most bytes of a message"

private let chatRule = #"""
    -- Decides about messages in chats. See README.md.
    local R = {
      name = "NAME",
      priority = 50, -- rules with a higher priority are asked first
      match = { kind = "chat", topic = "support/+" }, -- of a chat, the topic is its id
      settings = { -- what rules.settings of the configuration may say; the worker checks it
        longest = size { default = 2000, min = 1, doc = "the most bytes of a message" },
      },
    }

    -- Called for each message of a member. Without a return it goes to the other members as it is.
    function R.on_chat(msg, chat, ctx)
      local longest = ctx.settings.longest
      if #msg.payload > longest then
        return route.reject("at most " .. longest .. " bytes") -- nobody gets it, and the sender is told why
      end
      if msg.format ~= "text" then return end -- without quotes around it, a replacement would break JSON
      local text, count = msg.payload:gsub("%d%d%d%d%d%d%d%d+", "(number)")
      if count > 0 then return msg:with { payload = text } end -- the next rule, and then the members, see this instead
    end

    return R
    """#

private let chatTests = #"""
    -- Each test stands under what it promises. t calls the rule without a server.
    local function say(t, payload)
      return t:chat { id = "support/1", members = { { uid = "ann" }, { uid = "bob" } }, sender = { uid = "ann" }, payload = payload, format = "text" }
    end

    return {
      ["a usual message goes on as it is"] = function(t)
        t:eq(say(t, "hello, it is 10:30").verdict, "pass")
      end,

      ["a long number is hidden"] = function(t)
        local out = say(t, "my card is 4111111111111111, thanks")
        t:eq(out.verdict, "replace")
        t:eq(out.payload, "my card is (number), thanks")
      end,

      ["a long message is refused"] = function(t)
        t:ok(t:settings { longest = 10 })
        local out = say(t, "more than ten bytes")
        t:eq(out.verdict, "reject")
        t:eq(out.why, "at most 10 bytes")
      end,
    }
    """#
