"""PUBLISH: topics, payloads, order."""

import pytest

from mqtt import packets
from mqtt.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, V3, V5
from mqtt.proof import proves


@proves(v3="3.3.2-1 3.3.2-3 4.5.0-1", v5="3.3.2-1 3.3.2-3 4.5.0-1")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("subscriber", [V3, V5], ids=["to v3", "to v5"])
def test_messages_arrive_whole(client, name, qos, subscriber):
    """At the lengths where the remaining length grows by a byte, too."""
    receiver, sender = client(speaks=subscriber), client()
    receiver.subscribe(f"{name}/#", qos=qos)
    for size in (0, 1, 100, 127, 128, 16_383, 16_384, 200_000):
        payload = bytes(range(256)) * (size // 256 + 1)
        sender.publish(f"{name}/{size}", payload[:size], qos)
        message = receiver.message()
        assert (message.topic, message.payload, message.qos, message.retain) == (f"{name}/{size}", payload[:size], qos, False)


@proves(v3="2.3.1-5 3.3.1-2 4.3.1-1", v5="2.2.1-2 3.3.1-2 4.3.1-1")
def test_a_message_of_qos_0_has_no_identifier(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(name)
    sender.publish(name, b"12345")
    message = receiver.message()
    assert (message.qos, message.dup, message.id, message.payload) == (0, False, 0, b"12345")
    assert message.raw == packets.publish(receiver.version, name, b"12345")


@proves(v3="3.3.1-3", v5="3.3.1-3")
@pytest.mark.parametrize("qos", [1, 2])
def test_dup_is_not_passed_on(client, name, qos):
    receiver, sender = client(), client()
    receiver.subscribe(name, qos=qos)
    sender.publish(name, b"x", qos, dup=True)
    assert not receiver.message().dup


@proves(v3="1.5.3-3", v5="1.5.4-3")
def test_a_byte_order_mark_belongs_to_its_topic(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(f"\ufeff{name}", f"{name}/a\ufeff")
    for topic in (name, f"\ufeff{name}", f"{name}/a", f"{name}/a\ufeff"):
        sender.publish(topic, b"x")
    assert [each.topic for each in receiver.settle(sender, f"{name}/end")] == [f"\ufeff{name}", f"{name}/a\ufeff"]


@proves(v3="4.7.3-4", v5="4.7.3-4")
def test_topics_are_compared_by_their_bytes(client, name):
    """No case is folded, no text composed, no empty level taken out."""
    receiver, sender = client(), client()
    topics = [f"{name}/a", f"{name}/A", f"/{name}/a", f"{name}/a/", f"{name}//a", f"{name}/\u00e9", f"{name}/e\u0301", f"{name}/ a"]
    for topic in topics:
        receiver.subscribe(topic)
        for each in topics:
            sender.publish(each, b"x")
        assert [each.topic for each in receiver.settle(sender, f"{name}/end")] == [topic]
        receiver.unsubscribe(topic)


@proves(v3="4.7.2-1", v5="4.7.2-1")
def test_wildcards_match_no_first_level_that_begins_with_a_dollar(client, name):
    receiver, sender = client(), client()
    receiver.subscribe("#", f"+/{name}", "+/#")
    sender.publish(f"$other/{name}", b"hidden")
    found = {each.topic for each in receiver.settle(sender, f"{name}/end") if name in each.topic.split("/")}
    assert found == set()
    other = client()
    other.subscribe("$other/+")
    sender.publish(f"$other/{name}", b"seen")
    assert other.message().payload == b"seen"


@proves(v3="4.6.0-5 4.6.0-6", v5="4.6.0-5 4.6.0-6")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("receiver_speaks", [V3, V5], ids=["to v3", "to v5"])
def test_messages_of_a_topic_and_qos_keep_their_order(client, name, qos, receiver_speaks):
    """The sender does not wait for answers; the receiver acknowledges in the order of arrival."""
    receiver, sender = client(speaks=receiver_speaks), client()
    receiver.subscribe(name, qos=qos)
    window, count = min(sender.connack.get("receive_maximum", 20), 20), 200
    for start in range(0, count, window):
        batch = range(start, min(start + window, count))
        sender.send(*(packets.publish(sender.version, name, b"%d" % number, qos, id=number + 1 if qos else None) for number in batch))
        for number in batch:
            if qos:
                sender.wait(PUBACK if qos == 1 else PUBREC, number + 1)
            if qos == 2:
                sender.answer(PUBREL, number + 1)
                sender.wait(PUBCOMP, number + 1)
    assert [each.payload for each in receiver.messages(count)] == [b"%d" % number for number in range(count)]


@proves(v3="4.6.0-2..4", v5="4.6.0-2..4")
@pytest.mark.parametrize("qos", [1, 2])
def test_answers_come_in_the_order_of_what_they_answer(client, name, qos):
    """A client's duty by its wording; a server that answers in order spares its clients a search."""
    sender = client()
    ids = [7, 3, 65_535, 1, 9]
    sender.send(*(packets.publish(sender.version, name, b"x", qos, id=each) for each in ids))
    assert [(each.kind, each.id) for each in (sender.next() for _ in ids)] == [(PUBACK if qos == 1 else PUBREC, each) for each in ids]
    if qos == 2:
        sender.send(*(packets.answer(sender.version, PUBREL, each) for each in ids))
        assert [(each.kind, each.id) for each in (sender.next() for _ in ids)] == [(PUBCOMP, each) for each in ids]


@proves(v3="4.5.0-1", v5="4.5.0-1")
def test_a_publisher_that_subscribes_gets_its_own_messages(client, name):
    made = client()
    made.subscribe(name, qos=1)
    made.publish(name, b"mine", qos=1)
    assert made.wait(PUBLISH).payload == b"mine"


@proves(v3="", v5="")
def test_a_packet_may_come_byte_by_byte(raw, name):
    client = raw()
    for byte in packets.connect(client.version, name) + packets.subscribe(client.version, 1, [(name, 0)]) + packets.PING:
        client.send(bytes([byte]))
    client.wait(packets.CONNACK)
    client.wait(packets.SUBACK, 1)
    client.wait(packets.PINGRESP)
    client.send(*(bytes([byte]) for byte in packets.publish(client.version, name, b"slow")))
    assert client.message().payload == b"slow"
