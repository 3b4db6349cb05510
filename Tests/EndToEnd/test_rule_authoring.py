"""What authors of rules use without a server: `shunt rule new`, and `shunt rule test` with its options."""

import json
import shlex
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


def test_a_test_whose_name_is_no_utf_8_is_run(plugins):
    (plugins / "no/rule_test.lua").write_bytes(b'return { ["gr\xf6\xdfe is refused"] = function(t) t:eq(1, 2) end, ["ok"] = function() end }')
    for output in ("table", "json", "junit"):
        result = run("rule", "test", plugins, "--output", output)
        assert result.returncode == 65 and "xf6" in result.stdout, result
    assert "1 passed, 1 failed" in run("rule", "test", plugins).stdout
    result = run("rule", "test", plugins, "--filter", "is refused")
    assert result.returncode == 65 and "0 passed, 1 failed" in result.stdout, result


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
        # Tests that run in the background may have it ignored, which children inherit.
        process = subprocess.Popen([BINARY, "rule", "test", plugins, "--watch"], stdout=out, stderr=err, env=environment(),
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

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


@pytest.mark.parametrize("kind", ["message", "connect", "broadcast", "chat"])
def test_a_new_plugin_passes_its_tests_and_runs_in_a_worker(tmp_path, kind):
    made = run("rule", "new", "mine", "--kind", kind, cwd=tmp_path)
    assert made.returncode == 0 and not made.stderr, made
    assert {path.name for path in (tmp_path / "plugins/mine").iterdir()} == {"rule.lua", "rule_test.lua", "README.md"}
    assert all(word in made.stdout for word in ("shunt rule test plugins/mine", "enabled: [mine]", "kill -HUP"))
    places = {line.index("shunt ") for line in made.stdout.splitlines() if line[:2] in ("1.", "2.", "4.")}
    assert len(places) == 1, "the commands stand below each other"
    command = next(line[line.index("shunt ") + 6:] for line in made.stdout.splitlines() if line.startswith("2."))
    assert run(*shlex.split(command), cwd=tmp_path).returncode == 0, command
    tested = run("rule", "test", "plugins/mine", cwd=tmp_path)
    assert tested.returncode == 0 and "0 failed" in tested.stdout and "warning" not in tested.stdout, tested
    page = (tmp_path / "plugins/mine/README.md").read_text()
    (tmp_path / "worker.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    checked = run("worker", "--check", "--config", "worker.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked


def test_new_writes_nothing_over_and_refuses_names_that_are_none(plugins):
    before = {path: path.read_text() for path in plugins.rglob("*.lua")}
    again = run("rule", "new", "no", "--in", plugins)
    assert again.returncode == 64 and f"{plugins}/no" in again.stderr and not again.stdout
    assert {path: path.read_text() for path in plugins.rglob("*.*")} == before
    for name, near in (("orders.eu", "orders-eu"), ("../up", "up"), ("all", "")):
        refused = run("rule", "new", name, "--in", plugins)
        assert refused.returncode == 64 and name in refused.stderr and near in refused.stderr and not refused.stdout
    assert [path.name for path in plugins.iterdir()] == ["no"]
    assert run("rule", "new", "x", "--kind", "massage").returncode == 64
    assert run("rule", "new", "x", "--in", plugins / "no/rule.lua").returncode == 74
    assert run("rule", "new", "x", "--in", plugins / "a/b").returncode == 0 and (plugins / "a/b/x/rule.lua").exists()
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([BINARY, "rule", "new", "y", "--in", plugins], stdout=full, stderr=subprocess.PIPE, env=environment())
    assert ended.returncode == 74


def test_a_failed_comparison_tells_where_tables_differ(plugins):
    (plugins / "no/rule_test.lua").write_text("""return { ["x"] = function(t)
      t:eq({ lines = { { sku = "x" }, { sku = "b" } }, n = 1 }, { lines = { { sku = "x" }, { sku = "a" } } })
    end }""")
    result = run("rule", "test", plugins)
    assert result.returncode == 65
    assert '        .lines[2].sku: expected "a", got "b"\n        .n: not expected, got 1' in result.stdout
