/// `t` of a rule_test.lua, in Lua: gets the call to the runner, returns `t`.
let ruleTestPrelude = #"""
    local call = ...
    local t = {}

    local function shown(value)
      if type(value) == "string" then return '"' .. value .. '"' end
      if type(value) ~= "table" then return tostring(value) end
      local done, text = pcall(json.encode, value)
      return done and text or tostring(value)
    end

    local function same(a, b)
      if type(a) ~= "table" or type(b) ~= "table" then return a == b end
      for key, value in pairs(a) do if not same(value, b[key]) then return false end end
      for key in pairs(b) do if a[key] == nil then return false end end
      return true
    end

    function t:eq(value, expected, what)
      if not same(value, expected) then
        error((what and what .. ": " or "") .. "expected " .. shown(expected) .. ", got " .. shown(value), 2)
      end
    end

    function t:ok(value, what)
      if not value then error(what or "expected something true, got " .. tostring(value), 2) end
    end

    -- Tables in place of JSON, both ways: of payloads into it, of filters both.
    local function message(name, asked)
      local copy = {}
      for key, value in pairs(asked or {}) do copy[key] = value end
      if type(copy.payload) == "table" then
        copy.payload = json.encode(copy.payload)
        copy.format = copy.format or "json"
      end
      if type(copy.filter) == "table" then copy.filter = json.encode(copy.filter) end
      local out = call(name, copy)
      if out.filter then out.filter = json.decode(out.filter) end
      for _, sent in ipairs(out.messages or {}) do
        if sent.filter then sent.filter = json.decode(sent.filter) end
      end
      return out
    end

    function t:message(asked) return message("message", asked) end
    function t:broadcast(asked) return message("broadcast", asked) end
    function t:chat(asked) return message("chat", asked) end
    function t:deliver(asked) return message("deliver", asked) end
    function t:undelivered(asked) return message("undelivered", asked) end
    function t:chat_open(chat) return call("chat_open", chat or {}) end
    function t:chat_join(chat) return call("chat_join", chat or {}) end
    function t:chat_close(chat) return call("chat_close", chat or {}) end
    function t:connect(client) return call("connect", client or {}) end
    function t:subscribe(subscription) return call("subscribe", subscription) end
    function t:disconnect(client) return call("disconnect", client or {}) end
    function t:advance(seconds) return call("advance", { seconds = seconds }) end

    -- true, or nil and why the rule does not take these settings
    function t:settings(settings)
      local result = call("settings", { settings = settings })
      if result.error then return nil, result.error end
      return true
    end

    return t
    """#
