local function with(t, schema, more)
  local each = { schema = schema }
  for name, value in pairs(more or {}) do each[name] = value end
  t:ok(t:settings { schemas = { each } })
end

-- Why a payload is refused; "" where it passes.
local function why(t, payload)
  local out = t:message { topic = "orders/1", payload = payload }
  t:eq(out.error, nil, payload)
  t:eq(out.verdict, out.why and "reject" or "pass")
  return (out.why or ""):gsub("^it does not fit its schema: ", "")
end

-- Of each row, the schema takes the second list's payloads, and refuses those of the third.
local function holds(t, rows)
  for _, row in ipairs(rows) do
    with(t, row[1])
    for _, payload in ipairs(row[2]) do t:eq((why(t, payload)), "", row[1] .. " " .. payload) end
    for _, payload in ipairs(row[3]) do t:ok(why(t, payload) ~= "", row[1] .. " " .. payload) end
  end
end

local function refused(t, schema, text)
  local ok, wrong = t:settings { schemas = { { schema = schema } } }
  t:ok(not ok and wrong:find(text, 1, true), tostring(wrong or schema))
end

return {
  ["lets pass what fits, byte for byte, and refuses the rest with keyword and place"] = function(t)
    with(t, "order")
    local out = t:message { topic = "orders/1", payload = '{ "id" : 1, "lines":[{"sku":"a-1","count":2.0}], "note":null }' }
    t:eq({ out.verdict, out.payload }, { "pass", '{ "id" : 1, "lines":[{"sku":"a-1","count":2.0}], "note":null }' })
    t:eq(why(t, '{"id":1}'), "required at the top")
    t:eq(why(t, '{"id":0,"lines":[{"sku":"a-1","count":2}]}'), "minimum at /id")
    t:eq(why(t, '{"id":1,"lines":[{"sku":"a-1","count":2},{"sku":"A","count":2}]}'), "pattern at /lines/1/sku")
    t:eq(why(t, '{"id":1,"lines":[]}'), "minItems at /lines")
  end,

  ["tells nothing of the payload, its names neither"] = function(t)
    with(t, "order")
    t:eq(why(t, '{"id":1,"lines":[{"sku":"a-1","count":2}],"4111-1111":"hunter2"}'), "additionalProperties at /*")
    with(t, '{"patternProperties":{"^s":{"type":"integer"}},"additionalProperties":{"type":"null"},"propertyNames":{"maxLength":9}}')
    t:eq(why(t, '{"secret":"x"}'), "type at /*")
    t:eq(why(t, '{"other":"x"}'), "type at /*")
    t:eq(why(t, '{"a name that is a secret":null}'), "propertyNames at the top")
    t:ok(t:settings { tell = false, schemas = { { schema = "order" } } })
    t:eq(t:message({ topic = "x", payload = "{}" }).why, "it does not fit its schema")
  end,

  ["takes a schema in YAML, as JSON, or from a file"] = function(t)
    with(t, { type = "object", required = { "a" }, properties = { a = { enum = { 1, "x", false } } } })
    t:eq(why(t, '{"a":1.0}') .. why(t, '{"a":"x"}') .. why(t, '{"a":false}'), "")
    t:eq(why(t, '{"a":null}'), "enum at /a")
    with(t, ' {"const":null} ')
    t:eq(why(t, "null") .. why(t, "5"), "const at the top")
    with(t, "false")
    t:eq(why(t, "1"), "false at the top")
    with(t, true)
    t:eq(why(t, "1"), "")
  end,

  ["knows types, 1.0 as an integer, and lists from objects where they are empty"] = function(t)
    holds(t, {
      { '{"type":"integer"}', { "1", "1.0", "-0.0", "1e3", "123456789012345678901234567890" }, { "1.5", '"1"', "true", "null", "[]" } },
      { '{"type":"array"}', { "[]", "[1]" }, { "{}", "null", '"[]"' } },
      { '{"type":"object"}', { "{}", '{"1":1}' }, { "[]", "null" } },
      { '{"type":["null","string"]}', { "null", '""' }, { "false", "0" } },
      { '{"type":"boolean"}', { "true", "false" }, { "0", "1", "null" } },
    })
  end,

  ["compares numbers exactly, however long they are"] = function(t)
    holds(t, {
      { '{"maximum":9007199254740992}', { "9007199254740992", "-1e300" }, { "9007199254740993", "18446744073709551617" } },
      { '{"maximum":18446744073709551616}', { "18446744073709551616", "1.8446744073709552e19" }, { "18446744073709551617" } },
      { '{"exclusiveMinimum":-9223372036854775809}', { "-9223372036854775808", "0.5" }, { "-9223372036854775809", "-1e19" } },
      { '{"const":100000000000000000000}', { "1e20", "100000000000000000000" }, { "100000000000000000001", "1e21" } },
      { '{"enum":[1,"1",true,[1],{"a":1.0}]}', { "1.0", '"1"', "true", "[1.0]", '{"a":1}' }, { "0", "[true]", '{"a":"1"}', '{"a":1,"b":1}' } },
      { '{"multipleOf":0.01}', { "19.99", "0", "-0.07", "9007199254740993", "1e300" }, { "0.001", "19.995" } },
      { '{"multipleOf":7}', { "14.0", "7000000000000000000000007" }, { "15", "7000000000000000000000008", "7.5" } },
    })
  end,

  ["counts code points, members and names"] = function(t)
    holds(t, {
      { '{"minLength":2,"maxLength":2}', { '"éé"', '"😀😀"', '"\\ud83d\\ude00x"', "5" }, { '"é"', '"a\\u0301e"', '""' } },
      { '{"minProperties":1,"maxProperties":1}', { '{"a":1}', '{"a":1,"a":2}', "[]" }, { "{}", '{"a":1,"b":2}' } },
      { '{"minItems":1.0,"maxItems":2}', { "[1]", "[null,null]", "{}" }, { "[]", "[1,2,3]" } },
      { '{"uniqueItems":true}', { '[1,"1",true,[1],{"a":1}]', "[[1],[2]]" }, { "[1,1.0]", '[{"a":1,"b":2},{"b":2,"a":1.0}]', "[null,null]" } },
      { '{"contains":{"type":"integer"},"minContains":2,"maxContains":3}', { "[1,2]", '[1,"a",2,3]', "{}" }, { "[1]", "[1,2,3,4]", "[]" } },
      { '{"contains":false,"minContains":0}', { "[]", "[1]" }, {} },
    })
  end,

  ["looks into objects and lists"] = function(t)
    holds(t, {
      { '{"properties":{"a":false},"patternProperties":{"^x":true},"additionalProperties":{"type":"integer"}}',
        { "{}", '{"xa":"any","b":1}' }, { '{"a":1}', '{"b":"1"}' } },
      { '{"prefixItems":[{"type":"integer"},true],"items":{"type":"string"}}', { "[]", "[1]", '[1,null,"a"]' }, { '["a"]', "[1,2,3]" } },
      { '{"dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["d"]}}}', { "{}", '{"a":1,"b":1}' }, { '{"a":null}', '{"c":1}' } },
      { '{"propertyNames":{"pattern":"^[a-z]+$"}}', { '{"a":1}' }, { '{"A":1}', '{"":1}' } },
    })
  end,

  ["combines schemas"] = function(t)
    holds(t, {
      { '{"allOf":[{"minimum":1},{"maximum":3}]}', { "1", "3" }, { "0", "4" } },
      { '{"anyOf":[{"minimum":3},{"type":"string"}]}', { "3", '""' }, { "2" } },
      { '{"oneOf":[{"minimum":1},{"maximum":3}]}', { "0", "4" }, { "2" } },
      { '{"not":{"type":"integer"}}', { "1.5", "null" }, { "1" } },
      { '{"if":{"minimum":5},"then":{"maximum":9},"else":{"type":"integer"}}', { "7", "1" }, { "10", "1.5" } },
      { '{"then":false,"else":false}', { "1" }, {} },
    })
  end,

  ["follows references, to itself too"] = function(t)
    holds(t, {
      { '{"type":"object","properties":{"next":{"$ref":"#"}}}', { '{"next":{"next":{}}}' }, { '{"next":{"next":5}}' } },
      { '{"items":{"$ref":"#/$defs/a~1b%25"},"$defs":{"a/b%":{"type":"null"}}}', { "[null]" }, { "[1]" } },
      { '{"items":{"$ref":"#x","minimum":2},"$defs":{"n":{"$anchor":"x","type":"integer"}}}', { "[2]" }, { "[1]", "[2.5]" } },
      { '{"prefixItems":[{"type":"null"},{"$ref":"#/prefixItems/0"}]}', { "[null,null]" }, { "[null,1]" } },
    })
  end,

  ["refuses schemas that it would not keep, and names what it does not know"] = function(t)
    for _, row in ipairs {
      { '{"minLenght":5}', "/minLenght is not known here" }, { '{"properties":{"a":{"unevaluatedProperties":false}}}', "/properties/a/unevaluatedProperties" },
      { '{"format":"date"}', "/format is not known here; formats: ignore" }, { '{"$dynamicRef":"#a"}', "/$dynamicRef" },
      { '{"$schema":"http://json-schema.org/draft-07/schema#"}', "/$schema is another draft" }, { '{"items":[true]}', "/items must be a schema" },
      { '{"type":"int"}', "/type must be null" }, { '{"required":["a","a"]}', "/required must be" }, { '{"enum":{}}', "/enum must be a list" },
      { '{"minLength":-1}', "/minLength must be a whole number" }, { '{"multipleOf":0}', "/multipleOf must be more than 0" },
      { '{"pattern":"(?=a)"}', "/pattern is a regular expression" }, { '{"patternProperties":{"(":true}}', "/patternProperties is a regular" },
      { '{"allOf":[]}', "/allOf must have at least one" }, { '{"$defs":{"a":{"typ":1}}}', "/$defs/a/typ is not known" },
      { '{"not":5}', "/not must be a schema" }, { '{"properties":5,"additionalProperties":true}', "properties" },
      { '{"$ref":"#/nowhere"}', "/$ref leads nowhere" }, { '{"$ref":"#nothing"}', "leads to no $anchor" }, { '{"$ref":"other.json"}', "/$ref must begin with #" },
      { '{"$ref":"#"}', "leads back to itself" }, { '{"not":{"anyOf":[{"$ref":"#/$defs/a"}]},"$defs":{"a":{"$ref":"#/not"}}}', "leads back to itself" },
      { '{"properties":{"a":{"$id":"x"}}}', "/$id is known at the top only" }, { '{"a":', "is no JSON" }, { "orders", "is neither JSON nor a file" },
      { 5, "it must be a schema" }, { "[]", "it must be a schema" },
    } do refused(t, row[1], row[2]) end
    for _, schema in ipairs { { const = json.null }, { properties = { a = { type = json.null } } }, { enum = { 1, json.null } } } do
      local ok, text = t:settings { schemas = { { schema = schema } } }
      t:ok(not ok and text:find(" is null", 1, true), tostring(text))
    end
    t:ok(t:settings { formats = "ignore", schemas = { { schema = '{"format":"date","x-mine":5,"title":"T","$id":"http://x"}' } } })
  end,

  ["drops, or only counts, where told to; a message must fit all its schemas"] = function(t)
    for _, action in ipairs { "drop", "pass" } do
      with(t, "order", { action = action, unreadable = action })
      for _, payload in ipairs { "{}", "no JSON" } do t:eq(t:message({ topic = "x", payload = payload }).verdict, action) end
    end
    t:ok(t:settings { schemas = { { topic = "a/#", schema = '{"minimum":1}' }, { topic = "+/b", schema = '{"maximum":3}' } } })
    local function verdict(topic, payload) return t:message({ topic = topic, payload = payload }).verdict end
    t:eq({ verdict("a/b", "2"), verdict("a/b", "0"), verdict("a/b", "4"), verdict("a/c", "4"), verdict("c", "4") },
      { "pass", "reject", "reject", "pass", "unmatched" })
  end,

  ["looks at what clients send, and not at what rules have made of it"] = function(t)
    with(t, '{"properties":{"card":{"pattern":"^[0-9]{4}$"}}}')
    local function verdict(hops) return t:message({ topic = "x", payload = '{"card":"***1"}', hops = hops }).verdict end
    t:eq({ verdict(0), verdict(1) }, { "reject", "pass" })
  end,

  ["refuses what is no JSON, whatever it is"] = function(t)
    with(t, "true")
    local odd = { "text", "{'a':1}", '{"a":1', "\xff\xfe", '"\xff"', '"\\ud800"', "1e999", "nan", "1 2", ("["):rep(5000), ("["):rep(65) .. ("]"):rep(65), "\0" }
    for _, payload in ipairs(odd) do t:eq(why(t, payload), "it is no JSON", payload:sub(1, 20)) end
    t:eq(why(t, ("["):rep(60) .. ("]"):rep(60)), "")
  end,

  ["lets nothing pass that it could not finish"] = function(t)
    with(t, '{"uniqueItems":true,"items":{"anyOf":[{"type":"string","pattern":"(a|b)*c"},{"type":"object"}]}}')
    local large = { '["' .. ("ab"):rep(50000) .. '"]', "[" .. ('{"a":{}},'):rep(30000) .. "{}]", "[" .. ('"abc",'):rep(20000) .. '"x"]' }
    for _, payload in ipairs(large) do
      local out = t:message { topic = "x", payload = payload }
      t:ok(out.error or out.why, "it is refused, or fails")
      t:eq(out.verdict, "reject")
    end
    t:eq(why(t, '["c"]'), "")
  end,
}
