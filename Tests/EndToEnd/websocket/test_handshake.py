"""The handshake of WebSocket, by curl and by raw sockets: who is let in, what the others are told."""

import subprocess
import time

import pytest

from exchange import PING as FRAME_PING, decode, encode, eventually
from mqtt.proof import proves
from processes import PATIENCE
from websocket.client import BINARY, CONNECT, KEY, PINGREQ, PINGRESP, accept_key, connect_packet, frame


def curl(*arguments) -> str:
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--include", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


def upgrade(at, *more, path="/mqtt", name="ws", protocol="mqtt") -> list:
    return [f"http://{at(name)}{path}", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", f"Sec-WebSocket-Key: {KEY}",
            "-H", "Sec-WebSocket-Version: 13", "-H", f"Sec-WebSocket-Protocol: {protocol}", *more]


def status(text: str) -> int:
    return int(text.split()[1])


def test_a_browser_gets_a_page_that_says_what_the_port_is(at):
    page = curl(f"http://{at('ws')}/")
    assert status(page) == 200 and "MQTT over WebSocket" in page and "<code>/mqtt</code>" in page
    assert "exchange protocol over WebSocket" in curl(f"http://{at('frames')}/favicon.ico")
    head = curl("--head", f"http://{at('ws')}/")
    assert status(head) == 200 and "<html" not in head


def test_curl_is_let_in(at):
    text = curl(*upgrade(at, "--max-time", "1"))
    assert status(text) == 101 and f"Sec-WebSocket-Accept: {accept_key(KEY)}" in text and "Sec-WebSocket-Protocol: mqtt" in text


@pytest.mark.parametrize(("more", "path", "protocol", "code", "says"), [
    ([], "/", "mqtt", 404, "/mqtt"), ([], "/mqtt", "chat", 400, "mqtt or mqttv3.1"), ([], "/mqtt", "shunt.exchange", 400, "mqtt or mqttv3.1"),
    (["-H", "Sec-WebSocket-Version: 8", "-H", "X: y"], "/mqtt", "mqtt", 400, "more than one Sec-WebSocket-Version"),
    (["-H", "Origin: http://elsewhere.example"], "/mqtt", "mqtt", 403, "origins"), (["-X", "POST"], "/mqtt", "mqtt", 405, "GET"),
    (["-d", "x"], "/mqtt", "mqtt", 405, "GET"), (["-X", "GET", "-d", "x"], "/mqtt", "mqtt", 400, "body"),
    (["-H", "X: " + "x" * 9000], "/mqtt", "mqtt", 431, "8192"),
])
def test_others_are_told_why_not(at, more, path, protocol, code, says):
    text = curl(*upgrade(at, *more, path=path, protocol=protocol))
    assert status(text) == code and says in text


def test_versions_other_than_13_are_told_the_right_one(open):
    client = open(shake=False)
    client.send(client.request(version="8"))
    code, headers = client.answer()
    assert code == 426 and headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(("name", "path", "origin", "code"), [
    ("ws", "/mqtt", "http://127.0.0.1:8000", 101), ("ws", "/mqtt", "http://localhost", 403), ("ws", "/mqtt", "null", 403),
    ("pages", "/mqtt", "http://anywhere.example", 101), ("pages", "/mqtt", "null", 101), ("deep", "/a/b", "https://example.org", 101),
    ("deep", "/a/b", "http://example.org", 403), ("deep", "/mqtt", "https://example.org", 404),
])
def test_pages_of_other_origins_are_let_in_where_the_listener_says_so(open, name, path, origin, code):
    client = open(name, shake=False)
    client.send(client.request(path=path, origin=origin))
    assert client.answer()[0] == code


@pytest.mark.parametrize("start", [
    CONNECT, bytes([0x16, 3, 1, 0, 5]), b"\0" * 20, b"SSH-2.0-x\r\n\r\n", b"GET / HTTP/1.1\r\nX\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n",
], ids=["MQTT", "TLS", "zeros", "SSH", "no header", "an old version"])
def test_what_is_no_http_is_refused_and_counted(open, worker, start):
    before = worker.metric("shunt_connection_errors_total")
    client = open(shake=False)
    client.send(start)
    code, headers = client.answer()
    assert code == 400 and headers["connection"] == "close"
    worker.wait_log("protocol.websocket")
    eventually(lambda: worker.metric("shunt_connection_errors_total") > before, PATIENCE, "the error is counted")


def test_a_handshake_has_its_time(open, worker):
    client = open(shake=False)
    client.send(client.request()[:-1])
    start = time.monotonic()
    assert client.receive() is None
    assert 1 < time.monotonic() - start < 15
    worker.wait_log("the WebSocket handshake was not complete within 2 s")


def test_hands_are_shaken_byte_by_byte_and_frames_may_follow_at_once(open):
    client = open(shake=False)
    for byte in client.request():
        client.send(bytes([byte]))
    assert client.answer()[0] == 101
    client.connect()
    other = open(shake=False)
    other.send(other.request() + frame(BINARY, connect_packet(b"fst")))
    assert other.answer()[0] == 101
    opcode, payload = other.receive()
    assert opcode == BINARY and payload[0] == 0x20


def test_what_follows_a_connect_at_once_is_not_lost_where_its_session_is_at_home_on_another_loop(open):
    for number in range(40):
        client = open(shake=False)
        subscribe = b"\x82\x07\0\x01\0\0\x01t\0"
        packets = [connect_packet(b"at-once-%d" % number), subscribe, PINGREQ * 1000]
        client.send(client.request() + b"".join(frame(BINARY, packet) for packet in packets))
        assert client.answer()[0] == 101
        # The subscription is confirmed once all loops know it.
        got, suback = b"", b"\x90\x04\0\x01\0\0"
        while suback not in got or got.count(PINGRESP) < 1000:
            got += client.receive()[1]
        assert got[0] == 0x20


@proves("6.0.0-4", "6.0.0-4")
def test_of_the_subprotocols_that_a_client_offers_mqtt_is_chosen(open, version):
    client = open(shake=False)
    client.send(client.request(protocol="chat, mqtt, other"))
    status, headers = client.answer()
    assert status == 101 and headers["sec-websocket-protocol"] == "mqtt"
    client.connect(version)


def test_the_old_name_of_the_subprotocol_is_taken(open):
    client = open(protocol="mqttv3.1")
    client.connect()


def test_the_exchange_protocol_travels_in_frames_too(open):
    client = open("frames", protocol="shunt.exchange")
    client.send(frame(BINARY, encode(FRAME_PING, 7)))
    opcode, payload = client.receive()
    assert opcode == BINARY and decode(payload)[0].id == 7


def test_a_proxys_header_comes_before_the_handshake(open, worker):
    client = open("behind", before=b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 8084\r\n")
    client.connect()
    client.send(frame(BINARY, b"\0\0"))
    client.receive()
    worker.wait_log('"address":"192.0.2.1:56324')
