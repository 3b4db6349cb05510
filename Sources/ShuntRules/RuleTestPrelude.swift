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

    function t:message(message)
      if type(message.payload) == "table" then
        local copy = {}
        for key, value in pairs(message) do copy[key] = value end
        copy.payload = json.encode(message.payload)
        copy.format = copy.format or "json"
        message = copy
      end
      return call("message", message)
    end

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
