local URL = "https://crm.internal/clients/"

local function with(t, more)
  local settings = { url = URL .. "{uid}", attributes = { tenant = "org.id", plan = "plan" }, topics = { "orders/#" } }
  for name, value in pairs(more or {}) do settings[name] = value end
  t:ok(t:settings(settings))
end

local function answer(t, uid, body, status) t:http("GET " .. URL .. uid, { status = status or 200, body = body }) end

local function connect(t, uid, more)
  local client = { uid = uid, device = "d1", client_id = "d1" }
  for name, value in pairs(more or {}) do client[name] = value end
  local out = t:connect(client)
  t:eq(out.error, nil)
  return out
end

-- A client of the exchange protocol, which says who it is when it registers.
local function register(t, uid)
  local out = t:register { uid = uid, device = "d1" }
  t:eq(out.error, nil)
  return out
end

local function send(t, payload, more)
  local message = { topic = "orders/1", payload = payload or "x", sender = { uid = "ann", device = "d1" } }
  for name, value in pairs(more or {}) do message[name] = value end
  local out = t:message(message)
  t:eq(out.error, nil)
  return out
end

-- The properties of a message by their names, each with all of its values.
local function props(out)
  local found = {}
  for _, pair in ipairs(out.props) do found[pair.name] = (found[pair.name] and found[pair.name] .. "+" or "") .. pair.value end
  return found
end

return {
  ["gives a client that connects the attributes that the service tells"] = function(t)
    with(t, { tags = "roles" })
    answer(t, "ann", { org = { id = "acme" }, plan = "gold", roles = { "eu", 5, "vip", "" }, secret = "x" })
    local out = connect(t, "ann", { tags = { "forged" } })
    t:eq({ out.verdict, out.attributes, out.tags }, { "replace", { tenant = "acme", plan = "gold" }, { "eu", "vip" } })
  end,

  ["takes texts, numbers and truth values as attributes, and nothing else"] = function(t)
    with(t, { attributes = { a = "a", b = "b", c = "c", d = "d", e = "e", f = "f", g = "list.2" } })
    answer(t, "ann", { a = 5, b = true, c = json.null, d = "a\0b", e = ("x"):rep(513), f = "", list = { 1, "two" } })
    t:eq(connect(t, "ann").attributes, { a = "5", b = "true", f = "", g = "two" })
  end,

  ["adds them to the client's messages as user properties, and takes away what it wrote there itself"] = function(t)
    with(t, { prefix = "client-" })
    answer(t, "ann", { org = { id = "acme" } })
    register(t, "ann")
    local out = send(t, "x", { props = { { name = "client-tenant", value = "forged" }, { name = "a", value = "b" }, { name = "client-tenant", value = "again" },
      { name = "client-plan", value = "forged" }, { name = "client-other", value = "c" } } })
    t:eq(props(out), { ["client-tenant"] = "acme", a = "b", ["client-other"] = "c" })
    t:eq({ out.verdict, out.payload }, { "replace", "x" })
  end,

  ["takes forged ones away from a will, too"] = function(t)
    with(t)
    local out = t:will { topic = "orders/1", payload = "gone", props = { tenant = "forged", a = "b" }, sender = { uid = "ann", client_id = "d1" } }
    t:eq({ out.error, props(out) }, { nil, { a = "b" } })
  end,

  ["or as a field of their JSON"] = function(t)
    with(t, { add = "payload", field = "by" })
    answer(t, "ann", { org = { id = 7 }, plan = "gold" })
    register(t, "ann")
    t:eq(json.decode(send(t, '{"id":1,"by":{"tenant":"forged","x":1}}').payload), { id = 1, by = { tenant = "7", plan = "gold" } })
    for _, payload in ipairs { "[]", "5", "null" } do t:eq(send(t, payload).verdict, "pass", payload) end
  end,

  ["refuses what is no JSON here and may be to another reader"] = function(t)
    local odd = { "text", '{"a":', "\xff\xfe", ("["):rep(5000), ("x"):rep(60000), '{"a":"\xff"}' }
    for _, rest in ipairs { ',"x":1e400', ',"x":NaN', [[,"x":"\ud800"]], ",", ',"x":' .. ("["):rep(70) .. ("]"):rep(70) } do
      odd[#odd + 1] = '{"client":{"tenant":"forged"}' .. rest .. "}"
    end
    odd[#odd + 1] = '\xef\xbb\xbf{"client":{"tenant":"forged"}}'
    for _, verdict in ipairs { "reject", "drop", "pass" } do
      with(t, { add = "payload", unreadable = verdict })
      for _, payload in ipairs(odd) do t:eq(send(t, payload).verdict, verdict, payload:sub(1, 40)) end
    end
    with(t, { add = "payload" })
    local payload = '{"client":{"tenant":"forged"},"n":[' .. ("{},"):rep(60000) .. "1]}"
    local large = t:message { topic = "orders/1", payload = payload, sender = { uid = "ann" } }
    t:ok(large.error, "it needs more memory than a call may take")
    t:eq(large.verdict, "reject")
  end,

  ["leaves out what no property, attribute or tag may be"] = function(t)
    with(t, { attributes = { a = "a", b = "b", c = "c", plan = "plan" }, tags = "roles" })
    local roles = { ("r"):rep(257), "a\nb" }
    for i = 1, 300 do roles[#roles + 1] = "r" .. i end
    answer(t, "ann", { a = "ACME\nInc", b = "a\tb", c = "\x7f", plan = "gold", roles = roles })
    local out = connect(t, "ann")
    t:eq({ out.attributes, #out.tags, out.tags[1] }, { { plan = "gold" }, 32, "r1" })
    register(t, "ann")
    t:eq(props(send(t, "x", { props = { a = "forged" } })), { plan = "gold" })
  end,

  ["finds members of lists by their number, and of objects by their name"] = function(t)
    with(t, { attributes = { a = "list.2", b = "years.2026" } })
    answer(t, "ann", { list = { 1, "two" }, years = { ["2026"] = "now" } })
    t:eq(connect(t, "ann").attributes, { a = "two", b = "now" })
  end,

  ["leaves other topics alone, and all of them where none is set"] = function(t)
    with(t)
    t:eq(send(t, "x", { topic = "other/1" }).verdict, "unmatched")
    t:ok(t:settings { url = URL .. "{uid}", attributes = { plan = "plan" } })
    t:eq(send(t).verdict, "unmatched")
  end,

  ["takes forged ones away from a client that nothing is known of"] = function(t)
    with(t)
    t:eq(props(send(t, "x", { props = { tenant = "forged", plan = "gold", a = "b" } })), { a = "b" })
    with(t, { add = "payload" })
    t:eq(send(t, '{"client":{"tenant":"forged"}}').payload, '{"client":{}}')
    t:eq(send(t, '{"client":{"tenant":"forged"}}', { hops = 1 }).payload, '{"client":{}}', "it comes from a topic that is not among these")
  end,

  ["lets an unknown client pass, or refuses it"] = function(t)
    for _, status in ipairs { 404, 410 } do
      with(t)
      answer(t, "eve", "no such client", status)
      t:eq(connect(t, "eve").attributes, {})
      with(t, { unknown = "reject" })
      local out = connect(t, "eve")
      t:eq({ out.verdict, out.why }, { "reject", "it is not known" })
      t:eq(register(t, "eve").verdict, "reject")
    end
  end,

  ["lets clients pass, or refuses them, where the service is down or answers nonsense"] = function(t)
    local bodies = { "", "text", "[1]", "null", "5", '{"a":', "\xff\xfe", ("["):rep(5000), ("x"):rep(60000), '"x"' }
    for _, down in ipairs { "pass", "reject" } do
      with(t, { down = down })
      local function check(what)
        local out = connect(t, "ann")
        t:eq(out.verdict, down == "pass" and "replace" or "reject", what)
        if down == "reject" then t:eq(out.why, "it can't be asked about now; try again") else t:eq(out.attributes, {}, what) end
        t:eq(register(t, "ann").verdict, down == "pass" and "accept" or "reject")
      end
      for _, body in ipairs(bodies) do
        answer(t, "ann", body)
        check(body:sub(1, 9))
      end
      for _, status in ipairs { 500, 503, 301, 401, 204 } do
        answer(t, "ann", { plan = "gold" }, status)
        check(tostring(status))
      end
      t:http("GET " .. URL .. "ann", nil, "timed out")
      check("no answer")
    end
  end,

  ["writes what a client is called so that it leads to no other place"] = function(t)
    with(t)
    local names = { ["a/../b"] = "a%2F..%2Fb", ["a?b=c&d#e"] = "a%3Fb%3Dc%26d%23e", ["é 😀"] = "%C3%A9%20%F0%9F%98%80", ["%2e%2e"] = "%252e%252e", ["a\r\nb"] = "a%0D%0Ab", ["..."] = "..." }
    for name, written in pairs(names) do
      answer(t, written, { plan = "gold" })
      t:eq(connect(t, name).attributes.plan, "gold", name)
    end
    for _, name in ipairs { ".", "..", "", ("x"):rep(257) } do
      with(t)
      t:eq(connect(t, name).attributes, {}, "nobody is asked about " .. name:sub(1, 9))
      t:eq(register(t, name).verdict, "accept")
      with(t, { unknown = "reject" })
      t:eq(connect(t, name).why, "it is not known", name:sub(1, 9))
      t:eq(register(t, name).why, "it is not known", name:sub(1, 9))
    end
  end,

  ["asks by any of the client's names, and waits for REGISTER where one is missing"] = function(t)
    t:ok(t:settings { url = "https://crm.internal/{client_id}?user={uid}", attributes = { plan = "plan" } })
    t:http("GET https://crm.internal/d1?user=ann", { status = 200, body = { plan = "gold" } })
    t:eq(connect(t, "ann").attributes, { plan = "gold" })
    t:eq(t:connect({ uid = "", device = "d1" }).verdict, "accept", "an exchange client that has not registered")
  end,

  ["keeps what it knows of a registered client until it goes"] = function(t)
    with(t, { tags = "roles" })
    answer(t, "ann", { plan = "gold", roles = { "eu" } })
    t:eq(register(t, "ann").tags, { "eu" })
    t:eq(props(send(t)).plan, "gold")
    t:disconnect { uid = "ann", device = "d1" }
    t:eq(props(send(t)).plan, nil)
  end,

  ["says what is wrong with its settings"] = function(t)
    for _, case in ipairs {
      { {}, "url is missing" }, { { url = "ftp://x/", attributes = { a = "a" } }, "url" }, { { url = URL, attributes = {} }, "attributes" },
      { { url = URL, attributes = { [("n"):rep(65)] = "n" } }, "is no name of an attribute" },
      { { url = URL .. "{name}", attributes = { a = "a" } }, "settings.enrich.url: {name} means nothing" }, { { url = URL, attributes = { a = "a..b" } }, "a dotted path" },
      { { url = URL, attributes = { a = "a" }, headers = { authorization = 5 } }, "headers.authorization is a number" }, { { url = URL, attributes = { a = "a" }, timeout = "1m" }, "timeout" },
    } do
      local ok, why = t:settings(case[1])
      t:ok(not ok and why:find(case[2], 1, true), tostring(why))
    end
  end,
}
