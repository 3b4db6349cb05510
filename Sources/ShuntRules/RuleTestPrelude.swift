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
      of(self, "eq")
      if not same(value, expected) then
        error((what and what .. ": " or "") .. "expected " .. shown(expected) .. ", got " .. shown(value), 2)
      end
    end

    function t:ok(value, what)
      of(self, "ok")
      if not value then error(what or "expected something true, got " .. tostring(value), 2) end
    end

    -- A failure of the rule is the test's own, unless the test reads it.
    local function ask(name, asked)
      local out, where = call(name, asked)
      if not out.error then return out end
      local failure = { text = out.error, where = where }
      failures[#failures + 1] = failure
      out.error = nil
      return setmetatable(out, {
        __index = function(_, key)
          if key == "error" then failure.seen = true return failure.text end
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
      if not message.props then return end
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
      for _, name in ipairs { "sender", "to" } do copy[name] = client(copy[name]) end
      return copy
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
      if out.filter then out.filter = json.decode(out.filter) end
      name_props(out)
      for _, sent in ipairs(out.messages or {}) do
        name_props(sent)
        if sent.filter then sent.filter = json.decode(sent.filter) end
      end
      return out
    end

    for _, name in ipairs { "message", "broadcast", "chat", "deliver", "undelivered" } do
      t[name] = function(self, asked) return message(name, of(self, name, asked) or {}) end
    end
    for _, name in ipairs { "chat_open", "chat_join", "chat_close", "connect", "subscribe", "unsubscribe", "disconnect" } do
      t[name] = function(self, asked) return ask(name, client(of(self, name, asked) or {})) end
    end
    function t:advance(seconds)
      seconds = of(self, "advance", seconds)
      return ask("advance", { seconds = seconds })
    end

    -- true, or nil and why the rule does not take these settings
    function t:settings(settings)
      settings = of(self, "settings", settings)
      local result = call("settings", { settings = settings })
      if result.error then return nil, result.error end
      return true
    end

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
