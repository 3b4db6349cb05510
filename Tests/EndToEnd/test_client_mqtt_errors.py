"""The client commands over MQTT when things go wrong: what they say, and their exit codes."""

import re
import socket
import subprocess
import threading

import pytest

import mosquitto
from client_commands import wait_messages
from mosquitto import Mosquitto
from processes import run

pytestmark = pytest.mark.skipif(mosquitto.BINARY is None, reason="needs Debian's mosquitto")

VERSIONS = [pytest.param([], id="5.0"), pytest.param(["--v311"], id="3.1.1")]


@pytest.mark.parametrize(
    "arguments, code, text",
    [
        (["pub", "a", "x", "--retain"], 64, "--retain needs --mqtt HOST"),
        (["pub", "a", "x", "--expiry", 3], 64, "--expiry needs --mqtt HOST"),
        (["sub", "a", "--qos", 1], 64, "--qos needs --mqtt HOST"),
        (["sub", "a", "--no-local"], 64, "--no-local needs --mqtt HOST"),
        (["device", "--uid", "a", "--device", "b", "--property", "a=b"], 64, "--property needs --mqtt HOST"),
        (["notify", "x", "--v311"], 64, "--v311 needs --mqtt HOST"),
        (["chat", "x", "--no-clean"], 64, "--no-clean needs --mqtt HOST"),
        (["pub", "a", ""], 64, "The payload is empty"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--worker", "127.0.0.1:1"], 64, "--mqtt and --worker exclude each other"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--master", "127.0.0.1"], 64, "--mqtt and --master exclude each other"),
        (["pub", "a", "x", "--mqtt", "no host"], 64, "'no host' is no address"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1:1"], 69, "connection refused"),
        (["sub", "a", "--mqtt", "127.0.0.1:1"], 69, "is an MQTT broker listening there?"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--qos", 3], 64, "provide one of '0', '1' or '2'"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--qos", -1], 64, "The value '-1' is invalid for '--qos"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--property", "x"], 64, "The value 'x' is invalid for '--property <name=value>'"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--keep-alive", 65536], 64, "invalid for '--keep-alive"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--will-qos", 1], 64, "--will-qos needs --will-topic TOPIC"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--will-topic", "a/#"], 65, "the will: the topic has a wildcard"),
        (["pub", "a", "x", "--mqtt", "127.0.0.1", "--retry", 1, "--qos", 0], 64, "--retry needs --qos 1 or 2"),
        (["sub", "a", "--mqtt", "127.0.0.1", "--no-clean"], 64, "a session that is kept needs a client id"),
        (["sub", "a", "--mqtt", "127.0.0.1", "--v311", "--id", "x", "--session-expiry", 3], 64, "MQTT 3.1.1 has no session expiry"),
        (["sub", "a", "--mqtt", "127.0.0.1", "--v311", "--no-local"], 64, "MQTT 3.1.1 has no subscription options"),
        (["sub", "a/#/b", "--mqtt", "127.0.0.1"], 65, "'a/#/b' is no topic filter"),
        (["sub", "a", "--mqtt", "127.0.0.1", "--group", "a/b"], 64, "the group 'a/b' has /, + or # in it"),
        (["sub", "a", "--mqtt", "127.0.0.1", "--group", "g", "--key", "k"], 64, "a group with a key"),
        (["sub", "a", "--mqtt", "127.0.0.1", "--retain-handling", 3], 64, "provide one of '0', '1' or '2'"),
        (["sub", "a", "--mqtt", "127.0.0.1", "--subscription-id", 0], 64, "the subscription identifier is 0"),
        (["device", "--uid", "a", "--device", "b", "--mqtt", "127.0.0.1", "--id", "c"], 64, "a client id or user name of its own"),
        (["device", "--uid", "a", "--device", "b", "--tag", "t", "--mqtt", "127.0.0.1", "--v311"], 64, "carries no tags"),
        (["chat", "a#b", "--mqtt", "127.0.0.1"], 65, "the chat id has +, # or NUL in it"),
    ],
)
def test_wrong_options_are_told_in_plain_words(arguments, code, text):
    done = run(*arguments)
    assert text in done.stderr, done.stderr
    assert done.returncode == code and done.stdout == ""


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["a/#", "x"], "the topic has a wildcard"),
        (["a", "x", "--response-topic", "r/+"], "the response topic has a wildcard"),
        (["a", "x", "--key", "k", "--v311"], "MQTT 3.1.1 does not carry a key"),
        (["a", "x", "--property", "k=v", "--v311"], "MQTT 3.1.1 does not carry properties"),
        (["a", "x", "--json"], "this is not JSON"),
    ],
)
def test_messages_that_cannot_be_are_not_sent(broker, arguments, text):
    done = run("pub", *arguments, "--mqtt", broker.address)
    assert done.returncode == 65 and text in done.stderr, done.stderr
    assert "Received PUBLISH" not in broker.log


def test_nobody_subscribes_is_success_unless_it_is_asked_about(sub, pub, broker, command):
    pub("nobody", "x")
    done = run("pub", "nobody", "x", "--retry", "0.1", "--mqtt", broker.address)
    assert done.returncode == 65 and "0x10 nobody subscribes to this topic (topic.no_subscriber)" in done.stderr
    waiting = command("pub", "late", "x", "--retry", 20, "--mqtt", broker.address)
    broker.wait_log("'late'")
    wait_messages(sub("late"), 1)
    assert waiting.process.wait(20) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_wants_a_password_refuses_others(shunt, tmp_path, version):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "ann", "secret"], check=True, timeout=20)
    passwords.chmod(0o644)
    broker = shunt.closing(Mosquitto(tmp_path / "guarded", "allow_anonymous false", f"password_file {passwords}"))
    to = ["--mqtt", broker.address, *version]
    for word in ("secret", "guess"):
        (tmp_path / word).write_text(word + "\n")
    for command, wrong in [
        (["pub", "a", "x"], []), (["sub", "a"], ["--user", "ann", "--password-file", tmp_path / "guess"]),
        (["notify", "x"], []), (["chat", "c"], ["--as", "ann"]),
    ]:
        done = run(*command, *to, *wrong)
        assert done.returncode == 77 and "access.denied" in done.stderr, done
        assert broker.address in done.stderr and "user name and a password" in done.stderr
    assert run("pub", "a", "x", *to, "--user", "ann", "--password-file", tmp_path / "secret").returncode == 0
    assert run("pub", "a", "x", *to, "--user", "ann", env={"SHUNT_PASSWORD": "secret"}).returncode == 0


def test_what_the_brokers_acl_forbids_is_told(shunt, tmp_path):
    (tmp_path / "acl").write_text("topic read open/#\ntopic write open/#\n")
    (tmp_path / "acl").chmod(0o644)
    broker = shunt.closing(Mosquitto(tmp_path / "guarded", "allow_anonymous true", f"acl_file {tmp_path / 'acl'}"))
    done = run("pub", "closed/1", "x", "--mqtt", broker.address)
    assert done.returncode == 65 and "refused: 0x87 not authorized (access.denied)" in done.stderr, done.stderr
    assert run("pub", "open/1", "x", "--mqtt", broker.address).returncode == 0


def test_limits_of_the_broker_are_honoured(shunt, tmp_path):
    broker = shunt.closing(
        Mosquitto(tmp_path / "small", "allow_anonymous true", "max_packet_size 200", "max_qos 1", "retain_available false"))
    to = ["--mqtt", broker.address]
    done = run("pub", "a", "x" * 300, *to)
    assert done.returncode == 65 and "its packet may have 200 bytes" in done.stderr, done.stderr
    done = run("pub", "a", "x", "--retain", *to)
    assert done.returncode == 65 and "keeps no retained messages" in done.stderr
    done = run("pub", "a", "x", "--qos", 2, *to)
    assert done.returncode == 65 and "QoS 1 at most" in done.stderr
    assert run("pub", "a", "x", *to).returncode == 0


def test_an_exchange_port_is_no_mqtt_listener(shunt):
    worker = shunt.worker()
    for version in ([], ["--v311"]):
        done = run("pub", "a", "x", "--mqtt", worker.exchange, *version)
        assert done.returncode in (65, 69) and worker.exchange in done.stderr and "MQTT" in done.stderr, done


def test_an_http_server_is_no_mqtt_listener(shunt):
    worker = shunt.worker()
    done = run("sub", "a", "--mqtt", worker.listeners["worker.http"])
    assert done.returncode == 69 and "MQTT" in done.stderr


@pytest.mark.parametrize(
    "answer, text, code",
    [
        (b"", "does it speak this version of MQTT?", 69),
        (bytes([0x20, 2, 0, 1]), "does not speak this version of MQTT", 65),
        (bytes([0x20, 3, 0, 0x88, 0]), "the broker is not available", 69),
        (bytes([0x20, 3, 0, 0x8A, 0]), "this client is banned", 77),
        (bytes([0x20, 8, 0, 0x87, 5, 0x1F, 0, 2]) + b"no", "not authorized: no", 77),
        (bytes([0x20, 3, 0, 0, 0, 0xE0, 2, 0x8E, 0]), "another connection has taken the client id", 69),
        (bytes([0xF0]) * 10, "does not speak MQTT", 69),
    ],
    ids=["closes", "3.1.1 only", "unavailable", "banned", "reason string", "taken over", "rubbish"],
)
def test_what_a_strange_broker_answers_is_told(answer, text, code):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        done = run("pub", "a", "x", "--patience", 1, "--mqtt", "127.0.0.1:%d" % server.getsockname()[1])
    assert done.returncode == code and text in done.stderr, done


def test_a_broker_that_never_answers_is_given_up(shunt):
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = run("pub", "a", "x", "--mqtt", "127.0.0.1:%d" % server.getsockname()[1])
    assert done.returncode == 69 and "no answer in time" in done.stderr


def test_help_tells_the_options_of_mqtt():
    for command in ("pub", "sub", "notify", "device", "chat"):
        shown = run(command, "--help", env={"COLUMNS": "200"}).stdout
        for option in ("--mqtt <host>", "--qos <0|1|2>", "--v311", "--will-topic", "--session-expiry", "--keep-alive", "--property"):
            assert option in shown, command
        assert re.search(r"^MQTT", shown, re.MULTILINE), "in a section of their own"
