"""Holds docs/mqtt-conformance.md against the specifications' numbers and against the tests.

`UPDATE_CONFORMANCE=1` writes the names of the tests into the page anew.
"""

import importlib
import os
import re
from pathlib import Path

import pytest

from mqtt.proof import expand
from processes import ROOT

PAGE = ROOT / "docs/mqtt-conformance.md"
ROW = re.compile(r"\| ([\d.]+-\d+) \| ([^|]+) \| ([^|]*) \|")

# All numbers of both specifications. 5.0 begins section 2.2.1 with 2, and its section 4.2 has one number with two digits in front.
STATEMENTS = {
    "3.1.1": expand("""
        1.5.3-1..3 2.2.2-1..2 2.3.1-1..7 3.1.0-1..2 3.1.2-1..24 3.1.3-1..11 3.1.4-1..5 3.2.0-1 3.2.2-1..6 3.3.1-1..12 3.3.2-1..3 3.3.4-1
        3.3.5-1..2 3.6.1-1 3.8.1-1 3.8.3-1..4 3.8.4-1..6 3.9.3-1..2 3.10.1-1 3.10.3-1..2 3.10.4-1..6 3.12.4-1 3.14.1-1 3.14.4-1..3 4.1.0-1..2
        4.3.1-1 4.3.2-1..2 4.3.3-1..2 4.4.0-1 4.5.0-1..2 4.6.0-1..6 4.7.1-1..3 4.7.2-1 4.7.3-1..4 4.8.0-1..2 6.0.0-1..4 7.0.0-1..2 7.1.1-1
        7.1.2-1"""),
    "5.0": expand("""
        1.5.4-1..3 1.5.5-1 1.5.7-1 2.1.3-1 2.2.1-2..6 2.2.2-1 3.1.0-1..2 3.1.2-1..30 3.1.3-1..12 3.1.4-1..6 3.2.0-1..2 3.2.2-1..22 3.3.1-1..13
        3.3.2-1..20 3.3.4-1..10 3.4.2-1..3 3.5.2-1..3 3.6.1-1 3.6.2-1..3 3.7.2-1..3 3.8.1-1 3.8.3-1..5 3.8.4-1..8 3.9.2-1..2 3.9.3-1..2
        3.10.1-1 3.10.3-1..2 3.10.4-1..6 3.11.2-1..2 3.11.3-1..2 3.12.4-1 3.14.0-1 3.14.1-1 3.14.2-1..4 3.14.4-1..3 3.15.1-1 3.15.2-1..3
        4.1.0-1..2 4.2-1 4.3.1-1 4.3.2-1..5 4.3.3-1..13 4.4.0-1..2 4.5.0-1..2 4.6.0-1..6 4.7.0-1 4.7.1-1..2 4.7.2-1 4.7.3-1..4 4.8.2-1..6
        4.9.0-1..3 4.12.0-1..7 4.12.1-1..2 4.13.1-1 4.13.2-1 6.0.0-1..4"""),
}
assert {version: len(numbers) for version, numbers in STATEMENTS.items()} == {"3.1.1": 141, "5.0": 251}


def proofs() -> dict[str, dict[str, list[str]]]:
    """The tests of each statement of each version, as `file::test`, in alphabetical order by folder."""
    found = {version: {} for version in STATEMENTS}
    folder = Path(__file__).parents[1]
    for path in [path for name in ("mqtt", "websocket") for path in sorted((folder / name).glob("test_*.py"))]:
        module = importlib.import_module(f"{path.parent.name}.{path.stem}")
        for name, test in vars(module).items():
            for version, numbers in getattr(test, "proves", {}).items() if test.__class__.__name__ == "function" else ():
                for number in numbers:
                    found[version].setdefault(number, []).append(f"`{path.stem}::{name}`")
    return found


def rows() -> dict[str, dict[str, str]]:
    """What the page has in its last column, of each statement of each version; a statement twice is an error."""
    found, version = {}, None
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            version = line.removeprefix("## MQTT ")
            found[version] = {}
        elif match := ROW.fullmatch(line):
            assert match[1] not in found[version], f"{match[1]} of {version} stands twice"
            found[version][match[1]] = match[3]
    return found


def update():
    tests, version, lines = proofs(), None, []
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            version = line.removeprefix("## MQTT ")
        elif match := ROW.fullmatch(line):
            named = tests[version].get(match[1])
            line = f"| {match[1]} | {match[2]} | {'<br>'.join(named) if named else '' if match[3].startswith('`') else match[3]} |"
        lines.append(line)
    PAGE.write_text("\n".join(lines) + "\n")


if os.environ.get("UPDATE_CONFORMANCE"):
    update()


@pytest.mark.parametrize("version", STATEMENTS)
def test_the_page_has_every_statement(version):
    assert list(rows()[version]) == STATEMENTS[version]


@pytest.mark.parametrize("version", STATEMENTS)
def test_no_test_names_a_statement_that_is_none(version):
    assert set(proofs()[version]) <= set(STATEMENTS[version])


@pytest.mark.parametrize("version", STATEMENTS)
def test_every_statement_has_its_tests_or_a_reason(version):
    """The page names the tests that name the statement, all of them and no other; else it says why there is none."""
    tests = proofs()[version]
    for number, shown in rows()[version].items():
        if number in tests:
            assert shown == "<br>".join(tests[number]), f"{number} of {version}; write the page anew with UPDATE_CONFORMANCE=1"
        else:
            assert len(shown) > 10 and not shown.startswith("`"), f"{number} of {version} has neither a test nor a reason"
