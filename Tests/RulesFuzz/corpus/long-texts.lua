-- Each function over texts of megabytes looks at the budget, or is quick.
local R = {}
local S, Z, big, t = "", "", "", {}
local n, given = 0, nil
function R.on_load()
  big = ("x"):rep(9000000)
  S, Z = big .. "a", ("\0"):rep(9000000)
end
local keys, many = {}, {}
local all = {
  function() return S < big .. "b" end, function() return Z < ("\0"):rep(9000000) end, function() return S:find("xb", 1, true) end,
  function() return S:find("[%w_]*b") end, function() return S:find("%b()") end, function() return S:find("x-b") end,
  function() return tonumber(S) end, function() return tonumber(S, 36) end, function() return S + 1 end, function() return -S end, function() t[S] = 1 end,
  function() return utf8.len(S) end, function() return utf8.offset(S, 8000000) end, function() return utf8.len(Z) end,
  function() return json.decode((" "):rep(9000000)) end, function() return json.decode("[" .. ("0,"):rep(4000000)) end,
  function() return json.decode('"' .. S .. '"') end, function() return json.encode(S) end, function() return json.encode(Z) end,
  function() return time.parse(S) end, function() return time.format(0, S) end, function() return S:upper() end, function() return S:reverse() end,
  function() return string.packsize(("i16"):rep(300)) end, function() return string.pack("z", S) end, function() return string.unpack("z", S) end,
  function() return string.pack("c9000000", "") end, function() return S:byte(1, -1) end, function() return S:byte(1, 900000) end,
  function() return base64.decode(S) end, function() return base64.encode(S) end, function() return hash.sha256(S) end, function() return hash.crc32(S) end,
  function() log.info(S, { S }) end, function() print(S, S) end, function() return S:rep(3) end, function() return S .. big end,
  function() return S:gsub("x", "y") end, function() return S:gsub("x*", "%0%0") end, function() return ("%s"):format(S) end,
  function() return ("%q"):format(Z) end, function() return table.concat({ S, S }, S) end, function() return match(S, "a/#") end,
  function() return match("a/b", S) end, function() counter("n", { a = S }):inc() end, function() counter(S):inc() end, function() error(S) end,
  function() return given:with { topic = S } end, function() return route.drop(S) end, function() return kv.set("k", S) end,
  function() return kv.get(S) end, function() return shared.get(S) end, function() for i = 1, 300000 do many["k" .. i] = i end end,
  function() return json.encode(many) end, function() return json.encode(many) end, function() counter("n", many):inc() end, function() log.info("m", many) end,
  function() return next(many) end, function() return table.sort(many) end, function() return table.unpack(keys, 1, 900000) end,
  function() return select("#", table.unpack(keys, 1, 200000)) end, function() return table.move(many, 1, 1e9, 2) end, function() return #S == #Z and S == Z end,
  function() return require(S) end, function() return string.char(table.unpack(keys, 1, 250)) end, function() return S:match(("(.-)"):rep(30) .. "b") end,
  function() return setmetatable({}, { __name = S }) < 1 end, function() many[setmetatable] = S return tostring(many) end, function() return coroutine.wrap(S) end,
}
function R.on_message(msg)
  given = msg
  n = n % #all + 1
  return all[n]()
end
return R
