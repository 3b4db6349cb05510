"""Receive maximum, both ways."""

import pytest

from mqtt import packets
from mqtt.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, V5
from mqtt.proof import proves


@proves(v5="3.3.4-9 4.9.0-1 4.9.0-2")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("window", [1, 5])
def test_no_more_in_flight_than_the_receive_maximum(client, name, qos, window):
    receiver, sender = client(more={"receive_maximum": window}), client()
    receiver.subscribe(name, qos=qos)
    count = 3 * window + 2
    for number in range(count):
        sender.publish(name, b"%d" % number, qos)
    flying, got = [], []
    while len(got) < count:
        receiver.ping()
        while any(each.kind == PUBLISH for each in receiver.kept):
            flying.append(receiver.wait(PUBLISH))
            got.append(int(flying[-1].payload))
        assert 0 < len(flying) <= window
        message = flying.pop(0)
        if qos == 1:
            receiver.answer(PUBACK, message.id)
        else:
            receiver.answer(PUBREC, message.id)
            receiver.wait(PUBREL, message.id)
            # PUBREC alone frees nothing.
            receiver.ping()
            assert not [each for each in receiver.kept if each.kind == PUBLISH] or len(flying) + 1 < window
            receiver.answer(PUBCOMP, message.id)
        if len(got) < count and not flying:
            flying.append(receiver.wait(PUBLISH))
            got.append(int(flying[-1].payload))
    assert got == list(range(count))


@proves(v5="3.3.4-10 4.9.0-3")
def test_other_packets_pass_a_full_window(client, name):
    receiver, sender = client(more={"receive_maximum": 1}), client()
    receiver.subscribe((name, 1), (f"{name}/0", 0))
    for _ in range(3):
        sender.publish(name, b"x", 1)
    first = receiver.message(ack=False)
    receiver.ping()
    assert receiver.subscribe(f"{name}/more") == [0]
    assert receiver.unsubscribe(f"{name}/more") == [0]
    assert receiver.publish("nobody", b"", 2) in (0, 0x10)
    sender.publish(f"{name}/0", b"passes")
    assert receiver.message().payload == b"passes"
    receiver.acknowledge(first)
    receiver.messages(2)


@proves(v5="4.4.0-2 4.9.0-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_refusal_frees_the_window(client, name, qos):
    receiver, sender = client(more={"receive_maximum": 1}), client()
    receiver.subscribe(name, qos=qos)
    for number in range(3):
        sender.publish(name, b"%d" % number, qos)
    for number in range(3):
        message = receiver.message(ack=False)
        assert message.payload == b"%d" % number
        receiver.answer(PUBACK if qos == 1 else PUBREC, message.id, 0x97)


@proves(v5="3.3.4-7 3.3.4-8 4.9.0-3")
def test_a_client_may_fill_the_servers_window(client, name):
    sender, receiver = client(), client()
    receiver.subscribe(name, qos=2)
    window = min(sender.connack.get("receive_maximum", 65_535), 500)
    sender.send(*(packets.publish(V5, name, b"%d" % number, 2, id=number + 1) for number in range(window)))
    for number in range(window):
        assert sender.wait(PUBREC, number + 1).reason == 0
    sender.ping()
    sender.send(*(packets.answer(V5, PUBREL, number + 1) for number in range(window)))
    for number in range(window):
        sender.wait(PUBCOMP, number + 1)
    assert [int(each.payload) for each in receiver.messages(window)] == list(range(window))


@proves(v5="3.3.4-7")
def test_more_than_the_servers_window_is_an_error(client, broker, witness):
    """QoS 2 without PUBREL keeps its place."""
    sender = client()
    window = sender.connack.get("receive_maximum", 65_535)
    if window == 65_535:
        return
    for start in range(0, window + 1, 500):
        ids = range(start + 1, min(start + 500, window + 1) + 1)
        sender.send(*(packets.publish(V5, "nobody/here", b"", 2, id=id) for id in ids))
    broker.check_end(sender, 0x93)
