"""Packets that are none, each in both versions where both have them: the right reason, a close, and nobody else notices."""

import struct

import pytest

from mqtt import packets
from mqtt.packets import (CONNACK, CONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE, UNSUBACK,
                          UNSUBSCRIBE, V3, V5, Will, data, packet)
from mqtt.proof import proves
from mqtt.test_connect import rest

pytestmark = pytest.mark.usefixtures("witness")

MALFORMED, ERROR = 0x81, 0x82
ILL_FORMED = {
    "surrogate": b"a\xed\xa0\x80", "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80", "over-long": b"\xc0\xaf", "cut": b"a\xe2\x82",
    "lone continuation": b"\x80", "beyond U+10FFFF": b"\xf4\x90\x80\x80", "NUL": b"a\0b", "over-long NUL": b"a\xc0\x80b",
    # These may be refused; clients that refuse them would end their connections where a message has one.
    "control character": b"a\nb", "control character beyond ASCII": b"a\xc2\x85", "no character": b"\xef\xbf\xbf"}


def no_properties(version) -> bytes:
    return b"\0" if version == V5 else b""


# Before CONNECT


@proves(v3="3.1.0-1", v5="3.1.0-1")
@pytest.mark.parametrize("sent", [
    packets.PING, b"\x30\x03\x00\x01t", b"\x82\x06\x00\x01\x00\x01t\x00", b"\xe0\x00", b"\xf0\x00", b"\x20\x02\x00\x00", b"\x00\x00",
    b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\x71\x00\x00", b"\x30\xff\xff\xff\x7f",
    b"\x11\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00",
], ids=lambda sent: sent[:4].hex())
def test_a_first_packet_that_is_no_connect(raw, sent):
    client = raw()
    client.send(sent)
    assert rest(client) in (b"", b"\x20\x03\x00\x81\x00", b"\x20\x03\x00\x82\x00", b"\xe0\x01\x82", b"\xe0\x01\x81", b"\xe0\x02\x82\x00")


@proves(v3="3.1.4-1 3.2.2-6", v5="3.1.4-1")
def test_a_connect_of_250_megabytes(raw, version):
    """Refused by its length: it has not to come."""
    client = raw()
    client.send(b"\x10\xff\xff\xff\x7f" + packets.connect(version, "x")[2:])
    client.ended()


def connect_body(version, flags=2, client_id=b"\0\1x", more=b"", level=None, properties=None):
    head = data("MQTT") + bytes([level or version, flags]) + b"\0\0"
    return head + (properties if properties is not None else no_properties(version)) + client_id + more


WILL_FIELDS = data("t") + data("p")
BAD_CONNECTS = {
    "reserved flag": dict(flags=3), "will QoS 3": dict(flags=0x1E, more=WILL_FIELDS), "will QoS without will": dict(flags=0x0A),
    "will QoS 2 without will": dict(flags=0x12), "will retain without will": dict(flags=0x22), "no will topic": dict(flags=0x06),
    "no will payload": dict(flags=0x06, more=data("t")), "will fields without their flag": dict(more=WILL_FIELDS),
    "no user": dict(flags=0x82), "user without its flag": dict(more=data("user")), "no password": dict(flags=0xC2, more=data("user")),
    "password without its flag": dict(flags=0x82, more=data("user") + data("password")), "no client identifier": dict(client_id=b""),
    "cut client identifier": dict(client_id=b"\0\5abc"), "bytes too many": dict(more=b"\0"),
    "empty will topic": dict(flags=6, more=data("") + data("p")),
    "will topic with a wildcard": dict(flags=6, more=data("a/+") + data("p")),
}


@proves(v3="3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-13..15 3.1.2-18..21 3.1.3-3 3.1.4-1 3.2.2-6 4.8.0-1",
        v5="3.1.2-3 3.1.2-9 3.1.2-11..13 3.1.2-16..19 3.1.3-3 3.1.4-1 3.1.4-2 3.2.2-7 3.14.0-1 4.13.1-1 4.13.2-1")
@pytest.mark.parametrize("name_of", BAD_CONNECTS)
def test_connects_that_do_not_hold_together(raw, broker, name_of, version):
    """3.1.1: no CONNACK; 5.0: one with a reason."""
    more = dict(BAD_CONNECTS[name_of])
    if version == V5 and more.get("flags", 2) & 4 and more.get("more"):
        more["more"] = b"\0" + more["more"]
    client = raw()
    client.send(packet(CONNECT, connect_body(version, **more)))
    broker.check_end(client, MALFORMED, ERROR, *([0x90] if "will topic" in name_of else []))
    assert client.farewell is None or client.farewell.kind == CONNACK


@proves(v3="1.5.3-1 1.5.3-2 3.1.3-4 3.1.3-10 3.1.3-11", v5="1.5.4-1 1.5.4-2 3.1.3-4 3.1.3-11 3.1.3-12")
@pytest.mark.parametrize("text", ILL_FORMED)
@pytest.mark.parametrize("where", ["client identifier", "will topic", "user"])
def test_ill_formed_texts_in_connect(raw, broker, text, where, version):
    text, client = ILL_FORMED[text], raw()
    fields = {"client identifier": dict(client_id=text), "will topic": dict(will=Will(text, "x")), "user": dict(user=text)}[where]
    client.send(packets.connect(version, **{"client_id": "x"} | fields))
    broker.check_end(client, MALFORMED, ERROR, 0x85, 0x90)


@proves(v3="3.1.0-2 4.8.0-1", v5="3.1.0-2 3.14.4-1 3.14.4-2")
def test_a_second_connect(client, broker, version, name):
    made = client()
    made.send(packets.connect(version, name))
    broker.check_end(made, ERROR)


# After CONNECT


@proves(v3="1.5.3-1 1.5.3-2 3.3.2-1 3.8.3-1 3.10.3-1 4.7.3-2", v5="1.5.4-1 1.5.4-2 3.3.2-1 3.8.3-1 3.10.3-1 4.7.3-2")
@pytest.mark.parametrize("text", ILL_FORMED)
@pytest.mark.parametrize("where", ["PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE"])
def test_ill_formed_topics_and_filters(client, broker, text, where, version):
    text, made = ILL_FORMED[text], client()
    made.send({"PUBLISH": packets.publish(version, text, "x"), "SUBSCRIBE": packets.subscribe(version, 1, [(text, 0)]),
               "UNSUBSCRIBE": packets.unsubscribe(version, 1, [text])}[where])
    broker.check_end(made, MALFORMED, ERROR, 0x90, 0x8F)


@proves(v5="1.5.4-1 1.5.4-2 1.5.7-1 3.3.2-13 3.3.2-19")
@pytest.mark.parametrize("text", ILL_FORMED)
@pytest.mark.parametrize("where", ["content_type", "response_topic", "user key", "user value"])
def test_ill_formed_texts_in_properties(client, broker, text, where):
    text, made = ILL_FORMED[text], client()
    more = {"user key": ("user", (text, "v")), "user value": ("user", ("k", text))}.get(where, (where, text))
    made.send(packets.publish(V5, "t", "x", more=[more]))
    broker.check_end(made, MALFORMED, ERROR, 0x90)


@proves(v3="3.3.2-2 4.7.1-1 4.7.3-1", v5="3.3.2-2 4.7.0-1 4.7.3-1")
@pytest.mark.parametrize("topic", ["a/+", "a/#", "#", "+", "a+b", ""])
def test_topics_that_are_none(client, broker, topic, version):
    made = client()
    made.send(packets.publish(version, topic, "x"))
    broker.check_end(made, 0x90, MALFORMED, ERROR)


@proves(v5="3.3.2-14")
@pytest.mark.parametrize("topic", ["a/+", "#", ""])
def test_response_topics_that_are_none(client, broker, topic):
    made = client()
    made.send(packets.publish(V5, "t", "x", more={"response_topic": topic}))
    broker.check_end(made, 0x90, MALFORMED, ERROR)


@proves(v3="3.3.1-4 3.3.1-2", v5="3.3.1-4 3.3.1-2")
@pytest.mark.parametrize("flags", [6, 7, 14, 15, 8, 9], ids=["QoS 3", "QoS 3 retain", "QoS 3 DUP", "QoS 3 all", "QoS 0 DUP", "QoS 0 DUP retain"])
def test_flags_of_publish(client, broker, flags, version):
    made = client()
    made.send(packet(PUBLISH, data("t") + (b"\0\1" if flags & 6 else b"") + no_properties(version), flags))
    broker.check_end(made, MALFORMED, ERROR)


def bodies(version) -> dict:
    """A good body for each packet that a client may send, besides CONNECT and PUBLISH."""
    made = {kind: b"\0\1" for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)} | {PINGREQ: b"", packets.DISCONNECT: b""}
    made[SUBSCRIBE] = b"\0\1" + no_properties(version) + data("t") + b"\0"
    made[UNSUBSCRIBE] = b"\0\1" + no_properties(version) + data("t")
    return made


@proves(v3="2.2.2-1 2.2.2-2 3.6.1-1 3.8.1-1 3.10.1-1 3.14.1-1", v5="2.1.3-1 3.6.1-1 3.8.1-1 3.10.1-1 3.14.1-1")
@pytest.mark.parametrize("kind, flags", [
    pytest.param(kind, flags, id=f"{packets.NAMES[kind]}-{flags}")
    for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, packets.DISCONNECT)
    for flags in (0, 1, 2, 3, 4, 8, 15) if flags != (2 if kind in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0)
])
def test_reserved_flags(client, broker, kind, flags, version):
    made = client()
    made.send(packet(kind, bodies(version)[kind], flags))
    broker.check_end(made, MALFORMED)


@proves(v5="3.15.1-1")
@pytest.mark.parametrize("flags", [1, 2, 15])
def test_reserved_flags_of_auth(client, broker, flags):
    made = client()
    made.send(packets.auth(0x19, {"authentication_method": "m"}, flags))
    broker.check_end(made, MALFORMED, ERROR)


@proves(v3="2.3.1-1", v5="2.2.1-3")
@pytest.mark.parametrize("kind", [PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE], ids=packets.NAMES.__getitem__)
def test_identifier_0(client, broker, kind, version):
    made = client()
    sent = packets.publish(version, "t", "x", 1, id=0) if kind == PUBLISH else packet(kind, b"\0\0" + bodies(version)[kind][2:])
    made.send(sent)
    broker.check_end(made, MALFORMED, ERROR)


CUTS = {
    "PUBLISH without a topic": lambda v: packet(PUBLISH, b""),
    "PUBLISH cut in its topic's length": lambda v: packet(PUBLISH, b"\0"),
    "PUBLISH cut in its topic": lambda v: packet(PUBLISH, b"\0\5abc"),
    "PUBLISH without an identifier": lambda v: packet(PUBLISH, data("t"), 2),
    "PUBLISH cut in its identifier": lambda v: packet(PUBLISH, data("t") + b"\0", 4),
    "PUBACK without an identifier": lambda v: packet(PUBACK, b""),
    "PUBREC cut in its identifier": lambda v: packet(PUBREC, b"\0"),
    "PUBREL cut in its identifier": lambda v: packet(PUBREL, b"\0"),
    "PUBCOMP cut in its identifier": lambda v: packet(PUBCOMP, b"\0"),
    "SUBSCRIBE without an identifier": lambda v: packet(SUBSCRIBE, b""),
    "SUBSCRIBE cut in its filter": lambda v: packet(SUBSCRIBE, b"\0\1" + no_properties(v) + b"\0\5ab"),
    "SUBSCRIBE without its options": lambda v: packet(SUBSCRIBE, b"\0\1" + no_properties(v) + data("t")),
    "SUBSCRIBE without its second options": lambda v: packet(SUBSCRIBE, b"\0\1" + no_properties(v) + data("t") + b"\0" + data("u")),
    "UNSUBSCRIBE cut in its filter": lambda v: packet(UNSUBSCRIBE, b"\0\1" + no_properties(v) + b"\0\5ab"),
    "UNSUBSCRIBE cut in its identifier": lambda v: packet(UNSUBSCRIBE, b"\0"),
    "PINGREQ with a body": lambda v: packet(PINGREQ, b"\0"),
}


@proves(v3="4.8.0-1", v5="4.13.1-1")
@pytest.mark.parametrize("cut", CUTS)
def test_packets_that_end_too_soon_or_too_late(client, broker, cut, version):
    made = client()
    made.send(CUTS[cut](version))
    broker.check_end(made, MALFORMED, ERROR)


@proves(v3="4.8.0-1")
@pytest.mark.parametrize("kind", [PUBACK, PUBREC, PUBREL, PUBCOMP, packets.DISCONNECT], ids=packets.NAMES.__getitem__)
def test_bytes_too_many_in_3_1_1(client, broker, kind):
    made = client()
    made.send(packet(kind, bodies(V3)[kind] + b"\0"))
    broker.check_end(made)


@proves(v3="3.8.3-3 3.10.3-2", v5="3.8.3-2 3.10.3-2")
@pytest.mark.parametrize("kind", [SUBSCRIBE, UNSUBSCRIBE], ids=packets.NAMES.__getitem__)
def test_no_filter_at_all(client, broker, kind, version):
    made = client()
    made.send(packet(kind, b"\0\1" + no_properties(version)))
    broker.check_end(made, ERROR, MALFORMED)


@proves(v3="3.8.3-4", v5="3.8.3-5")
@pytest.mark.parametrize("byte", [3, 0x40, 0x80, 0xC0, 0x30, 0x04, 0x08, 0x10])
def test_options_that_are_none(client, broker, byte, version):
    if version == V5 and byte in (4, 8, 0x10):
        return
    made = client()
    made.send(packets.subscribe(version, 1, [("t", byte)]))
    broker.check_end(made, MALFORMED, ERROR)


@proves(v3="", v5="1.5.5-1")
@pytest.mark.parametrize("sent", [b"\xc0\x80\x80\x80\x80\x01", b"\xc0\xff\xff\xff\xff", b"\xc0\x80\x00", b"\x30\x85\x80\x00\x00\x01ta"],
                         ids=["five bytes", "five bytes of ones", "over-long 0", "over-long PUBLISH"])
def test_remaining_lengths_that_are_none(client, broker, sent):
    made = client()
    made.send(sent)
    broker.check_end(made, MALFORMED, ERROR)


@proves(v3="", v5="")
@pytest.mark.parametrize("kind", [CONNACK, SUBACK, UNSUBACK, PINGRESP], ids=packets.NAMES.__getitem__)
def test_packets_that_only_servers_send(client, broker, kind, version):
    made = client()
    made.send(packet(kind, {CONNACK: b"\0\0" + no_properties(version), PINGRESP: b""}.get(kind, b"\0\1" + no_properties(version) + b"\0")))
    broker.check_end(made, ERROR, MALFORMED)


@proves(v3="2.2.2-2", v5="")
@pytest.mark.parametrize("first", [0x00, 0x0F, 0xF0])
def test_kinds_that_are_none(client, broker, first, version):
    """15 is AUTH in 5.0, which nothing has begun here."""
    made = client()
    made.send(bytes([first, 0]))
    broker.check_end(made, MALFORMED, ERROR)


@proves(v5="4.12.0-7 4.12.1-2 3.15.2-1")
@pytest.mark.parametrize("reason", [None, 0x00, 0x18, 0x19, 0x80])
def test_auth_out_of_turn(client, broker, reason):
    made = client()
    made.send(packets.auth(reason, {"authentication_method": "m"} if reason is not None else None))
    broker.check_end(made, ERROR, MALFORMED, 0x8C)


@proves(v3="", v5="")
@pytest.mark.parametrize("kind", [PUBACK, PUBREC, PUBREL, PUBCOMP], ids=packets.NAMES.__getitem__)
def test_answers_to_nothing(client, kind, version):
    """The other side may have lost its state: what needs an answer gets one, and the connection lasts."""
    made = client()
    made.answer(kind, 4711)
    if kind in (PUBREL, PUBREC):
        answer = made.next()
        assert (answer.kind, answer.id) == (PUBCOMP if kind == PUBREL else PUBREL, 4711)
        assert answer.reason in ((0, 0x92) if version == V5 else (0,))
    made.ping()
    assert not made.kept


@proves(v5="3.14.2-1")
@pytest.mark.parametrize("reason", [0x01, 0x02, 0x7F, 0xFF])
def test_reasons_of_disconnect_that_are_none(client, broker, reason):
    made = client()
    made.send(packets.disconnect(V5, reason))
    assert made.ended() in (None, MALFORMED, ERROR)


@proves(v3="", v5="")
def test_a_short_header_that_never_ends(raw, broker):
    """Of a packet that was begun only its own connection knows; it ends when the client does."""
    made = raw()
    made.send(struct.pack(">BB", 0x10, 0x80))
    made.vanish()
