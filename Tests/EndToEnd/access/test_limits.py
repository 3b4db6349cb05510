"""What one address and one client may take of a listener."""

import base64
import json
import socket
import time

import pytest

from access.test_access import hashed, token
from exchange import JSON, REGISTER, Client as ExchangeClient, eventually, parse_address
from mqtt import packets
from mqtt.client import Client
from processes import run

OPEN = {"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtt.allow_anonymous": "true",
        "worker.loops": 2}


@pytest.fixture
def limited(shunt):
    def start(**limits):
        sets = OPEN | {f"worker.listeners.{name}.limits.{key}": value for key, value in limits.items() for name in ("mqtt", "exchange")}
        return shunt.worker(sets)

    return start


def knock(address: str, source: str = "127.0.0.1") -> bool:
    """Whether a new client is let in: the connection, if so."""
    client = socket.create_connection(parse_address(address), timeout=20, source_address=(source, 0))
    client.sendall(packets.connect(4, ""))
    try:
        return client if client.recv(4) else None
    except ConnectionResetError:
        return None


def test_an_address_has_so_many_connections(limited):
    worker = limited(connections_per_address=3)
    address = worker.listeners["worker.mqtt"]
    clients = [knock(address) for _ in range(3)]
    assert all(clients) and not knock(address)
    # Another address, and another listener, count for themselves.
    assert knock(address, "127.0.0.2")
    with ExchangeClient(worker.exchange) as client:
        client.subscribe("t")
    worker.wait_metric('shunt_connections_refused_total{limit="connections_per_address"}', 1)
    worker.wait_log("worker.listeners.*.limits.connections_per_address")
    # Whoever goes makes room, also without a word, wherever its session was at home.
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    again = []
    eventually(lambda: (again.append(client) if (client := knock(address)) else None, len(again) == 3)[1])
    assert not knock(address)


def test_so_many_connections_come_in_a_second(limited):
    worker = limited(connections_per_second=5)
    address = worker.listeners["worker.mqtt"]
    begun = time.monotonic()
    let_in = sum(knock(address) is not None for _ in range(50))
    assert 5 <= let_in <= 5 + 5 * (time.monotonic() - begun) + 1
    worker.wait_metric('shunt_connections_refused_total{limit="connections_per_second"}', 50 - let_in)
    eventually(lambda: knock(address))


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("limit", [{"messages_per_second": 20}, {"bytes_per_second": 20 * 27}])
def test_a_fast_publisher_waits_and_nobody_else(limited, version, limit):
    """60 messages at 20 a second, of which 20 may come at once."""
    worker = limited(**limit)
    address = worker.listeners["worker.mqtt"]
    fast, slow, reader = (Client(address, version) for _ in range(3))
    for number, client in enumerate((fast, slow, reader)):
        client.connect(f"c{number}")
    assert reader.subscribe("t") == [0]
    packet = packets.publish(version, "t", b"x" * (22 if version == 4 else 21), 0)
    assert len(packet) == 27
    begun = time.monotonic()
    fast.send(*[packet] * 60)
    for number in range(60):
        assert reader.message().payload[:1] == b"x"
        if number == 30:
            slow.send(packets.publish(version, "other", b"", 0))
            slow.ping()
    elapsed = time.monotonic() - begun
    assert 1.8 <= elapsed < 10
    assert worker.metric("shunt_pace_holds_total") >= 2


def test_producers_of_the_exchange_protocol_wait_too(limited):
    worker = limited(messages_per_second=20)
    with ExchangeClient(worker.exchange) as consumer, ExchangeClient(worker.exchange) as producer:
        consumer.subscribe("t")
        begun = time.monotonic()
        ids = [producer.publish("t", "x") for _ in range(60)]
        assert len(producer.take_answers(len(ids))) == 60 and len(consumer.receive(60)) == 60
        assert 1.8 <= time.monotonic() - begun < 10


def test_a_proxys_clients_are_not_counted_as_one():
    sets = OPEN | {"worker.listeners.mqtt.proxy_protocol.from": "[127.0.0.1]", "worker.listeners.mqtt.limits.connections_per_address": 3}
    refused = run("worker", "--check", *[f"--set={key}={value}" for key, value in sets.items()])
    assert refused.returncode == 78 and "would count proxies" in refused.stderr


@pytest.mark.parametrize("version", [4, 5])
def test_a_client_that_connects_again_and_again_is_refused(shunt, version):
    worker = shunt.worker(OPEN | {"access.flapping.connects": 5, "access.flapping.within": "60s", "access.flapping.refused_for": "3s"})
    address = worker.listeners["worker.mqtt"]

    def connect(name, refused=False):
        client = Client(address, version)
        client.connect(name, refused=refused)
        return client

    for _ in range(4):
        connect("flaps").close()
    begun = time.monotonic()
    for _ in range(3):
        refused = connect("flaps", refused=True)
        assert refused.connack.reason == (0x9F if version == 5 else 3)
    connect("steady")
    worker.wait_metric('shunt_access_refused_total{reason="flapping"}', 3)
    eventually(lambda: connect("flaps", refused=True).connack.reason == 0, 20, "the refusal is over")
    assert time.monotonic() - begun > 2


@pytest.mark.parametrize("by", ["uid", "address"])
def test_flapping_by_user_and_by_address(shunt, tmp_path, by):
    (tmp_path / "passwords").write_text(f"ada:{hashed('secret-1')}\nbob:{hashed('secret-2')}\n")
    worker = shunt.worker(OPEN | {"access.flapping.connects": 4, "access.flapping.by": f"[{by}]", "access.password_file": tmp_path / "passwords",
                                  "worker.listeners.mqtt.allow_anonymous": "false", "worker.listeners.exchange.allow_anonymous": "false",
                                  "worker.listeners.exchange.listen": "127.0.0.1:0"})
    for number in range(2):
        assert connack(worker.listeners["worker.mqtt"], "ada", b"secret-1", f"c{number}") == 0
    assert first(worker, "ada:secret-1") == 200, "each listener counts its own"
    assert connack(worker.listeners["worker.mqtt"], "ada", b"secret-1", "c2") == 0
    assert connack(worker.listeners["worker.mqtt"], "ada", b"secret-1", "c9") == 0x9F
    assert connack(worker.listeners["worker.mqtt"], "bob", b"secret-2", "d") == (0 if by == "uid" else 0x9F)
    for _ in range(2):
        assert first(worker, "ada:secret-1") == 200
    assert first(worker, "ada:secret-1") == 429


def test_nobody_makes_another_user_flap(shunt, tmp_path):
    """The user name counts that a client has proved: a token names another one than the client says."""
    (tmp_path / "passwords").write_text(f"ada:{hashed('secret-1')}\n")
    key = base64.urlsafe_b64encode(b"a-shared-key-of-32-bytes-length!").rstrip(b"=").decode()
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": key}]}))
    worker = shunt.worker(OPEN | {"access.flapping.connects": 4, "access.flapping.by": "[client_id, uid]", "access.jwt.keys": tmp_path / "keys.json",
                                  "access.password_file": tmp_path / "passwords", "worker.listeners.mqtt.allow_anonymous": "false",
                                  "worker.listeners.exchange.allow_anonymous": "true"})
    mallory = token({"sub": "mallory"}).encode()
    for turn in range(6):
        code = connack(worker.listeners["worker.mqtt"], "ada", mallory, "phone" if turn % 2 else f"other-{turn}")
        assert code == (0 if turn < 3 else 0x9F), turn
    assert connack(worker.listeners["worker.mqtt"], "ada", b"secret-1", "phone") in (0, 0x87), "0x87: the identifier is mallory's, who is there"
    assert connack(worker.listeners["worker.mqtt"], "ada", b"secret-1", "tablet") == 0


def first(worker, token) -> int:
    """The status of a first frame of the exchange protocol."""
    body = {"uid": "ada", "device": "phone", "tags": [], "alias": [], "token": token}
    return ExchangeClient(worker.exchange).request(REGISTER, json.dumps(body).encode(), format=JSON).status


def test_a_stranger_makes_no_client_flap(shunt, tmp_path):
    """Connects with a wrong password do not count."""
    (tmp_path / "passwords").write_text(f"ada:{hashed('secret-1')}\n")
    worker = shunt.worker(OPEN | {"worker.listeners.mqtt.allow_anonymous": "false", "access.flapping.connects": 3,
                                  "access.password_file": tmp_path / "passwords", "worker.listeners.exchange.allow_anonymous": "true"})
    address = worker.listeners["worker.mqtt"]
    for _ in range(3):
        Client(address, 5).connect("c", user="ada", password=b"wrong", refused=True)
    eventually(lambda: connack(address, "ada", b"secret-1") == 0, 20)


def connack(address, user, password, name="c") -> int:
    client = Client(address, 5)
    client.send(packets.connect(5, name, user=user, password=password))
    return client.wait(packets.CONNACK).reason
