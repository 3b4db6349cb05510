-- A module is loaded once, whatever it returns and whatever ended the call that loaded it.
local R = {}
function R.on_message(msg)
  pcall(require, "other")
  pcall(require, "nothing")
  pcall(require, "none")
  local text = require "other"
  while true do text = { text } end
end
return R
