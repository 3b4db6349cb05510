return {
  ["a region that is known decides"] = function(t)
    t:eq(t:message { topic = "inbound/orders", payload = "x", props = { region = "eu" } }.topic, "eu/orders")
  end,

  ["others go to the default"] = function(t)
    t:eq(t:message { topic = "inbound/orders", payload = "x", props = { region = "../secret" } }.topic, "other/orders")
    t:eq(t:message { topic = "inbound/orders", payload = "x" }.topic, "other/orders")
  end,
}
