"""`shunt admin status`, `top` and `audit`: a live cluster at a glance, and what looks wrong in it."""

import json
import time

import pytest

from exchange import Client, eventually
from processes import PATIENCE, run, write_rule

FAILS = """
return {
  name = "fails", breaker = { errors = 2, window = "1m" }, match = { topic = "bad/#" },
  on_message = function(msg) error("never") end,
}
"""


@pytest.fixture
def master(shunt, tmp_path):
    write_rule(tmp_path / "plugins", "fails", FAILS)
    master = shunt.master({"master.heartbeat.live_for": "6s"})
    sets = {
        "worker.masters": master.master, "worker.loops": 1, "rules.directory": tmp_path / "plugins", "rules.enabled": "[fails]"}
    workers = [shunt.worker(dict(sets, **{"worker.name": name})) for name in ("east", "west")]
    for worker in workers:
        worker.wait_metric("shunt_master_connected", 1)
    master.workers_of = workers
    eventually(lambda: len(master.workers()) == 2)
    return master


def admin(master, *arguments):
    return run("admin", *arguments, "--master", master.admin)


def test_a_cluster_that_is_well_has_nothing_wrong(master):
    done = admin(master, "audit")
    assert (done.returncode, done.stdout) == (0, "Nothing looks wrong: 2 live workers looked at.\n"), done
    status = admin(master, "status")
    assert status.returncode == 0, status
    assert "2 live" in status.stdout and "rules" in status.stdout


def test_an_audit_tells_of_rules_that_are_off_and_of_workers_that_are_lost(master):
    east, west = master.workers_of
    clients = [Client(east.exchange) for _ in range(3)]
    for _ in range(20):
        for client in clients:
            client.message("bad/1", b"{}")
    west.kill()

    def findings():
        done = admin(master, "audit", "--output", "json")
        found = json.loads(done.stdout)["findings"]
        assert done.returncode == (1 if found else 0), done
        return [f"{one['severity']} {one['subject'].split(' ')[0]} {one['what']}" for one in found]

    def tells(*beginnings):
        told = findings()
        return all(any(one.startswith(beginning) for one in told) for beginning in beginnings)

    wanted = ("problem west is lost", "problem east rule fails is switched off on 1 of 1 loops")
    eventually(lambda: tells(*wanted), PATIENCE, wanted)
    done = admin(master, "audit")
    assert done.returncode == 1 and "problems" in done.stderr
    assert "`shunt admin rule fails` shows its latest failures" in done.stdout


def test_an_audit_tells_of_a_group_that_is_at_one_worker_alone(master):
    east, west = master.workers_of
    members = [Client(worker.exchange) for worker in (east, east, east, west)]
    for member in members[:2]:
        member.subscribe("t", "lopsided")
    for member in members[2:]:
        member.subscribe("t", "even")

    def told():
        done = admin(master, "audit", "--output", "json")
        found = json.loads(done.stdout)["findings"]
        return [(one["severity"], one["subject"], one["what"].split(" (")[0]) for one in found]

    wanted = [("warning", "group lopsided", "all of its 2 subscriptions are at east")]
    eventually(lambda: told() == wanted, PATIENCE, wanted)
    members[3].subscribe("t", "lopsided")
    eventually(lambda: told() == [], PATIENCE, "nothing wrong")


def test_top_tells_rates_of_each_worker(master):
    east = master.workers_of[0]
    client = Client(east.exchange)
    client.subscribe("t", "g")
    end = time.monotonic() + PATIENCE

    def busy():
        for _ in range(200):
            client.message("t", b"x")
        done = admin(master, "top", "--count", "1", "--output", "json")
        assert done.returncode == 0, done
        return any(one["deliveries"] > 0 and one["configured_name"] == "east" for one in json.loads(done.stdout))

    while not busy():
        assert time.monotonic() < end, "no heartbeat told of deliveries"
    table = admin(master, "top", "--count", "1").stdout
    assert "DELIVERIES/S" in table and "2 workers" in table
    assert admin(master, "top", "--interval", "0").returncode == 64


def test_events_since(master):
    assert "worker.joined" in admin(master, "events", "--since", "1h").stdout
    assert "worker.joined" not in admin(master, "events", "--since", "2100-01-01").stdout
    wrong = admin(master, "events", "--since", "yesterday")
    assert wrong.returncode == 64 and "give 90s, 15m, 2h or 7d" in wrong.stderr


@pytest.mark.parametrize("command", [
    ["explain", "--topic", "a"], ["trace", "--topic", "#"], ["record", "--topic", "#", "--out", "out.jsonl"], ["rules", "reload"],
    ["rules", "rollback"], ["rule", "fails"], ["subscriptions"], ["groups"]])
def test_a_question_for_workers_says_so_where_there_is_none(shunt, tmp_path, command):
    done = run("admin", *command, "--master", shunt.master().admin, cwd=tmp_path)
    assert done.returncode == 69 and "no worker is connected to this master (worker.none)" in done.stderr, done
