return {
  ["every hundredth message is sampled, and all go on"] = function(t)
    for number = 1, 200 do
      local out = t:message { topic = "clicks/a", payload = "x" }
      t:eq(out.verdict, "pass")
      t:eq(#out.messages, number % 100 == 0 and 2 or 1)
      if number % 100 == 0 then t:eq(out.messages[2].topic, "sample/clicks/a") end
    end
  end,
}
