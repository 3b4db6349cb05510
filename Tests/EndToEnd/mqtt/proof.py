"""Which normative statements a test proves, and in which versions it runs."""

import re

import pytest

from mqtt.packets import V3, V5

NAMES = {V3: "3.1.1", V5: "5.0"}
IDS = {V3: "v3", V5: "v5"}


def expand(text: str) -> list[str]:
    """`3.1.2-1..3 3.1.4-2` as the numbers that it stands for."""
    found = []
    for word in text.split():
        section, first, last = re.fullmatch(r"([\d.]+?)-(\d+)(?:\.\.(\d+))?", word).groups()
        found += [f"{section}-{number}" for number in range(int(first), int(last or first) + 1)]
    return found


def proves(v3: str | None = None, v5: str | None = None):
    """Runs a test in the versions that are given, and names the statements that it proves in each; an empty text names none."""
    statements = {version: expand(text) for version, text in ((V3, v3), (V5, v5)) if text is not None}

    def mark(test):
        test.proves = {NAMES[version]: numbers for version, numbers in statements.items()}
        return pytest.mark.parametrize("version", list(statements), ids=IDS.get)(test)

    return mark
