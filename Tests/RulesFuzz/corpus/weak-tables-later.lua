-- Members of decoded objects that only a weak table has: they are filled, encoded, asked and written to while the collector clears the table.
local R = {}
local member = '{"o":[1.50' .. (',[],{"n":"\\n"}'):rep(300) .. ']}'
local function fill(weak, count)
  for i = 1, count do weak["a key that is longer than forty bytes, so that it is collected " .. i] = json.decode(member).o end
  for i = 1, count do weak[i .. " another key that is longer than forty bytes, so that it is collected"] = { i } end
  return weak
end
local modes = { "v", "k", "kv" }
local encoders = { json.encode, msgpack.encode, cbor.encode }

function R.on_message(msg)
  for round = 1, 9 do
    local weak = fill(setmetatable({}, { __mode = modes[round % 3 + 1] }), 20)
    pcall(encoders[round // 3 + 1], round % 2 == 0 and weak or { weak, { weak } })
    local index = setmetatable({}, setmetatable({ __index = json.decode(member).o }, { __mode = "v" }))
    local one = index[1]
    local written = setmetatable({}, setmetatable({ __newindex = json.decode(member).o }, { __mode = "v" }))
    written[round], written.name = one, weak
    local list = setmetatable({ json.decode(member).o }, { __mode = "v" })
    pcall(function() for _, each in pairs(list) do assert(#each == 601 and next(each)) end end)
  end
end
return R
