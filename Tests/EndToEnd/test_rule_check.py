"""`shunt rule check`: mistakes in rules, with their places."""

import json

from processes import run


def plugin(folder, name, text):
    path = folder / name
    path.mkdir(parents=True)
    (path / "rule.lua").write_text(text)
    return path


def test_an_error_has_its_place_and_what_would_be_right(tmp_path):
    folder = plugin(tmp_path, "r", "return {\n  on_message = function(msg)\n    return route.rejct(msg.topic)\n  end,\n}\n")
    result = run("rule", "check", folder)
    assert result.returncode == 65, result
    assert f"{folder}/rule.lua:3:18: error: there is no verdict route.rejct [library]; did you mean reject?" in result.stdout
    found = json.loads(run("rule", "check", folder, "--output", "json").stdout)
    assert found["errors"] == 1 and found["findings"][0]["location"] == f"{folder}/rule.lua:3:18"
    assert found["findings"][0]["code"] == "library"


def test_settings_that_a_rule_has_not_and_values_that_cannot_be_are_found(tmp_path):
    folder = plugin(tmp_path, "r", """local R = { settings = { limit = integer { default = 4 } } }
function R.on_message(msg, ctx)
  if ctx.settings.limt then return route.to("a/#") end
  return "drop"
end
return R
""")
    result = run("rule", "check", folder)
    assert result.returncode == 65, result
    for told in (
            "3:19: error: there is no setting limt in ctx.settings [field]; did you mean limit? it has limit",
            '3:45: error: route.to: topic "a/#" has +, # or a zero byte in it', "4:10: error: on_message returns the text \"drop\""):
        assert f"{folder}/rule.lua:{told}" in result.stdout, result
    (folder / "rule.lua").write_text("return { on_message = function() end }\n")
    (folder / "rule_tests.lua").write_text("return {}\n")
    assert "rule_tests.lua is not run as the rule's tests" in run("rule", "check", folder).stdout
    assert "tests stand in rule_test.lua" in run("rule", "test", folder).stdout


def test_warnings_end_it_with_strict_alone(tmp_path):
    folder = plugin(tmp_path, "r", "local x = 1\nreturn { grants = { broadcast = true }, on_message = function() end }\n")
    result = run("rule", "check", folder)
    assert result.returncode == 0 and ":1:7: warning" in result.stdout and "r may, whoever the sender is: broadcast" in result.stdout, result
    assert run("rule", "check", folder, "--strict").returncode == 65
    assert run("rule", "check", tmp_path / "none").returncode == 78


def test_a_folder_that_is_named_twice_is_looked_at_once(tmp_path):
    folder = plugin(tmp_path, "red", 'return { on_message = function() return route.drop("all") end }\n')
    (folder / "rule_test.lua").write_text('return { ["all are dropped"] = function(t) t:eq(t:message { payload = "x" }.verdict, "drop") end }\n')
    result = run("rule", "check", tmp_path, folder, folder / "rule.lua", "--strict")
    assert result.returncode == 0 and "1 plugin: 0 errors, 0 warnings" in result.stdout, result
    assert "1 passed, 0 failed" in run("rule", "test", tmp_path, folder).stdout
