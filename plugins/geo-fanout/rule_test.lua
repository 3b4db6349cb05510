local function with(t, settings)
  settings.topics = settings.topics or { "pos/+" }
  t:ok(t:settings(settings))
end

-- The topics that a message at a place goes to, besides its own, in order.
local function topics(t, lat, lon, more)
  local message = { topic = "pos/1", payload = ('{"lat":%s,"lon":%s}'):format(lat, lon) }
  for name, value in pairs(more or {}) do message[name] = value end
  local out, found = t:message(message), {}
  t:eq(out.error, nil)
  for i, each in ipairs(out.verdict == "fanout" and out.messages or {}) do found[i] = each.topic end
  table.sort(found)
  return table.concat(found, " "), out
end

local function region(shape)
  shape.name, shape.to = "r", "in"
  return { original = false, regions = { shape } }
end

local function square(south, west, north, east)
  return { { lat = south, lon = west }, { lat = south, lon = east }, { lat = north, lon = east }, { lat = north, lon = west } }
end

-- Of each place, whether it is inside.
local function inside(t, shape, places)
  with(t, region(shape))
  for _, place in ipairs(places) do
    local found = topics(t, place[1], place[2]) == "in"
    t:eq(found, place[3], place[1] .. " " .. place[2])
  end
end

local function cell(t, lat, lon) return (topics(t, lat, lon)) end

return {
  ["sends a message to its geohash, and on under its own topic"] = function(t)
    with(t, { cells = { { to = "geo/{cell}/{topic}" } } })
    t:eq(topics(t, 57.64911, 10.40744), "geo/u4pru/pos/1 pos/1")
    with(t, { original = false, cells = { { to = "geo/{cell}", length = 11 } } })
    -- The example that the idea came with, and others told by other programs.
    t:eq(cell(t, 57.64911, 10.40744), "geo/u4pruydqqvj")
    with(t, { original = false, cells = { { to = "geo/{levels}", length = 5 } } })
    t:eq(cell(t, 42.605, -5.603), "geo/e/z/s/4/2")
    t:eq(cell(t, -25.382708, -49.265506), "geo/6/g/k/z/w")
  end,

  ["takes 180 and -180 for one meridian, and a pole for one place"] = function(t)
    for _, kind in ipairs { "geohash", "grid" } do
      with(t, { original = false, cells = { { kind = kind, to = "g/{cell}" } } })
      t:eq(cell(t, 10, 180), cell(t, 10, -180))
      t:ok(cell(t, 10, 179.99) ~= cell(t, 10, -179.99))
      for _, lat in ipairs { 90, -90, 90.0 } do
        for _, lon in ipairs { 0, 77, -180, 180, 179.5 } do t:eq(cell(t, lat, lon), cell(t, lat, 0)) end
      end
      t:ok(cell(t, 90, 0) ~= cell(t, -90, 0))
    end
  end,

  ["divides by a grid of degrees"] = function(t)
    with(t, { original = false, cells = { { kind = "grid", degrees = 0.5, to = "g/{cell}" } } })
    t:eq(cell(t, 52.52, 13.405), "g/285-386")
    t:eq({ cell(t, -90, -180), cell(t, 90, 179.9) }, { "g/0-360", "g/359-360" })
    t:eq({ cell(t, 0, 0), cell(t, -0.001, -0.001), cell(t, "-0.0", "-0.0") }, { "g/180-360", "g/179-359", "g/180-360" })
    with(t, { original = false, cells = { { kind = "grid", degrees = 1, to = "g/{cell}" } } })
    t:eq({ cell(t, 0, "179.99999999999997"), cell(t, 0, 180) }, { "g/90-359", "g/90-0" })
    with(t, { original = false, cells = { { kind = "grid", degrees = 7, to = "g/{levels}" } } })
    t:eq(cell(t, 89.99, 179.99), "g/25/51", "the last have what is left")
  end,

  ["finds circles, over -180 and over the poles"] = function(t)
    inside(t, { circle = { lat = 52.52, lon = 13.405, meters = 10000 } }, { { 52.52, 13.405, true }, { 52.60, 13.405, true }, { 52.62, 13.405, false }, { 52.52, 13.55, true }, { 52.52, 13.56, false } })
    inside(t, { circle = { lat = -17, lon = 179.9, meters = 50000 } }, { { -17, -179.9, true }, { -17, 180, true }, { -17, -180, true }, { -17, -179, false }, { -17, 179, false } })
    inside(t, { circle = { lat = 89.9, lon = 0, meters = 30000 } }, { { 90, 123, true }, { 89.9, 180, true }, { 89.8, 180, false }, { 89.7, 0, true }, { -90, 0, false } })
    inside(t, { circle = { lat = 0, lon = 0, meters = 0 } }, { { 0, 0, true }, { 0, 0.00001, false } })
    inside(t, { circle = { lat = 10, lon = 20, meters = 20040000 } }, { { -10, -160, true }, { 90, 0, true }, { -90, 0, true } })
  end,

  ["finds polygons, of any shape and either way round"] = function(t)
    local bent = { { lat = 0, lon = 0 }, { lat = 0, lon = 10 }, { lat = 10, lon = 10 }, { lat = 10, lon = 8 }, { lat = 2, lon = 8 }, { lat = 2, lon = 0 } }
    local places = { { 1, 1, true }, { 9, 9, true }, { 5, 5, false }, { 1, 9.9, true }, { -1, 5, false }, { 1, -0.1, false }, { 1, 361 - 360, true } }
    inside(t, { polygon = bent }, places)
    local back = {}
    for i = #bent, 1, -1 do back[#back + 1] = bent[i] end
    inside(t, { polygon = back }, places)
  end,

  ["finds polygons over -180, given either way"] = function(t)
    local places = { { 0, 179, true }, { 0, -179, true }, { 0, 180, true }, { 0, -180, true }, { 0, 0, false }, { 0, 169, false }, { 0, -169, false }, { 6, 180, false } }
    inside(t, { polygon = square(-5, 170, 5, -170) }, places)
    inside(t, { polygon = { { lat = 5, lon = -170 }, { lat = -5, lon = -170 }, { lat = -5, lon = 170 }, { lat = 5, lon = 170 } } }, places)
    inside(t, { polygon = square(-5, 30, 5, -160) }, { { 0, 31, true }, { 0, 180, true }, { 0, -161, true }, { 0, 0, false }, { 0, -159, false } })
  end,

  ["finds polygons around a pole"] = function(t)
    local ring = {}
    for i, lon in ipairs { 0, 90, 180, -90 } do ring[i] = { lat = 70, lon = lon } end
    inside(t, { polygon = ring }, { { 90, 0, true }, { 80, 45, true }, { 71, -179, true }, { 71, 180, true }, { 69, 0, false }, { -80, 0, false } })
    for _, corner in ipairs(ring) do corner.lat = -70 end
    inside(t, { polygon = ring }, { { -90, 0, true }, { -71, 180, true }, { -69, 0, false }, { 80, 0, false } })
    inside(t, { polygon = square(80, -10, 90, 10) }, { { 85, 0, true }, { 85, 11, false }, { 79, 0, false } })
  end,

  ["gives what lies on a common edge to one of two polygons"] = function(t)
    with(t, { original = false, regions = {
      { name = "west", to = "{region}", polygon = square(0, 0, 10, 10) }, { name = "east", to = "{region}", polygon = square(0, 10, 10, 20) },
      { name = "north", to = "{region}", polygon = square(10, 0, 20, 20) },
    } })
    for _, place in ipairs { { 5, 10 }, { 10, 5 }, { 10, 10 }, { 10, 15 }, { 0.5, 0 }, { 0, 10 } } do
      local found = topics(t, place[1], place[2])
      t:ok(found == "west" or found == "east" or found == "north" or found == "", place[1] .. " " .. place[2] .. ": " .. found)
      t:ok(found ~= "", place[1] .. " " .. place[2])
    end
  end,

  ["sends to each region and cell once, and takes the message itself along"] = function(t)
    with(t, { cells = { { to = "same" } }, regions = {
      { name = "a", to = "same", circle = { lat = 0, lon = 0, meters = 1000 } }, { name = "b", to = "b/{region}/{topic}", circle = { lat = 0, lon = 0, meters = 1000 } },
      { name = "c", to = "pos/1", circle = { lat = 0, lon = 0, meters = 1000 } },
    } })
    local found, out = topics(t, 0, 0, { key = "k", qos = 2 })
    t:eq(found, "b/b/pos/1 pos/1 same")
    for _, each in ipairs(out.messages) do t:eq({ each.payload, each.key, each.qos }, { '{"lat":0,"lon":0}', "k", 2 }) end
  end,

  ["lets a message alone that is nowhere, or drops it where only regions count"] = function(t)
    local settings = region { circle = { lat = 0, lon = 0, meters = 1 } }
    with(t, settings)
    t:eq(select(2, topics(t, 5, 5)).verdict, "drop")
    settings.original = true
    with(t, settings)
    t:eq(select(2, topics(t, 5, 5)).verdict, "pass")
  end,

  ["reads positions of GeoJSON and of user properties"] = function(t)
    with(t, { original = false, lat = "geometry.coordinates.2", lon = "geometry.coordinates.1", cells = { { to = "{cell}", length = 2 } } })
    t:eq((topics(t, 0, 0, { payload = '{"type":"Feature","geometry":{"type":"Point","coordinates":[10.40744,57.64911]}}' })), "u4")
    with(t, { original = false, lat = "at.42.lat", lon = "at.42.lon", cells = { { to = "{cell}", length = 2 } } })
    t:eq((topics(t, 0, 0, { payload = '{"at":{"42":{"lat":57.64911,"lon":10.40744}}}' })), "u4")
    with(t, { original = false, from = "properties", cells = { { to = "{cell}", length = 2 } } })
    t:eq((topics(t, 0, 0, { payload = "\xff", props = { lat = "57.64911", lon = "10.4" } })), "u4")
    for _, text in ipairs { "nan", "0x10", "1e1", " 1", "1,5", "", ("1"):rep(60000), "-", "inf" } do
      t:eq(select(2, topics(t, 0, 0, { props = { lat = text, lon = "1" } })).why, "its position is no place", text:sub(1, 9))
    end
    t:eq(select(2, topics(t, 0, 0)).verdict, "pass", "it has no position")
  end,

  ["refuses what is no place, or does what it is told to"] = function(t)
    local odd = { "91", "-90.0001", "1e999", "null", '"5"', "true", "[]", "{}", "99999999999999999999999", "1e300" }
    for _, bad in ipairs { "reject", "drop", "pass" } do
      with(t, { bad = bad, cells = { { to = "{cell}" } } })
      for _, value in ipairs(odd) do
        local _, out = topics(t, value, "0")
        t:eq(out.verdict, value == "1e999" and "pass" or bad, value)
        if value ~= "91" and value ~= "-90.0001" then t:eq(select(2, topics(t, "0", value)).verdict, value == "1e999" and "pass" or bad, value) end
      end
      t:eq(select(2, topics(t, 0, 180.1)).verdict, bad)
      t:eq(select(2, topics(t, 0, 0, { payload = '{"lat":5}' })).verdict, bad, "half a position")
    end
  end,

  ["takes what has no position as it is told to, whatever it is"] = function(t)
    local odd = {
      "text", "5", "null", "[]", "{}", '{"lat', "\xff\xfe", '{"lat":"\xff","lon":1}', ("["):rep(5000), ('{"lat":'):rep(70) .. "1" .. ("}"):rep(70), ("x"):rep(60000),
      '{"position":{"lat":1,"lon":1}}',
    }
    for _, missing in ipairs { "pass", "reject", "drop" } do
      with(t, { missing = missing, cells = { { to = "{cell}" } } })
      for _, payload in ipairs(odd) do t:eq(select(2, topics(t, 0, 0, { payload = payload })).verdict, missing, payload:sub(1, 20)) end
    end
  end,

  ["says what is wrong with its settings"] = function(t)
    local function one(each)
      each.name, each.to = each.name or "r", each.to or "in"
      return { topics = { "a" }, regions = { each } }
    end
    local circle = { lat = 0, lon = 0, meters = 1 }
    for _, case in ipairs {
      { {}, "topics is missing" }, { { topics = { "a" } }, "there are neither cells nor regions" }, { one {}, "regions[0]: has a circle or a polygon" },
      { one { circle = circle, polygon = square(0, 0, 1, 1) }, "one of them" }, { one { circle = { lat = 91, lon = 0, meters = 1 } }, "lat is 91" },
      { one { polygon = { { lat = 0, lon = 0 }, { lat = 1, lon = 1 } } }, "polygon" }, { one { circle = circle, to = "in/#" }, "'in/#' is no topic" },
      { one { circle = circle, name = "north+sea" }, "name: 'north+sea' can't stand in a topic" },
      { one { circle = circle, to = "{cell}" }, "{cell} means nothing here" }, { { topics = { "a" }, cells = { { to = "x", length = 13 } } }, "length is 13" },
    } do
      local ok, why = t:settings(case[1])
      t:ok(not ok and why:find(case[2], 1, true), tostring(why))
    end
  end,
}
