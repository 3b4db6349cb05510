-- What becomes of what is over a quota, and how often.
local refusal, counted = {}, {}

function refusal.count(what)
  counted[what] = counted[what] or counter("tenant_quota_total", { what = what })
  counted[what]:inc()
end

function refusal.refuse(action, what, why)
  refusal.count(what)
  return route[action](why)
end

return refusal
