"""Topic aliases, both ways."""

import pytest

from mqtt import packets
from mqtt.packets import V3, V5
from mqtt.proof import proves


@proves(v5="3.3.2-12 3.2.2-17")
def test_all_aliases_up_to_the_maximum_are_taken(client, name):
    receiver, old, sender = client(), client(speaks=V3), client()
    highest = sender.connack.get("topic_alias_maximum", 0)
    if not highest:
        return
    for each in (receiver, old):
        each.subscribe(f"{name}/#", qos=1)
    used = sorted({1, 2, highest // 2 or 1, highest})
    for alias in used:
        sender.publish(f"{name}/{alias}", b"first", more={"topic_alias": alias})
    for alias in used:
        sender.publish("", b"second", 1, more={"topic_alias": alias})
    sender.publish(f"{name}/moved", b"first", more={"topic_alias": highest})
    sender.publish("", b"second", 1, more={"topic_alias": highest})
    expected = [(f"{name}/{alias}", payload) for payload in (b"first", b"second") for alias in used]
    expected += [(f"{name}/moved", b"first"), (f"{name}/moved", b"second")]
    for each in (receiver, old):
        messages = each.messages(len(expected))
        assert [(message.topic, message.payload) for message in messages] == expected
        # A publisher's alias is between it and the server.
        assert all(message.get("topic_alias") is None for message in messages)


@proves(v5="3.1.2-27 3.3.2-11")
def test_no_aliases_to_a_client_that_takes_none(client, name):
    receivers, sender = [client(), client(more={"topic_alias_maximum": 0})], client()
    for each in receivers:
        each.subscribe(name)
    for _ in range(20):
        sender.publish(name, b"x")
    for each in receivers:
        assert all(message.get("topic_alias") is None for message in each.messages(20))


@proves(v5="3.1.2-26 3.3.2-8 3.3.2-11")
@pytest.mark.parametrize("qos", [0, 1])
def test_aliases_to_a_client_hold_its_maximum(client, name, qos):
    """Whether or not the server uses them, the topics come out right."""
    receiver, sender = client(more={"topic_alias_maximum": 3}), client()
    receiver.subscribe(f"{name}/#", qos=qos)
    topics = [f"{name}/{number % 10 if number % 3 else 0}" for number in range(100)]
    for topic in topics:
        sender.publish(topic, topic, qos)
    for topic in topics:
        message = receiver.message()
        assert message.topic == topic and message.payload == topic.encode()
        assert message.get("topic_alias", 1) in (1, 2, 3)


@proves(v5="3.3.2-7")
def test_aliases_end_with_their_connection(client, broker, name):
    """Both ways: an old one is an error from the client, and the server maps its own anew."""
    session = {"clean": False, "more": {"session_expiry": 60, "topic_alias_maximum": 10}}
    first, sender = client("a", **session), client()
    first.subscribe(f"{name}/#", qos=1)
    for _ in range(5):
        sender.publish(f"{name}/x", b"x", 1)
    first.messages(5)
    if first.connack.get("topic_alias_maximum", 0):
        first.publish(f"{name}/y", b"y", more={"topic_alias": 1})
        first.message()
    first.vanish()
    sender.publish(f"{name}/x", b"waits", 1)
    second = client("a", **session)
    assert second.message().topic == f"{name}/x"
    second.send(packets.publish(V5, "", b"z", more={"topic_alias": 1}))
    broker.check_end(second, 0x82, 0x94)


@proves(v5="3.3.2-8 3.3.2-9 3.2.2-18")
@pytest.mark.parametrize("which", ["zero", "beyond the maximum", "not mapped"])
def test_wrong_aliases(client, broker, witness, name, which):
    sender = client()
    highest = sender.connack.get("topic_alias_maximum", 0)
    alias = {"zero": 0, "beyond the maximum": highest + 1, "not mapped": max(highest, 1)}[which]
    if alias > 65_535:
        return
    sender.send(packets.publish(V5, "" if which == "not mapped" else name, b"x", more={"topic_alias": alias}))
    broker.check_end(sender, *([0x82, 0x94] if which == "not mapped" else [0x94]))
