"""Listeners that are sockets in the file system, of both protocols."""

import os
import socket
import stat

import paho.mqtt.client as paho
import pytest

from exchange import eventually
from mqtt.client import Client
from processes import run


@pytest.fixture
def local(shunt, tmp_path):
    def start(**more):
        return shunt.worker({
            "worker.listeners.local.protocol": "mqtt", "worker.listeners.local.listen": f"unix:{tmp_path}/mqtt.sock",
            "worker.listeners.frames.listen": f"unix:{tmp_path}/frames.sock", "worker.loops": 2} | more)

    return start


def test_clients_of_mqtt_come_by_a_socket_in_the_file_system(local, tmp_path):
    worker = local()
    path = str(tmp_path / "mqtt.sock")
    assert worker.listeners["worker.local"] == f"unix:{path}"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    got = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="local", protocol=paho.MQTTv5, transport="unix")
    client.on_message = lambda _client, _data, message: got.append(message.payload)
    client.on_connect = lambda client, *_: client.subscribe("t", 1)
    client.on_subscribe = lambda client, *_: client.publish("t", "x" * 100_000, 1)
    client.connect(path)
    client.loop_start()
    eventually(lambda: got == [b"x" * 100_000], 10)
    client.disconnect()
    client.loop_stop()


def test_an_exchange_client_comes_by_a_socket_too(local, tmp_path):
    local()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(tmp_path / "frames.sock"))
        # PING with id 7, and its acknowledgement.
        client.sendall(bytes.fromhex("71 00 00000000 00000007 00c8 00000000 00".replace(" ", "")))
        assert client.recv(100)[:1] == b"q"


def start_on(path):
    sets = ("worker.masters=[]", "worker.http.listen=127.0.0.1:0", f"worker.listeners.x.listen=unix:{path}",
            "worker.listeners.x.allow_anonymous=true")
    return run("worker", *(word for one in sets for word in ("--set", one)))


def test_a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(local, shunt, tmp_path):
    worker = local()
    worker.kill()
    path = tmp_path / "mqtt.sock"
    assert path.exists()
    again = local()
    refused = start_on(path)
    assert refused.returncode == 69 and "address.in_use" in refused.stderr
    again.stop()
    assert not path.exists()
    path.write_text("a file of somebody's")
    refused = start_on(path)
    assert refused.returncode == 69 and path.read_text() == "a file of somebody's"


def test_presence_names_no_address(local, tmp_path, shunt):
    worker = local(**{"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"})
    watcher = Client(worker.listeners["worker.mqtt"], 5)
    watcher.connect("watcher")
    watcher.subscribe("$SYS/clients/#")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="local", transport="unix")
    client.connect(str(tmp_path / "mqtt.sock"))
    client.loop_start()
    message = watcher.message()
    assert message.topic == "$SYS/clients/local/connected" and b'"address":"unix"' in message.payload
    client.loop_stop()
