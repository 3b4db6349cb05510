"""`re`, held against Python's own engine, which tries one way after the other and finds the same matches."""

import random
import re

import pytest

from processes import run


def pattern(rng, depth=0):
    """A pattern in the syntax of both."""
    one = rng.choice(["a", "b", "c", "é", ".", "[ab]", "[^a]", "[a-cé]", r"\d", r"\w", r"\W", r"\s", r"\.", "1", " ", "ab", "[^b\\d]", r"\x41"])
    kind = rng.randrange(10)
    if depth < 4 and kind in (0, 1):
        one = f"({pattern(rng, depth + 1)})"
    elif depth < 4 and kind == 2:
        one = f"(?:{pattern(rng, depth + 1)}|{pattern(rng, depth + 1)})"
    elif depth < 4 and kind == 3:
        one = pattern(rng, depth + 1) + pattern(rng, depth + 1)
        return one
    elif kind == 4:
        return rng.choice(["^", "$", r"\b", r"\B"]) if depth else one
    # What a repetition of nothing ends with is told otherwise by every engine.
    if rng.randrange(3) == 0 and not re.match(f"(?:{one})\\Z", ""):
        one = one if len(one) == 1 or one[0] in "([\\" and one != r"\x41ab" and one != "ab" else f"(?:{one})"
        one += rng.choice(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{1,}", "{2,}?"])
    return one


def cases(seed, count):
    """Patterns, texts, what Python finds, and what it makes of the text with the matches replaced."""
    rng = random.Random(seed)
    found = []
    while len(found) < count:
        ours = "".join(pattern(rng) for _ in range(rng.randint(1, 4)))
        flags = rng.choice(["", "", "(?i)", "(?s)"])
        theirs = re.sub(r"(?<!\\)\$", r"\\Z", ours)
        try:
            compiled = re.compile(flags + theirs, re.ASCII)
        except re.error:
            continue
        if compiled.groups > 15:
            continue
        for _ in range(3):
            text = "".join(rng.choice("aabbcAé1. \n") for _ in range(rng.randint(1, 12)))
            match = compiled.search(text)
            # What comes after an empty match is a matter of taste; `re.replace` has that of `string.gsub`.
            empty = any(one.start() == one.end() for one in compiled.finditer(text))
            found.append((flags + ours, text, match and match.group(), None if empty else compiled.sub("<>", text)))
    return found


def lua(value):
    if value is None:
        return "nil"
    return '"' + "".join(c if c.isalnum() and ord(c) < 128 else "".join(f"\\x{b:02x}" for b in c.encode()) for c in value) + '"'


@pytest.mark.parametrize("seed", range(4))
def test_matches_are_those_of_python(tmp_path, seed):
    folder = tmp_path / "plugins" / "finds"
    folder.mkdir(parents=True)
    (folder / "rule.lua").write_text("return { on_message = function() end }")
    tests = []
    found = cases(seed, 1500)
    for first in range(0, len(found), 50):
        rows = ",\n".join("{ " + ", ".join(map(lua, case)) + " }" for case in found[first:first + 50])
        tests.append(f"""["{first}"] = function(t)
          for _, case in ipairs {{ {rows} }} do
            local pattern, text, found, replaced = case[1], case[2], case[3], case[4]
            t:eq(re.match(text, "(" .. pattern .. ")"), found, "match of " .. pattern .. " in " .. json.encode(text))
            t:eq(re.test(text, pattern), found ~= nil, "test of " .. pattern .. " in " .. json.encode(text))
            if replaced then t:eq((re.replace(text, pattern, "<>")), replaced, "replace of " .. pattern .. " in " .. json.encode(text)) end
          end
        end""")
    (folder / "rule_test.lua").write_text("return { " + ",\n".join(tests) + " }")
    result = run("rule", "test", folder.parent)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
