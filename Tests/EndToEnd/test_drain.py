"""`shunt admin drain`, `undrain` and `balance`: clients go from one worker to another, and nothing that was acknowledged is lost."""

import json
import threading
import time
from collections import Counter

import pytest

from exchange import ALLOCATION, CHAT, Client as ExchangeClient, eventually
from java_peers import JavaMaster
from mqtt import packets
from mqtt.client import Client as MQTTClient, Ended
from mqtt.packets import DISCONNECT, PUBACK, PUBLISH
from processes import run, write_rule

USE_ANOTHER_SERVER = 0x9C


class Cluster:
    def __init__(self, shunt, workers=2, **more):
        self.shunt, self.more = shunt, more
        self.master = shunt.master()
        self.workers = [self.worker(name) for name in ("east", "west")[:workers]]
        eventually(lambda: len(self.states()) == workers, 20, "all workers are known")

    def worker(self, name):
        worker = self.shunt.worker({
            "worker.masters": self.master.master, "worker.loops": 3, "worker.name": name, "worker.heartbeat.every": "200ms",
            "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", **self.more})
        worker.wait_metric("shunt_master_connected", 1)
        return worker

    def admin(self, *arguments, code=0):
        done = run("admin", *arguments, "--master", self.master.admin, timeout=120)
        assert done.returncode == code, done
        return done.stdout if code == 0 else done.stderr

    def ask(self, *arguments):
        return json.loads(self.admin(*arguments, "--output", "json"))

    def states(self) -> dict:
        return {worker["configured_name"]: worker["state"] for worker in self.ask("workers")["workers"]}

    def kinds(self, name) -> list:
        names = {worker["name"] for worker in self.ask("workers")["workers"] if worker["configured_name"] == name}
        return [event["kind"] for event in self.ask("events", "--limit", "1000")["events"] if event["subject"] in names]

    def mqtt(self, number: int) -> str:
        return self.workers[number].listeners["worker.mqtt"]


@pytest.fixture
def cluster(shunt):
    return Cluster(shunt)


def farewell(client):
    """The DISCONNECT that ends the connection, or nothing."""
    while True:
        try:
            packet = client.next()
        except Ended:
            return None
        if packet.kind == DISCONNECT:
            return packet


def test_clients_are_sent_to_the_other_worker(cluster):
    east, west = cluster.workers
    five, three = MQTTClient(cluster.mqtt(0), 5), MQTTClient(cluster.mqtt(0), 4)
    five.connect("five")
    three.connect("three")
    five.subscribe("a/#")
    state = cluster.ask("drain", "east", "--wait")
    assert state["draining"] and state["connections"] == 0 and state["sent"] == 2, state
    goodbye = farewell(five)
    assert (goodbye.reason, dict(goodbye.properties)["server_reference"]) == (USE_ANOTHER_SERVER, cluster.mqtt(1)), goodbye
    assert farewell(three) is None
    eventually(lambda: cluster.states() == {"east": "draining", "west": "live"}, 10, "the registry knows")

    # Nobody new comes in, by either protocol, and allocation does not name it.
    refused = MQTTClient(cluster.mqtt(0), 5).connect("six", refused=True)
    assert (refused.reason, dict(refused.properties)["server_reference"]) == (USE_ANOTHER_SERVER, cluster.mqtt(1)), refused
    with ExchangeClient(east.exchange) as late:
        answer = late.message("t", "late")
        assert (answer.status, answer.text) == (307, west.exchange), answer
    with ExchangeClient(cluster.master.master) as asking:
        assert asking.request(ALLOCATION, b"true").text == west.exchange

    assert cluster.ask("undrain", "east")["draining"] is False
    MQTTClient(cluster.mqtt(0), 5).connect("six")
    eventually(lambda: cluster.states()["east"] == "live", 10, "the registry knows")
    eventually(
        lambda: [kind for kind in cluster.kinds("east") if "drain" in kind] == ["worker.draining", "worker.drained", "worker.undrained"], 10,
        "events")


class Publisher(threading.Thread):
    """Publishes numbers with QoS 1 until it is stopped, and follows to the other worker when it is sent away. Notes which were acknowledged."""

    def __init__(self, cluster, name, topic):
        super().__init__(daemon=True)
        self.cluster, self.name, self.topic = cluster, name, topic
        self.acknowledged, self.at, self.stopped, self.moves = [], 0, False, 0

    def run(self):
        number = 0
        while not self.stopped:
            client = MQTTClient(self.cluster.mqtt(self.at), 5)
            if client.connect(self.name, refused=True).reason:
                self.at = 1 - self.at
                continue
            under_way = {}
            try:
                while not self.stopped or under_way:
                    while len(under_way) < 20 and not self.stopped:
                        number += 1
                        text = f"{self.name}/{number}"
                        id = next(client.ids)
                        client.send(packets.publish(5, self.topic, text.encode(), 1, id=id))
                        under_way[id] = text
                    packet = client.next()
                    if packet.kind == PUBACK:
                        text = under_way.pop(packet.id)
                        if not packet.reason:
                            self.acknowledged.append(text)
                    elif packet.kind == DISCONNECT:
                        break
                    time.sleep(0.001)
            except Ended:
                pass
            self.at, self.moves = 1 - self.at, self.moves + 1


class Subscriber(threading.Thread):
    """Takes what comes at one worker until that closes it."""

    def __init__(self, address, name, qos, expiry=0):
        super().__init__(daemon=True)
        self.client = MQTTClient(address, 5, patience=60)
        self.client.connect(name, more={"session_expiry": expiry} if expiry else None)
        self.client.subscribe("load/#", qos=qos)
        self.taken = Counter()
        self.start()

    def run(self):
        try:
            while True:
                packet = self.client.next()
                if packet.kind == PUBLISH:
                    self.taken[bytes(packet.payload).decode()] += 1
                    if packet.qos:
                        self.client.acknowledge(packet)
                    time.sleep(0.0005)
        except Ended:
            pass


@pytest.mark.parametrize("qos, expiry", [(0, 0), (1, 0), (1, 600)])
def test_nothing_that_was_acknowledged_is_lost(cluster, qos, expiry):
    subscribers = [Subscriber(cluster.mqtt(0), f"s{number}", qos, expiry) for number in range(6)]
    publishers = [Publisher(cluster, f"p{number}", f"load/{number}") for number in range(6)]
    for publisher in publishers:
        publisher.start()
    eventually(lambda: all(len(publisher.acknowledged) > 100 for publisher in publishers), 60, "load")
    state = cluster.ask("drain", "east", "--rate", "20", "--wait")
    assert state["connections"] == state["sessions"] == 0
    here = {text for publisher in publishers for text in publisher.acknowledged}
    for publisher in publishers:
        publisher.stopped = True
    for thread in subscribers + publishers:
        thread.join(30)
        assert not thread.is_alive()
    assert all(publisher.moves >= 1 for publisher in publishers)
    for subscriber in subscribers:
        lost = here - set(subscriber.taken)
        assert not lost, f"{len(lost)} of {len(here)}: {sorted(lost)[:5]}"


def test_a_session_that_keeps_messages_is_waited_for(cluster):
    away = MQTTClient(cluster.mqtt(0), 5)
    away.connect("away", more={"session_expiry": 600})
    away.subscribe("kept", qos=1)
    idle = MQTTClient(cluster.mqtt(0), 5)
    idle.connect("idle", more={"session_expiry": 600})
    idle.vanish()
    away.vanish()
    sender = MQTTClient(cluster.mqtt(0), 5)
    sender.connect("sender")
    sender.publish("kept", b"once", qos=1)
    cluster.admin("drain", "east", "--exit")
    eventually(lambda: cluster.ask("drain", "east")["connections"] == 0, 20, "the clients are gone")
    state = cluster.ask("drain", "east", "--exit")
    eventually(lambda: cluster.ask("drain", "east", "--exit")["sessions"] == 1, 20, "only the session that keeps something is left")
    assert cluster.workers[0].process.poll() is None, state

    back = MQTTClient(cluster.mqtt(0), 5)
    assert back.connect("away", clean=False, more={"session_expiry": 600}).session_present
    assert bytes(back.message().payload) == b"once"
    goodbye = farewell(back)
    assert dict(goodbye.properties)["server_reference"] == cluster.mqtt(1)
    # Nobody is left: it ends, as it was told.
    eventually(lambda: cluster.workers[0].process.poll() == 0, 20, "the worker ends")


def test_patience_may_be_bounded(cluster):
    stubborn = MQTTClient(cluster.mqtt(0), 5)
    stubborn.connect("stubborn", more={"session_expiry": 600})
    stubborn.subscribe("kept", qos=1)
    sender = MQTTClient(cluster.mqtt(0), 5)
    sender.connect("sender")
    sender.publish("kept", b"never acknowledged", qos=1)
    state = cluster.ask("drain", "east", "--force-after", "2s", "--wait")
    assert (state["connections"], state["sessions"]) == (0, 0)


DELAYING = """
local function on_message(msg)
  return route.delay(tonumber(msg.topic:match("(%d+)$")), route.to("load/late", msg))
end
return { on_message = on_message, match = { topic = "later/#" } }
"""


def delaying(folder) -> dict:
    return {"rules.directory": write_rule(folder / "plugins", "later", DELAYING), "rules.enabled": "all"}


def test_what_rules_delay_still_has_takers(shunt, tmp_path):
    cluster = Cluster(shunt, **delaying(tmp_path))
    taker = MQTTClient(cluster.mqtt(0), 5)
    taker.connect("taker")
    taker.subscribe("load/#")
    sender = MQTTClient(cluster.mqtt(0), 5)
    sender.connect("sender")
    assert sender.publish("later/3", b"hello", qos=1) == 0
    state = cluster.ask("drain", "east", "--wait")
    assert (state["connections"], state["delayed"], state.get("given_up")) == (0, 0, None), state
    assert bytes(taker.message().payload) == b"hello"


def test_patience_ends_for_what_rules_delay(shunt, tmp_path):
    cluster = Cluster(shunt, **delaying(tmp_path))
    sender = MQTTClient(cluster.mqtt(0), 5)
    sender.connect("sender")
    for _ in range(3):
        assert sender.publish("later/3600", b"hello", qos=1) == 0
    cluster.admin("drain", "east", "--force-after", "1s", "--exit")
    eventually(lambda: cluster.workers[0].process.poll() == 0, 20, "the worker ends")

    def told() -> list:
        return [event["detail"] for event in cluster.ask("events", "--limit", "1000")["events"] if event["kind"] == "worker.drained"]

    eventually(lambda: told() and "delayed messages that are lost: 3" in told()[0], 10, "the event")


def test_a_slow_client_that_still_sends_gets_all_that_was_acknowledged(cluster):
    """A connection that is closed with unread bytes has the kernel give up what was written to it."""
    slow = MQTTClient(cluster.mqtt(0), 5, patience=60)
    slow.connect("slow")
    slow.subscribe("bulk")
    sender = MQTTClient(cluster.mqtt(0), 5)
    sender.connect("sender")
    for number in range(200):
        assert sender.publish("bulk", number.to_bytes(4, "big") * 1024, qos=1) == 0
    is_over = threading.Event()

    def chatter():
        while not is_over.wait(0.002):
            slow.send(packets.PING)

    chatting = threading.Thread(target=chatter)
    chatting.start()
    try:
        cluster.admin("drain", "east")
        # Its subscriptions have ended: from here on it is only to take what was written.
        cluster.workers[0].wait_metric("shunt_subscriptions", 0)
        is_over.wait(0.5)
        taken = []
        try:
            while True:
                packet = slow.next()
                if packet.kind == PUBLISH:
                    taken.append(int.from_bytes(packet.payload[:4], "big"))
        except Ended:
            pass
    finally:
        is_over.set()
        chatting.join()
    assert taken == list(range(200))


def test_chats_move(cluster):
    east, west = cluster.workers
    ann, bob = ExchangeClient(east.exchange), ExchangeClient(east.exchange)
    ann.join("room")
    bob.join("room")
    cluster.ask("drain", "east", "--wait")
    over = ann.receive(1)[0]
    assert (over.type, over.key) == (CHAT, b"DESTROY"), over
    ann.wait_closed()
    with ExchangeClient(east.exchange) as back:
        answer = back.create("room")
        assert (answer.status, answer.text) == (307, west.exchange), answer
    carl = ExchangeClient(west.exchange)
    carl.join("room")
    eventually(lambda: [chat["worker"] for chat in cluster.ask("chats")["chats"]] == [west.exchange], 10, "the chat is the other worker's")


def test_the_only_worker_is_not_drained(shunt):
    cluster = Cluster(shunt, workers=1)
    assert "no other worker is live" in cluster.admin("drain", "east", code=65)
    assert "drain" in cluster.admin("drain", "east", "--rate", "0", code=64)
    assert "worker.unknown" in cluster.admin("drain", "nobody", code=65)
    assert cluster.states() == {"east": "live"}


def test_the_last_worker_is_not_drained_right_after_the_others(cluster):
    cluster.admin("drain", "east")
    assert "nowhere to go" in cluster.admin("drain", "west", code=65)
    cluster.admin("undrain", "east")
    outcomes = []
    together = [
        threading.Thread(target=lambda name=name: outcomes.append(run("admin", "drain", name, "--master", cluster.master.admin).returncode))
        for name in ("east", "west")]
    for one in together:
        one.start()
    for one in together:
        one.join()
    assert sorted(outcomes) == [0, 65]


def test_who_reads_after_a_command_sees_what_it_has_changed(cluster):
    for _ in range(5):
        cluster.admin("drain", "east")
        assert cluster.states() == {"east": "draining", "west": "live"}
        cluster.admin("undrain", "east")
        assert cluster.states() == {"east": "live", "west": "live"}
        assert cluster.kinds("east")[-1] == "worker.undrained"


def test_a_worker_that_was_drained_and_ended_has_left(cluster):
    name = cluster.workers[0].exchange
    cluster.admin("drain", "east", "--exit", "--wait")
    eventually(lambda: cluster.states()["east"] == "left", 20, "signed off")
    assert cluster.kinds("east")[-1] == "worker.left"
    assert name in cluster.admin("workers", "--state", "left")
    assert "east" not in run("admin", "audit", "--master", cluster.master.admin).stdout


def test_clients_are_balanced(cluster):
    clients = [MQTTClient(cluster.mqtt(0), 5) for _ in range(60)]
    for number, client in enumerate(clients):
        client.connect(f"c{number}", more={"session_expiry": 600} if number < 5 else None)
    eventually(lambda: max(worker["connections"] for worker in cluster.ask("balance")["workers"]) == 60, 10, "counted")
    plan = cluster.ask("balance")
    assert (plan["mean"], sorted(worker["move"] for worker in plan["workers"])) == (30, [0, 30])
    cluster.admin("balance", "--apply")
    cluster.workers[0].wait_log("sent clients to other workers")
    eventually(lambda: sorted(worker["connections"] for worker in cluster.ask("balance")["workers"]) == [0, 30], 20, "thirty have gone")
    # Two heartbeats later no more have gone.
    beats = cluster.ask("worker", "east")["heartbeat_at"]
    eventually(lambda: cluster.ask("worker", "east")["heartbeat_at"] > beats + 0.4, 10, "two heartbeats")
    assert sorted(worker["connections"] for worker in cluster.ask("balance")["workers"]) == [0, 30]
    assert cluster.states() == {"east": "live", "west": "live"}
    # Those that have a session to come back to have stayed.
    for client in clients[:5]:
        client.ping()


@pytest.mark.parametrize("follows", [False, True])
def test_balance_of_a_message_channel_master_counts_where_that_is_wanted(shunt, follows):
    """It sends the mean whenever a worker has more (exchange protocol 12.3); connections that have subscribed something stay (10.5)."""
    master = shunt.closing(JavaMaster(balance=5))
    worker = shunt.worker({"worker.masters": master.address, "worker.balance": str(follows).lower(), "worker.heartbeat.every": "100ms"})
    clients = [ExchangeClient(worker.exchange) for _ in range(30)]
    for client in clients:
        client.request(0)
    clients[0].subscribe("t")
    beats = len(master.heartbeats)
    if follows:
        eventually(lambda: worker.metric("shunt_connections") == 5, 20, "five are left")
        assert clients[0].message("t", "still here").status == 200
    else:
        master.wait_for(beats + 5)
        assert worker.metric("shunt_connections") == 30
    for client in clients:
        client.close()
