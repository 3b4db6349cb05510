"""Clients of MQTT over WebSocket that were written elsewhere: paho-mqtt, mqtt.js in node, and the packets of a raw client in `websockets`."""

import asyncio
import json
import os
import queue
import subprocess
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import websockets
from paho.mqtt.enums import CallbackAPIVersion

from exchange import parse_address
from websocket.client import PINGREQ, PINGRESP, connect_packet

HERE = Path(__file__).resolve().parent
PATIENCE = 20.0


class Paho:
    """paho-mqtt's client, and what it gets."""

    def __init__(self, address: str, version: int, id: str, transport: str):
        self.client = paho.Client(CallbackAPIVersion.VERSION2, id, protocol=version, transport=transport)
        self.messages, self.subscribed, self.connected = queue.Queue(), queue.Queue(), queue.Queue()
        self.client.on_connect = lambda *arguments: self.connected.put(arguments[3])
        self.client.on_subscribe = lambda *arguments: self.subscribed.put(arguments[3])
        self.client.on_message = lambda client, data, message: self.messages.put((message.topic, message.qos, message.payload))
        host, port = parse_address(address)
        self.client.connect(host, port)
        self.client.loop_start()
        assert self.connected.get(timeout=PATIENCE) == 0

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def paho_client(at):
    clients = []

    def open(name, version, id):
        clients.append(Paho(at(name), version, id, "tcp" if name == "mqtt" else "websockets"))
        return clients[-1]

    yield open
    for client in clients:
        client.close()


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(("sender", "receiver"), [("ws", "ws"), ("mqtt", "ws"), ("ws", "mqtt")])
def test_paho_sends_and_receives_at_each_qos(paho_client, version, sender, receiver):
    topic = f"paho/{version}/{sender}/{receiver}"
    consumer = paho_client(receiver, version, f"to-{topic}")
    consumer.client.subscribe(f"{topic}/+", 2)
    consumer.subscribed.get(timeout=PATIENCE)
    producer = paho_client(sender, version, f"from-{topic}")
    sent = [(f"{topic}/{qos}", qos, bytes([size % 256]) * size) for qos in (0, 1, 2) for size in (0, 1, 125, 126, 5000, 60_000)]
    for name, qos, payload in sent:
        producer.client.publish(name, payload, qos).wait_for_publish(PATIENCE)
    got = [consumer.messages.get(timeout=PATIENCE) for _ in sent]
    assert sorted(got) == sorted(sent)


@pytest.mark.parametrize("version", [4, 5])
def test_mqtt_js_sends_and_receives_at_each_qos(at, version):
    result = subprocess.run(
        ["node", HERE / "mqtt_js.js", f"ws://{at('ws')}/mqtt", str(version)], capture_output=True, text=True, timeout=60,
        env=os.environ | {"NODE_PATH": "/usr/share/nodejs"})
    assert result.returncode == 0, result.stderr
    expected = [[f"js/{version}/{qos}", qos, size] for qos in (0, 1, 2) for size in (5, 50_000)]
    assert sorted(json.loads(result.stdout)) == expected


def test_the_library_websockets_speaks_with_it(at):
    """It checks what it reads strictly, offers compression, which is not taken, and closes cleanly."""

    async def talk():
        async with websockets.connect(f"ws://{at('ws')}/mqtt", subprotocols=["mqtt"], ping_interval=0.05) as client:
            assert client.subprotocol == "mqtt" and not client.protocol.extensions
            await client.send(connect_packet(b"lib"))
            assert (await client.recv())[0] == 0x20
            await asyncio.wait_for(await client.ping(b"hello"), PATIENCE)
            await client.send([PINGREQ[:1], PINGREQ[1:]])
            assert await client.recv() == PINGRESP
            # Some of its own pings have been answered.
            await asyncio.sleep(0.3)
            assert client.latency > 0
        assert client.close_code == 1000 and client.protocol.close_rcvd.code == 1000

    asyncio.run(asyncio.wait_for(talk(), 60))


def test_the_library_websockets_hears_why_it_is_let_in_nowhere(at):
    async def talk():
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://{at('ws')}/mqtt", subprotocols=["chat"])
        assert refused.value.response.status_code == 400
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://{at('ws')}/mqtt", subprotocols=["mqtt"], origin="http://elsewhere.example")
        assert refused.value.response.status_code == 403

    asyncio.run(asyncio.wait_for(talk(), 60))
