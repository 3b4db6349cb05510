"""MQTT 3.1.1 with QoS 0, by mosquitto's clients and by packets written here."""

import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from exchange import eventually, parse_address
from processes import run

pytestmark = pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="needs Debian's mosquitto-clients")


SETTINGS = {"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.loops": 2}


@pytest.fixture
def worker(shunt):
    return shunt.worker(SETTINGS)


def at(worker):
    host, port = parse_address(worker.listeners["worker.mqtt"])
    return ["-h", host, "-p", str(port)]


class Subscriber:
    """mosquitto_sub, ready once its subscriptions are acknowledged."""

    def __init__(self, worker, *filters, more=()):
        arguments = ["stdbuf", "-oL", "mosquitto_sub", *at(worker), "-d", "-F", "%t %r %p", *more]
        for one in filters:
            arguments += ["-t", one]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        while not (line := self.process.stdout.readline()).startswith("Subscribed"):
            assert line, "mosquitto_sub has ended"

    def take(self, count):
        """The next messages, as `topic retained payload`."""
        taken = []
        while len(taken) < count:
            line = self.process.stdout.readline()
            assert line, f"mosquitto_sub has ended after {taken}"
            if not line.startswith("Client "):
                taken.append(line.rstrip("\n"))
        return taken

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def subscribe(worker):
    opened = []

    def open(*filters, more=()):
        opened.append(Subscriber(worker, *filters, more=more))
        return opened[-1]

    yield open
    for one in opened:
        one.close()


def publish(worker, topic, payload, *more):
    return subprocess.run(
        ["mosquitto_pub", *at(worker), "-t", topic, "-m", payload, *more], capture_output=True, text=True, timeout=30)


def test_mosquitto_pub_reaches_mosquitto_sub(worker, subscribe):
    subscriber = subscribe("greetings/#", "+/eu")
    assert publish(worker, "greetings/world", "hello").returncode == 0
    assert publish(worker, "orders/eu", "42", "-r").returncode == 0
    assert publish(worker, "greetings/empty", "").returncode == 0
    assert subscriber.take(3) == ["greetings/world 0 hello", "orders/eu 0 42", "greetings/empty 0 "]


def test_both_protocols_reach_both(worker, subscribe, connect):
    mqtt = subscribe("orders/#")
    exchange = connect(worker.listeners["worker.exchange"]).subscribe("orders/#", "billing")
    assert publish(worker, "orders/eu", "from MQTT").returncode == 0
    assert exchange.receive(1)[0].text == "from MQTT"
    assert connect(worker.listeners["worker.exchange"]).message("orders/us", "from the exchange protocol").status == 200
    assert exchange.receive(1)[0].topic == "orders/us"
    assert mqtt.take(2) == ["orders/eu 0 from MQTT", "orders/us 0 from the exchange protocol"]


def test_a_shared_subscription_divides(worker, subscribe):
    members = [subscribe("$share/g/t") for _ in range(2)]
    lines = "".join(f"{number}\n" for number in range(10))
    subprocess.run(["mosquitto_pub", *at(worker), "-t", "t", "-l"], input=lines, text=True, check=True, timeout=30)
    assert sorted(members[0].take(5) + members[1].take(5)) == [f"t 0 {number}" for number in range(10)]


def test_a_rule_sees_both_protocols_alike(shunt, tmp_path, connect):
    rule = tmp_path / "rules" / "stamp"
    rule.mkdir(parents=True)
    (rule / "rule.lua").write_text(
        'local R = { match = { topic = "in/#" } }\n'
        "function R.on_message(msg)\n"
        '  return route.to("out/" .. msg.topic:sub(4), msg:with{ payload = conn.protocol .. ":" .. msg.payload })\n'
        "end\nreturn R\n".replace("conn.protocol", "msg.sender.protocol"))
    worker = shunt.worker({
        "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "rules.directory": str(tmp_path / "rules"),
        "rules.enabled": "all"})
    subscriber = Subscriber(worker, "out/#")
    try:
        assert publish(worker, "in/a", "1").returncode == 0
        assert connect(worker.listeners["worker.exchange"]).message("in/b", "2").status == 200
        assert subscriber.take(2) == ["out/a 0 mqtt:1", "out/b 0 exchange:2"]
    finally:
        subscriber.close()


def test_a_will_tells_that_its_client_was_killed(worker, subscribe):
    watcher = subscribe("gone")
    client = subscribe("x", more=["--will-topic", "gone", "--will-payload", "sensor-1"])
    client.process.kill()
    assert watcher.take(1) == ["gone 0 sensor-1"]


# Packets


def text(value):
    return struct.pack(">H", len(value)) + value


def greeting(client=b"raw", keep_alive=0, flags=2):
    body = text(b"MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive) + text(client)
    return bytes([0x10, len(body)]) + body


def raw(worker):
    connection = socket.create_connection(parse_address(worker.listeners["worker.mqtt"]))
    connection.settimeout(20)
    return connection


def read(connection, count):
    received = b""
    while len(received) < count:
        piece = connection.recv(count - len(received))
        assert piece, received
        received += piece
    return received


def read_all(connection):
    received = b""
    try:
        while piece := connection.recv(4096):
            received += piece
    except ConnectionResetError:
        pass
    return received


def test_a_packet_may_come_byte_by_byte(worker):
    with raw(worker) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in greeting() + b"\xc0\x00":
            connection.send(bytes([byte]))
        assert read(connection, 4) + read(connection, 2) == b"\x20\x02\x00\x00\xd0\x00"


@pytest.mark.parametrize("sent", [
    b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\x71\x00", b"\xc0\x00", b"\x00\x00", b"\x10\xff\xff\xff\xff\x01",
])
def test_what_is_no_connect_is_closed_without_a_word(worker, sent):
    with raw(worker) as connection:
        connection.sendall(sent)
        assert read_all(connection) == b""


def test_silence_beyond_the_keep_alive_is_closed(worker, subscribe):
    with raw(worker) as connection:
        connection.sendall(greeting(keep_alive=1))
        began = time.monotonic()
        assert read_all(connection) == b"\x20\x02\x00\x00"
        assert 1.2 < time.monotonic() - began < 10


def test_a_client_identifier_belongs_to_the_last_that_connects(worker):
    with raw(worker) as one:
        one.sendall(greeting(b"same"))
        assert read(one, 4) == b"\x20\x02\x00\x00"
        # On both loops.
        others = [raw(worker) for _ in range(4)]
        for number, other in enumerate(others):
            other.sendall(greeting(b"same" if number == 3 else b"n%d" % number))
            assert read(other, 4) == b"\x20\x02\x00\x00"
        assert read_all(one) == b""
        for other in others:
            other.sendall(b"\xc0\x00")
            assert read(other, 2) == b"\xd0\x00"
            other.close()


def test_a_slow_subscriber_loses_nothing(shunt):
    """Its producer waits, as one of the exchange protocol does."""
    # Else all of it may be on the way between the loops before the consumer's loop has run.
    worker = shunt.worker(SETTINGS | {"limits.mailbox": "1MiB"})
    count, payload = 3000, b"x" * 8000
    with raw(worker) as consumer, raw(worker) as producer:
        # Else the kernel may have room for all of it.
        consumer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        consumer.sendall(greeting(b"consumer") + b"\x82\x06\x00\x01" + text(b"t") + b"\x00")
        assert read(consumer, 9) == b"\x20\x02\x00\x00\x90\x03\x00\x01\x00"
        producer.sendall(greeting(b"producer"))
        assert read(producer, 4) == b"\x20\x02\x00\x00"
        packet = b"\x30" + bytes([0x80 | (3 + len(payload)) & 0x7F, (3 + len(payload)) >> 7]) + text(b"t") + payload
        producer.settimeout(60)
        sender = threading.Thread(target=lambda: producer.sendall(packet * count))
        sender.start()
        worker.wait_metric("shunt_held_producers", 1)
        left = len(packet) * count
        while left:
            piece = consumer.recv(min(left, 1 << 20))
            assert piece
            left -= len(piece)
        sender.join(20)
        assert not sender.is_alive()


@pytest.mark.parametrize("character", ["\x01", "\n", "\x7f", "\x85", "\ufdd0", "\uffff", "\U0001ffff"], ids=lambda text: f"{ord(text):X}")
def test_no_text_reaches_clients_that_would_end_their_connection_for_it(worker, subscribe, connect, character):
    """libmosquitto does, and a retained message would end it again and again."""
    subscriber = subscribe("in/#", more=["-V", "5", "-q", "1"])
    exchange = connect(worker.listeners["worker.exchange"]).subscribe("in/+", "g")
    assert exchange.message(f"in/{character}", "x").status == 200
    assert exchange.message("in/key", "with a key", key=character).status == 200
    assert subscriber.take(1) == ["in/key 0 with a key"]


def test_a_master_sends_clients_to_the_port_of_the_exchange_protocol(shunt):
    """Whatever the listeners are called."""
    master = shunt.master()
    names = {"worker.listeners": "{a: {protocol: mqtt, listen: '127.0.0.1:0'}, b: {listen: '127.0.0.1:0'}}", "worker.masters": master.master}
    worker = shunt.worker(names)
    eventually(lambda: list(master.workers()) == [worker.listeners["worker.b"]], 20, "the worker at its master, by that port")


def test_a_worker_with_masters_needs_a_port_for_their_clients(shunt):
    ended = run("worker", "--set", "worker.listeners={a: {protocol: mqtt, listen: '127.0.0.1:0'}}", "--set", "worker.masters=127.0.0.1:1")
    assert ended.returncode == 78
    assert "worker.listeners" in ended.stderr and "exchange protocol" in ended.stderr
