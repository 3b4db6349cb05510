/// `t` of a rule_test.lua, in Lua: gets the call to the runner, returns what runs a test.
let ruleTestPrelude = #"""
    local call = ...
    local t = {}
    -- What failed in the rule, and whether the test has looked at it.
    local failures = {}

    -- A dot in place of the colon would test nothing.
    local function of(self, name, asked)
      if self ~= t then error(("t:%s, with a colon: t.%s does not give it t"):format(name, name), 3) end
      return asked
    end

    -- Reading what is not there, such as a name with a typing error, is an error: the host tells what there is.
    local comparing = false
    local function strict(what, names)
      local known, list = {}, {}
      for name in names:gmatch("%S+") do known[name], list[#list + 1] = true, name end
      return function(_, key)
        if comparing or known[key] or type(key) ~= "string" then return end
        call("unknown", { what = what, name = key, known = list })
      end
    end

    local MESSAGE = "kind topic payload key format qos retain filter delay props content_type response_topic correlation_data expiry payload_format "
    local SENT = "verdict why worker always messages logs error closed " .. MESSAGE
    local OWN = "verdict why worker messages logs error closed "
    local FIELDS = {
      message = SENT, broadcast = SENT, chat = SENT, will = SENT,
      deliver = "verdict why logs error closed " .. MESSAGE, undelivered = "logs error closed", acked = "logs error closed",
      select = "verdict member uid logs error closed", advance = "messages logs error closed",
      auth = OWN .. "data uid tags alias attributes expires_at limits",
      connect = OWN .. "uid tags alias attributes expires_at limits", register = OWN .. "tags alias", subscribe = OWN .. "topic group qos",
      chat_open = OWN, chat_join = OWN, chat_close = "messages logs error closed", unsubscribe = "messages logs error closed",
      disconnect = "messages logs error closed", session = "messages logs error closed",
    }
    local missing = {}
    for name, names in pairs(FIELDS) do missing[name] = strict("what t:" .. name .. " gives", names) end
    local message_type = { __index = strict("a message that is sent", MESSAGE) }

    -- Bounds of what a failure tells: bytes of a value and of a path, differences, bytes of them all (the host keeps 1,023).
    local VALUE, PATH, DIFFERENCES, BYTES = 80, 100, 10, 800

    -- Where the character begins that this byte belongs to; the byte itself in what is not UTF-8.
    local function edge(text, at)
      for first = at, math.max(at - 3, 1), -1 do
        local byte = text:byte(first)
        if not byte or byte & 0xC0 ~= 0x80 then return first end
      end
      return at
    end

    local function cut(text, most)
      if #text <= most then return text end
      return text:sub(1, edge(text, most + 1) - 1) .. "…"
    end

    local function quoted(text) return '"' .. text:gsub("\n", "\\n") .. '"' end

    local function shown(value)
      if type(value) == "string" then return quoted(cut(value, VALUE)) end
      if type(value) ~= "table" then return tostring(value) end
      local done, text = pcall(json.encode, value)
      return cut(done and text or tostring(value), VALUE)
    end

    -- Long texts: the place where they begin to differ, with what stands around it.
    local function text_difference(text, expected)
      local at = 1
      while text:sub(at, at + 255) == expected:sub(at, at + 255) do at = at + 256 end
      while text:byte(at) == expected:byte(at) do at = at + 1 end
      local _, lines = text:sub(1, at - 1):gsub("\n", "")
      local first = edge(text, math.max(at - 20, 1))
      local function around(whole)
        if at > #whole then return "the end after " .. quoted(whole:sub(first)) end
        return quoted((first > 1 and "…" or "") .. cut(whole:sub(first, at + 2 * VALUE), VALUE))
      end
      return ("byte %d%s: expected %s, got %s"):format(
        at, lines > 0 and (" in line %d"):format(lines + 1) or "", around(expected), around(text))
    end

    local function difference(value, expected)
      if type(value) == "string" and type(expected) == "string" and math.max(#value, #expected) > VALUE then
        return text_difference(value, expected)
      end
      return "expected " .. shown(expected) .. ", got " .. shown(value)
    end

    -- A key's place among others: numbers, texts, the rest.
    local function before(a, b)
      local kinds = { number = 1, string = 2 }
      local x, y = kinds[type(a)] or 3, kinds[type(b)] or 3
      if x ~= y then return x < y end
      if x < 3 then return a < b end
      return tostring(a) < tostring(b)
    end

    local function keys_of(a, b)
      local keys, known = {}, {}
      for _, each in ipairs { a, b } do
        for key in pairs(each) do
          if not known[key] then known[key], keys[#keys + 1] = true, key end
        end
      end
      table.sort(keys, before)
      return keys
    end

    local function path_of(keys)
      local parts = {}
      for place = math.max(#keys - 40, 1), #keys do
        local key = keys[place]
        local text = type(key) == "string" and cut(key, 60) or tostring(key)
        if type(key) ~= "string" then
          parts[#parts + 1] = "[" .. text .. "]"
        else
          parts[#parts + 1] = key:find("^[%a_][%w_]*$") and "." .. text or "[" .. quoted(text) .. "]"
        end
      end
      local path = table.concat(parts)
      if #keys > #parts or #path > PATH then path = "…" .. path:sub(edge(path, math.max(#path - PATH, 1))) end
      return path
    end

    -- Where two values differ, a text for each place, and whether there are more places.
    local function differences(value, expected)
      local found, more, bytes, keys, met = {}, false, 0, {}, {}
      local function compare(a, b)
        if more then return end
        if type(a) ~= "table" or type(b) ~= "table" then
          if a == b then return end
          local text = difference(a, b)
          if #keys > 0 and a == nil then text = "missing, expected " .. shown(b) end
          if #keys > 0 and b == nil then text = "not expected, got " .. shown(a) end
          if #keys > 0 then text = path_of(keys) .. ": " .. text end
          bytes = bytes + #text
          more = #found == DIFFERENCES or #found > 0 and bytes > BYTES
          if not more then found[#found + 1] = text end
          return
        end
        -- Two tables are compared once: they may contain themselves.
        met[a] = met[a] or {}
        if met[a][b] then return end
        met[a][b] = true
        local depth = #keys + 1
        for _, key in ipairs(keys_of(a, b)) do
          keys[depth] = key
          compare(a[key], b[key])
          keys[depth] = nil
        end
      end
      compare(value, expected)
      return found, more
    end

    function t:eq(value, expected, what)
      of(self, "eq")
      comparing = true
      local done, found, more = pcall(differences, value, expected)
      comparing = false
      if not done then error(found, 0) end
      if #found == 0 then return end
      local text = found[1]
      if more or #found > 1 then
        text = (more and "more than %d" or "%d"):format(#found) .. " differences:\n" .. table.concat(found, "\n")
      end
      error((what and cut(tostring(what), VALUE) .. ": " or "") .. text, 2)
    end

    function t:ok(value, what)
      of(self, "ok")
      if not value then error(what or "expected something true, got " .. tostring(value), 2) end
    end

    -- A failure of the rule is the test's own, unless the test reads it.
    local function ask(name, asked)
      local out, where = call(name, asked)
      local absent = missing[name]
      if not out.error then return setmetatable(out, { __index = absent }) end
      local failure = { text = out.error, where = where }
      failures[#failures + 1] = failure
      out.error = nil
      return setmetatable(out, {
        __index = function(_, key)
          if key == "error" then failure.seen = true return failure.text end
          return absent(out, key)
        end,
        __pairs = function()
          failure.seen = true
          local all = { error = failure.text }
          for key, value in next, out do all[key] = value end
          return next, all
        end,
      })
    end

    -- User properties by name: the first of each.
    local function name_props(message)
      if not rawget(message, "props") then return end
      local list, names = {}, {}
      for place, pair in ipairs(message.props) do
        list[place] = pair
        names[pair.name] = names[pair.name] or pair.value
      end
      message.props = setmetatable(list, { __index = names })
    end

    -- Properties by name become a list, sorted by their names, as in a rule.
    local function listed(props)
      local list, names = {}, {}
      for key, value in pairs(props) do
        if type(key) == "string" then names[#names + 1] = key else list[key] = value end
      end
      table.sort(names)
      for _, name in ipairs(names) do list[#list + 1] = { name = name, value = props[name] } end
      return json.array(list)
    end

    local function client(asked)
      if type(asked) ~= "table" then return asked end
      local copy = {}
      for key, value in pairs(asked) do copy[key] = value end
      if type(copy.props) == "table" then copy.props = listed(copy.props) end
      if type(copy.will) == "table" then copy.will = client(copy.will) end
      for _, name in ipairs { "sender", "to", "by" } do copy[name] = client(copy[name]) end
      return copy
    end

    local function sent(out)
      for _, each in ipairs(rawget(out, "messages") or {}) do
        name_props(each)
        if each.filter then each.filter = json.decode(each.filter) end
        setmetatable(each, message_type)
      end
      return out
    end

    -- Tables in place of JSON, both ways: of payloads into it, of filters both.
    local function message(name, asked)
      if type(asked) ~= "table" then return ask(name, asked) end
      local copy = client(asked)
      if type(copy.payload) == "table" then
        copy.payload = json.encode(copy.payload)
        copy.format = copy.format or "json"
      end
      if type(copy.filter) == "table" then copy.filter = json.encode(copy.filter) end
      local out = ask(name, copy)
      if rawget(out, "filter") then out.filter = json.decode(out.filter) end
      name_props(out)
      return sent(out)
    end

    for _, name in ipairs { "message", "broadcast", "chat", "deliver", "undelivered", "will", "acked", "select" } do
      t[name] = function(self, asked) return message(name, of(self, name, asked) or {}) end
    end
    local others = {
      "chat_open", "chat_join", "chat_close", "connect", "register", "subscribe", "unsubscribe", "disconnect", "session",
    }
    for _, name in ipairs(others) do
      t[name] = function(self, asked) return sent(ask(name, client(of(self, name, asked) or {}))) end
    end
    -- A step of an authentication. Steps of the same client go on with each other.
    function t:auth(asked)
      local copy = client(of(self, "auth", asked) or {})
      if type(copy) == "table" then copy.auth_method, copy.method = copy.auth_method or copy.method, nil end
      return ask("auth", copy)
    end

    -- What http.get and http.post find: a method and a URL, and the answer, or nil and why there is none.
    function t:http(request, answer, why)
      request = of(self, "http", request)
      if type(answer) == "table" and type(answer.body) == "table" then
        local copy = {}
        for key, value in pairs(answer) do copy[key] = value end
        copy.body = json.encode(copy.body)
        answer = copy
      end
      call("http", { request = request, answer = answer, why = why })
    end

    function t:resolve(name, addresses, why)
      name = of(self, "resolve", name)
      call("resolve", { name = name, addresses = addresses, why = why })
    end

    -- Whom sessions.find finds: a list of tables with the fields that it gives.
    function t:sessions(sessions)
      sessions = of(self, "sessions", sessions)
      call("sessions", { sessions = sessions })
    end

    function t:advance(seconds)
      seconds = of(self, "advance", seconds)
      return sent(ask("advance", { seconds = seconds }))
    end

    -- true, or nil and why the rule does not take these settings
    function t:settings(settings)
      settings = of(self, "settings", settings)
      local result = call("settings", { settings = settings })
      if result.error then return nil, result.error end
      return true
    end

    local own = {}
    for name in pairs(t) do own[#own + 1] = name end
    table.sort(own)
    setmetatable(t, { __index = strict("t", table.concat(own, " ")) })

    return function(test)
      local passed, why = pcall(test, t)
      for _, failure in ipairs(failures) do
        if not failure.seen then
          if not passed then error(tostring(why) .. "; the rule failed: " .. failure.text, 0) end
          error(failure.where .. "the rule failed: " .. failure.text .. "; a test that expects it reads .error", 0)
        end
      end
      if not passed then error(why, 0) end
    end
    """#
