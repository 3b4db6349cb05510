"""Two masters, of which one serves, three workers and real clients: what users see when a master dies, stands still, comes back or makes way."""

import json
import signal
import socket
import threading
import time
from contextlib import closing

import pytest

from client_commands import Command
from exchange import ALLOCATION, Client, eventually
from processes import Door, get, run
from tls.certificates import Certificates

# Two heartbeats are 2 s, the least that masters count as two.
HEARTBEAT = 1
TWO_HEARTBEATS = 2 * HEARTBEAT
# What a busy machine may add to what is timed.
BUSY = 6.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, for masters that must know each other before they start."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Pair:
    """Two masters that know each other, and workers that list both."""

    def __init__(self, shunt, connect, workers=3, doors=False, **sets):
        self.shunt, self.connect, self.sets = shunt, connect, sets
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        self.masters = [None, None]
        for place in range(2):
            self.start(place)
        # What leads each worker to each master.
        self.doors = [[shunt.closing(Door(address)) for address in self.addresses] for _ in range(workers)] if doors else []
        self.workers = []
        for place in range(workers):
            lists = [door.address for door in self.doors[place]] if doors else self.addresses
            self.workers.append(
                shunt.worker({"worker.heartbeat.every": f"{HEARTBEAT}s", "worker.masters": "[" + ",".join(lists) + "]"} | sets))
        self.wait_whole()

    def start(self, place: int):
        before = self.masters[place]
        admin = {"master.admin.listen": before.admin} if before else {}
        self.masters[place] = self.shunt.master(
            {"master.exchange.listen": self.addresses[place], "master.peers": "[" + ",".join(self.addresses) + "]"} | admin | self.sets,
            folder=before.folder if before else None)

    def role(self, place: int) -> dict:
        return json.loads(get(f"http://{self.masters[place].admin}/api/v1/status"))["master"]

    def serving(self, among=(0, 1)) -> list[int]:
        return [place for place in among if self.role(place)["role"] == "serving"]

    def live(self, place: int) -> set[str]:
        return {name for name, worker in self.masters[place].workers().items() if worker["state"] == "live"}

    def wait_whole(self, among=(0, 1), timeout=20.0) -> int:
        """Waits until one master serves all workers; returns which."""
        expected = {worker.exchange for worker in self.workers}

        def whole():
            serving = self.serving(among)
            return len(serving) == 1 and self.live(serving[0]) == expected and self.role(serving[0]).get("electorate") == len(expected)

        eventually(whole, timeout, "one master that serves all workers")
        return self.serving(among)[0]

    def create(self, place: int, chat: str):
        """What a new client of a worker is answered."""
        with closing(Client(self.workers[place].exchange)) as client:
            return client.create(chat)

    def first_created(self, places) -> float:
        """Seconds until a new chat can be created at each of these workers."""
        began = time.monotonic()
        for place in places:
            number = iter(range(10_000))
            eventually(lambda place=place: self.create(place, f"new-{place}-{time.monotonic()}-{next(number)}").status == 200, 20, "a new chat")
        return time.monotonic() - began

    def owners(self, chat: str) -> list[str]:
        """The worker that each worker says has a chat."""
        answers = [(worker.exchange, self.create(place, chat)) for place, worker in enumerate(self.workers)]
        # 409: it is here, and full.
        return [name if answer.status in (200, 409) else answer.text for name, answer in answers]

    def check_chats(self, chats):
        for chat in chats:
            eventually(lambda chat=chat: len(set(self.owners(chat))) == 1, TWO_HEARTBEATS + BUSY, f"one owner of {chat}")


@pytest.fixture
def pair(shunt, connect):
    return lambda **more: Pair(shunt, connect, **more)


def listed(address: str) -> set[str]:
    with closing(Client(address)) as client:
        answer = client.request(ALLOCATION, b"true")
        return set(answer.text.split(",")) if answer.status == 200 else set()


class Allocations:
    """Clients that ask a master for workers all the time."""

    def __init__(self, address: str):
        self.address, self.empty, self.asked, self._ends = address, 0, 0, threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self):
        while not self._ends.is_set():
            self.asked += 1
            if not listed(self.address):
                self.empty += 1
            self._ends.wait(0.05)

    def end(self):
        self._ends.set()
        self._thread.join(20)
        assert self.asked > 5 and self.empty == 0, f"{self.empty} of {self.asked} questions had no answer"


def test_one_serves_and_the_other_says_so_everywhere(pair):
    pair = pair()
    assert pair.serving() == [0], "the first of the workers' list"
    every = {worker.exchange for worker in pair.workers}
    eventually(lambda: listed(pair.addresses[0]) == listed(pair.addresses[1]) == every, 20, "the workers at both")
    one, two = pair.masters
    assert get(f"http://{one.admin}/readyz") == "ready\n"
    assert get(f"http://{two.admin}/readyz") == f"ready; standby, {pair.addresses[0]} serves\n"
    assert "shunt_master_serving 1" in get(f"http://{one.admin}/metrics") and "shunt_master_serving 0" in get(f"http://{two.admin}/metrics")
    role = pair.role(1)
    assert (role["role"], role["serving"], role["address"]) == ("standby", *pair.addresses)
    assert role["masters"] == [{"address": pair.addresses[0], "role": "serving", "term": role["term"]}]
    told = run("admin", "status", "--master", one.admin)
    assert f"serving in term {role['term']}" in told.stdout and f"{pair.addresses[1]} standby" in told.stdout, told
    events = json.loads(get(f"http://{one.admin}/api/v1/events?kind=master.serving"))["events"]
    assert [event["subject"] for event in events] == [pair.addresses[0]]
    refused = run("admin", "ban", "uid:mallory", "--master", two.admin)
    assert refused.returncode == 69 and f"{pair.addresses[0]} serves (master.standby)" in refused.stderr, refused


def test_a_master_is_killed_and_clients_and_chats_go_on_within_two_heartbeats(pair, connect):
    pair = pair()
    old = [connect(worker.exchange).join(f"old-{place}") for place, worker in enumerate(pair.workers)]
    consumers = [connect(worker.exchange).subscribe("topic") for worker in pair.workers]
    asking = Allocations(pair.addresses[1])
    pair.masters[0].kill()
    seconds = pair.first_created(range(3))
    assert seconds < TWO_HEARTBEATS + BUSY
    both = ",".join(pair.addresses)
    sent = run("pub", "topic", "hello", "--master", both)
    assert sent.returncode == 0, sent
    eventually(lambda: sum(len(consumer.inbox) for consumer in consumers) == 1)
    asking.end()
    assert pair.wait_whole(among=[1]) == 1
    for place, member in enumerate(old):
        assert set(pair.owners(f"old-{place}")) == {pair.workers[place].exchange}
        assert member.say(f"old-{place}", "still here").status == 200


@pytest.mark.parametrize("seconds", [0, 0.2, 1, 4])
def test_a_master_is_killed_and_back_and_all_workers_are_at_one_master(pair, connect, seconds):
    pair = pair()
    members = [connect(worker.exchange).join(f"old-{place}") for place, worker in enumerate(pair.workers)]
    pair.masters[0].kill()
    threading.Event().wait(seconds)
    pair.start(0)
    pair.wait_whole()
    assert set(pair.first_created([place]) < BUSY for place in range(3)) == {True}
    pair.check_chats(f"old-{place}" for place in range(3))
    assert members[0].say("old-0", "still here").status == 200
    clients = [connect(worker.exchange) for worker in pair.workers]
    for number in range(10):
        assert sorted(client.create(f"only-{number}").status for client in clients) == [200, 307, 307]


def test_a_master_stands_still_and_goes_on(pair, connect):
    pair = pair()
    members = [connect(worker.exchange).join(f"old-{place}") for place, worker in enumerate(pair.workers)]
    asking = Allocations(pair.addresses[1])
    pair.masters[0].signal(signal.SIGSTOP)
    # Workers notice after two heartbeats without an answer, and the other takes two more at most.
    assert pair.first_created(range(3)) < 2 * TWO_HEARTBEATS + BUSY
    asking.end()
    held = [connect(worker.exchange).join(f"held-{place}") for place, worker in enumerate(pair.workers)]
    pair.masters[0].signal(signal.SIGCONT)
    eventually(lambda: pair.serving() == [1], TWO_HEARTBEATS + BUSY, "one master that serves")
    assert pair.wait_whole() == 1
    for place in range(3):
        assert set(pair.owners(f"old-{place}")) == set(pair.owners(f"held-{place}")) == {pair.workers[place].exchange}
    assert all(member.say(f"old-{place}", "x").status == 200 for place, member in enumerate(members)) and held


def test_a_master_makes_way_when_it_is_told_to_and_the_other_again(pair, connect):
    pair = pair()
    member = connect(pair.workers[0].exchange).join("old")
    for away, to in [(0, 1), (1, 0)]:
        refused = run("admin", "step-down", "--master", pair.masters[to].admin)
        assert refused.returncode == 69 and "(master.standby)" in refused.stderr, refused
        told = run("admin", "step-down", "--master", pair.masters[away].admin)
        assert told.returncode == 0 and "is standby" in told.stdout, told
        assert pair.first_created(range(3)) < TWO_HEARTBEATS + BUSY
        assert pair.wait_whole() == to
        assert set(pair.owners("old")) == {pair.workers[0].exchange}
    assert member.say("old", "still here").status == 200
    kinds = [event["kind"] for event in json.loads(get(f"http://{pair.masters[0].admin}/api/v1/events"))["events"]]
    assert kinds.count("master.serving") == 2 and kinds.count("master.standby") == 1


def test_operators_commands_find_the_master_that_serves(pair):
    pair = pair()
    one, two = pair.masters
    both = f"{two.admin},{one.admin}"
    banned = run("admin", "ban", "uid:mallory", "--master", both)
    assert banned.returncode == 0 and f"{two.admin} stands by: {one.admin} is asked instead\n" in banned.stderr, banned
    listed = run("admin", "groups", "--master", both)
    assert listed.returncode == 0 and "is asked instead" in listed.stderr, listed
    # All that the command asks is of the master that serves.
    audit = run("admin", "audit", "--master", both)
    assert "no worker is live" not in audit.stdout and "stands by" in audit.stderr, audit
    assert "live" in run("admin", "workers", "--master", both).stdout
    unknown = run("admin", "kick", "nobody", "--master", both)
    assert unknown.returncode == 65 and "(client.unknown)" in unknown.stderr, unknown
    # Of one that serves, too; which standby is to serve is said alone.
    shown = run("admin", "status", "--master", both)
    assert "serving in term" in shown.stdout and "is asked instead" in shown.stderr, shown
    refused = run("admin", "serve", "--master", both)
    assert refused.returncode != 0 and "is asked instead" not in refused.stderr, refused
    stepped = run("admin", "step-down", "--master", both)
    assert stepped.returncode == 0 and "is standby" in stepped.stdout, stepped
    assert pair.wait_whole() == 1
    one.kill()
    assert pair.wait_whole(among=[1]) == 1
    status = run("admin", "status", "--master", f"{one.admin},{two.admin}")
    assert status.returncode == 0 and f"{one.admin} cannot be asked: {two.admin} is asked instead\n" in status.stderr, status


def test_who_follows_events_goes_along_with_the_master_that_serves(pair, tmp_path):
    pair = pair()
    one, two = pair.masters
    both = f"{one.admin},{two.admin}"
    following = pair.shunt.closing(Command(
        tmp_path, "admin", "events", "--follow", "--interval", "0.1", "--output", "json", "--limit", "1", "--master", both))

    def told(subject: str, master):
        run("admin", "ban", f"uid:{subject}", "--master", master.admin)
        eventually(lambda: subject in following.output.read_text(), 20, f"the command about {subject} in {following.shown}")

    told("first", one)
    assert run("admin", "step-down", "--master", one.admin).returncode == 0
    pair.wait_whole()
    told("second", two)
    assert f"{one.admin} stands by: {two.admin} is asked instead" in following.log.read_text()
    two.kill()
    assert pair.wait_whole(among=[0]) == 0
    told("third", one)
    assert f"{two.admin} cannot be asked: {one.admin} is asked instead" in following.log.read_text()
    kinds = [json.loads(line)["kind"] for line in following.output.read_text().splitlines()]
    assert kinds.count("events.reset") == 2 and "master.standby" in kinds
    assert following.output.read_text().count("first") == 1
    # The same master, with the same registry: it goes on where it was.
    one.kill()
    eventually(lambda: "waiting" in following.log.read_text(), 20, "told that it waits")
    pair.start(0)
    pair.start(1)
    serving = pair.masters[pair.wait_whole(timeout=40)]
    told("fourth", serving)
    eventually(lambda: following.log.read_text().endswith('is reached again\n'), 20, 'told that it goes on')


def test_a_master_that_stands_by_says_so_and_the_other_knows_how_long_workers_run(pair):
    pair = pair()
    started = {name: worker["started_at"] for name, worker in pair.masters[0].workers().items()}
    # So long that a worker which had begun at the other would show.
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 4, 10)
    assert run("admin", "step-down", "--master", pair.masters[0].admin).returncode == 0
    assert pair.wait_whole() == 1
    for name, worker in pair.masters[1].workers().items():
        assert abs(worker["started_at"] - started[name]) < 2.5, (worker, started)
    admin = pair.masters[0].admin
    for command in ("workers", "devices", "clients", "chats", "events"):
        done = run("admin", command, "--master", admin)
        assert done.returncode == 0 and f"standby and {pair.addresses[1]} serves" in " ".join(done.stderr.split()), done
    eventually(lambda: {worker["state"] for worker in pair.masters[0].workers().values()} == {"unknown"}, what="nobody is lost there")
    assert 'shunt_master_workers{state="lost"} 0\n' in get(f"http://{admin}/metrics")
    status = run("admin", "status", "--master", admin)
    assert status.returncode == 0 and f"{pair.addresses[1]} serves" in status.stdout and "standby in term" in status.stdout, status


def test_bans_hold_when_another_master_serves_and_when_the_first_is_back(pair):
    pair = pair()
    one, two = pair.masters
    assert run("admin", "ban", "uid:mallory", "--master", one.admin).returncode == 0

    def banned(master):
        return [ban["subject"] for ban in json.loads(get(f"http://{master.admin}/api/v1/bans"))["bans"]]

    eventually(lambda: banned(two) == ["uid:mallory"])
    one.kill()
    eventually(lambda: pair.serving([1]) == [1], 20)
    assert run("admin", "ban", "uid:eve", "--master", two.admin).returncode == 0
    assert run("admin", "unban", "uid:mallory", "--master", two.admin).returncode == 0
    pair.start(0)
    eventually(lambda: banned(pair.masters[0]) == ["uid:eve"])


def test_workers_that_cannot_reach_the_master_that_serves_bring_the_other_to_serve(pair, connect):
    pair = pair(doors=True)
    lonely = connect(pair.workers[0].exchange).join("old")
    for place in (1, 2):
        pair.doors[place][0].target = None
        pair.doors[place][0].cut()
    assert pair.first_created([1, 2]) < 2 * TWO_HEARTBEATS + BUSY
    # The first hears one of three, steps back, and its worker comes too.
    assert pair.wait_whole() == 1
    assert set(pair.owners("old")) == {pair.workers[0].exchange}
    for place in (1, 2):
        pair.doors[place][0].target = pair.addresses[0]
    assert lonely.say("old", "still here").status == 200
    assert pair.wait_whole() == 1


def test_a_worker_that_reaches_no_master_lets_nobody_into_chats_and_the_older_chat_stays(pair, connect):
    pair = pair(doors=True)
    old = connect(pair.workers[0].exchange).join("chat")
    for door in pair.doors[0]:
        door.target = None
        door.cut()
    eventually(lambda: pair.create(0, "chat").status == 503, TWO_HEARTBEATS + BUSY, "a worker that knows that it is cut off")
    assert old.say("chat", "goes on").status == 200
    other = connect(pair.workers[1].exchange)
    eventually(lambda: other.create("chat").status == 200, TWO_HEARTBEATS + BUSY, "the chat's release")
    for door, address in zip(pair.doors[0], pair.addresses, strict=True):
        door.target = address
    eventually(lambda: set(pair.owners("chat")) == {pair.workers[0].exchange}, TWO_HEARTBEATS + BUSY, "one owner, the older")
    assert old.say("chat", "still here").status == 200


def test_masters_prove_the_clusters_token_to_each_other(pair, tmp_path):
    token = tmp_path / "token"
    token.write_text("a token of the whole cluster\n")
    token.chmod(0o600)
    pair = pair(**{"cluster.token_file": str(token)})
    pair.masters[0].kill()
    assert pair.wait_whole(among=[1]) == 1


def test_masters_show_each_other_certificates(shunt, connect, tmp_path):
    made = Certificates(tmp_path / "cluster", "Cluster-CA")
    made.make("--member", "m")
    tls = {"cluster.tls.certificate": made["m.pem"], "cluster.tls.key": made["m.key"], "cluster.tls.ca": made["ca.pem"]}
    pair = Pair(shunt, connect, **tls)
    eventually(lambda: pair.role(1)["masters"][0]["role"] == "serving")
    pair.masters[0].kill()
    assert pair.wait_whole(among=[1]) == 1
    # Without a certificate the first is none of this cluster.
    pair.sets = {}
    pair.start(0)
    pair.masters[0].wait_log("another master is not spoken to")
    assert pair.role(1)["masters"][0]["role"] == "silent" and pair.serving() == [1]


def test_a_master_must_be_known_by_some_address(tmp_path):
    wrong = run(
        "master", "--set", "master.exchange.listen=0.0.0.0:0", "--set", "master.peers=[10.0.0.2:4088]", "--set", "master.registry.path=registry",
        cwd=tmp_path)
    assert wrong.returncode == 78 and "give it as master.advertise" in wrong.stderr, wrong
