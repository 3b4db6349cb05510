"""SUBSCRIBE, UNSUBSCRIBE, filters, subscription options and identifiers."""

import pytest

from mqtt import packets
from mqtt.packets import PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, V3, V5, options
from mqtt.proof import proves


@proves(v3="2.3.1-7 3.8.3-1 3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2",
        v5="2.2.1-6 3.8.3-1 3.8.4-1 3.8.4-2 3.8.4-5..7 3.9.3-1 3.9.3-2")
def test_suback_has_a_code_for_each_filter_in_order(client, name):
    made = client()
    filters = [(f"{name}/{number}", number % 3) for number in range(50)]
    made.send(packets.subscribe(made.version, 40_000, filters))
    answer = made.next()
    assert (answer.kind, answer.id, answer.reasons) == (SUBACK, 40_000, [number % 3 for number in range(50)])
    other = client()
    for topic, qos in filters:
        other.publish(topic, b"x", 2)
        assert made.message().qos == qos


MATCHES = {
    "a/b": ["a/b"], "+": ["a", ""], "+/+": ["a/b", "/b", "a/", "/"], "a/+": ["a/b", "a/"], "+/b": ["a/b", "/b"],
    "#": ["a", "a/b", "a/b/c", "/b", "", "a/", "/", "a//c"], "a/#": ["a", "a/b", "a/b/c", "a/", "a//c"], "a/+/c": ["a/b/c", "a//c"],
    "+/+/+": ["a/b/c", "a//c"], "/+": ["/b", "/"], "/#": ["/b", "", "/"], "a/+/#": ["a/b", "a/b/c", "a/", "a//c"], "+/#": ["a", "a/b", "a/b/c", "/b",
    "", "a/", "/", "a//c"],
}


@proves(v3="3.8.3-2 4.7.1-1..3", v5="4.7.0-1 4.7.1-1 4.7.1-2")
@pytest.mark.parametrize("filter", MATCHES)
def test_wildcards(client, name, filter):
    """Below a level of this test's own: `NAME/` is what `/` begins."""
    receiver, sender = client(), client()
    receiver.subscribe(f"{name}/{filter}")
    topics = ["a", "a/b", "a/b/c", "/b", "a/", "/", "a//c"]
    for topic in topics:
        sender.publish(f"{name}/{topic}", b"x")
    found = [each.topic.removeprefix(f"{name}/") for each in receiver.settle(sender, f"{name}-end")]
    assert found == [topic for topic in topics if topic in MATCHES[filter]]


@proves(v3="4.7.1-2", v5="4.7.1-1")
def test_a_multi_level_wildcard_takes_its_parent(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(f"{name}/#")
    sender.publish(name, b"parent")
    assert receiver.message().topic == name


@proves(v3="4.7.1-2 4.7.1-3 4.7.3-1", v5="4.7.1-1 4.7.1-2 4.7.3-1")
@pytest.mark.parametrize("filter", ["#/a", "a/#/b", "a#", "a/b#", "##", "#/", "+a", "a+", "a/b+/c", "a/++", "+#", ""])
def test_filters_that_are_none(client, broker, witness, filter):
    """Refused in SUBACK, or the connection ends."""
    made = client()
    made.send(packets.subscribe(made.version, 1, [(filter, 0)]))
    first = made.next_or_end()
    if first and first.kind == SUBACK:
        assert first.reasons == [0x8F if made.version == V5 else 0x80]
    else:
        assert first is None or made.version == V5 and first.reason in (0x8F, 0x81, 0x82), first


@proves(v3="3.8.4-3", v5="3.8.4-3 3.8.4-4")
def test_a_filter_again_replaces_its_subscription(client, name):
    receiver, sender = client(), client()
    sender.publish(f"{name}/kept", b"kept", 1, retain=True)
    for qos in (0, 2, 1):
        receiver.subscribe(f"{name}/+", qos=qos)
        assert (message := receiver.message()).payload == b"kept" and message.qos == min(qos, 1)
        sender.publish(f"{name}/a", b"x", 2)
        assert [(each.payload, each.qos) for each in receiver.settle(sender, f"{name}-end", 2)] == [(b"x", qos)]
    sender.publish(f"{name}/kept", b"", retain=True)


@proves(v3="3.8.4-4", v5="3.8.4-5")
def test_of_a_filter_twice_in_one_packet_the_second_counts(client, name):
    receiver, sender = client(), client()
    assert receiver.subscribe((name, 2), (name, 0)) == [2, 0]
    sender.publish(name, b"x", 2)
    assert [each.qos for each in receiver.settle(sender, f"{name}/end")] == [0]


@proves(v3="3.10.4-1 3.10.4-2 3.10.4-4..6", v5="3.10.4-1 3.10.4-2 3.10.4-4..6 3.11.3-1 3.11.3-2")
def test_unsubscribe_takes_filters_out_by_their_bytes(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(f"{name}/a", f"{name}/+", f"{name}/B")
    receiver.send(packets.unsubscribe(receiver.version, 999, [f"{name}/a", f"{name}/c", f"{name}/b", f"{name}/#", f"{name}/+"]))
    answer = receiver.next()
    assert (answer.kind, answer.id) == (UNSUBACK, 999)
    assert answer.reasons == ([0, 0x11, 0x11, 0x11, 0] if receiver.version == V5 else [])
    for topic in ("a", "b", "B"):
        sender.publish(f"{name}/{topic}", b"x")
    assert [each.topic for each in receiver.settle(sender, f"{name}-end")] == [f"{name}/B"]


@proves(v3="2.3.1-7 3.10.4-4 3.10.4-5", v5="2.2.1-6 3.10.4-4 3.10.4-5")
def test_unsubscribe_of_nothing_is_answered(client, name):
    made = client()
    assert made.unsubscribe(name, id=65_535) == ([0x11] if made.version == V5 else [])


@proves(v3="3.10.4-3", v5="3.10.4-3")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_on_its_way_is_completed_after_unsubscribe(client, name, qos):
    receiver, sender = client(), client()
    receiver.subscribe(name, qos=qos)
    sender.publish(name, b"x", qos)
    message = receiver.message(ack=False)
    if qos == 2:
        receiver.answer(PUBREC, message.id)
        receiver.wait(PUBREL, message.id)
    receiver.unsubscribe(name)
    receiver.answer(PUBCOMP if qos == 2 else packets.PUBACK, message.id)
    sender.publish(name, b"y", qos)
    assert receiver.settle(sender, f"{name}/end", qos) == []


# Of 5.0


@proves(v5="3.8.4-3")
def test_a_filter_again_replaces_its_options(client, name):
    receiver, sender = client(), client()
    for as_published in (False, True, False):
        receiver.subscribe(name, as_published=as_published, handling=2)
        sender.publish(name, b"x", retain=True)
        assert receiver.message().retain == as_published
    sender.publish(name, b"", retain=True)


@proves(v5="3.8.3-3")
def test_no_local(client, name):
    both, other = client(), client()
    both.subscribe(name, no_local=True)
    both.publish(name, b"mine")
    other.publish(name, b"another's")
    both.publish(f"{name}/end", b"")
    assert [each.payload for each in both.settle(other, f"{name}/end")] == [b"another's"]
    both.subscribe(name)
    both.publish(name, b"mine")
    assert both.message().payload == b"mine"


@proves(v5="3.8.3-3 3.3.4-2")
@pytest.mark.parametrize("order", [1, -1])
def test_no_local_counts_for_its_subscription_alone(client, name, order):
    """Another subscription of the client that matches brings its own message all the same."""
    both, other = client(), client()
    both.subscribe(*[(f"{name}/+", options(1, no_local=True)), (f"{name}/#", 0)][::order])
    both.publish(f"{name}/a", b"mine")
    assert {(each.payload, each.qos) for each in both.settle(other, f"{name}-end")} == {(b"mine", 0)}


@proves(v5="3.3.4-3..5")
def test_subscription_identifiers_come_with_their_messages(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(f"{name}/+", more={"subscription_identifier": 1})
    receiver.subscribe(f"{name}/a", f"{name}/#", more={"subscription_identifier": 268_435_455})
    receiver.subscribe(f"{name}/a/#")
    for topic in ("a", "b", "a/c"):
        sender.publish(f"{name}/{topic}", b"x", more={"user": ("k", "v")})
    found = {"a": [], "b": [], "a/c": []}
    for each in receiver.settle(sender, f"{name}-end"):
        found[each.topic.removeprefix(f"{name}/")] += each.all("subscription_identifier")
    assert sorted(set(found["a"])) == [1, 268_435_455]
    assert (sorted(found["b"]), found["a/c"]) == ([1, 268_435_455], [268_435_455])


@proves(v5="3.3.4-3 3.8.4-3")
def test_a_subscription_identifier_is_replaced_with_its_subscription(client, name):
    receiver, sender = client(), client()
    for more, expected in (({"subscription_identifier": 7}, [7]), ({"subscription_identifier": 8}, [8]), (None, [])):
        receiver.subscribe(name, more=more)
        sender.publish(name, b"x")
        assert receiver.message().all("subscription_identifier") == expected


@proves(v5="3.3.4-3")
def test_a_subscription_identifier_comes_with_retained_messages(client, name):
    receiver, sender = client(), client()
    sender.publish(name, b"kept", 1, retain=True)
    receiver.subscribe(name, more={"subscription_identifier": 5})
    assert receiver.message().all("subscription_identifier") == [5]
    sender.publish(name, b"", retain=True)


@proves(v3="", v5="")
def test_a_thousand_filters_in_a_packet(client, name):
    """All of them, or as many as the limits let; a code for each."""
    made, other = client(), client()
    codes = made.subscribe(*(f"{name}/{number}/+" for number in range(1000)))
    assert len(codes) == 1000 and set(codes) <= {0, 0x80 if made.version == V3 else 0x97}
    other.publish(f"{name}/0/x", b"first")
    assert made.message().payload == b"first"


@proves(v5="")
def test_options_hold_together(client, name):
    receiver, sender = client(), client()
    sender.publish(f"{name}/a", b"kept", 1, retain=True)
    receiver.subscribe((f"{name}/+", options(1, no_local=True, as_published=True, handling=1)))
    assert receiver.message().retain
    sender.publish(f"{name}/a", b"", 1, retain=True)
    assert receiver.message().retain
    receiver.publish(f"{name}/a", b"mine", 1)
    assert receiver.settle(sender, f"{name}-end", 1) == []
