"""The first rules of README.md and docs/rules-guide.md: typed as they stand, they pass their tests and do what the page says."""

import re

import pytest

from processes import ROOT, run


def blocks(page, heading):
    section = re.split(r"^## ", (ROOT / page).read_text(), flags=re.M)
    text = "".join(part for part in section if part.startswith(heading))
    return re.findall(r"```(lua|yaml)\n(.*?)```", re.sub(r"^   ", "", text, flags=re.M), re.S)


@pytest.fixture
def readme(tmp_path):
    (rule, tests), (yaml,) = ([text for kind, text in blocks("README.md", "A first rule") if kind == wanted] for wanted in ("lua", "yaml"))
    folder = tmp_path / "plugins/vip"
    folder.mkdir(parents=True)
    (folder / "rule.lua").write_text(rule)
    (folder / "rule_test.lua").write_text(tests)
    (tmp_path / "first.yaml").write_text(yaml)
    return tmp_path


def test_the_readmes_rule_passes_its_tests_and_loads(readme):
    assert run("rule", "test", "plugins/vip", cwd=readme).stdout.splitlines()[-1] == "2 passed, 0 failed"
    assert run("worker", "--check", "--config", "first.yaml", cwd=readme).returncode == 0


def test_the_readmes_run_shows_what_it_does(readme):
    command = re.search(r"`shunt (rule run --config .*?)`", (ROOT / "README.md").read_text()).group(1)
    *words, payload = command.replace("'", "").split(" ")
    result = run(*words, payload, cwd=readme)
    assert result.returncode == 0 and "vip  on_message  fanout" in result.stdout and "sends vip/orders" in result.stdout, result


def test_the_guides_rule_passes_its_tests_and_runs_as_printed(tmp_path):
    rule, = (text for kind, text in blocks("docs/rules-guide.md", "Your first rule") if kind == "lua")
    tests, = (text for kind, text in blocks("docs/rules-guide.md", "Testing") if kind == "lua")
    assert run("rule", "new", "vip", cwd=tmp_path).returncode == 0
    (tmp_path / "plugins/vip/rule.lua").write_text(rule)
    (tmp_path / "plugins/vip/rule_test.lua").write_text(tests)
    assert run("rule", "test", "plugins/vip", cwd=tmp_path).stdout.splitlines()[-1] == "1 passed, 0 failed"
    result = run("rule", "run", "plugins/vip", "--topic", "orders/1", "--payload", '{"id":1,"region":"eu"}', "--uid", "ada", cwd=tmp_path)
    page = re.search(r"    orders/1   (.*?)\n\nThe first call", (ROOT / "docs/rules-guide.md").read_text(), re.S).group(0)

    def figureless(text):
        text = re.sub(r"[\d.]+ (µs|ns|ms|KiB|bytes|allocations)", "0", text)
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("The first")]

    assert figureless(result.stdout) == figureless(page)


def test_definitions_are_written_once_and_settings_are_kept(tmp_path):
    result = run("rule", "definitions", "--in", tmp_path)
    assert result.returncode == 0 and result.stdout.splitlines() == [f"{tmp_path}/library/shunt.lua", f"{tmp_path}/.luarc.json"]
    assert (tmp_path / "library/shunt.lua").read_text() == (ROOT / "docs/lua/shunt.lua").read_text()
    (tmp_path / ".luarc.json").write_text("{}")
    result = run("rule", "definitions", "--in", tmp_path)
    assert result.returncode == 0 and "is there already" in result.stdout and (tmp_path / ".luarc.json").read_text() == "{}"
    assert run("rule", "definitions", "--print").stdout == (ROOT / "docs/lua/shunt.lua").read_text()
    result = run("rule", "definitions", "--in", tmp_path / "none")
    assert result.returncode == 74 and "cannot be written" in result.stderr
