"""Clients that show certificates, and lists that revoke them."""

import ssl
import subprocess
import time

import pytest

from exchange import ACK, PING, decode, encode, parse_address
from processes import PATIENCE
from tls.certificates import Certificates, is_closed
from tls.conftest import listeners


@pytest.fixture(scope="module")
def strict(shared_shunt, certificates):
    return shared_shunt.worker(listeners(certificates, client_ca=certificates["ca.pem"], verify="required"))


def pings(client) -> bool:
    try:
        client.sendall(encode(PING, 7))
        return decode(client.recv(65_536))[0].type == ACK
    except (OSError, IndexError):
        return False


def test_a_client_with_a_certificate_comes_in(strict, certificates):
    with certificates.connect(strict.listeners["worker.exchanges"], client="ann") as client:
        assert pings(client)
    host, port = parse_address(strict.listeners["worker.mqtts"])
    subprocess.run(
        ["mosquitto_pub", "-h", "localhost", "-p", str(port), "--cafile", certificates["ca.pem"], "--cert", certificates["ann.pem"],
         "--key", certificates["ann.key"], "-t", "a", "-m", "b", "-q", "1"], check=True, timeout=PATIENCE)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_others_do_not(strict, certificates, tmp_path, who, version):
    context = certificates.context(version=version)
    if who == "a stranger":
        others = Certificates(tmp_path, "Other-CA")
        others.client("eve")
        context.load_cert_chain(others["eve.pem"], others["eve.key"])
    try:
        with certificates.connect(strict.listeners["worker.exchanges"], context=context) as client:
            # With 1.3 the client is done before the server has looked at its certificate.
            assert not pings(client)
    except (ssl.SSLError, ConnectionResetError):
        pass
    strict.wait_log("the client has no certificate" if who == "nobody" else "the client's certificate is not taken")


def test_optional(shunt, certificates, tmp_path):
    worker = shunt.worker(listeners(certificates, client_ca=certificates["ca.pem"], verify="optional"))
    for client in (None, "ann"):
        with certificates.connect(worker.listeners["worker.exchanges"], client=client) as connected:
            assert pings(connected)


@pytest.mark.parametrize("how", ["SIGHUP", "file change"])
def test_a_new_list_disconnects_those_whom_it_revokes_and_nobody_else(shunt, tmp_path, how):
    certificates = Certificates(tmp_path / "c")
    certificates.server()
    for name in ("ann", "bob"):
        certificates.client(name)
    certificates.revoke()
    worker = shunt.worker(listeners(certificates, client_ca=certificates["ca.pem"], verify="required", crl=certificates["crl.pem"]))
    address = worker.listeners["worker.exchanges"]
    context = certificates.context("ann")
    with certificates.connect(address, context=context) as ann, certificates.connect(address, client="bob") as bob:
        assert pings(ann) and pings(bob)
        certificates.revoke("ann")
        if how == "SIGHUP":
            worker.reload()
        assert is_closed(ann)
        assert pings(bob)
        # Nor by the session that she has.
        try:
            with certificates.connect(address, context=context, session=ann.session) as again:
                assert not again.session_reused and not pings(again)
        except (ssl.SSLError, ConnectionResetError):
            pass
        with certificates.connect(address, client="bob") as another:
            assert pings(another)
    worker.wait_log("certificate is revoked")
    assert worker.metric('shunt_tls_handshakes_failed_total{listener="exchanges",reason="revoked"}') == 1


def test_a_client_of_mqtt_5_hears_that_its_certificate_is_revoked(shunt, tmp_path):
    certificates = Certificates(tmp_path / "c")
    certificates.server()
    certificates.client("ann")
    certificates.revoke()
    worker = shunt.worker(listeners(certificates, client_ca=certificates["ca.pem"], verify="required", crl=certificates["crl.pem"]))
    with certificates.connect(worker.listeners["worker.mqtts"], client="ann") as ann:
        variable = b"\0\4MQTT\5\2\0\x3c\0" + b"\0\1a"
        ann.sendall(bytes([0x10, len(variable)]) + variable)
        assert ann.recv(65_536)[0] == 0x20
        certificates.revoke("ann")
        worker.reload()
        farewell = b""
        while part := ann.recv(65_536):
            farewell += part
        assert farewell[0] == 0xE0 and farewell[2] == 0x87 and b"certificate is revoked" in farewell


def test_a_list_that_expires_is_a_figure_and_a_warning(shunt, tmp_path):
    certificates = Certificates(tmp_path / "c")
    certificates.server()
    certificates.client("ann")
    certificates.revoke(seconds=5)
    worker = shunt.worker(listeners(certificates, client_ca=certificates["ca.pem"], verify="required", crl=certificates["crl.pem"]))
    name = f'shunt_tls_certificate_expiry_seconds{{listener="mqtts",certificate="{certificates["crl.pem"]}"}}'
    assert -1 <= worker.metric(name) <= 5
    worker.wait_log("clients are refused until there is a newer one")
    assert worker.metric(name) <= 0 and worker.stderr.count(str(certificates["crl.pem"])) >= 1
