-- Places on the globe: cells, circles and polygons. Latitudes are -90 to 90, longitudes -180 to 180.
local geo = {}

local EARTH = 6371008.8 -- metres, the mean radius
local DIGITS = "0123456789bcdefghjkmnpqrstuvwxyz"

-- 180 and -180 are one meridian, and a pole is one place, whatever longitude it is given.
function geo.normal(lat, lon)
  if lat == 90 or lat == -90 then return lat, 0.0 end
  return lat, lon == 180 and -180.0 or lon
end

-- The geohash of a place: each character halves the cell five times, by longitude first.
function geo.geohash(lat, lon, length)
  local south, north, west, east = -90.0, 90.0, -180.0, 180.0
  local characters, bits, by_longitude = {}, 0, true
  for i = 1, length * 5 do
    local bit
    if by_longitude then
      local middle = (west + east) / 2
      bit = lon >= middle and 1 or 0
      if bit == 1 then west = middle else east = middle end
    else
      local middle = (south + north) / 2
      bit = lat >= middle and 1 or 0
      if bit == 1 then south = middle else north = middle end
    end
    by_longitude, bits = not by_longitude, bits << 1 | bit
    if i % 5 == 0 then
      characters[i // 5], bits = DIGITS:sub(bits + 1, bits + 1), 0
    end
  end
  return characters
end

-- Row and column of a grid of so many degrees, from the south pole and from -180. The last row and column have what is left.
function geo.grid(lat, lon, degrees)
  local rows, columns = math.ceil(180 / degrees), math.ceil(360 / degrees)
  local row, column = math.floor((lat + 90) / degrees), math.floor((lon + 180) / degrees)
  return { tostring(math.min(row, rows - 1)), tostring(math.min(column, columns - 1)) }
end

-- Whether a place is in a circle on the globe: by the great circle, so that neither poles nor -180 matter.
function geo.circle(center, meters)
  local lat0, lon0, degrees = math.rad(center.lat), math.rad(center.lon), math.deg(meters / EARTH)
  local cosine = math.cos(lat0)
  return function(lat, lon)
    if math.abs(lat - center.lat) > degrees + 1e-9 then return false end
    local a, b = math.rad(lat), math.rad(lon)
    local h = math.sin((a - lat0) / 2) ^ 2 + cosine * math.cos(a) * math.sin((b - lon0) / 2) ^ 2
    return 2 * EARTH * math.asin(math.min(1, math.sqrt(h))) <= meters
  end
end

-- The corners with longitudes that go on where an edge passes 180: each edge takes the shorter way round. A ring around a pole is closed
-- over it: over that which is nearer to its corners.
local function unrolled(points)
  local corners, lon, sum = {}, points[1].lon, 0
  for i, point in ipairs(points) do
    lon = lon + (point.lon - lon + 180) % 360 - 180
    corners[i], sum = { lat = point.lat, lon = lon }, sum + point.lat
  end
  local last = lon + (points[1].lon - lon + 180) % 360 - 180
  if math.abs(last - points[1].lon) > 180 then
    local beyond = sum >= 0 and 91 or -91
    for _, corner in ipairs { { lat = points[1].lat, lon = last }, { lat = beyond, lon = last }, { lat = beyond, lon = points[1].lon } } do
      corners[#corners + 1] = corner
    end
  end
  return corners
end

-- Whether a place is in a polygon, whose edges are straight on a map of latitudes and longitudes. Of polygons that share an edge, one has it.
function geo.polygon(points)
  local corners = unrolled(points)
  local south, north, west, east = 91, -91, math.huge, -math.huge
  for _, corner in ipairs(corners) do
    south, north = math.min(south, corner.lat), math.max(north, corner.lat)
    west, east = math.min(west, corner.lon), math.max(east, corner.lon)
  end
  local function crosses(lat, lon)
    local inside, before = false, corners[#corners]
    for _, corner in ipairs(corners) do
      if (corner.lat > lat) ~= (before.lat > lat)
        and lon < (before.lon - corner.lon) * (lat - corner.lat) / (before.lat - corner.lat) + corner.lon then
        inside = not inside
      end
      before = corner
    end
    return inside
  end
  return function(lat, lon)
    if lat < south or lat > north then return false end
    -- The corners may lie beyond 180 or -180: the place is tried there, too.
    for x = lon + 360 * math.ceil((west - lon) / 360), east, 360 do
      if crosses(lat, x) then return true end
    end
    return false
  end
end

return geo
