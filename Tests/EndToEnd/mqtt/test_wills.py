"""Wills: when they come, what they carry, when they do not come."""

import time

import pytest

from mqtt import packets
from mqtt.client import PATIENCE
from mqtt.packets import V5, Will
from mqtt.proof import proves


@pytest.fixture
def watcher(broker, client, name):
    made = client("watcher", speaks=V5)
    made.socket.settimeout(PATIENCE if broker.is_shunt else 7)
    made.subscribe((f"{name}/#", packets.options(2, as_published=True)))
    return made


@pytest.fixture
def mortal(client, name):
    """Opens clients that have a will."""

    def open(qos=0, retain=False, payload="gone", will_properties=None, **more):
        return client("mortal", will=Will(f"{name}/will", payload, qos, retain, will_properties), **more)

    return open


def settled(watcher, client, name):
    return [(each.payload, each.qos, each.retain) for each in watcher.settle(client(), f"{name}/end", 2) if each.topic == f"{name}/will"]


@proves(v3="3.1.2-8 3.1.2-14 3.1.2-16", v5="3.1.2-7 3.1.2-8 3.1.2-12 3.1.2-14")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_will_follows_a_client_that_vanishes(watcher, mortal, qos):
    mortal(qos).vanish()
    message = watcher.message()
    assert (message.payload, message.qos, message.retain, message.dup) == (b"gone", qos, False, False)


@proves(v3="3.1.2-8", v5="3.1.2-7 3.1.2-8")
@pytest.mark.parametrize("how", ["vanish", "takeover"])
@pytest.mark.parametrize("does", ["subscribes QoS 0", "subscribes QoS 1", "begins QoS 2", "receives QoS 1", "publishes QoS 1"])
def test_a_will_follows_whatever_its_client_has_done(watcher, mortal, client, name, does, how):
    made, sender = mortal(1), client()
    what, qos = does.split(" ")[0], int(does[-1])
    if what in ("subscribes", "receives"):
        made.subscribe(f"{name}-mine", qos=qos)
    if what == "receives":
        sender.publish(f"{name}-mine", b"x", qos)
        made.message(ack=False)
    if what in ("begins", "publishes"):
        made.send(packets.publish(made.version, f"{name}-nobody", b"x", qos, id=1))
        assert made.next().id == 1
    if how == "vanish":
        made.vanish()
    else:
        client("mortal")
    assert watcher.message().payload == b"gone"


@proves(v3="3.1.2-8", v5="3.1.2-8")
def test_a_will_follows_a_close_without_disconnect(watcher, mortal):
    mortal().close()
    assert watcher.message().payload == b"gone"


@proves(v3="3.1.2-8", v5="3.1.2-8")
def test_a_will_follows_a_malformed_packet(watcher, mortal, broker):
    client = mortal()
    client.send(b"\x36\x05\x00\x01t\x00\x01")
    broker.check_end(client, 0x81, 0x82)
    assert watcher.message().payload == b"gone"


@proves(v3="3.1.2-8 3.1.2-24", v5="3.1.2-8 3.1.2-22")
def test_a_will_follows_silence(watcher, mortal):
    client = mortal(keep_alive=1)
    assert watcher.message().payload == b"gone"
    client.ended()


@proves(v3="3.1.2-8", v5="3.1.2-8")
def test_a_will_follows_a_takeover(watcher, mortal, client):
    """Of a session that the newcomer starts anew, or resumes with no delay of the will set: 3.1.3-9 speaks of delays."""
    mortal()
    client("mortal")
    assert watcher.message().payload == b"gone"


@proves(v3="3.1.2-8", v5="3.1.2-8")
def test_a_will_follows_a_takeover_that_resumes_the_session(watcher, mortal, client, version):
    """A delay of 0 is over as soon as the first connection is closed."""
    session = {"clean": False} | ({"more": {"session_expiry": 60}} if version == V5 else {})
    mortal(1, **session)
    assert client("mortal", **session).connack.session_present
    assert watcher.message().payload == b"gone"


@proves(v3="3.1.2-10 3.14.4-3", v5="3.1.2-8 3.1.2-10 3.14.4-3")
def test_no_will_follows_a_disconnect(watcher, mortal, client, name):
    mortal().leave()
    assert settled(watcher, client, name) == []


@proves(v5="3.1.2-8")
def test_a_will_follows_a_disconnect_that_asks_for_it(watcher, mortal):
    mortal().leave(0x04)
    assert watcher.message().payload == b"gone"


@proves(v5="")
@pytest.mark.parametrize("reason", [0x80, 0x81, 0x83, 0x98])
def test_a_will_follows_a_disconnect_with_an_error(watcher, mortal, reason):
    mortal().leave(reason)
    assert watcher.message().payload == b"gone"


@proves(v3="3.1.2-10", v5="3.1.2-10")
def test_a_will_comes_once(watcher, mortal, client, name):
    mortal(1).vanish()
    assert watcher.message().payload == b"gone"
    # The next connection has none.
    client("mortal").vanish()
    client("mortal").ping()
    assert settled(watcher, client, name) == []


@proves(v3="3.1.2-12", v5="")
def test_without_a_will_nothing_is_published(watcher, client, name):
    client("mortal").vanish()
    assert watcher.settle(client(), f"{name}/end") == []


@proves(v3="3.1.2-17", v5="3.1.2-15")
def test_a_will_may_be_retained(watcher, mortal, client, name):
    mortal(1, retain=True).vanish()
    assert watcher.message().retain
    late = client()
    late.subscribe(f"{name}/will", qos=2)
    assert (message := late.message()).retain and message.payload == b"gone" and message.qos == 1
    late.publish(f"{name}/will", b"", retain=True)


@proves(v3="3.1.2-16", v5="3.1.2-14")
def test_a_will_that_is_not_retained_is_not(watcher, mortal, client, name):
    mortal(1).vanish()
    watcher.message()
    late = client()
    late.subscribe(f"{name}/will")
    assert late.settle(watcher, f"{name}/end") == []


@proves(v3="", v5="")
def test_a_will_may_be_empty(watcher, mortal):
    mortal(payload="").vanish()
    assert watcher.message().payload == b""


@proves(v3="", v5="")
def test_the_will_of_a_refused_client_does_not_come(watcher, raw, client, name, version):
    refused = raw()
    more = {"more": {"authentication_method": "none such"}} if version == V5 else {}
    refused.connect("" if version != V5 else name, clean=False, refused=True, will=Will(f"{name}/will", "no"), **more)
    refused.ended()
    assert settled(watcher, client, name) == []


# Of 5.0


@proves(v5="3.1.3-10 3.3.2-4 3.3.2-15..18 3.3.2-20")
def test_a_will_carries_its_properties(watcher, mortal):
    more = [("payload_format", 1), ("content_type", "c"), ("response_topic", "r"), ("correlation_data", b"\0d"), ("user", ("b", "1")),
            ("user", ("a", "2")), ("user", ("b", "3"))]
    mortal(will_properties=more).vanish()
    assert watcher.message().properties == more


@proves(v5="3.1.2-8 3.1.3-9")
def test_a_return_in_time_cancels_a_delayed_will(watcher, mortal, client, name):
    mortal(will_properties={"will_delay": 1}, more={"session_expiry": 60}).vanish()
    # The newcomer has a will of its own, and leaves it in peace.
    back = client("mortal", clean=False, more={"session_expiry": 60})
    assert back.connack.session_present
    time.sleep(1.5)
    assert settled(watcher, client, name) == []


@proves(v5="3.1.2-8")
def test_a_delayed_will_waits(watcher, mortal):
    mortal(will_properties={"will_delay": 1}, more={"session_expiry": 60}).vanish()
    began = time.monotonic()
    assert watcher.message().payload == b"gone"
    assert 0.8 < time.monotonic() - began < 8


@proves(v5="3.1.2-8")
def test_the_end_of_the_session_ends_the_delay(watcher, mortal):
    """A session without expiry ends with its connection."""
    mortal(will_properties={"will_delay": 600}).vanish()
    assert watcher.message().payload == b"gone"


@proves(v5="3.1.2-8")
def test_the_expiry_of_the_session_ends_the_delay(watcher, mortal):
    mortal(will_properties={"will_delay": 600}, more={"session_expiry": 1}).vanish()
    assert watcher.message().payload == b"gone"


@proves(v5="3.1.2-8")
def test_a_new_session_ends_the_delay(watcher, mortal, client):
    mortal(will_properties={"will_delay": 600}, more={"session_expiry": 600}).vanish()
    client("mortal", clean=True)
    assert watcher.message().payload == b"gone"


@proves(v5="3.1.3-9")
def test_a_takeover_cancels_a_delayed_will(watcher, mortal, client, name):
    mortal(will_properties={"will_delay": 1}, more={"session_expiry": 60})
    assert client("mortal", clean=False, more={"session_expiry": 60}).connack.session_present
    time.sleep(1.5)
    assert settled(watcher, client, name) == []
