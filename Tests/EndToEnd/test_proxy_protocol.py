"""A listener behind proxies: clients have the addresses that the PROXY headers name (HAProxy's proxy-protocol.txt)."""

import socket
import struct

import pytest

from exchange import ACK, PING, decode, encode, eventually, parse_address
from processes import PATIENCE

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 4091\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BINARY = SIGNATURE + bytes([0x21, 0x11, 0, 15]) + bytes([192, 0, 2, 9, 198, 51, 100, 7]) + struct.pack(">HH", 56325, 4091) + b"\x04\0\0"
LOCAL = SIGNATURE + bytes([0x20, 0, 0, 0])


@pytest.fixture(scope="module")
def worker(shared_shunt):
    """Its usual listener is for clients, `behind` for proxies on this machine, `elsewhere` for proxies on others."""
    return shared_shunt.worker({
        "worker.loops": 1, "limits.frame_time": "1s", "log.level": "debug", "worker.listeners.behind.listen": "127.0.0.1:0",
        "worker.listeners.behind.proxy_protocol.from": "127.0.0.1/32", "worker.listeners.elsewhere.listen": "127.0.0.1:0",
        "worker.listeners.elsewhere.proxy_protocol.from": "192.0.2.0/24,::1"})


def open_behind(worker, name="worker.behind"):
    return socket.create_connection(parse_address(worker.listeners[name]), timeout=PATIENCE)


def wait_closed(client):
    """The other side closes, whatever it says before; fails where it does not in time."""
    try:
        while client.recv(65_536):
            pass
    except ConnectionResetError:
        pass


@pytest.mark.parametrize(("header", "address"), [(LINE, "192.0.2.1:56324"), (BINARY, "192.0.2.9:56325"), (LOCAL, "127.0.0.1:")],
                         ids=["version 1", "version 2", "local"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_client_has_the_address_that_its_proxy_names(worker, header, address, pieces):
    with open_behind(worker) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = header + encode(PING, 7)
        step = -(-len(data) // pieces)
        for start in range(0, len(data), step):
            client.sendall(data[start:start + step])
        assert decode(client.recv(65_536))[0].type == ACK
        client.sendall(b"\0" * 17)
        wait_closed(client)
    worker.wait_log(f'"address":"{address}')


@pytest.mark.parametrize(
    "start", [encode(PING, 7), b"PROXY TCP4 nobody nobody 1 2\r\n", SIGNATURE[:-1] + b"x"],
    ids=["a frame", "a wrong line", "a wrong signature"])
def test_who_sends_no_header_is_closed_and_counted(worker, start):
    before = worker.metric("shunt_connection_errors_total")
    with open_behind(worker) as client:
        client.sendall(start)
        wait_closed(client)
    worker.wait_log("protocol.proxy")
    worker.wait_metric("shunt_connection_errors_total", before + 1)


@pytest.mark.parametrize("start", [b"", LINE[:20], BINARY[:20]], ids=["nothing", "half a line", "half a header"])
def test_a_header_that_does_not_come_whole_is_waited_for_as_long_as_a_frame(worker, start):
    with open_behind(worker) as client:
        client.sendall(start)
        wait_closed(client)
    worker.wait_log("the PROXY header was not complete within 1 s")


def test_whoever_is_no_proxy_is_refused(worker):
    refused = 'shunt_connections_refused_total{limit="proxy_protocol"}'
    before = worker.metric(refused)
    with open_behind(worker, "worker.elsewhere") as client:
        wait_closed(client)
    eventually(lambda: worker.metric(refused) == before + 1, PATIENCE)
    worker.wait_log("proxy_protocol.from")


def test_a_listener_for_clients_takes_no_header(worker, connect):
    with socket.create_connection(parse_address(worker.exchange), timeout=PATIENCE) as client:
        client.sendall(LINE)
        wait_closed(client)
    connect(worker.exchange).subscribe("t", "g")
