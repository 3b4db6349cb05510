"""Manual pages and completions: made from the definitions of --help, and whole."""

import json
import re
import subprocess

import pytest

from processes import BINARY, ROOT, run

PLACES = {"file", "path", "folder", "directory"}


def commands():
    """Each command's words and definition."""

    def below(command, words):
        yield words, command
        for each in command.get("subcommands", []):
            if each.get("shouldDisplay", True) and each["commandName"] != "help":
                yield from below(each, [*words, each["commandName"]])

    root = json.loads(run("--experimental-dump-help").stdout)["command"]
    return list(below(root, ["shunt"]))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run(
        [ROOT / "scripts/manpages", "--binary", BINARY, "--reference", ROOT / "config/reference.yaml", "--to", folder], check=True)
    return folder


def plain(path) -> str:
    """A page's text, without what makes it bold."""
    text = re.sub(r"\\f[BIPR]", "", path.read_text())
    for escape, letter in (("\\-", "-"), ("\\(aq", "'"), ("\\(ga", "`"), ("\\(ti", "~"), ("\\(ha", "^"), ("\\&", ""), ("\\e", "\\")):
        text = text.replace(escape, letter)
    return text


def test_every_command_has_a_page_with_every_option(pages):
    there = {path.name for path in pages.iterdir()}
    expected = {"shunt.yaml.5"}
    for words, command in commands():
        name = "-".join(words) + ".1"
        expected.add(name)
        text = plain(pages / name)
        assert f"{'-'.join(words)} - " in text
        for argument in command.get("arguments", []):
            if not argument.get("shouldDisplay", True):
                continue
            spellings = [("-" if each["kind"] == "short" else "--") + each["name"] for each in argument.get("names", [])]
            for spelling in spellings or [argument["valueName"]]:
                assert re.search(rf"^\.TP\n.*(?<![\w-]){re.escape(spelling)}(?![\w-])", text, re.M), f"{name} has no {spelling}"
            for value in argument.get("allValues") or []:
                assert value in text, f"{name}: {spellings} has no {value}"
            first = (argument.get("abstract") or "").split()[:4]
            assert " ".join(first).replace("`", "") in " ".join(text.split()), f"{name}: {spellings} has no description"
    assert there == expected


def test_every_key_of_the_configuration_has_an_entry(pages):
    text = plain(pages / "shunt.yaml.5")
    path, inner = [], False
    for line in (ROOT / "config/reference.yaml").read_text().splitlines():
        if match := re.fullmatch(r"((?:  )*)([a-z_]+):(.*)", line):
            path = [*path[:len(match[1]) // 2], match[2]]
            # The last line of a long value looks like a key.
            if match[3] and match[3].count("{") == match[3].count("}") and match[3].count("[") == match[3].count("]"):
                assert f"\n{'.'.join(path)}:{match[3].rstrip()}\n" in text, path
        inner = line.strip() == "# Each has:" or inner and line.strip().startswith("#   ")
        if inner and (match := re.match(r" *#   ([a-z_]+(?:\.[a-z_]+)+): ", line)):
            assert f".TP\n{match[1]}\n" in text, match[1]


def test_mandoc_and_groff_find_nothing(pages):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *sorted(pages.iterdir())], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout, done.stdout[:2000]
    for page in sorted(pages.iterdir()):
        done = subprocess.run(["groff", "-man", "-ww", "-z", page], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr[:2000]


def test_every_argument_that_is_a_place_completes_to_one():
    for words, command in commands():
        for argument in command.get("arguments", []):
            if argument["kind"] != "flag" and argument["valueName"] in PLACES:
                kind = argument.get("completionKind") or {}
                assert kind.keys() & {"file", "directory"}, f"{' '.join(words)}: {argument['names']} completes to {kind or 'nothing'}"


# What a shell offers


LINES = [
    ("shunt ad", {"admin"}),
    ("shunt admin close", {"close-chat"}),
    ("shunt master --conf", {"--config"}),
    ("shunt master --config wo", {"worker.yaml"}),
    ("shunt rule test pl", {"plugins"}),
    ("shunt admin workers --output ", {"table", "json", "csv"}),
]


def completions(shell, folder):
    """The shell's script of completions, in a folder with a file and a folder."""
    (folder / "worker.yaml").touch()
    (folder / "plugins").mkdir()
    script = folder / ".script"
    script.write_text(run("--generate-completion-script", shell).stdout)
    return script


@pytest.mark.parametrize("name", ["bash", "fish", "zsh"])
def test_scripts_are_right(name, tmp_path):
    script = completions(name, tmp_path)
    done = subprocess.run([name, "-n", script], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


BASH = """
source "$1"
line=$2
COMP_LINE=$line; COMP_POINT=${#line}
read -ra COMP_WORDS <<<"$line"
[[ $line == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shunt shunt "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


# Zsh completes at a terminal alone.
@pytest.mark.parametrize("name", ["bash", "fish"])
@pytest.mark.parametrize("line, expected", LINES)
def test_what_is_offered(tmp_path, name, line, expected):
    script = completions(name, tmp_path)
    command = {
        "bash": ["bash", "-c", BASH, "bash", script, line],
        "fish": ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line],
    }[name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parent)
    offered = {each.split("\t")[0].rstrip("/") for each in done.stdout.splitlines() if each}
    assert offered == expected, done
