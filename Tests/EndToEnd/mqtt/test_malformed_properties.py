"""Property sections that are none, in every packet that has one."""

import pytest

from mqtt import packets
from mqtt.packets import (AUTH, CONNECT, DISCONNECT, NAMES, PROPERTIES, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE, V5,
                          WILL, data, encoded_length, packet, property_bytes)
from mqtt.proof import proves

pytestmark = pytest.mark.usefixtures("witness")

MALFORMED, ERROR = 0x81, 0x82
PLACES = {"CONNECT": CONNECT, "will": WILL, "PUBLISH": PUBLISH, "PUBACK": PUBACK, "PUBREC": PUBREC, "PUBREL": PUBREL, "PUBCOMP": PUBCOMP,
          "SUBSCRIBE": SUBSCRIBE, "UNSUBSCRIBE": UNSUBSCRIBE, "DISCONNECT": DISCONNECT}
GOOD = {"byte": 1, "two": 1, "four": 1, "length": 1, "text": "x", "data": b"x", "pair": ("k", "v")}


def with_properties(place: int, section: bytes) -> bytes:
    """A packet that is good besides the section, length included, in its place."""
    match place:
        case packets.CONNECT:
            return packet(CONNECT, data("MQTT") + b"\5\2\0\0" + section + data("p1"))
        case packets.WILL:
            return packet(CONNECT, data("MQTT") + b"\5\6\0\0\0" + data("p2") + section + data("t") + data("w"))
        case packets.PUBLISH:
            return packet(PUBLISH, data("t") + section + b"x")
        case packets.SUBSCRIBE:
            return packet(SUBSCRIBE, b"\0\1" + section + data("t") + b"\0")
        case packets.UNSUBSCRIBE:
            return packet(UNSUBSCRIBE, b"\0\1" + section + data("t"))
        case packets.DISCONNECT:
            return packet(DISCONNECT, b"\0" + section)
        case packets.AUTH:
            return packet(AUTH, b"\x19" + section)
    return packet(place, b"\0\1\0" + section)


@pytest.fixture
def reject(raw, client, broker):
    """Sends a packet with a section of properties, which the broker has to refuse with one of the reasons."""

    def check(place, section, *reasons):
        made = raw() if place in (CONNECT, WILL) else client()
        made.send(with_properties(place, section))
        broker.check_end(made, *(reasons or (MALFORMED, ERROR)))

    return check


def section(*pairs) -> bytes:
    return packets.properties(list(pairs))


@proves(v5="3.1.4-1 4.13.1-1")
@pytest.mark.parametrize("place", PLACES)
def test_a_length_beyond_the_packet(reject, place):
    reject(PLACES[place], encoded_length(200))


@proves(v5="1.5.5-1")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("length", [b"\x80\x00", b"\x80\x80\x80\x80\x00", b"\xff\xff\xff\xff\x7f"], ids=["over-long", "five bytes", "huge"])
def test_a_length_that_is_none(reject, place, length):
    reject(PLACES[place], length)


@proves(v5="4.13.1-1")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [0, 4, 7, 0x1B, 0x2B, 0x7F])
def test_a_property_that_nobody_knows(reject, place, number):
    reject(PLACES[place], section((number, b"\0\0\0\0")))


@proves(v5="4.13.1-1 3.14.2-2 3.3.4-6")
@pytest.mark.parametrize("place", PLACES)
def test_a_property_of_another_packet(reject, place):
    for name, (number, kind, places) in PROPERTIES.items():
        if PLACES[place] not in places:
            reject(PLACES[place], section((name, GOOD[kind])))


@proves(v5="4.13.1-1")
@pytest.mark.parametrize("place", PLACES)
def test_a_property_twice(reject, place):
    for name, (number, kind, places) in PROPERTIES.items():
        if PLACES[place] in places and name != "user" and (name, place) != ("session_expiry", "DISCONNECT"):
            reject(PLACES[place], section((name, GOOD[kind]), (name, GOOD[kind])), MALFORMED, ERROR, 0x8C)


@proves(v5="4.13.1-1")
@pytest.mark.parametrize("place", PLACES)
def test_a_property_that_is_cut(reject, place):
    for name, (number, kind, places) in PROPERTIES.items():
        if PLACES[place] in places:
            whole = property_bytes(name, GOOD[kind])
            body = whole[:-1]
            reject(PLACES[place], encoded_length(len(body)) + body)


@proves(v5="3.3.4-6")
def test_a_subscription_identifier_from_a_client(reject):
    reject(PUBLISH, section(("subscription_identifier", 1)))


VALUES = {
    "payload_format 2": (PUBLISH, ("payload_format", 2)), "will's payload_format 2": (WILL, ("payload_format", 2)),
    "subscription_identifier 0": (SUBSCRIBE, ("subscription_identifier", 0)), "receive_maximum 0": (CONNECT, ("receive_maximum", 0)),
    "maximum_packet_size 0": (CONNECT, ("maximum_packet_size", 0)), "request_problem_information 2": (CONNECT, ("request_problem_information", 2)),
    "request_response_information 2": (CONNECT, ("request_response_information", 2)),
    "will's response topic with a wildcard": (WILL, ("response_topic", "a/#")),
    "over-long subscription_identifier": (SUBSCRIBE, (11, b"\x81\x00")), "over-long property": (PUBLISH, (0x81, b"\x00\x01")),
}


@proves(v5="1.5.5-1 3.3.2-14 4.13.1-1")
@pytest.mark.parametrize("value", VALUES)
def test_values_that_are_none(reject, value):
    place, pair = VALUES[value]
    reject(place, section(pair), MALFORMED, ERROR, 0x90)


@proves(v5="4.13.1-1")
def test_authentication_data_without_a_method(reject):
    reject(CONNECT, section(("authentication_data", b"x")))


@proves(v5="")
@pytest.mark.parametrize("place", PLACES)
def test_thousands_of_user_properties(raw, client, place):
    """They are taken, or the packet is too large: in time and memory that grow with their number alone."""
    made = raw() if PLACES[place] in (CONNECT, WILL) else client()
    made.send(with_properties(PLACES[place], section(*[("user", ("", ""))] * 13_000)), packets.PING)
    if place == "DISCONNECT":
        assert made.ended() in (None, 0x95, 0x97)
        return
    while (answer := made.next_or_end()) and answer.kind not in (packets.PINGRESP, DISCONNECT):
        assert answer.kind != packets.CONNACK or answer.reason in (0, 0x95, 0x97)
        if answer.kind == packets.CONNACK and answer.reason:
            return
    assert answer is not None and (answer.kind == packets.PINGRESP or answer.reason in (0x95, 0x97)), answer
