-- Finds listed words in texts: whole, in any case.
local M = {}

-- From, to: punctuation, symbols and emoji; and scripts without spaces, whose words begin and end anywhere.
local SEPARATORS = {
  0, 0x2F, 0x3A, 0x40, 0x5B, 0x60, 0x7B, 0xBF, 0xD7, 0xD7, 0xF7, 0xF7, 0x2000, 0x2BFF, 0x2E00, 0x2E7F, 0x3000, 0x3004, 0x3008, 0x303F,
  0xFE00, 0xFE6F, 0xFEFF, 0xFEFF, 0xFF00, 0xFF0F, 0xFF1A, 0xFF20, 0xFF3B, 0xFF40, 0xFF5B, 0xFF65, 0xFFE0, 0xFFFF,
  0x1F000, 0x1FFFF, 0xE0000, 0x10FFFF,
}
local UNSPACED = { 0x2E80, 0x2FFF, 0x3005, 0x3007, 0x3040, 0xA4CF, 0xAC00, 0xD7FF, 0xF900, 0xFAFF, 0xFF66, 0xFF9F, 0x20000, 0x3FFFF }
local FEW = 20
local IRREGULAR = {
  [0x178] = 0xFF, [0x386] = 0x3AC, [0x388] = 0x3AD, [0x389] = 0x3AE, [0x38A] = 0x3AF, [0x38C] = 0x3CC, [0x38E] = 0x3CD, [0x38F] = 0x3CE,
  [0x3C2] = 0x3C3, [0x130] = 0x130, [0x131] = 0x131, [0x138] = 0x138, [0xD7] = 0xD7,
}

-- Lower case of Latin, Greek and Cyrillic letters, always in as many bytes; string.lower knows ASCII only.
local function lower_code(c)
  if IRREGULAR[c] then return IRREGULAR[c] end
  if c >= 0xC0 and c <= 0xDE or c >= 0x391 and c <= 0x3A9 or c >= 0x410 and c <= 0x42F then return c + 32 end
  if c >= 0x400 and c <= 0x40F then return c + 80 end
  if c >= 0x139 and c <= 0x148 or c >= 0x179 and c <= 0x17E then return c + c % 2 end
  local in_pairs = c >= 0x100 and c <= 0x177 or c >= 0x460 and c <= 0x481 or c >= 0x48A and c <= 0x4BF or c >= 0x4D0 and c <= 0x52F
  return (in_pairs or c >= 0x1E00 and c <= 0x1E95 or c >= 0x1EA0 and c <= 0x1EFF) and c | 1 or c
end

local function is_in(ranges, code)
  for i = 1, #ranges, 2 do if code >= ranges[i] and code <= ranges[i + 1] then return true end end
  return false
end

-- Whether a word goes on at this byte. What is no UTF-8 ends it.
local function is_letter(text, at)
  local read, code = pcall(utf8.codepoint, text, at)
  return read and not is_in(SEPARATORS, code) and not is_in(UNSPACED, code)
end

local function is_whole(text, first, last)
  return not (first > 1 and is_letter(text, utf8.offset(text, -1, first))) and not (last < #text and is_letter(text, last + 1))
end

-- What the text is searched as: lower case where it matters, each character where it was.
local function fold(self, text)
  text = text:lower()
  if text:find("\1", 1, true) then text = text:gsub("\1", " ") end
  for lead, pattern in pairs(self.capitals) do
    if text:find(lead, 1, true) then text = text:gsub(pattern, self.small) end
  end
  return text
end

-- Calls back with the first and last byte of each listed word, until told that it is enough.
local function each(self, text, visit)
  text = fold(self, text)
  local marked = self.marks and text:gsub("%w+", self.marks) or ""
  for first, after in marked:gmatch("()\1+()") do
    if is_whole(text, first, after - 1) and visit(first, after - 1) then return end
  end
  for _, word in ipairs(self.others) do
    local first, last = text:find(word.text, 1, true)
    while first do
      if (word.anywhere or is_whole(text, first, last)) and visit(first, last) then return end
      first, last = text:find(word.text, last + 1, true)
    end
  end
end

local Words = {}
Words.__index = Words

function Words:are_in(text)
  local found = false
  each(self, text, function() found = true return true end)
  return found
end

-- The text with an asterisk for each character of a listed word.
function Words:mask(text)
  local places, out, at = {}, {}, 1
  each(self, text, function(first, last) places[#places + 1] = { first, last } end)
  table.sort(places, function(a, b) return a[1] < b[1] end)
  for _, place in ipairs(places) do
    local first, last = math.max(place[1], at), place[2]
    if last >= first then
      out[#out + 1] = text:sub(at, first - 1) .. ("*"):rep(utf8.len(text, first, last))
      at = last + 1
    end
  end
  return table.concat(out) .. text:sub(at)
end

function M.is_word(word)
  if type(word) ~= "string" or word == "" or not utf8.len(word) then return false end
  for _, code in utf8.codes(word) do if is_in(SEPARATORS, code) then return false end end
  return true
end

local function learn(self, word)
  local lower, anywhere = {}, false
  for _, code in utf8.codes(word:lower()) do
    lower[#lower + 1] = utf8.char(lower_code(code))
    anywhere = anywhere or is_in(UNSPACED, code)
  end
  self.others[#self.others + 1] = { text = table.concat(lower), anywhere = anywhere }
end

-- Many words of ASCII are faster looked up, all in one go, than looked for one by one.
local function learn_marks(self)
  local marks, count, others = {}, 0, {}
  for _, word in ipairs(self.others) do
    if word.text:find("^%w+$") then marks[word.text], count = ("\1"):rep(#word.text), count + 1 else others[#others + 1] = word end
  end
  if count > FEW then self.marks, self.others = marks, others end
end

-- Only the capitals of letters that are in a listed word are made small, by a pattern for each of their leading bytes.
local function learn_capitals(self)
  local letters = {}
  for i, word in ipairs(self.others) do letters[i] = word.text end
  letters = table.concat(letters)
  for code = 0xC0, 0x1EFF do
    local small = lower_code(code)
    if small ~= code and letters:find(utf8.char(small), 1, true) then
      local capital = utf8.char(code)
      local lead, last = capital:sub(1, -2), capital:sub(-1)
      self.small[capital] = utf8.char(small)
      self.capitals[lead] = (self.capitals[lead] or lead .. "[]"):sub(1, -2) .. last .. "]"
    end
  end
end

function M.new(list)
  local self = setmetatable({ others = {}, small = {}, capitals = {} }, Words)
  for _, word in ipairs(list) do learn(self, word) end
  learn_marks(self)
  learn_capitals(self)
  return self
end

return M
