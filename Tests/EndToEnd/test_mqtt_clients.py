"""Clients of MQTT that were written elsewhere: paho-mqtt, aiomqtt, gmqtt, mosquitto_pub, mosquitto_sub, mosquitto_rr."""

import asyncio
import itertools
import queue
import shutil
import subprocess
import threading

import aiomqtt
import gmqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from exchange import eventually, parse_address
from mqtt.conftest import broker  # noqa: F401 (a fixture: Shunt's worker, or what MQTT_BROKER names)

PATIENCE = 20.0
VERSIONS = pytest.mark.parametrize("version", [4, 5], ids=["v3", "v5"])
NUMBERS = itertools.count(1)


@pytest.fixture
def name():
    return f"c{next(NUMBERS)}"


@pytest.fixture
def at(broker):  # noqa: F811
    """Host and port."""
    return parse_address(broker.address)


# paho-mqtt


def properties(kind, **more) -> Properties:
    made = Properties(kind)
    for name, value in more.items():
        setattr(made, name, value)
    return made


class Paho:
    """paho-mqtt's client with a thread of its own; its callbacks fill queues."""

    def __init__(self, at, version, id="", clean=True, expiry=None, will=None):
        more = {"clean_session": clean} if version == 4 else {}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, id, protocol=version, **more)
        self.messages, self.acknowledged, self.connected, self.disconnected = (queue.Queue() for _ in range(4))
        self.client.on_message = lambda client, data, message: self.messages.put(message)
        self.client.on_subscribe = self.client.on_unsubscribe = lambda client, data, id, codes, props: self.acknowledged.put((id, codes))
        self.client.on_connect = lambda client, data, flags, code, props: self.connected.put((flags, code, props))
        self.client.on_disconnect = lambda client, data, flags, code, props: self.disconnected.put(code)
        if will:
            self.client.will_set(*will)
        start = {} if version == 4 else {
            "clean_start": clean, "properties": properties(PacketTypes.CONNECT, **({"SessionExpiryInterval": expiry} if expiry else {}))}
        self.client.connect(*at, **start)
        self.client.loop_start()
        self.flags, self.code, self.properties = self.connected.get(timeout=PATIENCE)
        assert self.code == 0

    def subscribe(self, *topics, qos=0, **more):
        id = self.client.subscribe([(topic, qos) for topic in topics] if not more else topics[0], **more)[1]
        done, codes = self.acknowledged.get(timeout=PATIENCE)
        assert done == id
        return [code.value for code in codes]

    def publish(self, topic, payload, qos=0, **more):
        info = self.client.publish(topic, payload, qos, **more)
        info.wait_for_publish(PATIENCE)
        assert info.is_published()

    def take(self, count=1):
        return [self.messages.get(timeout=PATIENCE) for _ in range(count)]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """Closes the socket behind the client's back."""
        self.client.loop_stop()
        self.client.socket().close()


@pytest.fixture
def dial(at, version, name):
    opened = []

    def open(id="", **more) -> Paho:
        opened.append(Paho(at, version, f"{name}{id}" if id else "", **more))
        return opened[-1]

    yield open
    for each in opened:
        each.close()


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho_publishes_and_subscribes(dial, name, qos):
    receiver, sender = dial(), dial()
    assert receiver.subscribe(f"{name}/+", f"{name}-other/#", qos=qos) == [qos, qos]
    for number in range(50):
        sender.publish(f"{name}/{number % 3}", b"%d" % number, qos)
    messages = receiver.take(50)
    assert [int(each.payload) for each in messages] == list(range(50)) and {each.qos for each in messages} == {qos}


@VERSIONS
def test_paho_gets_ten_thousand_messages_in_order(dial, name):
    receiver, sender = dial(), dial()
    receiver.subscribe(name, qos=1)
    infos = [sender.client.publish(name, b"%d" % number, 1) for number in range(10_000)]
    infos[-1].wait_for_publish(60)
    assert [int(each.payload) for each in receiver.take(10_000)] == list(range(10_000))


@VERSIONS
def test_paho_finds_its_session_again(dial, name):
    session = {"clean": False, "expiry": 60}
    first = dial("a", **session)
    assert not first.flags.session_present
    first.subscribe(f"{name}/#", qos=2)
    first.close()
    sender = dial()
    for number in range(30):
        sender.publish(f"{name}/{number}", b"%d" % number, 1 + number % 2)
    second = dial("a", **session)
    assert second.flags.session_present
    got = [int(each.payload) for each in second.take(30)]
    assert sorted(got) == list(range(30)) and [n for n in got if n % 2] == sorted(n for n in got if n % 2)


@VERSIONS
def test_paho_retains_and_clears(dial, name):
    sender = dial()
    sender.publish(name, b"kept", 1, retain=True)
    late = dial()
    late.subscribe(name, qos=1)
    message, = late.take()
    assert (message.payload, message.retain, message.qos) == (b"kept", True, 1)
    sender.publish(name, b"", 1, retain=True)
    assert late.take()[0].payload == b""
    later = dial()
    later.subscribe(name)
    sender.publish(name, b"new")
    assert later.take()[0].payload == b"new"


@VERSIONS
def test_paho_leaves_a_will(dial, name):
    watcher = dial()
    watcher.subscribe(f"{name}/will", qos=2)
    dial(will=(f"{name}/will", b"gone", 2, False)).vanish()
    message, = watcher.take()
    assert (message.payload, message.qos) == (b"gone", 2)


@VERSIONS
def test_paho_shares_a_subscription(dial, name):
    members, sender = [dial() for _ in range(3)], dial()
    for member in members:
        member.subscribe(f"$share/{name}/{name}", qos=1)
    for number in range(300):
        sender.publish(name, b"%d" % number, 1)
    eventually(lambda: sum(member.messages.qsize() for member in members) >= 300, PATIENCE)
    shares = [[int(each.payload) for each in member.take(member.messages.qsize())] for member in members]
    assert sorted(sum(shares, [])) == list(range(300)) and all(shares)


@VERSIONS
def test_paho_is_taken_over(dial):
    first = dial("same")
    first.client.reconnect_delay_set(60, 60)
    second = dial("same")
    assert first.disconnected.get(timeout=PATIENCE) is not None
    second.subscribe("x")


@pytest.mark.parametrize("version", [5], ids=["v5"])
def test_paho_gets_properties_and_options(dial, name):
    receiver, sender = dial(), dial()
    receiver.subscribe([(f"{name}/#", SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True))],
                       properties=properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=77))
    more = properties(PacketTypes.PUBLISH, PayloadFormatIndicator=1, ContentType="text/plain", ResponseTopic="r", CorrelationData=b"c",
                      MessageExpiryInterval=100, UserProperty=[("a", "1"), ("b", "2"), ("a", "3")])
    receiver.publish(f"{name}/x", b"its own", 1)
    sender.publish(f"{name}/x", "é", 1, retain=True, properties=more)
    message, = receiver.take()
    found = message.properties
    assert (message.payload.decode(), message.retain, found.SubscriptionIdentifier) == ("é", True, [77])
    assert (found.PayloadFormatIndicator, found.ContentType, found.ResponseTopic, found.CorrelationData) == (1, "text/plain", "r", b"c")
    assert found.UserProperty == [("a", "1"), ("b", "2"), ("a", "3")] and 97 < found.MessageExpiryInterval <= 100
    sender.publish(f"{name}/x", b"", 1, retain=True)


# aiomqtt


@VERSIONS
def test_aiomqtt_converses(at, name, version):
    protocol = aiomqtt.ProtocolVersion.V5 if version == 5 else aiomqtt.ProtocolVersion.V311

    async def converse():
        will = aiomqtt.Will(f"{name}/will", b"gone", 1)
        async with aiomqtt.Client(*at, protocol=protocol) as receiver, aiomqtt.Client(*at, protocol=protocol, will=will) as sender:
            await receiver.subscribe([(f"{name}/0", 0), (f"{name}/1", 1), (f"{name}/2", 2)])
            for number in range(90):
                await sender.publish(f"{name}/{number % 3}", str(number), qos=number % 3)
            found = {0: [], 1: [], 2: []}
            async for message in receiver.messages:
                found[message.qos].append(int(message.payload))
                if sum(map(len, found.values())) == 90:
                    return found

    found = asyncio.run(asyncio.wait_for(converse(), PATIENCE))
    assert found == {qos: [number for number in range(90) if number % 3 == qos] for qos in range(3)}


# gmqtt


@VERSIONS
def test_gmqtt_converses(at, name, version):

    async def converse():
        got, subscribed = asyncio.Queue(), asyncio.Event()
        receiver, sender = gmqtt.Client(f"{name}r"), gmqtt.Client(f"{name}s")
        receiver.on_message = lambda client, topic, payload, qos, more: got.put_nowait((topic, payload, qos, more))
        receiver.on_subscribe = lambda client, id, qos, more: subscribed.set()
        for each in (receiver, sender):
            await each.connect(*at, version=version)
        receiver.subscribe(f"{name}/#", qos=2)
        await subscribed.wait()
        more = {"user_property": [("k", "v")], "content_type": "text/x"} if version == 5 else {}
        found = []
        for start in range(0, 60, 12):
            # Within any server's receive maximum, at which this client gives up.
            for number in range(start, start + 12):
                sender.publish(f"{name}/{number % 3}", str(number), qos=number % 3, **more)
            found += [await got.get() for _ in range(12)]
        await sender.disconnect()
        await receiver.disconnect()
        return found

    found = asyncio.run(asyncio.wait_for(converse(), PATIENCE))
    for qos in range(3):
        assert [int(payload) for _, payload, each, _ in found if each == qos] == [number for number in range(60) if number % 3 == qos]
    if version == 5:
        assert all(more["user_property"] == [("k", "v")] and more["content_type"] == ["text/x"] for *_, more in found)


# mosquitto's commands

MOSQUITTO = pytest.mark.skipif(shutil.which("mosquitto_rr") is None, reason="needs Debian's mosquitto-clients")
SPOKEN = {4: "mqttv311", 5: "mqttv5"}


def command(at, what, version, *more) -> list[str]:
    return [what, "-h", at[0], "-p", str(at[1]), "-V", SPOKEN[version], *more]


class Lines:
    """A command of mosquitto's that prints what it gets; `-d` tells when it is subscribed."""

    def __init__(self, arguments, is_ready):
        self.process = subprocess.Popen(["stdbuf", "-oL", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.limit = threading.Timer(PATIENCE, self.process.kill)
        self.limit.start()
        self.early = []
        while not is_ready(line := self.process.stdout.readline()):
            assert line, "it has ended"
            self.early += [line] if not line.startswith("Client ") else []

    def take(self, count) -> list[str]:
        taken = []
        while len(taken) < count:
            line = self.early.pop(0) if self.early else self.process.stdout.readline()
            assert line, f"it has ended after {taken}"
            if not line.startswith(("Client ", "Subscribed")):
                taken.append(line.rstrip("\n"))
        return taken

    def close(self):
        self.limit.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def lines(at, version):
    opened = []

    def open(*more, what="mosquitto_sub"):
        opened.append(Lines(command(at, what, version, "-d", *more), lambda line: line.startswith("Subscribed")))
        return opened[-1]

    yield open
    for each in opened:
        each.close()


@VERSIONS
@MOSQUITTO
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_mosquitto_pub_and_sub(at, lines, name, version, qos):
    subscriber = lines("-t", f"{name}/#", "-q", str(qos), "-F", "%t %q %p")
    given = "".join(f"{number}\n" for number in range(200))
    subprocess.run(command(at, "mosquitto_pub", version, "-t", f"{name}/x", "-q", str(qos), "-l"), input=given, text=True, check=True,
                   timeout=PATIENCE)
    assert subscriber.take(200) == [f"{name}/x {qos} {number}" for number in range(200)]


@VERSIONS
@MOSQUITTO
def test_mosquitto_sub_finds_its_session_again(at, lines, name, version):
    keeps = ["-c", "-i", f"{name}s", "-t", name, "-q", "1", *(["-x", "60"] if version == 5 else [])]
    lines(*keeps).close()
    subprocess.run(command(at, "mosquitto_pub", version, "-t", name, "-q", "1", "-m", "waits"), check=True, timeout=PATIENCE)
    assert lines(*keeps).take(1) == ["waits"]


@VERSIONS
@MOSQUITTO
def test_mosquitto_retains_and_leaves_a_will(at, lines, name, version):
    subprocess.run(command(at, "mosquitto_pub", version, "-t", f"{name}/kept", "-m", "kept", "-r", "-q", "1"), check=True, timeout=PATIENCE)
    watcher = lines("-t", f"{name}/#", "-F", "%t %r %p")
    assert watcher.take(1) == [f"{name}/kept 1 kept"]
    lines("-t", "x", "--will-topic", f"{name}/will", "--will-payload", "gone", "--will-qos", "1").close()
    assert watcher.take(1) == [f"{name}/will 0 gone"]
    subprocess.run(command(at, "mosquitto_pub", version, "-t", f"{name}/kept", "-n", "-r"), check=True, timeout=PATIENCE)


@pytest.mark.parametrize("version", [5], ids=["v5"])
@MOSQUITTO
def test_mosquitto_rr_gets_its_response(at, dial, name):
    server = dial()
    server.client.on_message = lambda client, data, message: client.publish(
        message.properties.ResponseTopic, message.payload.upper(), 1,
        properties=properties(PacketTypes.PUBLISH, **({"CorrelationData": message.properties.CorrelationData}
                                                      if hasattr(message.properties, "CorrelationData") else {})))
    server.subscribe(f"{name}/ask", qos=1)
    ended = subprocess.run(
        command(at, "mosquitto_rr", 5, "-t", f"{name}/ask", "-e", f"{name}/reply", "-m", "question", "-q", "1"), capture_output=True, text=True,
        timeout=PATIENCE)
    assert (ended.returncode, ended.stdout) == (0, "QUESTION\n"), ended.stderr


@pytest.mark.parametrize("version", [5], ids=["v5"])
@MOSQUITTO
def test_mosquitto_pub_sends_properties(at, lines, name, version):
    subscriber = lines("-t", name, "-F", "%t %C %R %P %p")
    subprocess.run(
        command(at, "mosquitto_pub", 5, "-t", name, "-m", "x", "-D", "publish", "content-type", "text/x", "-D", "publish", "response-topic", "r",
                "-D", "publish", "user-property", "a", "1"), check=True, timeout=PATIENCE)
    assert subscriber.take(1) == [f"{name} text/x r a:1 x"]
