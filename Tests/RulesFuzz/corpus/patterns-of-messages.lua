-- Patterns that a client chooses, in texts that it chooses.
local R = {}
local pieces = { "(", ")", "(?:", "|", "*", "+?", "{2,3}", "{0}", "[^", "]", "a-", "\\W", "\\b", "^", "$", ".", "é", "\xff", "a", "\\x{10FFFF}", "" }
function R.on_message(msg)
  local pattern, seed = {}, #msg.payload + (msg.payload:byte(1) or 0)
  for i = 1, 40 do
    seed = (seed * 1103515245 + 12345) % 2147483648
    pattern[i] = pieces[seed // 65536 % #pieces + 1]
    local text = table.concat(pattern)
    pcall(re.test, msg.payload, text)
    pcall(re.match, msg.payload, text)
    pcall(re.replace, msg.payload, text, "<%0>")
  end
  pcall(re.test, msg.payload, msg.payload)
  pcall(re.replace, msg.payload, "(" .. msg.payload .. ")", msg.payload)
end
return R
