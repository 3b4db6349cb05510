"""Retained messages."""

import pytest

from mqtt.packets import V3, V5
from mqtt.proof import proves


@pytest.fixture
def keep(client):
    """Retains messages, and clears them at the end."""
    sender, topics = client(), set()

    def retain(topic, payload, qos=0, **more):
        topics.add(topic)
        sender.publish(topic, payload, qos, retain=True, **more)
        return sender

    yield retain
    if topics:
        # On a connection of its own: a test may have ended the other.
        cleaner = client(speaks=V5)
        for topic in topics:
            cleaner.publish(topic, b"", retain=True)
        cleaner.ping()


@proves(v3="3.3.1-5 3.3.1-6 3.3.1-8", v5="3.3.1-5 3.3.1-9")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_a_new_subscription_gets_the_last_retained_message_of_each_topic(client, keep, name, qos, granted):
    for topic in ("a", "b"):
        for payload in ("old", "new"):
            sender = keep(f"{name}/{topic}", payload + topic, qos)
    receiver = client()
    receiver.subscribe(f"{name}/#", qos=granted)
    found = receiver.settle(sender, f"{name}-end", granted)
    assert sorted((each.topic, each.payload, each.qos, each.retain) for each in found) == [
        (f"{name}/a", b"newa", min(qos, granted), True), (f"{name}/b", b"newb", min(qos, granted), True)]


@proves(v3="3.3.1-9", v5="3.3.1-12")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_subscription_that_is_there_gets_it_without_the_flag(client, keep, name, qos):
    receiver = client()
    receiver.subscribe(f"{name}/#", qos=qos)
    sender = keep(f"{name}/a", "x", qos)
    assert not receiver.message().retain
    sender.publish(f"{name}/a", b"y", qos)
    assert not receiver.message().retain


@proves(v5="3.3.1-12 3.3.1-13")
def test_retain_as_published(client, keep, name):
    receiver = client()
    receiver.subscribe(f"{name}/#", as_published=True)
    sender = keep(f"{name}/a", "x")
    assert receiver.message().retain
    sender.publish(f"{name}/a", b"y")
    assert not receiver.message().retain


@proves(v5="3.3.1-9..11")
def test_retain_handling(client, keep, name):
    receiver = client()
    sender = keep(f"{name}/a", "kept")
    gets = lambda: [each.payload for each in receiver.settle(sender, f"{name}-end")]
    receiver.subscribe(f"{name}/a", handling=2)
    assert gets() == []
    receiver.subscribe(f"{name}/a", handling=1)
    assert gets() == []
    receiver.subscribe(f"{name}/a", handling=0)
    assert gets() == [b"kept"]
    receiver.subscribe(f"{name}/a", handling=0)
    assert gets() == [b"kept"]
    receiver.subscribe(f"{name}/+", handling=1)
    assert gets() == [b"kept"]
    receiver.unsubscribe(f"{name}/+")
    receiver.subscribe(f"{name}/+", handling=1)
    assert gets() == [b"kept"]


@proves(v3="3.3.1-10 3.3.1-11", v5="3.3.1-6 3.3.1-7")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_empty_payload_clears(client, keep, name, qos):
    watcher = client()
    watcher.subscribe(name, qos=2)
    sender = keep(name, "x", 1)
    sender.publish(name, b"", qos, retain=True)
    sender.ping()
    late = client()
    late.subscribe(name)
    assert late.settle(sender, f"{name}/end") == []
    # Who had subscribed got it as any message.
    assert [(each.payload, each.retain) for each in watcher.messages(2)] == [(b"x", False), (b"", False)]


@proves(v3="3.3.1-12", v5="3.3.1-8")
@pytest.mark.parametrize("payload", [b"other", b""])
def test_a_message_without_the_flag_changes_nothing(client, keep, name, payload):
    sender = keep(name, "kept", 1)
    sender.publish(name, payload, 1)
    sender.publish(f"{name}/other", payload, 1)
    late = client()
    late.subscribe(f"{name}/#", qos=1)
    assert [(each.topic, each.payload) for each in late.settle(sender, f"{name}-end")] == [(name, b"kept")]


@proves(v3="3.3.1-7", v5="3.3.1-5")
def test_qos_0_takes_the_place_of_a_higher_one(client, keep, name):
    keep(name, "high", 2)
    sender = keep(name, "low", 0)
    sender.ping()
    late = client()
    late.subscribe(name, qos=2)
    message = late.message()
    assert (message.payload, message.qos) == (b"low", 0)


@proves(v3="3.1.2-7", v5="")
def test_retained_messages_outlive_their_sender(client, keep, name):
    sender = keep(name, "x", 1)
    sender.leave()
    late = client()
    late.subscribe(name)
    assert late.message().payload == b"x"


@proves(v3="", v5="3.3.2-4 3.3.2-15..18 3.3.2-20")
@pytest.mark.parametrize("keeper", [V3, V5], ids=["kept by v3", "kept by v5"])
def test_retained_messages_keep_their_properties(client, keep, name, keeper, version):
    more = [("payload_format", 1), ("content_type", "text/x"), ("response_topic", "r"), ("correlation_data", b"c"), ("user", ("a", "1")),
            ("user", ("a", "2"))]
    sender = client(speaks=keeper)
    keep(name, "", 1)
    sender.publish(name, b"x", 1, retain=True, **({"more": more} if keeper == V5 else {}))
    late = client()
    late.subscribe(name)
    assert late.message().properties == (more if keeper == version == V5 else [])


@proves(v3="", v5="")
def test_many_retained_messages_all_come(client, keep, name):
    topics = {f"{name}/{number}/x" for number in range(300)}
    for topic in topics:
        sender = keep(topic, topic, 1)
    late = client()
    late.subscribe(f"{name}/+/x", qos=1)
    found = [each.topic for each in late.settle(sender, f"{name}-end", 1)]
    assert len(found) == 300 and set(found) == topics
