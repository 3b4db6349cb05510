"""The client commands over MQTT, against Debian's mosquitto: what they send and print, and what they say when things go wrong."""

import base64
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading

import pytest

import mosquitto
from client_commands import Command
from exchange import eventually, parse_address
from mosquitto import Mosquitto
from processes import BINARY, Door, environment, run

pytestmark = pytest.mark.skipif(mosquitto.BINARY is None, reason="needs Debian's mosquitto")

VERSIONS = [pytest.param([], id="5.0"), pytest.param(["--v311"], id="3.1.1")]


@pytest.fixture
def broker(shunt, tmp_path):
    return shunt.closing(Mosquitto(tmp_path / "mosquitto"))


@pytest.fixture
def command(shunt, tmp_path):
    return lambda *arguments, **more: shunt.closing(Command(tmp_path, *arguments, **more))


@pytest.fixture
def pub(broker):
    """Publishes, and must succeed."""

    def publish(*arguments, **more):
        done = run("pub", *arguments, "--mqtt", broker.address, **more)
        assert done.returncode == 0, done
        return done.stderr

    return publish


@pytest.fixture
def sub(broker, command):
    """A subscriber that has been told that it is one."""

    def subscribe(*arguments, at=None, json=True):
        output = ["--output", "json"] if json else []
        process = command("sub", *arguments, "--mqtt", at or broker.address, *output)
        process.wait_for("subscribed to ")
        return process

    return subscribe


def messages(process) -> list[dict]:
    return [json.loads(line) for line in process.output.read_text().splitlines()]


def wait_messages(process, count) -> list[dict]:
    eventually(lambda: len(messages(process)) >= count, 20, f"{count} messages in {process.shown}")
    assert len(messages(process)) == count
    return messages(process)


# Messages


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_of_each_qos_arrive_with_the_lower_one_of_both_sides(sub, pub, version, qos):
    subscribers = [sub("a/+", "--qos", asked, *version) for asked in (0, 1, 2)]
    said = pub("a/1", "hello", "--qos", qos, *version)
    assert said.startswith("1 sent in " if qos == 0 else "1 sent, 1 acknowledged, 0 refused in ")
    for asked, subscriber in enumerate(subscribers):
        (message,) = wait_messages(subscriber, 1)
        assert (message["topic"], message["payload"], message["qos"], message["retain"]) == ("a/1", "hello", min(asked, qos), False)
        assert subscriber.end(signal.SIGINT) == 0


def test_the_versions_understand_each_other(sub, pub):
    new, old = sub("#"), sub("#", "--v311")
    pub("a", "5", "--property", "x=y")
    pub("a", "4", "--v311")
    assert [message["payload"] for message in wait_messages(new, 2)] == ["5", "4"]
    assert [message.get("properties") for message in messages(new)] == [[["x", "y"]], None]
    assert [message.get("properties") for message in wait_messages(old, 2)] == [None, None]


def test_text_and_payload_are_printed_as_those_of_the_exchange_protocol(sub, pub, command, broker):
    text = sub("orders/#", json=False)
    payload = command("sub", "orders/#", "--mqtt", broker.address, "--output", "payload", "--count", 1, "--quiet")
    broker.wait_log("Sending SUBACK", 2)
    pub("orders/1", '{"id":1}', "--key", "eu")
    eventually(lambda: "\n" in text.output.read_text())
    assert text.output.read_text() == 'orders/1\teu\t{"id":1}\n'
    assert payload.process.wait(20) == 0
    assert payload.shown == '{"id":1}\n'


def test_all_properties_go_both_ways(sub, pub):
    subscriber = sub("q/#", "--subscription-id", 77, "--qos", 2)
    pub("q/1", '{"a":1}', "--qos", 2, "--key", "eu", "--property", "b=1", "--property", "a=2=3", "--property", "b=", "--response-topic", "r/1",
        "--correlation", "c-1", "--expiry", 30)
    (message,) = wait_messages(subscriber, 1)
    assert message == {
        "topic": "q/1", "key": "eu", "format": "json", "payload": '{"a":1}', "qos": 2, "retain": False, "content_type": "application/json",
        "response_topic": "r/1", "correlation": "Yy0x", "expiry": 30, "subscriptions": [77],
        "properties": [["b", "1"], ["a", "2=3"], ["b", ""], ["key", "eu"]],
    }
    pub("q/1", "<a/>", "--content-type", "text/xml")
    assert wait_messages(subscriber, 2)[1]["content_type"] == "text/xml"


def test_only_messages_with_a_key(sub, pub):
    subscriber = sub("k", "--key", "eu")
    for number, key in enumerate(["us", "eu", "", "eu"]):
        pub("k", number, *(["--key", key] if key else []))
    assert [message["payload"] for message in wait_messages(subscriber, 2)] == ["1", "3"]


def test_mosquittos_clients_are_understood_and_understand(broker, sub, pub):
    listener = sub("m/#")
    subprocess.run(
        ["mosquitto_pub", "-p", str(broker.port), "-V", "5", "-q", "2", "-t", "m/1", "-m", "hi", "-D", "publish", "user-property", "k", "v",
         "-D", "publish", "content-type", "text/x"], check=True, timeout=20)
    (message,) = wait_messages(listener, 1)
    assert (message["payload"], message["properties"], message["content_type"]) == ("hi", [["k", "v"]], "text/x")
    theirs = subprocess.Popen(
        ["stdbuf", "-oL", "mosquitto_sub", "-p", str(broker.port), "-V", "5", "-q", "2", "-t", "n/#", "-F", "%t %q %P %C %p", "-C", "1"],
        stdout=subprocess.PIPE, text=True)
    broker.wait_log("n/# (QoS 2)")
    pub("n/1", "hi", "--qos", 2, "--property", "k=v", "--content-type", "text/x")
    assert theirs.communicate(timeout=20)[0] == "n/1 2 k:v text/x hi\n"
    assert listener.end(signal.SIGINT) == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_many_messages_arrive_in_order_once(sub, pub, version, qos):
    count = 5000
    subscriber = sub("load", "--qos", qos, *version, json=False)
    lines = "".join(f"{number}\n" for number in range(count))
    # mosquitto 2.0.11 delivers nothing more where more than its max_inflight_messages of QoS 2 come at a time; 3.1.1 cannot tell them.
    said = pub("load", "-", "--qos", qos, "--window", 20, *version, input=lines)
    assert f"{count} sent" in said
    eventually(lambda: subscriber.output.read_text().count("\n") >= count, 30)
    assert subscriber.output.read_text() == "".join(f"load\t\t{number}\n" for number in range(count))


def test_large_and_binary_payloads_go_through(sub, pub, tmp_path):
    subscriber = sub("big", "--qos", 2)
    data = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(data)
    pub("big", "--file", tmp_path / "file", "--qos", 2)
    eventually(lambda: subscriber.output.read_text().endswith("\n"), 20)
    (message,) = messages(subscriber)
    assert message["encoding"] == "base64" and base64.b64decode(message["payload"]) == data


# Retained messages, wills, groups


@pytest.mark.parametrize("version", VERSIONS)
def test_retained_messages_come_to_later_subscribers_until_they_are_cleared(sub, pub, version):
    early = sub("r/#", *version)
    pub("r/1", "kept", "--retain", *version)
    assert [message["retain"] for message in wait_messages(early, 1)] == [False]
    late = sub("r/#", *version)
    assert [(message["payload"], message["retain"]) for message in wait_messages(late, 1)] == [("kept", True)]
    pub("r/1", "", "--retain", *version)
    last = sub("r/#", *version)
    pub("r/2", "live", *version)
    assert [message["payload"] for message in wait_messages(last, 1)] == ["live"]


def test_retain_handling_and_retain_as_published(sub, pub):
    pub("r/1", "kept", "--retain")
    none = sub("r/#", "--retain-handling", 2, "--retain-as-published")
    pub("r/1", "new", "--retain")
    assert [(message["payload"], message["retain"]) for message in wait_messages(none, 1)] == [("new", True)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_will_is_published_when_the_client_is_killed_and_not_when_it_ends(sub, command, broker, version):
    watcher = sub("gone/#")
    for number, ending in enumerate([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]):
        client = sub("x", "--will-topic", f"gone/{number}", "--will-payload", "bye", "--will-qos", 1, "--will-retain", *version)
        client.end(ending)
        broker.wait_log("Client shunt", number + 1)
    (message,) = wait_messages(watcher, 1)
    assert (message["topic"], message["payload"], message["qos"]) == ("gone/2", "bye", 1)
    assert [message["retain"] for message in wait_messages(sub("gone/#"), 1)] == [True]


def test_pub_says_goodbye_so_that_its_will_is_not_published(sub, pub, broker):
    watcher = sub("#")
    for qos in (0, 1, 2):
        pub("t", "x", "--qos", qos, "--will-topic", "gone", "--will-payload", "bye")
    broker.wait_log("Received DISCONNECT", 3)
    pub("end", "y")
    assert [message["topic"] for message in wait_messages(watcher, 4)] == ["t", "t", "t", "end"]


def test_of_a_group_one_member_gets_each_message(sub, pub):
    members, other = [sub("g/#", "--group", "team") for _ in range(2)], sub("g/#")
    pub("g/1", "-", input="".join(f"{number}\n" for number in range(50)))
    wait_messages(other, 50)
    eventually(lambda: sum(len(messages(member)) for member in members) == 50)
    assert all(messages(member) for member in members)
    got = [message["payload"] for member in members for message in messages(member)]
    assert sorted(got, key=int) == [str(number) for number in range(50)]


# Sessions


@pytest.mark.parametrize("version, keep", [([], ["--session-expiry", "60"]), (["--v311"], ["--no-clean"])], ids=["5.0", "3.1.1"])
def test_a_kept_session_has_what_came_meanwhile(sub, pub, version, keep):
    arguments = ["s/#", "--id", "me", *keep, *version]
    first = sub(*arguments)
    assert first.end(signal.SIGINT) == 0
    pub("s/1", "meanwhile")
    assert [message["payload"] for message in wait_messages(sub(*arguments), 1)] == ["meanwhile"]


def test_a_session_is_not_kept_unless_it_is_asked_for(sub, pub, broker):
    first = sub("s/#", "--id", "me")
    assert first.end(signal.SIGINT) == 0
    broker.wait_log("Client me disconnected")
    pub("s/1", "meanwhile")
    again = sub("s/#", "--id", "me", "--session-expiry", 60)
    pub("s/1", "now")
    assert [message["payload"] for message in wait_messages(again, 1)] == ["now"]
    assert again.end(signal.SIGINT) == 0
    pub("s/1", "lost")
    clean = sub("s/#", "--id", "me", "--session-expiry", 60, "--clean")
    pub("s/1", "new")
    assert [message["payload"] for message in wait_messages(clean, 1)] == ["new"]


def test_what_a_counting_subscriber_does_not_print_stays_in_its_session(sub, pub):
    arguments = ["s", "--id", "me", "--session-expiry", 60]
    assert sub(*arguments).end(signal.SIGINT) == 0
    pub("s", "-", "--qos", 2, input="1\n2\n3\n4\n5\n")
    got = []
    for count in (2, 1, 2):
        process = sub(*arguments, "--qos", 2, "--count", count)
        assert process.process.wait(20) == 0
        got.append([message["payload"] for message in messages(process)])
    assert got == [["1", "2"], ["3"], ["4", "5"]]


@pytest.mark.parametrize("qos", [1, 2])
def test_a_subscriber_comes_back_to_its_session_after_a_lost_connection(shunt, broker, sub, pub, qos):
    door = shunt.closing(Door(broker.address))
    subscriber = sub("s/#", "--qos", qos, at=door.address)
    for number in range(5):
        pub("s/1", number, "--qos", qos)
        wait_messages(subscriber, number + 1)
        door.cut()
    subscriber.wait_for("trying again")
    eventually(lambda: subscriber.log.read_text().count("back at ") >= 5, 20)
    pub("s/1", 5, "--qos", qos)
    assert [message["payload"] for message in wait_messages(subscriber, 6)] == [str(number) for number in range(6)]


@pytest.mark.parametrize("qos", [1, 2])
def test_a_publisher_goes_on_after_lost_connections_and_loses_nothing(shunt, broker, sub, command, qos):
    door = shunt.closing(Door(broker.address))
    subscriber = sub("p", "--qos", qos, json=False)
    count = 2000
    publisher = command("pub", "p", "-", "--qos", qos, "--mqtt", door.address, "--rate", "2000/s", "--window", 50)
    publisher.type("".join(f"{number}\n" for number in range(count)))
    for seen in (100, 500, 1000):
        eventually(lambda: subscriber.output.read_text().count("\n") >= seen, 30)
        door.cut()
    assert publisher.end() == 0, publisher.shown
    assert f"{count} sent, {count} acknowledged, 0 refused" in publisher.shown
    eventually(lambda: len(set(subscriber.output.read_text().split("\n"))) > count, 20)
    got = [int(line.split("\t")[2]) for line in subscriber.output.read_text().splitlines()]
    if qos == 2:
        assert got == list(range(count)), "once each, in order"
    else:
        firsts = list(dict.fromkeys(got))
        assert firsts == list(range(count)), "at least once each; the first of each in order"


def test_commands_outlive_the_brokers_restart(broker, sub, command):
    subscriber = sub("r", json=False)
    publisher = command("pub", "r", "-", "--mqtt", broker.address)
    publisher.type("1\n")
    eventually(lambda: "1\n" in subscriber.output.read_text())
    broker.stop()
    subscriber.wait_for("lost ")
    publisher.type("2\n")
    broker.start()
    subscriber.wait_for("back at ")
    publisher.type("3\n")
    eventually(lambda: "\t3\n" in subscriber.output.read_text(), 20)
    assert publisher.end() == 0
    assert "3 sent, 3 acknowledged" in publisher.shown


def test_a_silent_client_keeps_its_connection_by_pings(sub, pub, broker):
    subscriber = sub("quiet", "--keep-alive", 1)
    broker.wait_log("Received PINGREQ", 3)
    pub("quiet", "still here")
    wait_messages(subscriber, 1)
    assert "lost" not in subscriber.log.read_text()


def test_two_clients_of_one_id_are_told_what_may_be_wrong(sub):
    """mosquitto 2.0.11 closes the earlier connection without a word."""
    first, second = sub("t", "--id", "same"), sub("t", "--id", "same")
    text = "Does another client use the id 'same'?"
    eventually(lambda: text in first.shown + second.shown, 20)
    assert second.end(signal.SIGINT) == 0 and first.end(signal.SIGINT) == 0


# Broadcasts and chats


def test_a_device_registers_by_connect_and_prints_broadcasts(broker, command, tmp_path):
    device = command(
        "device", "--uid", "ann", "--device", "phone", "--tag", "driver", "--alias", "a1", "--mqtt", broker.address, "--output", "json")
    device.wait_for("phone is registered at ")
    assert "u'ann'" in broker.log and " as phone " in broker.log
    done = run("notify", "--tag", "driver", "Storm ahead", "--mqtt", broker.address)
    assert (done.returncode, done.stdout) == (0, f"{broker.address}\tsent; nobody counts there\n")
    eventually(lambda: device.output.read_text().endswith("\n"))
    assert messages(device)[0]["message"] == "Storm ahead"
    assert messages(device)[0]["match_tags"] == ["driver"]
    assert device.end(signal.SIGINT) == 0
    done = run("notify", "nobody", "--mqtt", broker.address)
    assert done.returncode == 65 and "device.none" in done.stderr
    done = run("notify", "hello", "--mqtt", broker.address, "--qos", 0, "--output", "json")
    assert json.loads(done.stdout)["workers"] == [{"address": broker.address, "outcome": "delivered"}]


def test_connect_says_uid_device_tags_and_alias(shunt, command):
    """Read from the wire: mosquitto's log does not tell user properties."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "127.0.0.1:%d" % server.getsockname()[1]
        command("device", "--uid", "ann", "--device", "phone", "--tag", "x", "--tag", "y", "--alias", "a1", "--mqtt", address)
        server.settimeout(20)
        with server.accept()[0] as connection:
            connection.settimeout(20)
            packet = connection.recv(4096)

    def text(value):
        return struct.pack(">H", len(value)) + value.encode()

    assert packet[0] == 0x10 and text("phone") in packet and text("ann") in packet
    pairs = [b"\x26" + text(name) + text(value) for name, value in [("tag", "x"), ("tag", "y"), ("alias", "a1")]]
    assert b"".join(pairs) in packet


def test_members_of_a_chat_get_each_others_lines_and_not_their_own(broker, command):
    ann = command("chat", "support-7", "--as", "ann", "--mqtt", broker.address)
    bob = command("chat", "support-7", "--as", "bob", "--mqtt", broker.address)
    for member in (ann, bob):
        member.wait_for("in the chat, at ")
    ann.type("hello\n")
    bob.wait_for("ann: hello")
    bob.type("//well\n")
    ann.wait_for("bob: /well")
    assert "hello" not in ann.output.read_text()
    ann.type("/quit\n")
    assert ann.process.wait(20) == 0
    broker.wait_log("Received UNSUBSCRIBE")
    assert bob.end() == 0


# What goes wrong


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
    for command, wrong in [
        (["pub", "a", "x"], []), (["sub", "a"], ["--user", "ann", "--password", "guess"]), (["notify", "x"], []), (["chat", "c"], ["--as", "ann"]),
    ]:
        done = run(*command, *to, *wrong)
        assert done.returncode == 77 and "access.denied" in done.stderr, done
        assert broker.address in done.stderr and "user name and a password" in done.stderr
    assert run("pub", "a", "x", *to, "--user", "ann", "--password", "secret").returncode == 0
    assert run("pub", "a", "x", *to, "--user", "ann", env={"SHUNT_MQTT_PASSWORD": "secret"}).returncode == 0


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


def test_a_slow_reader_holds_the_broker_back_and_loses_nothing(broker, tmp_path, pub):
    """Its output is read only at the end: the subscriber stops reading, and pings all the same."""
    process = subprocess.Popen(
        [BINARY, "sub", "slow", "--qos", "1", "--keep-alive", "2", "--mqtt", broker.address, "--quiet", "--output", "payload"],
        stdout=subprocess.PIPE, env=environment())
    try:
        broker.wait_log("Sending SUBACK")
        count, line = 300, "x" * 4000
        pub("slow", line, "--count", count)
        broker.wait_log("Received PINGREQ", 3)
        got = b""
        while got.count(b"\n") < count:
            got += os.read(process.stdout.fileno(), 65_536)
        assert got == (line.encode() + b"\n") * count
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_help_tells_the_options_of_mqtt():
    for command in ("pub", "sub", "notify", "device", "chat"):
        shown = run(command, "--help", env={"COLUMNS": "200"}).stdout
        for option in ("--mqtt <host>", "--qos <0|1|2>", "--v311", "--will-topic", "--session-expiry", "--keep-alive", "--property"):
            assert option in shown, command
        assert re.search(r"^MQTT", shown, re.MULTILINE), "in a section of their own"
