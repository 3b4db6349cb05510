"""The master's registry file: one master, and what happens where it is not as it should be."""

import json
import os
import sqlite3
import threading
import time
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


def test_a_second_master_is_refused_by_whatever_name_the_file_has(shunt, tmp_path):
    master = shunt.master()
    names = {name: tmp_path / name for name in ("symlink", "hardlink", "renamed")}
    names["symlink"].symlink_to(master.registry)
    os.link(master.registry, names["hardlink"])
    for lock_is_there in (True, False):
        if not lock_is_there:
            os.unlink(f"{master.registry}.lock")
        for path in (master.registry, names["symlink"], names["hardlink"]):
            refused = start_master(tmp_path, path)
            assert refused.returncode == 69
            assert "in use by another master" in refused.stderr
    assert readiness(master) == (200, None)
    master.registry.rename(names["renamed"])
    assert start_master(tmp_path, names["renamed"]).returncode == 69
    assert readiness(master)[0] == 503
    names["renamed"].rename(master.registry)
    # What could not be written meanwhile is tried again within seconds.
    eventually(lambda: readiness(master) == (200, None), timeout=20)


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_log_that_is_deleted_is_noticed_and_nothing_written_is_lost(shunt, suffix):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master})
    eventually(lambda: worker.exchange in master.workers())
    eventually(lambda: "worker.joined" in events(master.registry))
    path = f"{master.registry}{suffix}"
    os.unlink(path)
    status, problem = readiness(master)
    assert (status, problem["code"]) == (503, "registry.unavailable")
    master.wait_log("The registry cannot be written")
    asked = run("admin", "workers", "--registry", master.registry)
    assert asked.returncode == 69
    assert "log was deleted" in asked.stderr and "restart the master" in asked.stderr
    master.stop()
    assert suffix in master.stderr
    assert events(master.registry)[:2] == ["master.started", "worker.joined"]


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def query(master, sql) -> int:
    request = urllib.request.Request(
        f"http://{master.admin}/api/v1/query", json.dumps({"sql": sql}).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except ConnectionError:
        return 0


def processor_ticks(process) -> int:
    with open(f"/proc/{process.pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[11])


@pytest.mark.parametrize("sql", [
    "SELECT printf('%.*c',2147483647,'x')", "SELECT format('%2147483647.2147483647c', 'x')",
    "SELECT json_set('{}', '$' || replace(hex(zeroblob(60000)), '00', '.a'), 1)",
])
def test_a_step_that_would_take_long_is_refused(shunt, sql):
    master = shunt.master()
    start = time.monotonic()
    assert query(master, sql) in (403, 422)
    assert time.monotonic() - start < 5
    refused = run("admin", "query", sql, "--registry", master.registry)
    assert refused.returncode in (65, 77)
    assert "()" in refused.stderr
    assert query(master, "SELECT 1") == 200


def test_a_master_ends_at_once_whatever_is_asked(shunt):
    master = shunt.master()
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(query(master, ENDLESS))) for _ in range(6)]
    for thread in threads:
        thread.start()
    # They run.
    before = processor_ticks(master)
    eventually(lambda: processor_ticks(master) > before + 30)
    start = time.monotonic()
    master.stop()
    assert time.monotonic() - start < 4
    for thread in threads:
        thread.join()
    # Where the answer did not get out any more, the connection was closed.
    assert set(outcomes) <= {0, 503}


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
