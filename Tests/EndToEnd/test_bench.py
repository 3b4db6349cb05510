"""`shunt bench` against Debian's mosquitto, and against a broker written here that misbehaves."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from exchange import eventually, parse_address
from processes import BINARY, environment, run
from tls.certificates import Certificates
from tls.conftest import listeners

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="needs Debian's mosquitto")

BRIEFLY = ("--duration", "0.5", "--warm-up", "0.2", "--connect-rate", "max")


class Broker:
    """mosquitto on a free port of loopback."""

    def __init__(self, folder, *settings):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        lines = [f"listener {self.port} 127.0.0.1", "log_type none", "user root", *(settings or ("allow_anonymous true",)),
                 # It drops nothing that waits for a client.
                 "max_queued_messages 0"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", folder / "mosquitto.conf"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.listens, 20, "mosquitto's start")

    def listens(self):
        assert self.process.poll() is None, "mosquitto has ended"
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("mosquitto"))
    yield broker
    broker.close()


def load(scenario, host, *more):
    """A short load's result, which ended well."""
    result = run("bench", "run", scenario, "--host", host, "--json", *BRIEFLY, *more, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def check(report, copies=1):
    """Whatever was sent has come, once, in order, in some time."""
    messages, latency = report["messages"], report["messages"]["latency"]
    assert messages["sent"] > 0
    assert messages["received"] == messages["sent"] * copies
    assert [messages[name] for name in ("lost", "duplicates", "out_of_order", "strays", "unacknowledged", "refused", "unsent")] == [0] * 7
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"] <= latency["max"]
    assert report["connections"]["made"] == report["connections"]["wanted"]
    assert report["is_complete"]


# Loads


@pytest.mark.parametrize("qos", (0, 1, 2))
@pytest.mark.parametrize("scenario, copies", (
    ("p2p-10-10-200-200", 1), ("fanout-2-20-20-400", 20), ("fanin-20-3-200-200", 1), ("sharedsub-20-4-200-200", 1)))
def test_each_scenario_brings_each_message_once(broker, scenario, copies, qos):
    report = load(scenario, broker.host, "--qos", qos)
    check(report, copies)
    # 0.7 s of them; the first is due at 0.
    assert report["messages"]["sent"] == (140 if copies == 1 else 14)
    assert report["messages"]["latency"]["count"] == (100 if copies == 1 else 200)
    assert report["scenario"] == scenario and report["mqtt"] == "5.0" and report["qos"] == qos
    assert ("acknowledgement" in report["messages"]) == (qos > 0)


@pytest.mark.parametrize("qos", (0, 1, 2))
@pytest.mark.parametrize("version", ((), ("--v311",)))
def test_as_fast_as_it_goes(broker, version, qos):
    # 3.1.1 knows no receive maximum, and mosquitto closes a connection with more than 20 messages of QoS 2.
    report = load("p2p-2-2-1-1", broker.host, "--rate", "max", "--qos", qos, "--inflight", 20 if qos else 1000, *version)
    check(report)
    assert report["messages"]["sent"] > 500
    assert report["rate"] == 0 and report["mqtt"] == ("3.1.1" if version else "5.0")


@pytest.mark.parametrize("scenario, copies", (("fanout-1-50-1-50", 50), ("sharedsub-10-5-1-1", 1), ("p2p-50-50-1-1", 1)))
def test_several_threads(broker, scenario, copies):
    # So little under way that messages are still sent when it is measured, however slow the machine is.
    check(load(scenario, broker.host, "--threads", 3, "--rate", "max", "--inflight", 20), copies)
    check(load(scenario, broker.host, "--threads", 3, "--rate", "200", "--qos", 1), copies)


def test_large_payloads(broker):
    report = load("p2p-2-2-20-20", broker.host, "--size", "1M", "--qos", 1)
    check(report)
    assert report["size"] == 1_000_000


def test_small_windows(broker):
    check(load("p2p-1-1-1-1", broker.host, "--rate", "max", "--qos", 2, "--inflight", 1))
    check(load("p2p-1-1-1-1", broker.host, "--rate", "max", "--qos", 0, "--inflight", 1))


def test_a_worker_of_shunt(shunt):
    worker = shunt.worker({"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"})
    check(load("fanin-10-2-500-500", worker.listeners["worker.mqtt"], "--v311"))


def test_the_prefix_begins_topics_and_other_messages_are_told_apart(broker):
    at = ("-h", "127.0.0.1", "-p", str(broker.port))
    # A retained message of somebody else.
    subprocess.run(["mosquitto_pub", *at, "-t", "mine/0", "-m", "not from this load", "-r"], check=True, timeout=30)
    watcher = subprocess.Popen(["mosquitto_sub", *at, "-t", "mine/#", "-R", "-C", "1", "-F", "%t %l"], stdout=subprocess.PIPE, text=True)
    report = load("p2p-1-1-50-50", broker.host, "--prefix", "mine", "--size", 64)
    assert watcher.communicate(timeout=30)[0] == "mine/0 64\n"
    subprocess.run(["mosquitto_pub", *at, "-t", "mine/0", "-n", "-r"], check=True, timeout=30)
    assert report["messages"]["strays"] == 1
    assert report["messages"]["received"] == report["messages"]["sent"] + 1
    assert report["messages"]["lost"] == 0


# What is shown


def test_a_table_and_an_earlier_result_beside_it(broker, tmp_path):
    first = run("bench", "p2p-5-5-100-100", "--host", broker.host, "--json", *BRIEFLY)
    earlier = tmp_path / "earlier.json"
    earlier.write_text(first.stdout)
    second = run("bench", "p2p-5-5-100-100", "--host", broker.host, "--compare", earlier, *BRIEFLY)
    assert second.returncode == 0 and second.stderr == ""
    lines = second.stdout.splitlines()
    assert lines[0].startswith(f"p2p-5-5-100-100 at {broker.host}, MQTT 5.0, QoS 0, 100 bytes, 100 messages a second, 0.5 s after 0.2 s")
    assert lines[2].split() == ["now", "before", "ratio"]
    assert [line.split() for line in lines if line.startswith("sent ")] == [
        ["sent", "70", "70", "1.00"], ["sent", "a", "second", "100", "100", "1.00"]]
    assert any(line.startswith("latency p99.9") for line in lines)

    other = run("bench", "fanout-1-5-100-500", "--host", broker.host, "--qos", 1, "--compare", earlier, "--json", *BRIEFLY)
    assert other.returncode == 0
    assert "scenario: p2p-5-5-100-100 before, fanout-1-5-100-500 now" in other.stderr
    assert "QoS: 0 before, 1 now" in other.stderr
    report = json.loads(other.stdout)
    assert report["differences"][0].startswith("scenario:")
    assert report["ratios"]["sent"] == 1 and report["ratios"]["received"] == 5


def test_a_progress_line_on_a_terminal_alone(broker):
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [BINARY, "bench", "p2p-2-2-100-100", "--host", broker.host, "--duration", "1", "--warm-up", "0"], stdout=subprocess.PIPE, stderr=follower,
        stdin=subprocess.DEVNULL, env=environment())
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 65_536):
            shown += chunk
    except OSError:
        pass  # Its other end is closed.
    process.communicate(timeout=30)
    os.close(leader)
    assert b"0 s of 1 s  sent " in shown and b"p99 " in shown and b"  4 connections" in shown
    assert run("bench", "p2p-2-2-100-100", "--host", broker.host, *BRIEFLY).stderr == ""


def test_ctrl_c_ends_it_early_with_the_figures_so_far(broker):
    process = subprocess.Popen(
        [BINARY, "bench", "p2p-2-2-100-100", "--host", broker.host, "--duration", "600", "--warm-up", "0", "--json"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment())
    at = ("-h", "127.0.0.1", "-p", str(broker.port))
    subprocess.run(["mosquitto_sub", *at, "-t", "shunt-bench/#", "-C", "5"], check=True, timeout=30, stdout=subprocess.DEVNULL)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the load was ended early" in errors
    report = json.loads(output)
    assert not report["is_complete"]
    assert report["messages"]["sent"] == report["messages"]["received"] >= 5


# Connections


def test_connections_are_opened_at_their_rate_and_held(broker):
    result = run("bench", "connect", 100, "--rate", 200, "--subscribe", "--hold", 0.2, "--host", broker.host, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["scenario"] == "conn-100-200"
    connections = report["connections"]
    assert (connections["wanted"], connections["made"], connections["failed"], connections["lost"]) == (100, 100, 0, 0)
    assert 0 < connections["connack"]["p50"] <= connections["connack"]["max"]
    assert connections["connack"]["count"] == 100
    assert "messages" not in report


def test_idle_connections_are_kept_alive(broker):
    result = run("bench", "connect", 5, "--keep-alive", 1, "--hold", 3, "--host", broker.host, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["connections"]["lost"] == 0


def test_other_local_addresses(broker):
    result = run("bench", "connect", 10, "--hold", 0, "--host", broker.host, "--source", "127.0.0.7,127.0.0.8", "--json")
    assert json.loads(result.stdout)["connections"]["made"] == 10
    wrong = run("bench", "connect", 10, "--host", broker.host, "--source", "127.0.0.7,192.0.2.1", "--hold", 0, "--json")
    assert wrong.returncode == 69
    assert json.loads(wrong.stdout)["connections"]["reasons"] == {"cannot assign requested address": 5}


def test_too_few_descriptors_are_told_before_anything_else(broker):
    command = f"ulimit -n 200; exec '{BINARY}' bench connect 150 --host {broker.host}"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, env=environment())
    assert result.returncode == 69
    assert "150 connections; the system lets this process have 136" in result.stderr


def test_names_and_passwords(tmp_path):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "joe", "secret"], check=True, timeout=30)
    broker = Broker(tmp_path / "broker", "allow_anonymous false", f"password_file {passwords}")
    try:
        for name in ("secret", "wrong"):
            (tmp_path / name).write_text(f"{name}\n")
            (tmp_path / name).chmod(0o600)
        for wrong in ((), ("--user", "joe", "--password-file", tmp_path / "wrong")):
            for version in ((), ("--v311",)):
                refused = run("bench", "p2p-1-1-1-1", "--host", broker.host, *wrong, *version)
                assert refused.returncode == 65
                assert "the broker refused a connection: " in refused.stderr and "--user and --password-file" in refused.stderr
        check(load("p2p-2-2-100-100", broker.host, "--user", "joe", "--password-file", tmp_path / "secret"))
    finally:
        broker.close()


def test_a_load_over_tls(shunt, tmp_path):
    certificates = Certificates(tmp_path / "c")
    certificates.server()
    certificates.client("ann")
    worker = shunt.worker(listeners(certificates, client_ca=certificates["ca.pem"], verify="required"))
    host = "localhost:%d" % parse_address(worker.listeners["worker.mqtts"])[1]
    trust = ("--tls", "--cafile", certificates["ca.pem"])
    tls = (*trust, "--cert", certificates["ann.pem"], "--cert-key", certificates["ann.key"])
    # A fan-out of payloads that are larger than a record, and as fast as it goes.
    check(load("fanout-1-10-100-1K", host, "--size", "40000", *tls), copies=10)
    check(load("p2p-2-2-2-2", host, "--rate", "max", "--qos", "1", *tls))
    connected = run("bench", "connect", 50, "--host", host, "--rate", "max", "--hold", 0, "--json", *tls)
    assert json.loads(connected.stdout)["connections"]["made"] == 50
    for options, status, said in (
        (trust, 69, "certificate"), (("--tls",), 69, "signed by nobody that this client trusts"),
        (("--cafile", "x"), 64, "needs --tls"), ((), 65, "--tls"),
    ):
        refused = run("bench", "p2p-1-1-1-1", "--host", host, *options)
        assert refused.returncode == status and said in refused.stderr, refused


# A broker that misbehaves


class FakeBroker:
    """MQTT 3.1.1 at QoS 1, one thread a client, as wrong as a test wants it."""

    def __init__(self, deliver=lambda number: 1, accept=lambda number: 0, close_after=None):
        """`deliver` says how often the message of a number goes out, `accept` the return code of a CONNECT."""
        self.deliver, self.accept, self.close_after = deliver, accept, close_after
        self.lock, self.connected, self.published, self.subscribers = threading.Lock(), 0, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        reader = client.makefile("rb")
        try:
            while head := reader.read(1):
                length, shift = 0, 0
                while True:
                    byte = reader.read(1)[0]
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                self.answer(client, head[0], reader.read(length))
        except (OSError, IndexError):
            pass
        client.close()

    def answer(self, client, head, body):
        kind = head >> 4
        with self.lock:
            if kind == 1:
                code = self.accept(self.connected)
                self.connected += 1
                client.sendall(bytes([0x20, 2, 0, code]))
            elif kind == 8:
                self.subscribers.append(client)
                client.sendall(bytes([0x90, 3]) + body[:2] + b"\x01")
            elif kind == 3:
                number = self.published
                self.published += 1
                if number == self.close_after:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                place = 2 + struct.unpack(">H", body[:2])[0]
                client.sendall(bytes([0x40, 2]) + body[place:place + 2])
                packet = bytes([0x30]) + self.length(len(body) - 2) + body[:place] + body[place + 2:]
                self.subscribers[0].sendall(packet * self.deliver(number))

    @staticmethod
    def length(count):
        encoded = bytearray()
        while True:
            encoded.append(count & 0x7F | (0x80 if count > 0x7F else 0))
            count >>= 7
            if not count:
                return bytes(encoded)

    def close(self):
        self.listener.close()


def bad_load(broker, *more):
    result = run("bench", "p2p-1-1-200-200", "--host", broker.host, "--v311", "--qos", 1, "--json", *BRIEFLY, *more, timeout=60)
    broker.close()
    return result, json.loads(result.stdout)


def test_lost_messages_and_duplicates_are_counted():
    result, report = bad_load(FakeBroker(deliver=lambda number: 0 if number % 10 == 3 else 2 if number % 10 == 5 else 1))
    assert result.returncode == 65
    messages = report["messages"]
    assert (messages["sent"], messages["lost"], messages["duplicates"], messages["received"]) == (140, 14, 14, 140)
    assert "14 messages were lost" in result.stderr


def test_messages_that_were_due_while_a_broker_stood_still_have_waited():
    """Of 100 that are measured, 60 are due within the 0.3 s. A load that sent none meanwhile would see a single slow one."""
    result, report = bad_load(FakeBroker(deliver=lambda number: (time.sleep(0.3) or 1) if number == 50 else 1))
    assert result.returncode == 0, result.stderr
    latency = report["messages"]["latency"]
    assert latency["count"] == 100
    assert latency["max"] >= 300_000 and latency["p90"] >= 200_000 and latency["p50"] >= 20_000


def test_a_connection_that_the_broker_closes_is_lost():
    result, report = bad_load(FakeBroker(close_after=50))
    assert result.returncode == 65
    assert report["connections"]["lost"] == 1 and report["connections"]["reasons"] == {"closed by the broker": 1}
    assert report["messages"]["received"] == 50
    assert report["messages"]["unacknowledged"] == report["messages"]["sent"] - 50 >= 1


def test_refused_connections_are_counted_by_reason():
    # The first CONNECT finds out whether the broker is there.
    broker = FakeBroker(accept=lambda number: 3 if number > 5 else 0)
    result = run("bench", "connect", 12, "--host", broker.host, "--v311", "--hold", 0, "--json")
    assert result.returncode == 69
    connections = json.loads(result.stdout)["connections"]
    assert (connections["made"], connections["failed"]) == (5, 7)
    assert connections["reasons"] == {"refused: server unavailable (0x88)": 7}
    scenario = run("bench", "p2p-4-4-1-1", "--host", broker.host, "--v311")
    broker.close()
    assert scenario.returncode == 65 and "server unavailable" in scenario.stderr


def test_a_scenario_needs_all_of_its_clients():
    broker = FakeBroker(accept=lambda number: 5 if number == 4 else 0)
    result = run("bench", "p2p-4-4-1-1", "--host", broker.host, "--v311")
    broker.close()
    assert result.returncode == 69
    assert "1 of 8 clients have no connection" in result.stderr and "1: refused: not authorized (0x87)" in result.stderr


def test_a_port_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = run("bench", "connect", 1, "--host", "127.0.0.1:%d" % silent.getsockname()[1], "--patience", 0.3)
    assert result.returncode == 65
    assert "no CONNACK within 0.3 s" in result.stderr


# Wrong input


@pytest.mark.parametrize("arguments, code, text", (
    (("run",), 64, "Missing expected argument"),
    (("run", "p2p"), 64, "four numbers"),
    (("run", "nonsense-1-1-1-1"), 64, "KIND-PUBLISHERS-SUBSCRIBERS-IN-OUT"),
    (("p2p-1K-1K-1K-2K",), 64, "an IN of 1K makes an OUT of 1K, and not 2K"),
    (("p2p-1-1-1-1", "--qos", "3"), 64, "give 0, 1 or 2"),
    (("p2p-1-1-1-1", "--size", "15"), 64, "give 16 or more"),
    (("p2p-1-1-1-1", "--size", "1G"), 64, "--size '1G' is no number"),
    (("p2p-1-1-1-1", "--rate", "fast"), 64, "is no rate"),
    (("p2p-1-1-1-1", "--rate", "-1"), 64, "is no rate"),
    (("p2p-1-1-1-1", "--inflight", "0"), 64, "give 1 to 65535"),
    (("p2p-1-1-1-1", "--duration", "0"), 64, "seconds"),
    (("p2p-1-1-1-1", "--prefix", "a/#"), 64, "can't begin a topic"),
    (("p2p-1-1-1-1", "--prefix", ""), 64, "can't begin a topic"),
    # No secret on the command line, which others can see.
    (("p2p-1-1-1-1", "--password", "x"), 64, "Unknown option '--password'"),
    (("p2p-1-1-1-1", "--cert-key", "x"), 64, "--cert-key needs --cert"),
    (("p2p-1-1-1-1", "--threads", "0"), 64, "give 1 to 64"),
    (("p2p-1-1-1-1", "--host", "a b"), 64, "is no address"),
    (("p2p-1-1-1-1", "--host", "127.0.0.1:1"), 69, "can't connect: connection refused"),
    (("p2p-1-1-1-1", "--host", "nowhere.invalid"), 69, "the host was not found"),
    (("p2p-1-1-1-1", "--compare", "/nowhere.json"), 74, "cannot be read"),
    (("p2p-1-1-1-1", "--compare", "/dev/null"), 65, "no report of this version"),
    (("connect", "0"), 64, "is no number of 1 to 1M"),
    (("connect", "many"), 64, "is no number of 1 to 1M"),
    (("connect", "1", "--hold", "-1"), 64, "give 0 or more seconds"),
    (("connect", "1", "--source", "192.0.2.1", "--host", "127.0.0.1:1"), 64, "is no address of this machine"),
))
def test_wrong_input_is_told(arguments, code, text):
    result = run("bench", *arguments)
    assert result.returncode == code, result.stderr
    assert text in result.stderr
    assert result.stdout == ""
