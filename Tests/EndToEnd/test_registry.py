"""The master's registry file: one master, and what happens where it is not as it should be."""

import json
import os
import sqlite3
import urllib.error
import urllib.request

import pytest

from exchange import eventually
from processes import run


def readiness(master) -> tuple[int, dict | None]:
    try:
        with urllib.request.urlopen(f"http://{master.admin}/readyz", timeout=10) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def start_master(folder, registry):
    """A master that is expected not to start."""
    return run(
        "master", "--set", f"master.registry.path={registry}", "--set", "master.exchange.listen=127.0.0.1:0",
        "--set", "master.admin.listen=127.0.0.1:0", cwd=folder)


def events(path) -> list[str]:
    with sqlite3.connect(path) as database:
        return [kind for (kind,) in database.execute("SELECT kind FROM events ORDER BY id")]


def test_a_second_master_on_the_same_file_is_refused(shunt, tmp_path):
    master = shunt.master()
    refused = start_master(tmp_path, master.registry)
    assert refused.returncode == 69
    assert f"in use by another master (pid {master.pid})" in refused.stderr
    eventually(lambda: events(master.registry) == ["master.started"])
    master.kill()
    again = shunt.master(folder=master.folder)
    assert readiness(again) == (200, None)
    again.stop()
    assert events(master.registry) == ["master.started", "master.started", "master.stopped"]
    assert not os.path.exists(f"{master.registry}.lock")


@pytest.mark.parametrize("change, what", [
    ("INSERT INTO grdb_migrations VALUES ('of a fork')", "'of a fork'"), ("DROP TABLE chats", "'chats'"),
])
def test_a_registry_that_was_changed_is_refused_with_what_is_wrong(shunt, tmp_path, change, what):
    master = shunt.master()
    master.stop()
    with sqlite3.connect(master.registry) as database:
        database.execute(change)
    database.close()
    refused = start_master(tmp_path, master.registry)
    assert refused.returncode == 78
    assert what in refused.stderr


def test_a_registry_that_is_deleted_is_noticed(shunt):
    master = shunt.master()
    assert readiness(master) == (200, None)
    worker = shunt.worker({"worker.masters": master.master})
    eventually(lambda: worker.exchange in master.workers())
    master.registry.unlink()
    status, problem = readiness(master)
    assert (status, problem["code"]) == (503, "registry.unavailable")
    master.wait_log("The registry cannot be written")
    master.stop()
    assert master.stderr.count("The registry cannot be written") == 1
    assert "the registry lacks what could not be written" in master.stderr
    assert not master.registry.exists()


def test_a_start_that_fails_leaves_no_events(shunt, tmp_path):
    taken = shunt.master()
    refused = run(
        "dev", "--set", "master.registry.path=registry.sqlite", "--set", "master.exchange.listen=127.0.0.1:0",
        "--set", "master.admin.listen=127.0.0.1:0", "--set", "worker.http.listen=127.0.0.1:0",
        "--set", f"worker.listeners.exchange.listen={taken.master}", cwd=tmp_path)
    assert refused.returncode == 69
    assert events(tmp_path / "registry.sqlite") == []
