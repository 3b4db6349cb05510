"""Settings of rules: what a rule says of them is checked, and errors name their place in the configuration."""

import json

import pytest

from processes import copy_plugins, run, write_rule, write_whole

RULE = """
return {
  name = "door",
  settings = {
    redactions = list { topic = filter, remove = list(path, { optional = true }) },
    keep = integer { default = 4, min = 0, max = 16, doc = "characters that stay" },
    every = duration { default = "1m" },
    salt = text { secret = true, optional = true, min = 8 },
  },
  on_message = function(msg, ctx) return route.reject(ctx.settings.keep .. " " .. ctx.settings.every) end,
  on_load = function(settings)
    if settings.keep == 13 then error("settings.redactions[1].topic: is unlucky, with " .. tostring(settings.salt), 0) end
  end,
}
"""

HEAD = """rules:
  directory: {plugins}
  enabled: [door]
  settings:
    door:
"""


def checked(tmp_path, settings: str, rule: str = RULE):
    """What --check says of these lines below `door:`, which begin on line 6."""
    plugins = write_rule(tmp_path / "plugins", "door", rule)
    path = tmp_path / "shunt.yaml"
    path.write_text(HEAD.format(plugins=plugins) + "".join(f"      {line}\n" for line in settings.splitlines()))
    return path, run("worker", "--check", "--config", path)


GOOD = "redactions: [{ topic: a/# }]\n"

WRONG = {
    "a value in a list in a table in a list": (
        "redactions:\n  - topic: orders/+\n  - topic: a\n    remove:\n      - b\n      - 5\n",
        ["11:15: rules.settings.door.redactions[1].remove[1] is 5 (config.type); in quotes it is a text; a dotted path"]),
    "a null in a list": (
        "redactions:\n  - topic: a\n    remove:\n      - b\n      - # card.pin\n", ["10:14: rules.settings.door.redactions[0].remove[1] is null"]),
    "a misspelt key": (
        "redactoins:\n  - topic: a\n", ["6:7: unknown key redactoins in rules.settings.door (config.unknown_key); did you mean redactions?",
                                        "5:5: rules.settings.door.redactions is missing (config.missing)"]),
    "a key that is missing in an element": (
        "redactions:\n  - topic: a\n  - remove: [b]\n", ["8:11: rules.settings.door.redactions[1].topic is missing"]),
    "several errors": (
        "keep: 17\nredactions: [{ topic: a/#/b }]\nevery: soon\n",
        ["6:13: rules.settings.door.keep is 17 (config.range); a whole number from 0 to 16: characters that stay",
         '7:29: rules.settings.door.redactions[0].topic is "a/#/b"', '8:14: rules.settings.door.every is "soon"']),
    "a setting of the wrong kind": ("redactions: a\n", ["6:19: rules.settings.door.redactions is a text"]),
    "what on_load raises": (GOOD + "keep: 13\n", ["6:29: rules.settings.door.redactions[0].topic: is unlucky"]),
    "a key with nothing after it": ("redactions:\n", ["6:7: rules.settings.door.redactions is empty (config.missing); a list"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_names_its_line_and_what_would_be_right(tmp_path, name):
    settings, expected = WRONG[name]
    path, result = checked(tmp_path, settings)
    assert result.returncode == 78, result.stderr
    for text in expected:
        assert f"{path}:{text}" in result.stderr, result.stderr
    if name != "what on_load raises":
        assert len(result.stderr.splitlines()) == len(expected), result.stderr


def test_settings_by_set_and_variables_are_checked_too(tmp_path):
    plugins = write_rule(tmp_path / "plugins", "door", RULE)
    sets = ["--set", f"rules.directory={plugins}", "--set", "rules.enabled=[door]"]
    result = run("worker", "--check", *sets, "--set", "rules.settings={door: {redactions: [{topic: 5}]}}")
    assert result.returncode == 78 and "--set rules.settings" in result.stderr and "redactions[0].topic is 5" in result.stderr, result.stderr
    assert run("worker", "--check", *sets, "--set", "rules.settings={door: {redactions: [{topic: a}]}}").returncode == 0


def test_a_wrong_schema_is_told_with_the_line_of_the_rule(tmp_path):
    _, result = checked(tmp_path, GOOD, RULE.replace("default = 4", "default = 99"))
    assert result.returncode == 78, result.stderr
    assert "door/rule.lua:6: the default of settings.keep does not fit: settings.keep is 99" in result.stderr
    _, result = checked(tmp_path, GOOD, RULE.replace("= integer {", "= interger {"))
    assert result.returncode == 78 and "door/rule.lua:6:" in result.stderr and "interger" in result.stderr, result.stderr
    _, result = checked(tmp_path, GOOD, RULE.replace('= duration { default = "1m" }', "= duratoin"))
    assert result.returncode == 78 and "door/rule.lua:7: unknown type duratoin" in result.stderr and "duration?" in result.stderr, result.stderr


def test_a_rule_gets_checked_settings_and_a_reload_with_wrong_ones_changes_nothing(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "door", RULE)
    listen = "worker: { masters: [], listeners: { exchange: { listen: '127.0.0.1:0' } } }\n"
    path = tmp_path / "shunt.yaml"

    def write(settings):
        write_whole(path, listen + HEAD.format(plugins=plugins) + "".join(f"      {line}\n" for line in settings.splitlines()))
        return path

    worker = shunt.worker(config=write(GOOD + "salt: hunter2 hunter2\n"))
    client = connect(worker.exchange)
    assert client.message("a/1", "x").text == "4 60"
    write("redactions: [{ topic: 5 }]\nkeep: 99\nsalt: hunter3\n")
    log = worker.reload()
    assert log.count("the configuration stays as it was") == 3 and "redactions[0].topic is 5" in log and "keep is 99" in log, log
    assert client.message("a/1", "x").text == "4 60"
    write(GOOD + "keep: 13\nsalt: hunter4 hunter4\n")
    assert "is unlucky, with (hidden)" in worker.reload()
    write(GOOD + "every: 1h\nsalt: hunter5 hunter5\n")
    assert "read the configuration again" in worker.reload()
    assert client.message("a/1", "x").text == "4 3600"
    assert "hunter" not in worker.stderr


def test_trials_that_are_not_there_or_mean_nothing_are_told_with_their_line(tmp_path):
    path, _ = checked(tmp_path, GOOD)
    text = path.read_text()
    path.write_text(text + "  trials:\n    dor: { mode: shadow }\n")
    result = run("worker", "--check", "--config", path)
    line = text.count("\n") + 2
    expected = f"{path}:{line}:5: dor is on trial and does not run (rule.missing); did you mean door?"
    assert result.returncode == 78 and expected in result.stderr, result
    path.write_text(text + "  trials:\n    door: { mode: shadow, share: 50 }\n")
    result = run("worker", "--check", "--config", path)
    assert result.returncode == 0 and f"{path}:{line}:34: rules.trials.door.share means nothing: a shadow's decisions" in result.stderr, result
    path.write_text(text + "  trials:\n    door: { mode: canary, share: 50 }\n")
    assert "means nothing" not in run("worker", "--check", "--config", path).stderr


def test_rule_show_tells_settings_hooks_and_grants(tmp_path):
    plugins = copy_plugins(tmp_path / "plugins", "redact", "topic-router")
    result = run("rule", "show", "redact", "--in", plugins)
    assert result.returncode == 0 and "redactions[].remove" in result.stdout and "secret" in result.stdout, result.stderr
    assert run("rule", "show", plugins / "redact").stdout == result.stdout
    assert run("rule", "show", plugins / "redact" / "rule.lua").stdout == result.stdout
    sheet = json.loads(run("rule", "show", "redact", "--in", plugins, "--output", "json").stdout)
    assert sheet["name"] == "redact" and sheet["on_error"] == "reject" and sheet["hooks"] == ["on_load", "on_message"]
    assert {row["name"]: row["default"] for row in sheet["settings"]}["unreadable"] == "reject"
    page = run("rule", "show", "redact", "--in", plugins, "--output", "markdown").stdout
    assert page in (plugins / "redact" / "README.md").read_text()
    result = run("rule", "show", "redcat", "--in", plugins)
    assert result.returncode == 78 and "did you mean redact?" in result.stderr, result.stderr
