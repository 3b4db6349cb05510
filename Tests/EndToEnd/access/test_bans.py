"""Bans: by client identifier, uid and address, at all workers, now and after restarts."""

import json
import signal
import sqlite3
import time

import pytest

from exchange import REGISTER, Client as ExchangeClient, eventually, registration
from mqtt import packets
from mqtt.client import Client
from processes import run

OPEN = {"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtt.allow_anonymous": "true",
        "worker.loops": 2}


class Cluster:
    def __init__(self, shunt):
        self.shunt = shunt
        self.master = shunt.master()
        self.workers = [self.worker(), self.worker()]

    def worker(self):
        worker = self.shunt.worker(OPEN | {"worker.masters": f"[{self.master.master}]", "worker.heartbeat.every": "200ms"})
        eventually(lambda: worker.metric("shunt_master_connected") == 1)
        return worker

    def admin(self, *arguments, code=0) -> str:
        done = run("admin", *arguments, "--master", self.master.admin)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def bans(self) -> dict:
        return {ban["subject"]: ban for ban in json.loads(self.admin("bans", "--output", "json"))["bans"]}


@pytest.fixture
def cluster(shunt):
    return Cluster(shunt)


def answer(worker, version=5, name="c", user=None) -> int:
    client = Client(worker.listeners["worker.mqtt"], version)
    client.send(packets.connect(version, name, user=user, password=b"x" if user else None))
    reason = client.wait(packets.CONNACK).reason
    client.close()
    return reason


def test_a_banned_client_is_closed_and_refused_everywhere(cluster):
    one, two = cluster.workers
    connected = {version: Client(one.listeners["worker.mqtt"], version) for version in (4, 5)}
    for version, client in connected.items():
        client.connect(f"bad{version}")
    good = Client(one.listeners["worker.mqtt"], 5)
    good.connect("good")
    for version in connected:
        assert f"banned client:bad{version} until 20" in cluster.admin("ban", f"client:bad{version}", "--for", "1h", "--why", "sends garbage")
    assert connected[5].ended() == 0x98 and connected[4].ended() is None
    for worker in (one, two, cluster.worker()):
        eventually(lambda: answer(worker, 5, "bad5") == 0x8A)
        eventually(lambda: answer(worker, 4, "bad4") == 5)
        worker.wait_metric('shunt_access_refused_total{reason="banned"}', 2)
    good.ping()
    ban = cluster.bans()["client:bad5"]
    assert ban["why"] == "sends garbage" and 3500 < ban["until"] - time.time() <= 3600
    assert "sends garbage" in cluster.admin("bans")
    cluster.admin("unban", "client:bad5")
    assert answer(one, 5, "bad5") == 0 and answer(two, 5, "bad5") == 0
    assert "client:bad5" not in cluster.bans()
    assert "ban.unknown" in cluster.admin("unban", "client:bad5", code=65)


def test_when_the_command_has_ended_nobody_who_is_banned_is_here(cluster):
    one, two = cluster.workers
    for number in range(15):
        client = Client((one, two)[number % 2].listeners["worker.mqtt"], 5)
        client.connect(f"c{number}")
        cluster.admin("ban", f"client:c{number}")
        assert [answer(worker, 5, f"c{number}") for worker in (one, two)] == [0x8A, 0x8A], "at all workers, at once"
        assert client.ended() == 0x98
        cluster.admin("unban", f"client:c{number}")
        assert answer((two, one)[number % 2], 5, f"c{number}") == 0


def test_a_worker_that_does_not_answer_is_named(cluster):
    two = cluster.workers[1]
    two.process.send_signal(signal.SIGSTOP)
    try:
        said = run("admin", "ban", "uid:eve", "--master", cluster.master.admin)
    finally:
        two.process.send_signal(signal.SIGCONT)
    assert said.returncode == 0 and f"not confirmed by {two.exchange}" in " ".join(said.stderr.split()), said
    eventually(lambda: answer(two, user="eve") == 0x8A, 20, "it has learned of it")


def test_uids_and_addresses(cluster):
    worker = cluster.workers[0]
    cluster.admin("ban", "uid:mallory")
    assert answer(worker, user="mallory") == 0x8A
    assert answer(worker, user="ann") == 0
    with ExchangeClient(worker.exchange) as client:
        assert client.request(REGISTER, registration("mallory", "phone")).status == 403
        assert client.request(REGISTER, registration("ann", "phone")).status == 200
        cluster.admin("ban", "127.0.0.0/8", "--for", "2s")
        client.wait_closed()
    assert answer(worker) == 0x8A
    eventually(lambda: answer(worker) == 0)
    eventually(lambda: list(cluster.bans()) == ["uid:mallory"])


def test_bans_outlive_master_and_worker(cluster):
    cluster.admin("ban", "client:c")
    eventually(lambda: answer(cluster.workers[0]) == 0x8A)
    folder, port = cluster.master.registry, cluster.master.master
    cluster.master.kill()
    assert answer(cluster.workers[0]) == 0x8A
    assert "client:c" in run("admin", "bans", "--registry", str(folder)).stdout
    refused = run("admin", "ban", "client:d", "--registry", str(folder))
    assert refused.returncode == 77 and "only a running master" in refused.stderr
    cluster.master = cluster.shunt.master({"master.registry.path": folder, "master.exchange.listen": port})
    assert list(cluster.bans()) == ["client:c"]
    worker = cluster.worker()
    eventually(lambda: answer(worker) == 0x8A)


@pytest.mark.parametrize(
    "arguments",
    [["ban", "ann"], ["ban", "client:"], ["ban", "10.0.0.1/8"], ["ban", "uid:a", "--for", "1"], ["ban", "uid:a", "--for", "x"]])
def test_what_cannot_be_banned(arguments):
    assert run("admin", *arguments).returncode == 64


def test_a_ban_that_the_registry_cannot_take_holds_and_is_told(cluster):
    registry = sqlite3.connect(cluster.master.registry, isolation_level=None)
    registry.execute("BEGIN IMMEDIATE")
    try:
        told = cluster.admin("ban", "client:c1")
        assert "the command is performed, but lists do not show it yet" in " ".join(told.split()), told
        for worker in cluster.workers:
            assert Client(worker.listeners["worker.mqtt"], 5).connect("c1", refused=True).reason == 0x8A
        told = cluster.admin("unban", "client:c1")
        assert "the command is performed" in told, told
        for worker in cluster.workers:
            Client(worker.listeners["worker.mqtt"], 5).connect("c1")
    finally:
        registry.execute("ROLLBACK")
        registry.close()
    eventually(lambda: cluster.bans() == {}, 10, "it is written")
    events = json.loads(cluster.admin("events", "--output", "json"))["events"]
    assert [event["detail"] for event in events if event["kind"] == "command"] == ["ban client:c1", "unban client:c1"]
