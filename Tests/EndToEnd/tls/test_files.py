"""Files that change while the worker runs, wrong ones, and the command that makes some."""

import datetime
import os
import ssl
import stat

import pytest

from exchange import ACK, PING, decode, encode, eventually
from processes import PATIENCE, run
from tls.certificates import Certificates
from tls.conftest import listeners


@pytest.fixture
def own(tmp_path):
    certificates = Certificates(tmp_path / "own")
    certificates.server()
    return certificates


def serial(certificates, worker) -> str:
    with certificates.connect(worker.listeners["worker.mqtts"]) as client:
        return client.getpeercert()["serialNumber"]


@pytest.mark.parametrize("how", ["SIGHUP", "file change"])
def test_new_connections_get_the_new_certificate_and_nobody_is_dropped(shunt, own, how):
    worker = shunt.worker(listeners(own))
    before = serial(own, worker)
    with own.connect(worker.listeners["worker.exchanges"]) as client:
        own.server()
        if how == "SIGHUP":
            worker.reload()
        eventually(lambda: serial(own, worker) != before, PATIENCE)
        client.sendall(encode(PING, 7))
        assert decode(client.recv(65_536))[0].type == ACK


def test_a_wrong_new_file_is_told_with_its_place_and_the_old_one_stays(shunt, own):
    worker = shunt.worker(config=f"""
worker:
  masters: []
  http: {{ listen: "127.0.0.1:0" }}
  listeners:
    mqtts:
      protocol: mqtt
      listen: 127.0.0.1:0
      tls:
        certificate: {own["server.pem"]}
        key: {own["server.key"]}
""")
    before = serial(own, worker)
    (own.folder / "server.key").write_text((own.folder / "ca.key").read_text())
    worker.wait_log("the certificates stay as they were")
    worker.wait_log("config.yaml:11:14: worker.listeners.mqtts.tls.key: the key in")
    assert serial(own, worker) == before


def check(folder, *sets):
    base = ["worker.masters=[]", "worker.listeners.mqtts.protocol=mqtt", "worker.listeners.mqtts.listen=127.0.0.1:0"]
    arguments = [argument for each in [*base, *sets] for argument in ("--set", each)]
    return run("worker", "--check", *arguments, cwd=folder)


def test_check_reads_the_files(own):
    assert check(own.folder, "worker.listeners.mqtts.tls.certificate=server.pem").returncode == 0
    missing = check(own.folder, "worker.listeners.mqtts.tls.certificate=gone.pem")
    assert missing.returncode == 78 and "--set worker.listeners.mqtts.tls.certificate" in missing.stderr
    assert "there is no file gone.pem (tls.invalid)" in missing.stderr
    alien = check(own.folder, "worker.listeners.mqtts.tls.certificate=server.pem", "worker.listeners.mqtts.tls.key=ca.key")
    assert alien.returncode == 78 and "the key in ca.key does not fit the certificate in server.pem" in alien.stderr


def test_tls_without_a_certificate_is_no_plain_listener(own):
    for key in ("key=server.key", "minimum=1.2", "client_ca=ca.pem"):
        found = check(own.folder, f"worker.listeners.mqtts.tls.{key}")
        assert found.returncode == 78 and "has no certificate (config.missing)" in found.stderr


def test_a_list_of_another_authority_is_refused(own, tmp_path):
    others = Certificates(tmp_path / "others", "Other-CA")
    others.revoke()
    found = check(
        own.folder, "worker.listeners.mqtts.tls.certificate=server.pem", "worker.listeners.mqtts.tls.client_ca=ca.pem",
        f"worker.listeners.mqtts.tls.crl={others['crl.pem']}")
    assert found.returncode == 78 and "has a revocation list of another authority: CN=Other-CA" in found.stderr


def test_the_time_when_a_certificate_expires_is_a_figure(shunt, own):
    worker = shunt.worker(listeners(own))
    with own.connect(worker.listeners["worker.mqtts"]) as client:
        expires = ssl.cert_time_to_seconds(client.getpeercert()["notAfter"])
    found = worker.metric(f'shunt_tls_certificate_expiry_seconds{{listener="mqtts",certificate="{own["server.pem"]}"}}')
    assert abs(found - (expires - datetime.datetime.now().timestamp())) < 60


def test_cert_writes_no_file_over_and_keeps_keys_to_their_owner(tmp_path):
    made = run("cert", "--self-signed", "localhost", "--out", tmp_path)
    assert made.returncode == 0 and sorted(os.listdir(tmp_path)) == ["server.key", "server.pem"]
    assert stat.S_IMODE((tmp_path / "server.key").stat().st_mode) == 0o600
    again = run("cert", "--self-signed", "localhost", "--out", tmp_path)
    assert again.returncode == 74 and "server.key cannot be written" in again.stderr
    assert run("cert", "--client", "ann", "--out", tmp_path).returncode == 78
    assert run("cert", "--ca", "x", "--client", "ann").returncode == 64
    assert run("cert", "--client", "../ann", "--out", tmp_path).returncode != 0


def test_a_self_signed_certificate_is_its_own_authority(shunt, tmp_path):
    run("cert", "--self-signed", "localhost", "--also", "127.0.0.1", "--out", tmp_path)
    worker = shunt.worker({
        "worker.listeners.exchanges.listen": "127.0.0.1:0", "worker.listeners.exchanges.tls.certificate": tmp_path / "server.pem"})
    context = ssl.create_default_context(cafile=tmp_path / "server.pem")
    for name in ("localhost", "127.0.0.1"):
        with Certificates.connect(None, worker.listeners["worker.exchanges"], name=name, context=context) as client:
            client.sendall(encode(PING, 7))
            assert decode(client.recv(65_536))[0].type == ACK
