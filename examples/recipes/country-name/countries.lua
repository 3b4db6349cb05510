-- By their ISO codes.
return { de = "Germany", fr = "France", pl = "Poland", pt = "Portugal", se = "Sweden" }
