"""Chats of two workers and a master, each a process of its own: who has which, and what happens when one of them dies."""

import json
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from exchange import CHAT, JSON, Client, eventually, lenient_json
from processes import Door, run

# Two heartbeats are 600 ms.
WORKER = {"worker.loops": 2, "worker.heartbeat.every": "300ms"}
COUNT = 20


class Cluster:
    """A master behind an address that stays, and two workers."""

    def __init__(self, shunt, **sets):
        self.shunt = shunt
        self.door = shunt.closing(Door())
        self.master = shunt.master()
        self.door.target = self.master.master
        self.workers = [shunt.worker(WORKER | sets | {"worker.masters": self.door.address}) for _ in range(2)]
        self.wait_connected(1)

    @property
    def addresses(self) -> list[str]:
        return [worker.exchange for worker in self.workers]

    def wait_connected(self, value: int):
        """Whether both workers have a master."""
        for worker in self.workers:
            worker.wait_metric("shunt_master_connected", value)

    def restart_master(self, keeps_registry=True):
        self.master = self.shunt.master(folder=self.master.folder if keeps_registry else None)
        self.door.target = self.master.master

    def owners(self) -> dict[str, str]:
        """The worker of each chat, as the registry has it."""
        with closing(sqlite3.connect(f"file:{self.master.registry}?mode=ro", uri=True)) as registry:
            return dict(registry.execute("SELECT chat, worker FROM chats"))

    def wait_owners(self, expected: dict, timeout=20.0):
        eventually(lambda: self.owners() == expected, timeout, "the chats in the registry")


@pytest.fixture
def cluster(shunt):
    return lambda **sets: Cluster(shunt, **sets)


def texts(member: Client, count: int) -> list[str]:
    return [frame.text for frame in member.receive(count)]


def follow(connect, worker, chat: str) -> Client:
    """Joins where it is sent to, as an application does that is redirected."""
    client = connect(worker.exchange)
    answer = client.create(chat)
    if answer.status == 307:
        client = connect(answer.text)
        answer = client.create(chat)
    assert answer.status == 200, answer
    return client


def test_who_joins_elsewhere_is_redirected_to_the_workers_address_and_they_talk_there(cluster, connect):
    cluster = cluster()
    one, two = cluster.workers
    for number, (home, elsewhere) in enumerate([(one, two), (two, one)] * 5):
        chat = f"chat-{number}"
        ann, bob = connect(home.exchange).join(chat), connect(elsewhere.exchange)
        answer = bob.create(chat)
        assert (answer.status, answer.text) == (307, home.exchange)
        assert bob.say(chat, "here?").status == 404
        bob = connect(answer.text).join(chat)
        assert ann.say(chat, "hello").status == bob.say(chat, "hi").status == 200
        assert texts(bob, 1) == ["hello"] and texts(ann, 1) == ["hi"]
    expected = {f"chat-{number}": (two if number % 2 else one).exchange for number in range(10)}
    cluster.wait_owners(expected)


def test_a_chat_that_was_destroyed_may_be_created_elsewhere(cluster, connect):
    cluster = cluster()
    one, two = cluster.workers
    ann, bob = connect(one.exchange), connect(two.exchange)
    for number in range(20):
        home, elsewhere = (ann, bob) if number % 2 == 0 else (bob, ann)
        assert home.create("chat").status == 200, "a DESTROY that was answered is done everywhere"
        assert elsewhere.create("chat").status == 307
        assert home.destroy("chat").status == 200
    cluster.wait_owners({})


def test_a_chat_that_its_last_member_has_left_may_be_created_elsewhere_at_once(cluster, connect):
    cluster = cluster()
    ann, bob = [connect(address) for address in cluster.addresses]
    for number in range(20):
        home, elsewhere = (ann, bob) if number % 2 == 0 else (bob, ann)
        assert home.create("chat").status == 200
        assert elsewhere.create("chat").status == 307
        assert home.request(CHAT, b"chat", "chat", "LEAVE").status == 200


def test_a_chat_that_an_operator_has_closed_may_be_created_elsewhere_at_once(cluster, connect):
    cluster = cluster()
    ann, bob = [connect(address) for address in cluster.addresses]
    for number in range(5):
        home, elsewhere = (ann, bob) if number % 2 == 0 else (bob, ann)
        assert home.create("chat").status == 200
        closed = run("admin", "close-chat", "chat", "--master", cluster.master.admin)
        assert closed.returncode == 0, closed.stderr
        assert "chat" not in run("admin", "chats", "--master", cluster.master.admin, "--output", "csv").stdout.splitlines()[1:]
        assert elsewhere.create("chat").status == 200
        assert elsewhere.destroy("chat").status == 200


def is_stopped(pid: int) -> bool:
    states = [(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()]
    return set(states) == {"T"}


def test_a_chat_ends_and_is_answered_in_time_while_its_master_says_nothing(cluster, connect):
    cluster = cluster()
    ann = connect(cluster.addresses[0]).join("chat")
    cluster.master.signal(signal.SIGSTOP)
    eventually(lambda: is_stopped(cluster.master.pid), what="all of the master's threads to stop")
    try:
        began = time.monotonic()
        assert ann.destroy("chat").status == 200
        # The worker gives its master a second from the last heartbeat that was answered, a moment before it was stopped.
        assert 0.7 < time.monotonic() - began < 8, "a second, and what a busy machine adds"
    finally:
        cluster.master.signal(signal.SIGCONT)


def test_a_chat_that_is_created_before_the_worker_has_its_master_waits_for_it(shunt, connect):
    master = shunt.master()
    for number in range(5):
        worker = shunt.worker(WORKER | {"worker.masters": master.master})
        assert connect(worker.exchange).create(f"chat-{number}").status == 200
    absent = shunt.closing(Door())
    worker = shunt.worker(WORKER | {"worker.masters": absent.address})
    assert connect(worker.exchange).create("chat").status == 503, "but not for ever"


def test_of_two_workers_that_create_a_chat_at_once_exactly_one_has_it(cluster, connect):
    cluster = cluster()
    clients = [connect(worker.exchange) for worker in cluster.workers]
    chats = [f"chat-{number}" for number in range(COUNT)]
    answers = [[], []]
    start = threading.Barrier(2)

    def create(place: int):
        start.wait()
        for chat in chats:
            answers[place].append(clients[place].create(chat))

    threads = [threading.Thread(target=create, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    owners = {}
    for chat, pair in zip(chats, zip(*answers, strict=True), strict=True):
        statuses = [answer.status for answer in pair]
        assert sorted(statuses) == [200, 307], (chat, statuses)
        winner = statuses.index(200)
        assert pair[1 - winner].text == cluster.addresses[winner]
        owners[chat] = cluster.addresses[winner]
        other = connect(pair[1 - winner].text).join(chat)
        assert clients[winner].say(chat, "mine").status == 200
        assert texts(other, 1) == ["mine"]
    cluster.wait_owners(owners)


def test_the_chats_of_a_worker_that_was_killed_are_created_where_the_next_member_comes(cluster, connect):
    cluster = cluster()
    dead, alive = cluster.workers
    chats = [f"chat-{number}" for number in range(COUNT)]
    members = [(connect(dead.exchange).join(chat), connect(dead.exchange).join(chat)) for chat in chats]
    kept = connect(alive.exchange).join("kept")
    client = connect(alive.exchange)
    assert client.create(chats[0]).text == dead.exchange
    dead.kill()
    killed = time.monotonic()
    for pair in members:
        for member in pair:
            member.wait_closed()
    # In the time that it has to come back, clients are sent to it; then the chat is opened here.
    answers = []
    eventually(lambda: answers.append(client.create(chats[0])) or answers[-1].status == 200, 15, "the chat's release")
    assert {answer.text for answer in answers[:-1]} <= {dead.exchange}
    assert time.monotonic() - killed < 12
    for chat in chats[1:]:
        client.join(chat)
    for chat in chats:
        other = connect(alive.exchange).join(chat)
        assert client.say(chat, f"in {chat}").status == 200
        assert texts(other, 1) == [f"in {chat}"]
    assert kept.create("kept").status == 200
    cluster.wait_owners(dict.fromkeys([*chats, "kept"], alive.exchange))


@pytest.mark.parametrize("keeps_registry", [True, False], ids=["with its registry", "another master"])
def test_a_master_that_was_killed_knows_all_chats_again_within_two_heartbeats(cluster, connect, keeps_registry):
    cluster = cluster()
    owners, members = {}, {}
    for number in range(COUNT):
        worker = cluster.workers[number % 2]
        chat = f"chat-{number}"
        members[chat] = connect(worker.exchange).join(chat)
        owners[chat] = worker.exchange
    cluster.wait_owners(owners)
    ending, gone = connect(cluster.workers[0].exchange).join("ended meanwhile"), connect(cluster.workers[1].exchange)
    assert gone.create("ended meanwhile").status == 307
    cluster.master.kill()
    # Chats go on; one that needs the master is refused, one that is open here is not.
    assert ending.destroy("ended meanwhile").status == 200
    partners = {chat: connect(owners[chat]).join(chat) for chat in list(owners)[:4]}
    for chat, partner in partners.items():
        assert members[chat].say(chat, "without a master").status == 200
        assert texts(partner, 1) == ["without a master"]
    cluster.wait_connected(0)
    assert gone.create("new").status == 503
    cluster.restart_master(keeps_registry)
    cluster.wait_connected(1)
    joined = time.monotonic()
    cluster.wait_owners(owners)
    assert time.monotonic() - joined < 5, "two heartbeats, and what a busy machine adds"
    for chat, owner in owners.items():
        elsewhere = cluster.workers[1 if owner == cluster.addresses[0] else 0]
        answer = connect(elsewhere.exchange).create(chat)
        assert (answer.status, answer.text) == (307, owner), chat
    for chat, owner in list(owners.items())[4:]:
        partner = connect(owner).join(chat)
        assert members[chat].say(chat, "still here").status == 200
        assert texts(partner, 1) == ["still here"]
    assert gone.create("ended meanwhile").status == 200, "the chat that ended meanwhile is free"


def test_a_worker_that_died_with_the_master_keeps_no_chat(cluster, connect):
    cluster = cluster()
    dead, alive = cluster.workers
    connect(dead.exchange).join("chat")
    cluster.wait_owners({"chat": dead.exchange})
    cluster.master.kill()
    dead.kill()
    cluster.restart_master()
    client = connect(alive.exchange)
    answers = []
    eventually(lambda: answers.append(client.create("chat")) or answers[-1].status == 200, 20, "the chat's release")
    assert {answer.status for answer in answers[:-1]} <= {307, 503}
    cluster.wait_owners({"chat": alive.exchange})


def test_two_chats_of_one_id_that_opened_without_a_master_end_as_the_older_one(shunt, connect):
    """Each at a master of its own; then both workers come to one: the younger chat's members are sent to the older."""
    masters = [shunt.master() for _ in range(2)]
    doors = [shunt.closing(Door(master.master)) for master in masters]
    workers = [shunt.worker(WORKER | {"worker.masters": door.address}) for door in doors]
    for worker in workers:
        worker.wait_metric("shunt_master_connected", 1)
    older = connect(workers[0].exchange).join("chat")
    younger, plain = connect(workers[1].exchange), connect(workers[1].exchange)
    assert younger.request(CHAT, b'{"notices":true}', "chat", "CREATE", format=JSON).status == 200
    plain.join("chat")
    masters[1].kill()
    doors[1].target = masters[0].master
    # It was told that the other one joined; then where the chat is.
    eventually(lambda: len(younger.inbox) >= 2, 20, "word of the older chat")
    told = [(frame.key, lenient_json(frame.text)) for frame in younger.receive(2)]
    assert [key for key, _ in told] == [b"NOTICE", b"NOTICE"]
    assert (told[1][1]["event"], told[1][1]["to"]) == ("moved", workers[0].exchange)
    assert plain.receive(1)[0].key == b"DESTROY", "who takes no notices is told that it is over here"
    assert plain.create("chat").text == workers[0].exchange
    joined = follow(connect, workers[1], "chat")
    assert older.say("chat", "welcome").status == 200
    assert texts(joined, 1) == ["welcome"]


def test_a_chat_goes_on_while_its_worker_has_lost_its_master_for_a_moment(cluster, connect):
    cluster = cluster()
    one, two = cluster.workers
    ann = connect(one.exchange).join("chat")
    bob = follow(connect, two, "chat")
    cluster.door.close()
    for number in range(50):
        assert ann.say("chat", str(number)).status == 200
    assert texts(bob, 50) == [str(number) for number in range(50)]


def test_the_registry_holds_nothing_of_what_was_said(cluster, connect):
    cluster = cluster()
    ann = connect(cluster.addresses[0]).join("chat")
    bob = connect(cluster.addresses[0]).join("chat")
    assert ann.say("chat", "a secret that nobody writes down").status == 200
    assert texts(bob, 1) == ["a secret that nobody writes down"]
    cluster.wait_owners({"chat": cluster.addresses[0]})
    files = [path for process in (cluster.master, *cluster.workers) for path in process.folder.rglob("*") if path.is_file()]
    assert files and not any(b"nobody writes down" in path.read_bytes() for path in files)
    events = json.dumps([worker for worker in cluster.master.workers().values()])
    assert "nobody writes down" not in events
