-- Tells a member who is not there, by a broadcast to his devices, that somebody wrote in a chat. See README.md.
-- After all other rules: what they keep back is not told of.
local R = {
  name = "chat-away", priority = -100,
  settings = {
    text = text { default = "{sender} wrote in {chat}", min = 1, max = 1000, doc = "the notice, with `{sender}` and `{chat}`" },
    interval = duration { default = 600, min = 1, max = "7d", doc = "between two notices to one member about one chat" },
    chats = filter { default = "#", doc = "a filter of chat ids" },
  },
}

local parts, interval
-- Of one message: what ctx:emit allows. Who is left over is told with a later message.
local MAX_NOTICES = 50
local sent = counter("chat_away_total")

local function fail(text, ...) error(("settings.text: " .. text):format(...), 0) end

-- The template's texts and names in turn: "", "sender", " wrote in ", "chat", "".
local function read_template(text)
  local list, at = {}, 1
  while true do
    local first, last, name = text:find("{([^{}]*)}", at)
    list[#list + 1] = text:sub(at, (first or 0) - 1)
    if list[#list]:find("[{}]") then fail("has a brace without its other half") end
    if not first then return list end
    if name ~= "sender" and name ~= "chat" then fail("has no {%s}: there are {sender} and {chat}", name) end
    list[#list + 1], at = name, last + 1
  end
end

R.match = function(settings) return { kind = "chat", topic = settings.chats } end

function R.on_load(settings) parts, interval = read_template(settings.text), settings.interval end

local function text(values)
  local list = {}
  for i, part in ipairs(parts) do list[i] = i % 2 == 0 and values[part] or part end
  return table.concat(list)
end

-- Whether nobody, on any loop, has told this member within the interval. A full store tells him rather too often.
local function is_due(chat, uid)
  local times = shared.incr("chat-away/" .. hash.sha256(#chat .. ":" .. chat .. uid), 1, interval)
  return times == nil or times == 1
end

function R.on_chat(msg, chat, ctx)
  local sender, id, notice = msg.sender, chat.id, nil
  local from, told = sender and sender.uid or "", 0
  for _, uid in ipairs(chat.members) do
    if told == MAX_NOTICES then return end
    if uid ~= "" and uid ~= from and not chat:online(uid) and is_due(id, uid) then
      notice = notice or msg:with { payload = text { sender = from ~= "" and from or "somebody", chat = id }, format = "text" }
      ctx:emit(route.push({ uid = uid }, notice))
      sent:inc()
      told = told + 1
    end
  end
end

return R
