"""Versions, suites, names, protocols, resumption; and what is no handshake."""

import asyncio
import os
import random
import socket
import ssl
import subprocess

import pytest

from exchange import ACK, PING, decode, encode, eventually, parse_address
from processes import PATIENCE
from tls.certificates import is_closed
from tls.conftest import listeners


def s_client(address, certificates, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["openssl", "s_client", "-connect", address, "-CAfile", certificates["ca.pem"], "-verify_return_error", *arguments],
        input="", capture_output=True, text=True, timeout=PATIENCE)


def failures(worker, reason, listener="mqtts"):
    return worker.metric(f'shunt_tls_handshakes_failed_total{{listener="{listener}",reason="{reason}"}}')


@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_the_versions_that_are_spoken(worker, certificates, option, version):
    found = s_client(worker.listeners["worker.mqtts"], certificates, option)
    assert f"New, {version}" in found.stdout and "Verification: OK" in found.stdout, found.stderr
    assert "Compression: NONE" in found.stdout


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_versions_that_are_not(worker, certificates, option):
    found = s_client(worker.listeners["worker.mqtts"], certificates, option, "-cipher", "ALL:@SECLEVEL=0")
    assert "New, (NONE)" in found.stdout and "protocol version" in found.stderr


def test_minimum_1_3(shunt, certificates):
    worker = shunt.worker(listeners(certificates, minimum="1.3"))
    assert "New, (NONE)" in s_client(worker.listeners["worker.mqtts"], certificates, "-tls1_2").stdout
    assert "New, TLSv1.3" in s_client(worker.listeners["worker.mqtts"], certificates).stdout


def test_all_suites_that_are_offered_have_forward_secrecy_and_authenticated_encryption(worker, certificates):
    names = subprocess.run(["openssl", "ciphers", "ALL:@SECLEVEL=0"], capture_output=True, text=True, check=True).stdout.strip().split(":")
    taken = [
        name for name in names if not name.startswith("TLS_")
        and "New, TLSv1.2" in s_client(worker.listeners["worker.mqtts"], certificates, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0").stdout]
    assert sorted(taken) == ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]


def test_renegotiation_is_refused(worker, certificates):
    found = subprocess.run(
        ["openssl", "s_client", "-connect", worker.listeners["worker.mqtts"], "-CAfile", certificates["ca.pem"], "-tls1_2"],
        input="R\n", capture_output=True, text=True, timeout=PATIENCE)
    assert "RENEGOTIATING" in found.stdout + found.stderr and "no renegotiation" in found.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(worker, certificates, version):
    resumed = 'shunt_tls_handshakes_total{listener="exchanges",kind="resumed"}'
    before = worker.metric(resumed)
    context = certificates.context(version=version)
    with certificates.connect(worker.listeners["worker.exchanges"], context=context) as first:
        first.sendall(encode(PING, 7))
        assert decode(first.recv(65_536))[0].type == ACK
        session = first.session
        first.unwrap()
    with certificates.connect(worker.listeners["worker.exchanges"], context=context, session=session) as second:
        assert second.session_reused
        second.sendall(encode(PING, 8))
        assert decode(second.recv(65_536))[0].type == ACK
    worker.wait_metric(resumed, before + 1)


def test_a_client_gets_the_certificate_of_the_name_that_it_asks_for(shunt, certificates):
    certificates.server("broker.test", file="broker")
    worker = shunt.worker(listeners(certificates, certificates=certificates["broker.pem"]))
    for name in ("broker.test", "localhost"):
        with certificates.connect(worker.listeners["worker.mqtts"], name=name) as client:
            assert ("DNS", name) in client.getpeercert()["subjectAltName"]


def test_application_protocols(worker, certificates):
    context = certificates.context()
    context.set_alpn_protocols(["mqtt"])
    with certificates.connect(worker.listeners["worker.mqtts"], context=context) as client:
        assert client.selected_alpn_protocol() == "mqtt"
    before = failures(worker, "alpn")
    address = worker.listeners["worker.mqtts"].replace("127.0.0.1", "localhost")
    assert subprocess.run(["curl", "-s", "--cacert", certificates["ca.pem"], f"https://{address}/"]).returncode == 35
    assert failures(worker, "alpn") == before + 1


def test_browsers_reach_websocket_over_tls_by_their_application_protocols(shunt, certificates):
    key = "worker.listeners.wss"
    worker = shunt.worker(listeners(certificates) | {f"{key}.protocol": "mqtt", f"{key}.transport": "websocket", f"{key}.listen": "127.0.0.1:0",
                                                     f"{key}.tls.certificate": certificates["server.pem"]})
    context = certificates.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with certificates.connect(worker.listeners["worker.wss"], context=context) as client:
        assert client.selected_alpn_protocol() == "http/1.1"
        client.sendall(b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: c2h1bnQtc2h1bnQtc2h1bg==\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")



@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", encode(PING, 7)],
    ids=["HTTP", "MQTT", "exchange"])
def test_a_plain_client_is_closed_and_counted(worker, start):
    before = failures(worker, "not_tls")
    with socket.create_connection(parse_address(worker.listeners["worker.mqtts"]), timeout=PATIENCE) as client:
        client.sendall(start)
        assert is_closed(client)
    eventually(lambda: failures(worker, "not_tls") == before + 1, PATIENCE)
    worker.wait_log("tls.handshake")


def test_garbage(worker, certificates):
    """Whatever comes, before or in the middle of a handshake: the connection ends, and others go on."""
    chaos = random.Random(7)
    hello = bytes.fromhex("16030100f8010000f40303") + os.urandom(32)
    for round in range(60):
        with socket.create_connection(parse_address(worker.listeners["worker.mqtts"]), timeout=PATIENCE) as client:
            start = hello[:chaos.randrange(len(hello))] if round % 2 else b""
            client.sendall(start + chaos.randbytes(chaos.randrange(1, 2000)))
            client.shutdown(socket.SHUT_WR)
            assert is_closed(client)
    with certificates.connect(worker.listeners["worker.exchanges"]) as client:
        client.sendall(encode(PING, 7))
        assert decode(client.recv(65_536))[0].type == ACK


def test_handshakes_that_never_end_are_closed_after_ten_seconds_and_are_in_nobodys_way(shunt, certificates):
    worker = shunt.worker(listeners(certificates) | {"limits.frame_time": "60s"})
    address = parse_address(worker.listeners["worker.mqtts"])
    slow = [socket.create_connection(address, timeout=PATIENCE) for _ in range(300)]
    for index, client in enumerate(slow):
        client.sendall(bytes.fromhex("16030100f8010000f40303")[:index % 11])
    with certificates.connect(worker.listeners["worker.exchanges"]) as client:
        client.sendall(encode(PING, 7))
        assert decode(client.recv(65_536))[0].type == ACK
    for client in slow:
        with client:
            assert is_closed(client)
    worker.wait_log("the TLS handshake was not complete within 10 s")


def test_many_handshakes_at_once_all_end_well(worker, certificates):
    async def connect():
        reader, writer = await asyncio.open_connection(
            *parse_address(worker.listeners["worker.exchanges"]), ssl=certificates.context(), server_hostname="localhost",
            ssl_handshake_timeout=PATIENCE)
        writer.write(encode(PING, 7))
        answer = await reader.read(65_536)
        writer.close()
        return decode(answer)[0].type

    async def all_at_once():
        return await asyncio.gather(*(connect() for _ in range(300)))

    assert asyncio.run(all_at_once()) == [ACK] * 300


def test_a_truncated_connection_and_both_ends_of_a_whole_one(worker, certificates):
    with certificates.connect(worker.listeners["worker.exchanges"]) as client:
        client.sendall(encode(PING, 7))
        assert decode(client.recv(65_536))[0].type == ACK
        # close_notify both ways: unwrap waits for the server's.
        client.unwrap().close()
    worker.wait_metric("shunt_connections", 0)
    cut = certificates.connect(worker.listeners["worker.exchanges"])
    worker.wait_metric("shunt_connections", 1)
    os.write(cut.fileno(), b"\x17\x03\x03\x00\x64half")
    os.close(cut.detach())
    worker.wait_metric("shunt_connections", 0)
