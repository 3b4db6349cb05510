local ada = { uid = "ada@acme" }

return {
  ["topics of messages and subscriptions get the tenant's name"] = function(t)
    t:eq(t:message { topic = "orders/1", payload = "x", sender = ada }.topic, "acme/orders/1")
    t:eq(t:subscribe { topic = "orders/#", sender = ada }.topic, "acme/orders/#")
  end,

  ["another tenant's topics are out of reach"] = function(t)
    t:eq(t:message { topic = "other/orders", payload = "x", sender = ada }.topic, "acme/other/orders")
    t:eq(t:subscribe { topic = "#", sender = ada }.topic, "acme/#")
  end,

  ["the own name is not put before twice"] = function(t)
    t:eq(t:message { topic = "acme/orders", payload = "x", sender = ada }.verdict, "pass")
  end,

  ["a client of the exchange protocol says who it is when it registers"] = function(t)
    t:eq(t:connect({ uid = "" }).verdict, "accept")
    t:eq(t:register(ada).verdict, "accept")
    t:eq(t:register({ uid = "ada" }).verdict, "reject")
    t:eq(t:message({ topic = "orders/1", payload = "x", sender = { uid = "" } }).verdict, "reject")
  end,

  ["a will stays inside, too"] = function(t)
    t:eq(t:will({ topic = "gone", payload = "x", sender = ada }).topic, "acme/gone")
    t:eq(t:will({ topic = "gone", payload = "x", sender = { uid = "eve" } }).verdict, "reject")
  end,

  ["a client without a tenant does not come in"] = function(t)
    t:eq(t:connect({ uid = "ada", client_id = "d1" }).verdict, "reject")
    t:eq(t:connect({ uid = "ada@acme", client_id = "d1" }).verdict, "accept")
    t:eq(t:message({ topic = "orders/1", payload = "x", sender = { uid = "ada" } }).verdict, "reject")
  end,
}
