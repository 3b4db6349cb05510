-- JSON's values as JSON Schema sees them: their types, when two are equal, and numbers of any length. A list of JSON has a metatable.
local values = {}

function values.kind(value)
  local kind = type(value)
  if kind == "table" then return getmetatable(value) == false and "array" or "object" end
  if kind == "userdata" then return value == json.null and "null" or "number" end
  return kind
end

-- 1.0 and 1 are one number. Integers of more than 64 bits are userdata, of their digits.
local function plain(number)
  if math.type(number) ~= "float" then return number end
  return math.tointeger(number) or number
end

function values.is_integer(number)
  return math.type(plain(number)) ~= "float" or number % 1 == 0
end

local function digits(number)
  return math.type(number) == "float" and ("%.0f"):format(math.floor(number)) or tostring(number)
end

-- Negative where the first is less, 0 where they are equal, positive where it is more. Exact, where the host would take the nearest float.
function values.compare(one, other)
  if type(one) == "number" and type(other) == "number" then return one < other and -1 or one > other and 1 or 0 end
  one, other = digits(one), digits(other)
  local less = one:sub(1, 1) == "-"
  if less ~= (other:sub(1, 1) == "-") then return less and -1 or 1 end
  local order = #one ~= #other and (#one < #other and -1 or 1) or one < other and -1 or one > other and 1 or 0
  return less and -order or order
end

-- The digits of a number, without zeros at their end, and the power of ten that they count: of floats the fewest that mean the same.
local function decimal(number)
  local text = tostring(number)
  for precision = 14, math.type(number) == "float" and 16 or 0 do
    text = ("%%.%de"):format(precision):format(number)
    if tonumber(text) == number then break end
  end
  local whole, fraction, exponent = text:match("^%-?(%d+)%.?(%d*)e?([+-]?%d*)$")
  local all = whole .. fraction
  local digits = all:gsub("0+$", "")
  return digits, (tonumber(exponent) or 0) - #fraction + #all - #digits
end

-- What a number must be a multiple of; nil where it has too many digits to count with.
function values.divisor(number)
  local digits, power = decimal(number)
  return #digits <= 17 and { number = plain(number), digits = tonumber(digits), power = power } or nil
end

-- As people count, by decimal digits: 19.99 is a multiple of 0.01, though neither is a number of the machine's.
function values.is_multiple(number, of)
  number = plain(number)
  if math.type(number) == "integer" and math.type(of.number) == "integer" then return number % of.number == 0 end
  local digits, power = decimal(number)
  if digits == "" then return true end
  if power < of.power then return false end
  local rest = 0
  for digit in (digits .. ("0"):rep(power - of.power)):gmatch("%d") do rest = (rest * 10 + tonumber(digit)) % of.digits end
  return rest == 0
end

-- A text that two values have in common if JSON Schema takes them for equal.
local function written(value)
  local kind = values.kind(value)
  if kind == "string" then return json.encode(value) end
  if kind == "number" then
    local number = plain(value)
    if math.type(number) == "float" then return number % 1 == 0 and digits(number) or ("%.17g"):format(number) end
    return tostring(number)
  end
  local parts = {}
  if kind == "array" then
    for i, each in ipairs(value) do parts[i] = written(each) end
    return "[" .. table.concat(parts, ",") .. "]"
  elseif kind == "object" then
    for name, each in pairs(value) do parts[#parts + 1] = json.encode(name) .. ":" .. written(each) end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
  end
  return kind == "null" and "null" or tostring(value)
end
values.written = written

-- A text in code points.
values.length = utf8.len

return values
