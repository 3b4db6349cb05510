"""The examples of `shunt rule … --help`, and of the pages about rules, are commands that work as they are printed."""

import functools
import json
import os
import re
import shutil
import subprocess

import pytest

from processes import BINARY, ROOT, environment, run

COMMANDS = ["new", "check", "test", "run", "bench", "show", "definitions"]
PAGES = ["docs/rules.md", "docs/rules-guide.md", "docs/rules-recipes.md", "docs/plugins.md", "docs/operations.md"]
MESSAGE = {"topic": "orders/1", "payload": {"id": 1, "card": "4111"}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The repository as the examples see it, with the files that they take as the reader's own."""
    root = tmp_path_factory.mktemp("root")
    for folder in ("plugins", "examples"):
        shutil.copytree(ROOT / folder, root / folder)
    assert run("rule", "new", "vip", cwd=root).returncode == 0
    assert run("rule", "new", "doors", "--kind", "connect", "--in", "rules", cwd=root).returncode == 0
    shutil.copytree(root / "plugins/vip", root / "old/vip")
    for name, text in {
        "worker.yaml": "rules: { enabled: [vip] }\n", "redact.yaml": "redactions: [{ topic: orders/+, remove: [card] }]\n",
        "message.json": json.dumps(MESSAGE), "who.txt": "// who listens\norders/# billing bob\n",
        "yesterday.jsonl": "".join(json.dumps(MESSAGE | {"topic": f"orders/{number}"}) + "\n" for number in range(5)),
    }.items():
        (root / name).write_text(text)
    return root


@functools.cache
def shell(command, root):
    """As a reader types it; once, if several pages have it."""
    path = f"{BINARY.parent}:{os.environ['PATH']}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=root, timeout=300, env=environment(PATH=path))


def examples(text):
    """The commands of lines that are indented, without what is said of them."""
    found = re.findall(r"^ {2,}(shunt rule .*)$", text, re.M)
    return [re.split(r"\s{2,}|\s# ", line)[0].strip() for line in found]


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_help_work(root, command):
    text = run("rule", command, "--help").stdout
    found = examples(text)
    assert found or command == "definitions", text
    for example in found:
        assert len(example) <= 80, example
        if "--watch" in example:
            continue
        result = shell(example, root)
        assert result.returncode == 0 or command == "check" and result.returncode == 65, (example, result)
        if command in ("run", "bench"):
            assert "no rule is asked" not in result.stdout and "left out" not in result.stdout, (example, result)


def test_commands_of_the_pages_work(root):
    tried = []
    for page in PAGES:
        text = (ROOT / page).read_text()
        inline = [" ".join(each.split()) for each in re.findall(r"`(shunt rule \w+ [^`]+)`", text)]
        for command in inline + examples(text):
            # A name in capitals stands for the reader's own, /srv for another machine's files; an option alone is only spoken of.
            if re.search(r"\b[A-Z]{2,}\b|…|/srv/|--watch|--[\w-]+$", command) or command.startswith("shunt rule new"):
                continue
            result = shell(command, root)
            assert result.returncode == 0, (page, command, result)
            tried.append(command)
    assert len(tried) >= 6, tried


def test_the_recipe_that_is_copied_is_there():
    command, = re.findall(r"`(cp -r \S+ \S+)`", (ROOT / "docs/rules-recipes.md").read_text())
    _, _, source, target = command.split()
    assert (ROOT / source / "rule.lua").exists() and not (ROOT / target).exists()


def test_the_configuration_of_the_plugins_page_is_right(root):
    text, = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/plugins.md").read_text(), re.S)
    (root / "page.yaml").write_text(text)
    result = run("worker", "--check", "--config", "page.yaml", cwd=root)
    assert result.returncode == 0, result


@pytest.mark.parametrize("plugin", sorted(folder.name for folder in (ROOT / "plugins").iterdir()))
def test_the_example_of_each_plugins_page_runs_and_its_settings_fit_a_terminal(root, plugin):
    text = re.findall(r"```yaml\n(.*?)```", (ROOT / "plugins" / plugin / "README.md").read_text(), re.S)[0]
    (root / f"{plugin}.yaml").write_text(text)
    result = run("rule", "run", "--config", f"{plugin}.yaml", "--topic", "orders/1", "--payload", '{"id":1}', cwd=root)
    assert result.returncode == 0, result
    shown = run("rule", "show", plugin, cwd=root).stdout
    assert all(len(line) <= 80 for line in shown.splitlines()), shown
    result = run("rule", "bench", "--config", f"{plugin}.yaml", "--batches", "10", cwd=root)
    assert result.returncode in (0, 65), result
