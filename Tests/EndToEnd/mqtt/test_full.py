"""A worker without room sends clients to one that has some; a chat elsewhere is told by the address for clients of MQTT."""

import time

import pytest

from exchange import eventually
from mqtt import packets
from mqtt.client import Client, Ended
from mqtt.proof import proves

SETS = {"worker.heartbeat.every": "200ms", "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"}


@pytest.fixture
def cluster(shunt):
    def start(**sets):
        master = shunt.master()
        workers = [
            shunt.worker(SETS | {"worker.masters": master.master, "worker.loops": 2} | (sets if number == 0 else {})) for number in range(2)
        ]
        for worker in workers:
            worker.wait_metric("shunt_master_connected", 1)
        return workers

    return start


def address(worker) -> str:
    return worker.listeners["worker.mqtt"]


def turned_away(worker, version, name="x"):
    client = Client(address(worker), version)
    connack = client.connect(name, refused=True)
    assert client.ended() is None
    return connack


def test_a_full_worker_names_one_with_room(cluster):
    full, other = cluster(**{"limits.connections": 2})
    kept = [Client(address(full), 5), Client(address(full), 4)]
    for number, client in enumerate(kept):
        client.connect(f"kept-{number}")
    eventually(lambda: turned_away(full, 5).get("server_reference") == address(other), 10, "the reference")
    for name in "abcdef":
        connack = turned_away(full, 5, name)
        assert connack.reason == 0x9C and connack.get("server_reference") == address(other), connack
        assert turned_away(full, 4, name).reason == 3
    assert full.metric('shunt_connections_refused_total{limit="connections"}') >= 12
    # Those that have their place keep it, and one that leaves makes room.
    assert kept[0].subscribe("t") == [0]
    kept[1].publish("t", b"still here", qos=1)
    assert kept[0].message().payload == b"still here"
    kept[1].socket.close()
    eventually(lambda: Client(address(full), 5).connect("new", refused=True).reason == 0, 10, "room")


def test_a_full_worker_without_a_master_is_busy(shunt):
    full = shunt.worker(SETS | {"limits.connections": 1})
    holder = Client(address(full), 5)
    holder.connect("kept")
    kept = Client(address(full), 5)
    connack = kept.connect("x", refused=True)
    assert connack.reason == 0x89 and connack.get("server_reference") is None


def test_who_finds_no_room_and_says_nothing_is_soon_gone(shunt):
    full = shunt.worker(SETS | {"limits.connections": 1})
    kept = Client(address(full), 5)
    kept.connect("kept")
    silent = [Client(address(full), 5) for _ in range(300)]
    started = time.monotonic()
    for client in silent:
        with pytest.raises((Ended, ConnectionResetError)):
            client.read()
    assert time.monotonic() - started < 6
    assert kept.subscribe("t") == [0]
    assert turned_away(full, 5).reason == 0x89


@proves(v5="3.2.2-14")
def test_a_worker_that_retains_nothing_says_so(shunt, version):
    worker = shunt.worker(SETS | {"mqtt.retained.messages": 0})
    client = Client(address(worker), 5)
    assert client.connect("one").get("retain_available") == 0
    client.subscribe("t")
    client.send(packets.publish(5, "t", b"x", 1, id=7, retain=True))
    assert client.ended() == 0x9A
    client = Client(address(worker), 5)
    assert client.connect("two", refused=True, will=packets.Will("t", b"gone", retain=True)).reason == 0x9A
    # 3.1.1 cannot be told: the message is delivered, and not kept.
    old, new = Client(address(worker), 4), Client(address(worker), 4)
    assert old.connect("three").reason == 0
    old.subscribe("t")
    old.publish("t", b"x", 1, retain=True)
    assert old.message().payload == b"x"
    new.connect("four")
    new.subscribe("t")
    new.publish("t", b"last")
    assert new.message().payload == b"last"


def test_a_chat_elsewhere_is_told_by_the_address_for_clients_of_mqtt(cluster):
    one, two = cluster()
    ann, bob = Client(address(one), 5), Client(address(two), 5)
    ann.connect("ann")
    bob.connect("bob")
    assert ann.subscribe("$chat/room", qos=1) == [1]
    bob.send(packets.subscribe(5, 9, [("$chat/room", 1)], None))
    answer = bob.wait(packets.SUBACK, 9)
    assert answer.reasons == [0x83]
    assert ("redirect", address(one)) in answer.all("user")
    there = Client(address(one), 5)
    there.connect("bob-there")
    assert there.subscribe("$chat/room", qos=1) == [1]
    there.publish("$chat/room", b"hello", qos=1)
    assert ann.message().payload == b"hello"
