"""Real clients over TLS, much data, and connections that move between loops."""

import subprocess
import threading

import paho.mqtt.client as paho

from exchange import ACK, PING, decode, encode, eventually, parse_address
from processes import PATIENCE


def test_mosquittos_clients(worker, certificates, tmp_path):
    host, port = parse_address(worker.listeners["worker.mqtts"])
    base = ["-h", "localhost", "-p", str(port), "--cafile", certificates["ca.pem"], "-q", "1"]
    before = worker.metric("shunt_subscriptions")
    with open(tmp_path / "got", "wb") as got:
        sub = subprocess.Popen(["mosquitto_sub", *base, "-t", "a/#", "-C", "20"], stdout=got)
    try:
        # Every loop counts it.
        eventually(lambda: worker.metric("shunt_subscriptions") > before, PATIENCE)
        for number in range(20):
            subprocess.run(["mosquitto_pub", *base, "-t", f"a/{number}", "-m", f"message {number}"], check=True, timeout=PATIENCE)
        assert sub.wait(PATIENCE) == 0
    finally:
        sub.kill()
    assert (tmp_path / "got").read_text().splitlines() == [f"message {number}" for number in range(20)]


def test_paho_with_large_payloads(worker, certificates):
    host, port = parse_address(worker.listeners["worker.mqtts"])
    payloads = [bytes([size % 251]) * size for size in (1, 100, 16_384, 100_000, 3_000_000)]
    got, all_there, subscribed = [], threading.Event(), threading.Event()

    def on_message(client, data, message):
        got.append(message.payload)
        if len(got) == len(payloads):
            all_there.set()

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="large", protocol=paho.MQTTv5)
    client.tls_set(ca_certs=certificates["ca.pem"])
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("localhost", port)
    client.loop_start()
    try:
        client.subscribe("large", qos=1)
        assert subscribed.wait(PATIENCE)
        for payload in payloads:
            client.publish("large", payload, qos=1)
        assert all_there.wait(PATIENCE)
    finally:
        client.disconnect()
        client.loop_stop()
    assert sorted(got, key=len) == payloads


def _string(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _packet(first: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (0x80 if rest > 127 else 0)])
        rest //= 128
        if not rest:
            return bytes([first]) + length + body


def test_no_byte_is_lost_when_a_connection_moves_to_its_home(worker, certificates):
    """CONNECT, a subscription and many messages in one go: more than the loop reads and decrypts at once."""
    for client_number in range(12):
        name = f"mover-{client_number}"
        connect = _packet(0x10, _string("MQTT") + b"\x04\x02\x00\x3c" + _string(name))
        subscribe = _packet(0x82, b"\x00\x01" + _string(name) + b"\x00")
        messages = b"".join(_packet(0x30, _string(name) + f"{number:06}".encode() + b"x" * 200) for number in range(1000))
        with certificates.connect(worker.listeners["worker.mqtts"]) as client:
            # Not in a thread of its own: OpenSSL's connections are not for two at a time, and Python 3.11 does not keep them apart.
            client.sendall(connect + subscribe + messages)
            data = b""
            last = _packet(0x30, _string(name) + b"000999" + b"x" * 200)
            while last not in data:
                more = client.recv(65_536)
                assert more, f"closed after {len(data)} bytes"
                data += more
            # CONNACK comes first; SUBACK when all loops know the subscription.
            assert data.replace(b"\x90\x03\x00\x01\x00", b"", 1)[4:] == messages


def test_the_exchange_protocol(worker, certificates):
    with certificates.connect(worker.listeners["worker.exchanges"]) as client:
        for number in range(100):
            client.sendall(encode(PING, number))
            assert decode(client.recv(65_536))[0].type == ACK
