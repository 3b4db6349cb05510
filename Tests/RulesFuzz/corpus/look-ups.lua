-- Calls that wait: what they hold over a look-up, what they catch, and what may not be reached from other calls.
local R, kept, threads = {}, {}, {}

local function churn()
  local all = {}
  for i = 1, 200 do all[i] = ("x"):rep(i) .. i end
  return #all
end

local function deep(n)
  if n == 0 then return http.get("http://a/") end
  local answer, why = deep(n - 1)
  return answer, why, n
end

local function ask(conn)
  local before = { conn.uid, conn.tags, conn.address }
  kept[#kept % 8 + 1] = conn
  threads[#threads % 8 + 1] = coroutine.running()
  local answer, why = http.get("http://a/" .. churn(), { headers = { Accept = "text/plain", ["X-Empty"] = "" }, cache = "60s" })
  churn()
  if answer and answer.json then answer:json() end
  local ok, caught = pcall(function()
    local last <close> = setmetatable({}, { __close = churn })
    local found = resolve("a")
    error(found or "none")
  end)
  local _, other = pcall(coroutine.wrap(function() return http.get("http://a/") end))
  pcall(coroutine.yield, other)
  pcall(table.sort, { 3, 2, 1 }, function(a, b) http.get("http://a/") return a < b end)
  pcall(string.gsub, "abc", ".", function() return http.get("http://a/") end)
  for _, thread in pairs(threads) do
    pcall(coroutine.resume, thread)
    pcall(coroutine.close, thread)
    pcall(coroutine.status, thread)
  end
  for _, each in pairs(kept) do pcall(each.with, each, { uid = before[1] }) end
  return answer, why or caught, ok
end

function R.on_connect(conn)
  local answer = ask(conn)
  deep(100)
  if answer and answer.status == 200 then return conn:with { uid = "u", tags = { "a" } } end
  return route.reject(tostring(answer))
end

function R.on_auth(conn, data)
  ask(conn)
  while #data > 0 do
    local answer = http.post("http://a/", { data = data })
    if not answer then return route.continue(data) end
  end
end

function R.on_subscribe(sub)
  local sender = sub.sender
  if sender then ask(sender) end
  return sub:with { topic = sub.topic, group = "g" }
end

function R.on_message(msg)
  pcall(http.get, "http://a/")
  for _, each in pairs(kept) do pcall(function() return each.uid end) end
end

return R
