-- Members of a decoded object are filled when they are first looked at. Each of these documents is decoded twice: as an object, and as the
-- one element of an array, which is filled at once. Whatever is done with the two must come out the same; else the fuzzer is told.
local R = {}
local state = 1

local function below(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return (state >> 8) % n
end
local function one_of(list) return list[below(#list) + 1] end

local names = { 'a', 'b', 'uid', 'n', 'tags', '', 'é', 'a b', 'x1', 'longer-than-forty-bytes-so-that-it-is-a-long-text', '1', '\\u0061', '\\n' }
local keys = { 'a', 'b', 'uid', 'n', 'tags', '', 'é', 'a b', 'x1', 'longer-than-forty-bytes-so-that-it-is-a-long-text', '1', 1, 2, 3, 1.0, 2.5, -1, true, '\n' }
local scalars = {
  '0', '-0', '1', '-17', '1.50', '1.5', '-0.25', '0.00001', '0.0001', '123456789.125', '1234567890.5', '1e3', '1E-2', '9223372036854775807',
  '9223372036854775808', '-123456789012345678901234567890', '0.1234567', '100', '1.0', '0.0', '3.14159265358979323846', '999999999.999999',
  'true', 'false', 'null', '""', '"text"', '"a \\"quoted\\" one"', '"é\\u00e9\\ud83d\\ude00"', '"a long text, of more than forty bytes, that is none twice"',
  '"\\/"', '"\127"', '[]', '{}', '[ ]', '{ }', '12345678901234567', '-9223372036854775808', '0.5', '19.99', '0.10', '12.000001',
}
local blanks = { '', '', '', ' ', '\n', '\t \r\n' }
local function blank() return one_of(blanks) end

local function document(depth)
  local kind = below(depth > 4 and 1 or 3)
  if kind == 0 then return one_of(scalars) end
  local parts = {}
  for i = 1, below(depth == 0 and 9 or 6) + 1 do
    local value = document(depth + 1)
    parts[i] = blank() .. (kind == 1 and value or '"' .. one_of(names) .. '"' .. blank() .. ':' .. blank() .. value) .. blank()
  end
  return kind == 1 and '[' .. table.concat(parts, ',') .. ']' or '{' .. table.concat(parts, ',') .. '}'
end

local function object()
  local parts = {}
  for i = 1, below(6) + 1 do parts[i] = '"' .. one_of(names) .. '":' .. blank() .. document(1) end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- What two tables have in common are their contents: a table stands for its type.
local function plain(value) return type(value) == 'table' and 'a table' or math.type(value) == 'float' and string.format('%a', value) or tostring(value) end
local function listed(...)
  local out = {}
  for i = 1, select('#', ...) do out[i] = plain((select(i, ...))) end
  return table.concat(out, '|')
end
local function caught(f, ...) return listed(pcall(f, ...)) end
local function all(t, out, depth)
  for k, v in pairs(t) do
    out[#out + 1] = plain(k) .. '=' .. plain(v)
    if type(v) == 'table' and depth < 12 then all(v, out, depth + 1) end
  end
  return out
end
local function dump(t) return table.concat(all(t, {}, 0), ',') .. plain(getmetatable(t)) end

-- Each takes a table, a key and a value, and gives what it came to.
local acts = {
  function(t, k) return plain(t[k]) end,
  function(t) return #t end,
  function(t) return rawlen(t) end,
  function(t) return listed(next(t)) end,
  function(t, k) return caught(next, t, k) end,
  function(t, k) return plain(rawget(t, k)) end,
  function(t, k, v) t[k] = v return plain(t[k]) end,
  function(t, k, v) t.n = v return plain(t.n) end,
  function(t, k, v) t[1] = v return #t end,
  function(t, k, v) rawset(t, k, v) return plain(rawget(t, k)) end,
  function(t) t[nil] = 1 end,
  function(t) t[0 / 0] = 1 end,
  function(t) return t[nil] end,
  function(t) return dump(t) end,
  function(t) local out = {} for i, v in ipairs(t) do out[i] = plain(v) end return table.concat(out, ',') end,
  function(t, k, v) table.insert(t, v) return #t end,
  function(t, k, v) table.insert(t, 1, v) return #t end,
  function(t) return plain(table.remove(t)) end,
  function(t) return listed(table.unpack(t)) end,
  function(t) return table.concat(t, ',') end,
  function(t) table.sort(t) return #t end,
  function(t) return dump(table.move(t, 1, 3, 2)) end,
  function(t) return json.encode(t) end,
  function(t) return json.encode { t, { x = t } } end,
  function(t) return msgpack.encode(t) end,
  function(t) return cbor.encode(t) end,
  function(t) return plain(getmetatable(t)) end,
  function(t) return plain(setmetatable(t, { __index = function(_, k) return k == 'nothing' and 7 or nil end }).nothing) end,
  function(t) return json.encode(json.array(t)) end,
  function(t) return tostring(t) .. string.format('%s', t) end,
  function(t) return listed(t == t, rawequal(t, t), not t, t ~= 1) end,
  function(t) return t < t end,
  function(t) return t .. 'x' end,
  function(t) return 'x' .. t end,
  function(t) return t + 1 end,
  function(t) return -t end,
  function(t) return t() end,
  function(t) return t:n() end,
  function(t, k) return plain(setmetatable({}, { __index = t })[k]) end,
  function(t, k, v) local s = setmetatable({}, { __newindex = t }) s[k] = v return listed(rawget(s, k), t[k]) end,
  function(t) local s <close> = t return 1 end,
  function(t, k) return plain(coroutine.wrap(function() return t[k] end)()) end,
  function(t, k) return plain(coroutine.wrap(function() for key, v in pairs(t) do coroutine.yield(v) end end)()) end,
  function(t) for k in pairs(t) do t[k] = nil end return dump(t) end,
  function(t) kv.set('t', json.encode(t)) return kv.get('t') end,
  function(t) kv.set('t', t) return json.encode(kv.get('t')) end,
  function(t) return caught(R.msg.with, R.msg, t) end,
  function(t) return caught(R.msg.with, R.msg, { props = t }) end,
  function(t) return caught(route.push, t, R.msg) end,
  function(t) return caught(route.fanout, t) end,
  function(t) return caught(setmetatable, {}, t) end,
  function(t, k) local s = {} s[t] = k return plain(s[t]) end,
  function(t) return plain(select('#', table.unpack(t, 1, 4))) end,
  function(t) for i = 1, 50 do local garbage = { tostring(i), {} } end return #t end,
  function(t) local s = 'x' for i = 1, 5 do s = s .. s .. i end return #t end,
  function(t) local _ENV = t return uid end,
  function(t) local _ENV = t uid = 5 return uid end,
  function(t) return t.a.b end,
  function(t) t.a.b = 1 return t.a.b end,
  function(t) return caught(string.rep, t) end,
  function(t) return ('x'):gsub('x', t) end,
  function(t) return caught(log.info, 'x', t) end,
  function(t) return caught(utf8.char, t) end,
}

local function acted(act, t, k, v) return caught(acts[act], t, k, v) end

local function compare(text)
  local later, at_once = json.decode(text), json.decode('[' .. text .. ']')
  if type(later) ~= type(at_once) then return false end
  if later == nil then return true end
  at_once = at_once[1]
  local a, b = later, at_once
  for _ = 1, below(8) do
    local k, v = one_of(keys), one_of { 1, 'v', 2.5, false }
    if below(2) == 0 then
      if below(3) > 0 then
        for name, value in pairs(b) do
          if type(value) == 'table' and below(2) == 0 then k = name break end
        end
      end
      local x, y = a[k], b[k]
      if plain(x) ~= plain(y) then return false end
      if type(x) == 'table' then a, b = x, y end
    else
      local act = below(#acts) + 1
      local one, two = acted(act, a, k, v), acted(act, b, k, v)
      if one ~= two then return false, act .. ': ' .. one .. ' and ' .. two end
    end
    if below(4) == 0 then a, b = later, at_once end
  end
  local one, two = caught(json.encode, later), caught(json.encode, at_once)
  if one ~= two then return false, one .. ' and ' .. two end
  return caught(dump, later) == caught(dump, at_once)
end

function R.on_message(msg)
  R.msg = msg
  state = math.random(1 << 30)
  for _ = 1, 3 do
    local text = object()
    local same, why = compare(text)
    if not same then return route.to('broken', msg:with { payload = text .. ' ' .. (why or '') }) end
  end
end

return R
