"""The recipes of docs/rules-recipes.md: the page's code is the files' code, and each has tests that pass."""

import pathlib
import re

from processes import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/recipes"
PAGE = (ROOT / "docs/rules-recipes.md").read_text()
BLOCKS = dict(re.findall(r"```lua\n-- examples/recipes/([\w-]+)/rule\.lua\n(.*?)```", PAGE, re.S))


def test_the_page_shows_each_recipe_as_it_is():
    assert sorted(BLOCKS) == sorted(folder.name for folder in FOLDER.iterdir()) and len(BLOCKS) >= 10
    for name, code in BLOCKS.items():
        assert code == (FOLDER / name / "rule.lua").read_text(), f"{name}: the page's code is not the file's"


def test_the_table_leads_to_each_recipe():
    headings = set(re.findall(r"^## (.*)$", PAGE, re.M))
    links = re.findall(r"^\| \[(.*)\]\(#(.*)\) \| `([\w-]+)` \|$", PAGE, re.M)
    assert {name for _, _, name in links} == set(BLOCKS)
    for title, anchor, _ in links:
        assert title in headings and anchor == title.lower().replace(" ", "-")


def test_every_recipe_has_tests_that_pass_without_a_warning():
    result = run("rule", "test", FOLDER)
    assert result.returncode == 0 and "0 failed" in result.stdout and "warning" not in result.stdout, result
    for name in BLOCKS:
        assert f"passed  {name}: " in result.stdout, name
