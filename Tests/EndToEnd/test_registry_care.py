"""`shunt admin registry`: the file is checked, copied and made shorter while a master uses it."""

import json
import sqlite3

import pytest

from exchange import eventually
from processes import run


@pytest.fixture
def master(shunt, tmp_path):
    return shunt.master({"master.registry.path": tmp_path / "registry.sqlite"})


def registry(master, *arguments):
    return run("admin", "registry", *arguments, "--master", master.admin)


def test_a_registry_in_use_is_checked_and_made_shorter(master):
    done = registry(master, "check")
    assert done.returncode == 0 and done.stdout.endswith(": nothing is wrong\n"), done
    done = registry(master, "vacuum", "--output", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["bytes"] > 0, done
    eventually(lambda: "registry vacuum" in run("admin", "events", "--kind", "command", "--master", master.admin).stdout)
    assert registry(master, "check").returncode == 0


def test_a_copy_is_a_registry_that_reads_like_the_first(master, tmp_path):
    copy = tmp_path / "copy.sqlite"
    eventually(lambda: "master.started" in run("admin", "events", "--master", master.admin).stdout)
    done = registry(master, "backup", str(copy))
    assert done.returncode == 0 and str(copy) in done.stdout, done
    assert "master.started" in run("admin", "events", "--registry", str(copy)).stdout
    with sqlite3.connect(copy) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = registry(master, "backup", str(copy))
    assert again.returncode == 74 and "there already" in again.stderr, again


def test_a_damaged_file_is_told_with_what_is_wrong(master, tmp_path):
    path = tmp_path / "registry.sqlite"
    master.stop()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE care (a)")
        database.execute("CREATE INDEX care_a ON care (a)")
        database.execute("INSERT INTO care VALUES (1)")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = 'CREATE INDEX care_a ON care (a) WHERE a > 5' WHERE name = 'care_a'")
    done = run("admin", "registry", "check", "--registry", str(path))
    assert done.returncode == 78 and "care_a" in done.stdout and "damaged" in done.stderr, done
    refused = run("admin", "registry", "vacuum", "--registry", str(path))
    assert refused.returncode != 0 and "running master" in refused.stderr, refused


def test_another_masters_registry_is_not_taken_for_the_one_that_was_asked(shunt, tmp_path):
    """As at the same place of two machines."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    place = tmp_path / "place"
    place.symlink_to(tmp_path / "one")
    one = shunt.master({"master.registry.path": place / "registry.sqlite"})
    other = shunt.master({"master.registry.path": tmp_path / "other" / "registry.sqlite"})
    eventually(lambda: "master.started" in run("admin", "events", "--master", other.admin).stdout)
    copy = tmp_path / "copy.sqlite"
    place.unlink()
    place.symlink_to(tmp_path / "other")
    try:
        done = registry(one, "backup", str(copy))
    finally:
        place.unlink()
        place.symlink_to(tmp_path / "one")
    assert done.returncode == 69 and "not the one of the master" in done.stderr and not copy.exists(), done
    assert registry(one, "backup", str(copy)).returncode == 0
