"""`profile: hardened`, and what a check says of doors that stand open."""

import ssl

import pytest

from access.test_access import hashed
from mqtt.client import Client
from processes import run
from tls.certificates import Certificates

OPEN = """{profile}
worker:
  masters: [10.0.0.9:4088]
  listeners:
    exchange: {{ listen: 127.0.0.1:0, allow_anonymous: true }}
    anybody: {{ protocol: mqtt, listen: 0.0.0.0:1883, allow_anonymous: true }}
    clear: {{ protocol: mqtt, listen: "[::]:1884", access: {{ password_file: passwords }} }}
"""
PLACES = {"worker.listeners.anybody": ":6:40: ", "worker.listeners.clear": ":7:38: ", "10.0.0.9:4088": ":3:12: "}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "passwords").write_text(f"ada:{hashed('secret-1')}\n")
    return tmp_path


def check(folder, kind, text, *more):
    (folder / "config.yaml").write_text(text)
    return run(kind, "--config", "config.yaml", *more, cwd=folder)


@pytest.mark.parametrize("more", [["--check"], []])
def test_the_hardened_profile_refuses_open_doors_all_at_once_each_with_its_place(folder, more):
    result = check(folder, "worker", OPEN.format(profile="profile: hardened"), *more)
    errors = [line for line in result.stderr.splitlines() if line.startswith("shunt: ")]
    assert result.returncode == 78 and len(errors) == 3, result.stderr
    for what, place in PLACES.items():
        assert any(f"config.yaml{place}" in line and what in line and "(config.invalid)" in line for line in errors), (what, errors)


def test_the_standard_profile_warns_of_the_same_and_a_warning_fails_no_check(folder):
    result = check(folder, "worker", OPEN.format(profile="profile: standard"), "--check", "--set", "log.format=text")
    assert result.returncode == 0 and "The configuration is right" in result.stdout, result.stderr
    for what, place in PLACES.items():
        assert any(f"config.yaml{place}" in line and what in line for line in result.stderr.splitlines()), (what, result.stderr)


def test_a_masters_doors(folder):
    text = "profile: {}\nmaster:\n  admin: {{ listen: 0.0.0.0:0 }}\n  exchange: {{ listen: 0.0.0.0:0 }}\n"
    refused = check(folder, "master", text.format("hardened"), "--check")
    assert refused.returncode == 78 and ":3:20: " in refused.stderr and ":4:23: " in refused.stderr, refused.stderr
    assert check(folder, "master", text.format("standard"), "--check").returncode == 0


def test_a_hardened_worker_serves_clients_and_has_the_stricter_defaults(shunt, folder):
    certificates = Certificates(folder / "certificates")
    certificates.server()
    worker = shunt.worker(
        {"profile": "hardened", "access.password_file": folder / "passwords", "worker.listeners.mqtt.protocol": "mqtt",
         "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtts.protocol": "mqtt",
         "worker.listeners.mqtts.listen": "127.0.0.1:0", "worker.listeners.mqtts.tls.certificate": certificates["server.pem"]})
    with pytest.raises(OSError):
        certificates.connect(worker.listeners["worker.mqtts"], version=ssl.TLSVersion.TLSv1_2)
    certificates.connect(worker.listeners["worker.mqtts"], version=ssl.TLSVersion.TLSv1_3).close()
    for turn in range(15):
        client = Client(worker.listeners["worker.mqtt"], 5)
        connack = client.connect("meter", user="ada", password=b"secret-1", refused=turn == 14)
    assert client.connack.reason == 0x9F, connack
    worker.wait_metric('shunt_access_refused_total{reason="flapping"}', 1)
    # The standard profile takes 10 MiB.
    other = Client(worker.listeners["worker.mqtt"], 5)
    other.connect("other", user="ada", password=b"secret-1")
    assert other.connack.get("maximum_packet_size") == 1 << 20


def test_a_reload_into_open_doors_changes_nothing(shunt, folder):
    safe = "profile: standard\nlimits: {frame: 2MiB}\nworker: {masters: [], listeners: {a: {listen: 127.0.0.1:0, allow_anonymous: true}}}\n"
    worker = shunt.worker(config=safe, folder=folder / "worker")
    config = folder / "worker/config.yaml"
    config.write_text(safe.replace("standard", "hardened").replace("2MiB", "3MiB").replace("127.0.0.1", "0.0.0.0"))
    assert "stays as it was" in worker.reload()
    config.write_text(safe.replace("2MiB", "3MiB"))
    assert "limits.frame: 2MiB → 3MiB" in worker.reload()
