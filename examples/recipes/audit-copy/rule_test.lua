return {
  ["the payment goes on as it came, and the audit gets a copy"] = function(t)
    local out = t:message { topic = "payments/eu", payload = { sum = 5, card = "4111" }, sender = { uid = "ada" } }
    t:eq(#out.messages, 2)
    t:eq(json.decode(out.messages[1].payload).card, "4111")
    t:eq(out.messages[2].topic, "audit/payments")
    local copy = json.decode(out.messages[2].payload)
    t:eq(copy.payment, { sum = 5 })
    t:eq(copy.sender, "ada")
  end,

  ["no card's number is in the copy, wherever it stands"] = function(t)
    for _, payload in ipairs { '[{"card":"4111"}]', '{"lines":[{"by":{"card":"4111"},"n":1}]}', '"4111"', "4111" } do
      local out = t:message { topic = "payments/eu", payload = payload }
      t:eq({ #out.messages, out.messages[2].payload:find("4111", 1, true) }, { 2, nil }, payload)
    end
  end,

  ["what is not JSON is audited without its payload"] = function(t)
    local out = t:message { topic = "payments/eu", payload = "4111 1111" }
    t:ok(not out.messages[2].payload:find("4111", 1, true))
  end,
}
