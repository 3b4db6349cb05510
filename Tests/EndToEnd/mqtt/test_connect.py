"""CONNECT, CONNACK, client identifiers, keep alive."""

import time

import pytest

from mqtt import packets
from mqtt.client import PATIENCE
from mqtt.packets import CONNACK, PINGRESP, V3, V5, Will
from mqtt.proof import proves


@proves(v3="3.1.0-1 3.1.4-1 3.1.4-4 3.2.0-1 3.2.2-3", v5="3.1.0-1 3.1.4-5 3.2.0-1 3.2.0-2 3.2.2-1 3.2.2-3 3.2.2-8 2.2.2-1")
def test_a_connection_is_acknowledged_first_and_once(raw, name):
    client = raw()
    client.send(packets.connect(client.version, name, clean=False), packets.PING, packets.PING)
    first = client.next()
    assert (first.kind, first.reason, first.session_present) == (CONNACK, 0, False)
    assert [client.next().kind for _ in range(2)] == [PINGRESP] * 2


@proves(v3="3.1.2-9 3.1.2-14 3.1.2-19 3.1.2-21 3.1.3-1", v5="3.1.2-9 3.1.2-12 3.1.2-17 3.1.2-19 3.1.3-1")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_connect_may_have_every_field(client, name, qos):
    more = {"properties": [("content_type", "text/plain"), ("user", ("a", "b"))]}
    made = client("a", will=Will(f"{name}/w", b"\0\xff", qos, True, **more), user="user", password=b"\0word", keep_alive=60)
    made.ping()
    made.leave()


@proves(v3="3.1.3-3 3.1.3-5", v5="3.1.3-3 3.1.3-5")
@pytest.mark.parametrize("id", ["Z", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"])
def test_identifiers_of_letters_and_digits(raw, id):
    raw().connect(id)


@proves(v3="3.1.3-4", v5="3.1.3-4")
@pytest.mark.parametrize("id", ["a b/ü#+$", "€" * 21_845], ids=["signs", "65535 bytes"])
def test_identifiers_of_any_text(raw, id):
    raw().connect(id)


@proves(v3="3.1.3-6", v5="3.1.3-6 3.1.3-7 3.2.2-16")
def test_an_empty_identifier_stands_for_one_that_the_server_makes(raw, broker):
    clients = [raw() for _ in range(3)]
    made = [each.connect("").get("assigned_client_identifier") for each in clients]
    for each in clients:
        each.ping()
    if clients[0].version == V5:
        assert all(made) and len(set(made)) == 3, made
        # It is a client identifier as any other: its next connection takes over.
        raw().connect(made[0])
        broker.check_end(clients[0], 0x8E)


@proves(v5="3.1.3-6 3.1.3-7")
def test_an_assigned_identifier_finds_its_session_again(raw):
    client = raw()
    id = client.connect("", clean=False, more={"session_expiry": 60}).get("assigned_client_identifier")
    client.leave()
    assert raw().connect(id, clean=False).session_present


@proves(v3="3.1.3-7..9 3.2.2-4 3.2.2-5")
def test_a_session_to_be_kept_needs_an_identifier(raw, broker):
    client = raw()
    assert client.connect("", clean=False, refused=True).reason == 2
    broker.check_end(client)


@proves(v3="3.1.3-2 3.1.4-2", v5="3.1.3-2 3.1.4-3")
@pytest.mark.parametrize("before", [V3, V5], ids=["v3 before", "v5 before"])
def test_an_identifier_belongs_to_its_last_client(client, broker, name, before):
    first = client("same", speaks=before)
    other = client("other")
    for _ in range(3):
        second = client("same")
        broker.check_end(first, 0x8E)
        first = second
    other.ping()
    second.ping()


@proves(v3="3.1.4-5 3.2.2-4 3.2.2-5", v5="3.1.4-6 3.2.2-6 3.2.2-7 4.12.0-1 4.12.0-4 4.13.2-1")
def test_nothing_is_taken_after_a_refusal(raw, client, name, version):
    watcher, other = client(), client()
    watcher.subscribe(f"{name}/#")
    refused = raw()
    more = {"more": {"authentication_method": "no such method"}} if version == V5 else {}
    refused.send(packets.connect(version, name if version == V5 else "", clean=False, **more), packets.publish(version, f"{name}/x", "no"))
    assert refused.wait(CONNACK).reason in ((0x8C, 0x87) if version == V5 else (2,))
    assert refused.ended() is None
    assert watcher.settle(other, f"{name}/end") == []


@proves(v3="3.1.2-2", v5="3.1.2-2")
@pytest.mark.parametrize("level", [0, 1, 2, 3, 6, 0x7F, 0xFF])
def test_a_level_that_is_not_known(raw, level, version):
    """Answered in the form of either version, as the level does not tell which one the client reads."""
    client = raw()
    client.send(packets.connect(version, "x", level=level))
    assert rest(client) in (b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b"")


@proves(v3="3.1.2-1", v5="3.1.2-1")
@pytest.mark.parametrize("protocol", ["MQTt", "mqtt", "MQTTT", "HTTP", "", "M\0TT"])
def test_a_protocol_name_that_is_not_known(raw, protocol, version):
    client = raw()
    client.send(packets.connect(version, "x", name=protocol))
    assert rest(client) in (b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b"")


def rest(client) -> bytes:
    """All bytes that come until the close."""
    found = b""
    try:
        while piece := client.socket.recv(4096):
            found += piece
    except ConnectionResetError:
        pass
    return found


@proves(v3="3.1.2-24 3.12.4-1", v5="3.1.2-22 3.2.2-22 3.12.4-1")
def test_silence_beyond_one_and_a_half_keep_alives_ends(client, broker):
    silent = client(keep_alive=1)
    silent.socket.settimeout(PATIENCE)
    time.sleep(0.8)
    silent.ping()
    began = time.monotonic()
    broker.check_end(silent, 0x8D)
    assert 1.2 < time.monotonic() - began < 8


@proves(v3="", v5="")
@pytest.mark.parametrize("seconds", [0, 65_535])
def test_keep_alives_at_their_ends(client, seconds):
    client(keep_alive=seconds).ping()


@proves(v3="3.14.4-3", v5="")
def test_a_disconnect_is_answered_by_a_close(client, broker):
    """Nothing is sent after a client's DISCONNECT, not even to what came before it in the same bytes but nobody asked about."""
    leaving = client()
    leaving.send(packets.disconnect(leaving.version))
    broker.check_end(leaving)


@proves(v3="3.1.2-22", v5="")
def test_a_password_without_a_user(raw, broker, version):
    client = raw()
    client.send(packets.connect(version, "x1", password="p"))
    if version == V5:
        assert client.wait(CONNACK).reason == 0
    else:
        broker.check_end(client)


@proves(v5="3.2.2-9 3.2.2-10 3.2.2-12 3.2.2-13")
def test_what_connack_announces_holds(client, name):
    """Whatever QoS, retained messages, wildcards and filters' identifiers a server has not, it tells; Shunt has all of them."""
    made = client()
    told = made.connack
    assert told.get("maximum_qos", 2) == 2 and told.get("retain_available", 1) == 1
    assert told.get("wildcard_available", 1) == told.get("subscription_identifiers_available", 1) == told.get("shared_available", 1) == 1
    assert made.subscribe(f"{name}/+", f"{name}/#", f"$share/g/{name}/x", qos=2) == [2, 2, 2]
    client(will=Will(f"{name}/w", b"w", 2, True)).leave()


@proves(v5="4.12.0-6")
def test_no_authentication_where_none_was_asked_for(client):
    made = client()
    assert made.connack.get("authentication_method") is None
    made.ping()
