"""`shunt admin refused`: whom two workers have refused, and why, without a secret."""

import csv
import io
import json
import time
import urllib.error
import urllib.request

import pytest

from access.test_access import hashed
from exchange import eventually
from mqtt import packets
from mqtt.client import Client
from processes import PATIENCE, run

LISTENER = {"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.loops": 2,
            "worker.listeners.exchange.allow_anonymous": "true"}
SECRET = b"a-password-that-nobody-lists"


class Cluster:
    def __init__(self, shunt, folder):
        (folder / "passwords").write_text(f"ann:{hashed('right')}\n")
        (folder / "acl").write_text("user ann\ntopic read open/#\n")
        self.master = shunt.master()
        sets = LISTENER | {
            "worker.masters": self.master.master, "access.password_file": folder / "passwords", "access.acl_file": folder / "acl",
            "worker.heartbeat.every": "200ms"}
        self.workers = [shunt.worker(sets) for _ in range(2)]
        for worker in self.workers:
            worker.wait_metric("shunt_master_connected", 1)

    def connect(self, number, user, password, name="c") -> tuple[Client, int]:
        client = Client(self.workers[number].listeners["worker.mqtt"], 5)
        client.send(packets.connect(5, name, user=user, password=password))
        return client, client.wait(packets.CONNACK).reason

    def refuse(self, number, user, password=SECRET):
        client, reason = self.connect(number, user, password)
        client.close()
        assert reason in (0x86, 0x87, 0x8A), hex(reason)

    def admin(self, *arguments, code=0) -> str:
        done = run("admin", "refused", *arguments, "--master", self.master.admin)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def page(self, *arguments) -> dict:
        return json.loads(self.admin(*arguments, "--output", "json"))

    def found(self, *arguments) -> dict:
        return {(one["user"], one["reason"], one["worker"]): one["count"] for one in self.page(*arguments)["refused"]}

    def api(self, parameters):
        try:
            with urllib.request.urlopen(f"http://{self.master.admin}/api/v1/refused{parameters}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def cluster(shunt, tmp_path):
    return Cluster(shunt, tmp_path)


def test_whom_two_workers_refuse_is_one_list(cluster):
    one, two = (worker.exchange for worker in cluster.workers)
    cluster.refuse(0, "ann")
    cluster.refuse(0, "ann")
    cluster.refuse(1, "bob")
    cluster.refuse(1, None, None)
    client, reason = cluster.connect(1, "ann", b"right")
    assert reason == 0
    client.send(packets.publish(5, "closed/1", "x", qos=1, id=1))
    assert client.wait(packets.PUBACK).reason == 0x87
    done = run("admin", "ban", "uid:eve", "--master", cluster.master.admin)
    assert done.returncode == 0, done
    eventually(lambda: cluster.connect(0, "eve", SECRET)[1] == 0x8A)
    expected = {("ann", "password", one): 2, ("bob", "password", two): 1, ("", "anonymous", two): 1, ("ann", "rights", two): 1}
    eventually(lambda: expected.items() <= cluster.found().items() and ("eve", "banned", one) in cluster.found())
    page = cluster.page()
    assert page["missing"] == [] and page["total"] >= 5 and page["limit"] == 100
    assert {one["listener"] for one in page["refused"]} == {"mqtt"} and {one["address"] for one in page["refused"]} == {"127.0.0.1"}
    times = [one["last_at"] for one in page["refused"]]
    assert times == sorted(times, reverse=True)
    ann = next(one for one in page["refused"] if one["count"] == 2 and one["user"] == "ann")
    assert time.time() - PATIENCE < ann["first_at"] <= ann["last_at"] <= time.time() + 1
    assert set(cluster.found("--user", "bob")) == {("bob", "password", two)}
    assert cluster.found("--address", "10.0.0.0/8") == {}
    assert len(cluster.page("--limit", "1")["refused"]) == 1 and "the latest 1 of" in cluster.admin("--limit", "1")
    table = cluster.admin()
    assert "REASON" in table and "rights" in table
    rows = list(csv.DictReader(io.StringIO(cluster.admin("--output", "csv"))))
    assert {(row["user"], row["reason"], row["worker"]) for row in rows} == set(cluster.found())
    assert cluster.api("?address=nowhere")[1]["code"] == "request.invalid" and cluster.api("?limit=501")[0] == 400
    assert cluster.api("?user=ann&limit=1")[1]["refused"][0]["user"] == "ann"


def test_no_secret_is_listed(cluster):
    secret = "x" * 20 + SECRET.decode() + "-typed-as-a-name"
    cluster.refuse(0, secret)
    cluster.refuse(0, "a\u202eb")
    # A name with a control character is no text of MQTT, and nobody's.
    assert cluster.connect(0, "a\x1b[2Jb", SECRET)[1] == 0x81
    found = cluster.admin("--output", "json")
    assert secret not in found and SECRET.decode() not in found and "x" * 20 in found
    assert len(cluster.page("--user", secret)["refused"]) == 1, "whoever knows the whole name may ask by it"
    listed = cluster.admin() + cluster.admin("--output", "csv")
    assert "\u202e" not in listed and "\x1b" not in listed
    for process in [cluster.master, *cluster.workers]:
        assert SECRET.decode() not in process.stderr


def test_a_worker_that_says_nothing_is_missing(cluster):
    import signal

    name = cluster.workers[1].exchange
    cluster.refuse(0, "ann")
    cluster.workers[1].signal(signal.SIGSTOP)
    try:
        page = cluster.page()
        assert page["missing"] == [name] and [one["user"] for one in page["refused"]] == ["ann"]
    finally:
        cluster.workers[1].signal(signal.SIGCONT)
