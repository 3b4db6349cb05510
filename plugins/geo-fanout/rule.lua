-- Sends messages with a position to the topics of the cells and regions that they come from. See README.md.
local point = { lat = number { min = -90, max = 90 }, lon = number { min = -180, max = 180 } }

local R = {
  name = "geo-fanout", priority = 45,
  settings = {
    topics = list(filter, { min = 1, max = 100, doc = "which topics have positions" }),
    from = enum { "payload", "properties", default = "payload", doc = "whether the position is in the JSON of the payload or in user properties" },
    lat = path { default = "lat", doc = "where the latitude is, in degrees; `coordinates.2` of GeoJSON" },
    lon = path { default = "lon", doc = "where the longitude is; `coordinates.1` of GeoJSON" },
    cells = list({
      kind = enum { "geohash", "grid", default = "geohash", doc = "how the globe is divided" },
      length = integer { default = 5, min = 1, max = 12, doc = "characters of a geohash: 5 is 5 km" },
      degrees = number { default = 1, min = 0.0001, max = 90, doc = "the side of a cell of the grid" },
      to = text { min = 1, doc = "a topic, with `{cell}`, or `{levels}` for a level a character, and `{topic}`" },
    }, { optional = true, max = 16, doc = "a message goes to its cell of each" }),
    regions = list({
      name = text { min = 1, doc = "for `{region}`" },
      to = text { min = 1, doc = "a topic, with `{region}` and `{topic}`" },
      circle = table({ lat = point.lat, lon = point.lon, meters = number { min = 0, max = 20040000 } }, { optional = true }),
      polygon = list(point, { optional = true, min = 3, max = 1000, doc = "its corners" }),
    }, { optional = true, max = 1000, doc = "a message goes to each region that it is in" }),
    original = boolean { default = true, doc = "whether the message goes on under its own topic, too" },
    missing = enum { "pass", "reject", "drop", default = "pass", doc = "what becomes of a message without a position" },
    bad = enum { "pass", "reject", "drop", default = "reject", doc = "what becomes of one whose position is no place on the globe" },
  },
}

local geo = require "geo"
local set, cells, regions
local counted = {}

local function count(what)
  counted[what] = counted[what] or counter("geo_total", { what = what })
  counted[what]:inc()
end

local function check(to, names, where)
  local rest = to:gsub("{(%w+)}", function(name)
    if not names[name] then error(("settings.%s: {%s} means nothing here"):format(where, name), 0) end
    return "x"
  end)
  if rest:find("[+#{}\0]") then error(("settings.%s: '%s' is no topic"):format(where, to), 0) end
end

R.match = function(settings) return { topic = settings.topics } end

function R.on_load(settings)
  set, cells, regions = settings, settings.cells or {}, {}
  for i, cell in ipairs(cells) do check(cell.to, { cell = true, levels = true, topic = true }, ("cells[%d].to"):format(i)) end
  for i, region in ipairs(settings.regions or {}) do
    local where = ("regions[%d]"):format(i)
    if region.name:find("[+#\0]") then error(("settings.%s.name: '%s' can't stand in a topic"):format(where, region.name), 0) end
    check(region.to, { region = true, topic = true }, where .. ".to")
    if (region.circle == nil) == (region.polygon == nil) then error(("settings.%s: has a circle or a polygon, one of them"):format(where), 0) end
    local has = region.circle and geo.circle(region.circle, region.circle.meters) or geo.polygon(region.polygon)
    regions[i] = { name = region.name, to = region.to, has = has }
  end
  if #cells + #regions == 0 then error("settings.regions: there are neither cells nor regions", 0) end
end

local function field(value, at)
  for _, name in ipairs(at) do
    if type(value) ~= "table" then return nil end
    local member = value[name]
    -- Of a list, its first member is 1.
    if member == nil then member = value[math.tointeger(tonumber(name))] end
    value = member
  end
  return value
end

local function property(props, at)
  local value = props[table.concat(at, ".")]
  return value and (value:find("^%-?%d+%.?%d*$") and #value < 64 and tonumber(value) or value)
end

-- Latitude and longitude; nil where there are none, false where they are no place.
local function position(msg)
  local lat, lon
  if set.from == "properties" then
    local props = msg.props
    lat, lon = property(props, set.lat), property(props, set.lon)
  else
    local document = msg:json()
    lat, lon = field(document, set.lat), field(document, set.lon)
  end
  if lat == nil and lon == nil then return nil end
  if not (math.type(lat) and math.type(lon)) or lat < -90 or lat > 90 or lon < -180 or lon > 180 then return false end
  return geo.normal(lat, lon)
end

local function add(targets, to, names)
  local topic = to:gsub("{(%w+)}", names)
  -- One that may be too long, or is there already, is left out.
  local fits, sent = pcall(route.to, topic)
  if fits and not targets[topic] then
    targets[topic], targets[#targets + 1] = true, sent
  end
end

function R.on_message(msg)
  local lat, lon = position(msg)
  if not lat then
    local what = lat == nil and "missing" or "bad"
    count(what)
    if set[what] == "pass" then return nil end
    return route[set[what]](what == "bad" and "its position is no place" or "it has no position")
  end
  local topic, targets = msg.topic, {}
  if set.original then targets[1], targets[topic] = msg, true end
  for _, cell in ipairs(cells) do
    local parts = cell.kind == "grid" and geo.grid(lat, lon, cell.degrees) or geo.geohash(lat, lon, cell.length)
    local joined = table.concat(parts, cell.kind == "grid" and "-" or "")
    add(targets, cell.to, { cell = joined, levels = table.concat(parts, "/"), topic = topic })
  end
  for _, region in ipairs(regions) do
    if region.has(lat, lon) then add(targets, region.to, { region = region.name, topic = topic }) end
  end
  if #targets == 0 then
    count("nowhere")
    return route.drop("it is in none of the regions")
  end
  -- The message alone goes on to the next rule.
  if not (set.original and #targets == 1) then return route.fanout(targets) end
end

return R
