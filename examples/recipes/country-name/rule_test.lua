return {
  ["a country's name is added"] = function(t)
    local out = t:message { topic = "orders/1", payload = { id = 1, country = "pt" } }
    t:eq(json.decode(out.payload), { id = 1, country = "pt", country_name = "Portugal" })
  end,

  ["a country that is not in the table is told as such"] = function(t)
    local out = t:message { topic = "orders/1", payload = { country = "xx" } }
    t:eq(json.decode(out.payload).country_name, "unknown")
  end,

  ["what has no country stays as it is"] = function(t)
    t:eq(t:message { topic = "orders/1", payload = "text" }.verdict, "pass")
    t:eq(t:message { topic = "orders/1", payload = { country = 5 } }.verdict, "pass")
  end,
}
