"""Two masters and their workers on machines whose links are cut: a split must not split chats. Each machine is a network namespace."""

import json
import os
import time
from contextlib import closing

import pytest

from exchange import Client, eventually
from namespaces import INSIDE, Network, run_inside
from processes import get

HEARTBEAT = 1
TWO_HEARTBEATS = 2 * HEARTBEAT
# What a busy machine may add, and TCP's next attempt after a cut.
BUSY = 12.0

outside = pytest.mark.skipif(INSIDE in os.environ, reason="runs inside by itself")
inside = pytest.mark.skipif(INSIDE not in os.environ, reason="runs in namespaces, by the test of the same name")


class Machines:
    """Masters m1 and m2, workers w1 to w3, each on a machine of its own."""

    def __init__(self, shunt):
        self.network = Network()
        self.names = ["m1", "m2", "w1", "w2", "w3"]
        at = {name: self.network.add(name) for name in self.names}
        masters = "[" + ",".join(f"{at[name]}:4088" for name in ("m1", "m2")) + "]"
        self.processes = {}
        for name in ("m1", "m2"):
            self.processes[name] = shunt.master(
                {"master.exchange.listen": f"{at[name]}:4088", "master.admin.listen": f"{at[name]}:4080", "master.peers": masters},
                within=Network.within(name))
        for name in ("w1", "w2", "w3"):
            self.processes[name] = shunt.worker(
                {"worker.listeners.exchange.listen": f"{at[name]}:4091", "worker.http.listen": f"{at[name]}:9091", "worker.masters": masters,
                 "worker.heartbeat.every": f"{HEARTBEAT}s"}, within=Network.within(name))
        self.wait("m1", ["w1", "w2", "w3"])

    def role(self, name: str) -> dict:
        return json.loads(get(f"http://{self.processes[name].admin}/api/v1/status"))["master"]

    def serving(self) -> list[str]:
        return [name for name in ("m1", "m2") if self.role(name)["role"] == "serving"]

    def wait(self, master: str, workers: list[str], timeout=30.0):
        """Waits until this master alone serves, and hears these workers."""
        expected = {self.processes[name].exchange for name in workers}

        def is_so():
            live = {name for name, worker in self.processes[master].workers().items() if worker["state"] == "live"}
            role = self.role(master)
            return role["heard"] == role.get("electorate") == len(workers) and expected <= live and self.serving() == [master]

        eventually(is_so, timeout, f"{master} serves {workers}")

    def split(self, one: list[str], other: list[str]):
        for left in one:
            for right in other:
                self.network.cut(left, right)

    def heal(self, one: list[str], other: list[str]):
        for left in one:
            for right in other:
                self.network.heal(left, right)

    def create(self, worker: str, chat: str):
        with closing(Client(self.processes[worker].exchange)) as client:
            return client.create(chat)

    def owner(self, worker: str, chat: str) -> str | None:
        answer = self.create(worker, chat)
        return self.processes[worker].exchange if answer.status in (200, 409) else answer.text if answer.status == 307 else None


@pytest.fixture
def machines(shunt):
    return Machines(shunt)


@outside
@pytest.mark.parametrize("test", ["side_with_most_workers", "masters_do_not_hear", "cut_off_alone", "half_of_the_workers"])
def test_in_namespaces(test):
    run_inside(__file__, test)


@inside
def test_the_side_with_most_workers_has_the_chats_and_after_it_each_has_one_owner(machines, connect):
    old = connect(machines.processes["w1"].exchange).join("old")
    kept = connect(machines.processes["w2"].exchange).join("kept")
    sides = (["m1", "w1"], ["m2", "w2", "w3"])
    machines.split(*sides)
    began, both = time.monotonic(), []
    chats = (f"chat-{number}" for number in range(100_000))

    def moved():
        # Each of these is asked for at both sides: it may be opened twice only before two heartbeats are over.
        chat = next(chats)
        statuses = [machines.create(name, chat).status for name in ("w1", "w2")]
        if statuses == [200, 200]:
            both.append(time.monotonic() - began)
        return statuses[0] != 200 and statuses[1] == 200

    eventually(moved, 2 * TWO_HEARTBEATS + BUSY, "new chats at the side with most workers")
    assert machines.serving() == ["m2"]
    # Nobody is let in where the chat may be elsewhere, too; its worker knows so two heartbeats after the last answer that it got.
    eventually(lambda: machines.create("w1", "old").status == 503, TWO_HEARTBEATS + BUSY)
    assert old.say("old", "goes on").status == 200 and kept.say("kept", "goes on").status == 200
    again = connect(machines.processes["w3"].exchange)
    eventually(lambda: again.create("old").status == 200, TWO_HEARTBEATS + BUSY)
    assert machines.owner("w3", "kept") == machines.processes["w2"].exchange
    for number in range(20):
        statuses = [machines.create(name, f"split-{number}").status for name in ("w1", "w2")]
        assert statuses == [503, 200]
    machines.heal(*sides)
    machines.wait("m2", ["w1", "w2", "w3"])
    for chat, owner in [("old", "w1"), ("kept", "w2")]:
        for name in ("w1", "w2", "w3"):
            eventually(lambda name=name, chat=chat, owner=owner: machines.owner(name, chat) == machines.processes[owner].exchange, 10, chat)
    assert old.say("old", "still here").status == 200
    assert all(seconds < 2 * TWO_HEARTBEATS for seconds in both), both


@inside
def test_masters_do_not_hear_each_other_and_nothing_changes(machines):
    machines.split(["m1"], ["m2"])
    ends = time.monotonic() + 4 * TWO_HEARTBEATS
    while time.monotonic() < ends:
        assert machines.serving() == ["m1"]
        assert machines.create("w1", f"chat-{time.monotonic()}").status == 200
    machines.heal(["m1"], ["m2"])
    machines.wait("m1", ["w1", "w2", "w3"])


@inside
def test_a_worker_that_is_cut_off_alone_is_one_of_the_cluster_again(machines, connect):
    old = connect(machines.processes["w1"].exchange).join("old")
    sides = (["w1"], ["m1", "m2", "w2", "w3"])
    machines.split(*sides)
    eventually(lambda: machines.create("w1", "old").status == 503, TWO_HEARTBEATS + BUSY)
    eventually(lambda: machines.create("w2", "old").status == 200, TWO_HEARTBEATS + BUSY)
    assert machines.serving() == ["m1"]
    machines.heal(*sides)
    machines.wait("m1", ["w1", "w2", "w3"])
    for name in ("w1", "w2", "w3"):
        eventually(lambda name=name: machines.owner(name, "old") == machines.processes["w1"].exchange, 10)
    assert old.say("old", "still here").status == 200


@inside
def test_half_of_the_workers_at_the_old_master_keep_it(machines, connect, shunt):
    # A fourth worker, on the machine of the third.
    at = machines.network.addresses["w3"]
    worker = shunt.worker(
        {"worker.listeners.exchange.listen": f"{at}:4092", "worker.http.listen": f"{at}:9092", "worker.heartbeat.every": f"{HEARTBEAT}s",
         "worker.masters": "[" + ",".join(f"{machines.network.addresses[name]}:4088" for name in ("m1", "m2")) + "]"},
        within=Network.within("w3"))
    machines.processes["w4"] = worker
    machines.wait("m1", ["w1", "w2", "w3", "w4"])
    sides = (["m1", "w1", "w2"], ["m2", "w3"])
    machines.split(*sides)
    eventually(lambda: machines.create("w4", "new").status == 503, TWO_HEARTBEATS + BUSY)
    ends = time.monotonic() + 2 * TWO_HEARTBEATS
    while time.monotonic() < ends:
        assert machines.serving() == ["m1"]
        assert machines.create("w1", f"chat-{time.monotonic()}").status == 200
    machines.heal(*sides)
    machines.wait("m1", ["w1", "w2", "w3", "w4"])
