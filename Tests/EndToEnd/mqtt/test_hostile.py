"""Clients that keep to the letter of the protocol and mean no good, or that are broken: nobody else notices."""

import random
import time

import pytest

from mqtt import brokers, packets
from mqtt.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, V3, V5
from mqtt.proof import proves

pytestmark = pytest.mark.usefixtures("witness")


@proves(v3="", v5="")
def test_an_identifier_that_is_fought_for(client, raw, name, version):
    """Newcomers do not wait for one another; the last one has it."""
    clients = [raw() for _ in range(200)]
    for each in clients:
        each.send(packets.connect(version, f"{name}fought", clean=False))
    for each in clients:
        each.wait(packets.CONNACK)
    ended = client("other")
    ended.ping()
    alive = 0
    for each in clients:
        each.send(packets.PING)
        answer = each.next_or_end()
        alive += answer is not None and answer.kind == packets.PINGRESP
    assert alive == 1


@proves(v3="", v5="")
def test_a_client_that_comes_again_and_again(client, name, broker, version):
    for _ in range(300):
        last = client("again", clean=False)
    last.ping()


@proves(v3="4.3.3-2", v5="4.3.3-10")
def test_one_identifier_of_qos_2_for_ever(client, name, broker):
    sender, receiver = client(), client()
    receiver.subscribe(name, qos=2)
    for number in range(500):
        sender.send(packets.publish(sender.version, name, b"same", 2, id=1, dup=number > 0))
        if (answer := sender.next_or_end()) is None or answer.kind == packets.DISCONNECT:
            assert not broker.is_shunt, "closed"
            return
        assert (answer.kind, answer.id) == (PUBREC, 1)
    sender.answer(PUBREL, 1)
    assert sender.wait(PUBCOMP).id == 1
    assert [each.payload for each in receiver.settle(sender, f"{name}/end", 2)] == [b"same"]


@proves(v3="", v5="4.9.0-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_client_that_never_acknowledges(client, name, qos):
    """Others of the same topic get all of it; it gets what fits its window, and the rest once it acknowledges."""
    silent, receiver, sender = client(), client(), client()
    for each in (silent, receiver):
        each.subscribe(name, qos=qos)
    for number in range(100):
        sender.publish(name, b"%d" % number, qos)
        assert receiver.message().payload == b"%d" % number
    silent.ping()
    flying = [each for each in silent.kept if each.kind == PUBLISH]
    assert 0 < len(flying) <= 100 and len({each.id for each in flying}) == len(flying)
    got = [int(silent.message().payload) for _ in range(100)]
    assert got == list(range(100))


@proves(v3="", v5="")
def test_a_client_that_reads_nothing(client, name):
    """With a subscription of QoS 1, and megabytes for it. Its publisher may have to wait, others may not."""
    silent, sender = client(), client()
    silent.subscribe(name, qos=1)
    for number in range(20):
        sender.send(packets.publish(sender.version, name, b"x" * 100_000, 1, id=number + 1))
    for number in range(20):
        sender.wait(PUBACK, number + 1)
    silent.vanish()


@proves(v3="", v5="")
def test_connections_that_say_nothing(raw, client):
    silent = [raw() for _ in range(300)]
    client().ping()
    for each in silent[::2]:
        each.send(b"\x10")
    client().ping()


@proves(v3="", v5="")
def test_subscriptions_that_come_and_go(client, name):
    made = client()
    for _ in range(20):
        made.send(*(packets.subscribe(made.version, number + 1, [(f"{name}/{number}/+/#", 1)]) for number in range(50)))
        made.send(*(packets.unsubscribe(made.version, number + 51, [f"{name}/{number}/+/#"]) for number in range(50)))
        for number in range(50):
            made.wait(SUBACK, number + 1)
            made.wait(packets.UNSUBACK, number + 51)


@proves(v3="", v5="")
@pytest.mark.parametrize("levels", [127, 1000, 32_767])
def test_topics_and_filters_of_many_levels(client, name, broker, levels):
    """They pass, or are refused: by a code where there is one, else by a close."""
    deep = "/".join(["a"] * levels) if levels < 32_767 else "/" * 65_535
    subscriber, sender = client(), client()
    subscriber.send(packets.subscribe(subscriber.version, 1, [(deep, 0)]))
    first = subscriber.next_or_end()
    if first and first.kind == SUBACK and first.reasons[0] < 0x80:
        sender.send(packets.publish(sender.version, deep, b"x"))
        assert subscriber.message().topic == deep
        return
    assert levels > 127
    sender.send(packets.publish(sender.version, deep, b"x", 1, id=1), packets.PING)
    answer = sender.next_or_end()
    assert answer is None or answer.kind == PUBACK or answer.reason in (0x90, 0x95, 0x97) or not broker.is_shunt


@proves(v3="1.5.3-3", v5="1.5.4-3")
@pytest.mark.parametrize("text", ["\uffff", "\ufffe", "\U0010ffff", "\ufeff", "\x01", "\x7f", "\x85", "\ufdd0", "a b", "\u202e"],
                         ids=lambda text: text.encode().hex())
def test_characters_that_look_like_trouble(client, broker, name, text):
    """Control characters and non-characters may be refused; what passes, passes unaltered."""
    receiver, sender = client(), client()
    receiver.subscribe(f"{name}/#")
    sender.send(packets.publish(sender.version, f"{name}/{text}", b"x"), packets.PING)
    answer = sender.next_or_end()
    if answer and answer.kind == packets.PINGRESP:
        assert receiver.message().topic == f"{name}/{text}"
    else:
        assert sender.version == V3 or not broker.is_shunt or answer and answer.reason in (0x81, 0x90)
        assert text not in ("\ufeff", "a b")


@proves(v3="", v5="")
@pytest.mark.parametrize("seed", range(3))
def test_noise(raw, name, version, seed):
    """Good packets with bytes changed, taken out, put in; many connections of them."""
    chance = random.Random(seed)
    good = [packets.publish(version, f"{name}/x", b"payload", 1, id=5), packets.subscribe(version, 6, [(f"{name}/+", 1)]), packets.PING,
            packets.unsubscribe(version, 7, [f"{name}/+"]), packets.publish(version, f"{name}/y", b"", 2, id=8),
            packets.answer(version, PUBREL, 8), packets.answer(version, PUBACK, 1)]
    for round in range(150):
        made = raw()
        parts = [packets.connect(version, f"{name}noise{round % 5}", will=packets.Will(f"{name}/w", "w"))] + chance.choices(good, k=8)
        noise = bytearray(b"".join(parts))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(noise))
            match chance.randrange(3):
                case 0: noise[at] = chance.randrange(256)
                case 1: del noise[at:at + chance.randint(1, 4)]
                case _: noise[at:at] = chance.randbytes(chance.randint(1, 4))
        made.send(bytes(noise))
        made.vanish()


@proves(v3="", v5="")
@pytest.mark.skipif(bool(brokers.CHOSEN), reason="a setting of Shunt's")
@pytest.mark.parametrize("is_connected", [False, True], ids=["before CONNECT", "after it"])
def test_a_packet_that_does_not_end_in_time(shunt, name, version, is_connected):
    """A byte now and then does not help."""
    broker = brokers.shunt(shunt, **{"limits.frame_time": "1s"})
    made = shunt.closing(brokers.Client(broker.address, version))
    packet = packets.connect(version, name)
    if is_connected:
        made.connect(name)
        packet = packets.publish(version, name, b"x" * 100)
    began = time.monotonic()
    made.socket.settimeout(0.2)
    for byte in packet:
        made.send(bytes([byte]))
        try:
            made.ended()
            break
        except AssertionError:
            assert time.monotonic() - began < 8, "still open"
    assert time.monotonic() - began > 0.8
    other = shunt.closing(brokers.Client(broker.address, V5))
    other.connect("other")
    other.ping()
