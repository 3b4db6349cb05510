"""What authors of rules use without a server: `shunt rule test` with its options."""

import json
import signal
import subprocess
from xml.etree import ElementTree

import pytest

from exchange import eventually
from processes import BINARY, environment, run

RULE = "return { on_message = function(msg) return route.drop(%s) end }"
TESTS = """return {
  ["says why"] = function(t) print("a line of the test") t:eq(t:message { topic = "a" }.why, "no") end,
  ["drops"] = function(t) t:eq(t:message { topic = "a" }.verdict, "drop") end,
}"""


@pytest.fixture
def plugins(tmp_path):
    folder = tmp_path / "plugins" / "no"
    folder.mkdir(parents=True)
    (folder / "rule.lua").write_text(RULE % "'no'")
    (folder / "rule_test.lua").write_text(TESTS)
    return folder.parent


def test_a_filter_runs_the_tests_with_its_text(plugins):
    for text in ("says", "no: says"):
        result = run("rule", "test", plugins, "--filter", text)
        assert result.returncode == 0 and "1 passed, 0 failed" in result.stdout and "drops" not in result.stdout, result
    for output in ("table", "json", "junit"):
        result = run("rule", "test", plugins, "--filter", "certainly not", "--output", output)
        assert result.returncode == 64 and "certainly not" in result.stderr and not result.stdout, result


def test_json_and_junit_stand_alone_on_standard_output(plugins):
    (plugins / "no/rule.lua").write_text(RULE % "'yes'")
    result = run("rule", "test", plugins, "--output", "json")
    document = json.loads(result.stdout)
    assert result.returncode == 65 and (document["passed"], document["failed"]) == (1, 1)
    assert [(test["plugin"], test["name"], test["result"]) for test in document["tests"]] == [
        ("no", "drops", "passed"), ("no", "says why", "failed")]
    assert "a line of the test" in result.stderr
    result = run("rule", "test", plugins, "--output", "junit")
    suite = ElementTree.fromstring(result.stdout).find("testsuite")
    assert result.returncode == 65 and suite.get("failures") == "1"
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["says why"]


def test_watch_runs_again_when_a_file_changes_and_outlives_failures(plugins, tmp_path):
    output, log = tmp_path / "output", tmp_path / "log"
    with open(output, "wb") as out, open(log, "wb") as err:
        process = subprocess.Popen([BINARY, "rule", "test", plugins, "--watch"], stdout=out, stderr=err, env=environment())

    def ran(times, what):
        eventually(lambda: log.read_text().count("Ctrl-C ends it") == times, 20, f"{times} runs")
        assert output.read_text().splitlines()[-1] == what

    try:
        ran(1, "2 passed, 0 failed")
        (plugins / "no/rule.lua").write_text(RULE % "'never'")
        ran(2, "1 passed, 1 failed")
        assert f"changed: {plugins}/no/rule.lua\n" in log.read_text()
        (plugins / "no/rule.lua").write_text("return {")
        ran(3, "0 passed, 1 failed")
        (plugins / "no/rule.lua").write_text(RULE % "'no'")
        ran(4, "2 passed, 0 failed")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (-signal.SIGINT, 128 + signal.SIGINT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
