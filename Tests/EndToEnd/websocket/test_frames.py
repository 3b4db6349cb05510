"""Frames of WebSocket by a client that does as it is told: Autobahn's cases of binary messages, pings, reserved bits, opcodes, fragments and
closing (Autobahn|Testsuite 1 to 7), with packets of MQTT as the payload."""

import pytest

from mqtt.proof import proves
from websocket.client import BINARY, CLOSE, CONTINUATION, PING, PINGREQ, PINGRESP, PONG, TEXT, RawClient, close_frame, connect_packet, frame


@pytest.fixture
def client(open):
    client = open()
    client.connect()
    return client


def publish(topic: bytes, payload: bytes, version=5) -> bytes:
    body = bytes([0, len(topic)]) + topic + (b"\0" if version == 5 else b"") + payload
    length, size = b"", len(body)
    while True:
        length += bytes([size % 128 | (0x80 if size > 127 else 0)])
        size //= 128
        if not size:
            return b"\x30" + length + body


def collect(client, count: int) -> bytes:
    """So many bytes of binary messages."""
    got = b""
    while len(got) < count:
        opcode, payload = client.receive()
        assert opcode == BINARY
        got += payload
    return got


# 1: messages


@pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 60_000])
def test_payload_of_any_length_comes_whole(client, size):
    client.send(frame(BINARY, b"\x82\x0e\0\x01\0\0\x08echo/raw\0"))
    collect(client, 6)
    packet = publish(b"echo/raw", b"x" * size)
    client.send(frame(BINARY, packet))
    assert collect(client, len(packet)) == packet


@proves("6.0.0-2", "6.0.0-2")
def test_many_packets_share_a_frame_and_one_may_span_many(open, version):
    client = open()
    packets = connect_packet(version=version) + PINGREQ * 100
    client.send(frame(BINARY, packets))
    got = b""
    while not got.endswith(PINGRESP * 100):
        got += client.receive()[1]
    for byte in PINGREQ:
        client.send(frame(BINARY, bytes([byte])))
    assert client.receive() == (BINARY, PINGRESP)
    long = publish(b"a", b"y" * 50_000, version)
    for start in range(0, len(long), 1000):
        client.send(frame(BINARY, long[start:start + 1000]))
    assert client.is_served()


def test_frames_may_come_byte_by_byte(client):
    for byte in frame(BINARY, PINGREQ) + frame(PING, b"hello"):
        client.send(bytes([byte]))
    assert [client.receive(), client.receive()] == [(BINARY, PINGRESP), (PONG, b"hello")]


# 2: pings and pongs


@pytest.mark.parametrize("payload", [b"", b"Hello", bytes([0, 255, 254, 253, 252, 251, 0, 255]), b"\xfe" * 125])
def test_a_ping_is_answered_by_its_payload(client, payload):
    client.send(frame(PING, payload))
    assert client.receive() == (PONG, payload)
    assert client.is_served()


def test_a_ping_that_is_too_long_ends_the_connection(client):
    client.send(frame(PING, b"\xfe" * 126))
    client.wait_closed(1002)


def test_pongs_that_nobody_asked_for_are_passed_over(client):
    client.send(frame(PONG) + frame(PONG, b"unsolicited") + frame(PING, b"p"))
    assert client.receive() == (PONG, b"p")


def test_of_pings_that_come_at_once_the_last_one_is_answered(client):
    client.send(b"".join(frame(PING, b"%d" % number) for number in range(1000)))
    last = None
    while last != b"999":
        opcode, last = client.receive()
        assert opcode == PONG
    assert client.is_served()


def test_who_pings_and_never_reads_costs_the_worker_one_pong(client, worker):
    before = worker.resident()
    client.socket.settimeout(2)
    pings = frame(PING, b"p" * 125) * 5000
    try:
        for _ in range(60):
            client.send(pings)
    except TimeoutError:
        pass
    assert worker.resident() - before < 4 << 20


# 3: reserved bits


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [BINARY, PING, CLOSE])
def test_reserved_bits_end_the_connection(client, reserved, opcode):
    client.send(frame(opcode, b"", reserved=reserved))
    client.wait_closed(1002)


# 4: opcodes


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_unknown_opcodes_end_the_connection(client, opcode, payload):
    client.send(frame(opcode, payload))
    client.wait_closed(1002)


@pytest.mark.parametrize("payload", [b"", PINGREQ])
@proves("6.0.0-1", "6.0.0-1")
def test_text_is_not_taken(open, version, payload):
    client = open()
    client.connect(version)
    client.send(frame(TEXT, payload))
    client.wait_closed(1003)


def test_frames_without_a_mask_are_not_taken(client):
    client.send(frame(BINARY, PINGREQ, masked=False))
    client.wait_closed(1002)


# 5: fragments


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frames_in_pieces_end_the_connection(client, opcode):
    client.send(frame(opcode, b"", last=False) + frame(CONTINUATION, b""))
    client.wait_closed(1002)


@pytest.mark.parametrize("between", [b"", frame(PING, b"between")], ids=["", "a ping between"])
@pytest.mark.parametrize("at_once", [True, False])
def test_fragments_are_one_message(client, between, at_once):
    pieces = [frame(BINARY, PINGREQ[:1], last=False), between, frame(CONTINUATION, b"", last=False), frame(CONTINUATION, PINGREQ[1:])]
    if at_once:
        client.send(b"".join(pieces))
    else:
        for piece in pieces:
            client.send(piece)
    expected = [(PONG, b"between")] if between else []
    got = [client.receive() for _ in range(len(expected) + 1)]
    assert sorted(got) == sorted([*expected, (BINARY, PINGRESP)])


@pytest.mark.parametrize("wrong", [
    frame(CONTINUATION, b"x"), frame(CONTINUATION, b"x", last=False), frame(BINARY, b"", last=False) + frame(BINARY, b"x"),
    frame(BINARY, b"", last=False) + frame(CONTINUATION, b"") + frame(CONTINUATION, b"x"),
], ids=["continued", "continued, not last", "another", "another, after both"])
def test_fragments_out_of_order_end_the_connection(client, wrong):
    client.send(wrong)
    client.wait_closed(1002)


def test_a_message_without_end_is_served_as_it_comes(client):
    client.send(frame(BINARY, PINGREQ, last=False))
    assert client.receive() == (BINARY, PINGRESP)
    for _ in range(100):
        client.send(frame(CONTINUATION, PINGREQ, last=False))
        assert client.receive() == (BINARY, PINGRESP)


def test_a_frame_that_announces_2_to_63_bytes_is_served_as_it_comes(client):
    client.send(b"\x82\xff\x7f" + b"\xff" * 7 + b"\0\0\0\0" + PINGREQ * 3)
    assert collect(client, 6) == PINGRESP * 3


def test_empty_frames_without_end_end_the_connection(client):
    client.send(frame(BINARY, b"") * 1001)
    client.wait_closed(1008)


# 7: closing


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_a_close_is_answered_by_its_code(client, code):
    client.send(close_frame(code, b"bye") + frame(PING, b"after"))
    client.wait_closed(code)


def test_an_empty_close_is_answered_by_one(client):
    client.send(frame(CLOSE))
    client.wait_closed(None)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_codes_that_may_not_be_sent_are_wrong(client, code):
    client.send(close_frame(code))
    client.wait_closed(1002)


@pytest.mark.parametrize(("payload", "code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007), (b"\x03\xe8" + b"x" * 124, 1002)])
def test_a_malformed_close_is_wrong(client, payload, code):
    client.send(frame(CLOSE, payload))
    client.wait_closed(code)


def test_a_disconnect_of_mqtt_is_followed_by_a_close(client):
    client.send(frame(BINARY, b"\xe0\x00"))
    client.wait_closed(1000)


def test_a_packet_beyond_the_listeners_limit_ends_in_1009(client):
    client.send(frame(BINARY, publish(b"a", b"x" * 70_000)))
    opcode, payload = client.receive()
    assert opcode == BINARY and payload[0] == 0xE0 and payload[2] == 0x95
    client.wait_closed(1009)


def test_a_worker_that_stops_says_so(shunt):
    worker = shunt.worker({"worker.listeners.ws.listen": "127.0.0.1:0", "worker.listeners.ws.protocol": "mqtt",
                           "worker.listeners.ws.transport": "websocket"})
    client = RawClient(worker.listeners["worker.ws"])
    client.connect()
    worker.stop()
    frames = list(iter(client.receive, None))
    assert frames[-1] == (CLOSE, b"\x03\xe9")
    client.close()
