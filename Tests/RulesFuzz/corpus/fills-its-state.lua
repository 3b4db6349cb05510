-- A rule that keeps all it can get hurts itself only.
local R = {}
local kept = {}
function R.on_load(settings, saved) if saved then kept = saved.kept end end
function R.on_unload() return { kept = kept } end
function R.on_message(msg)
  for i = 1, 1000 do
    kept[#kept + 1] = ("x"):rep(1000) .. #kept
    kv.set("k" .. #kept, "v")
    log.debug("noise")
  end
end
return R
