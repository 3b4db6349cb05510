"""The client commands over MQTT, against Debian's mosquitto: what they send and print, also after lost connections."""

import base64
import json
import os
import signal
import socket
import struct
import subprocess

import pytest

import mosquitto
from client_commands import messages, wait_messages
from exchange import eventually
from processes import BINARY, Door, environment, run

pytestmark = pytest.mark.skipif(mosquitto.BINARY is None, reason="needs Debian's mosquitto")

VERSIONS = [pytest.param([], id="5.0"), pytest.param(["--v311"], id="3.1.1")]


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

    def payloads() -> list:
        got = [message["payload"] for message in messages(subscriber)]
        # One of QoS 1 whose acknowledgement was cut off comes again.
        return list(dict.fromkeys(got)) if qos == 1 else got

    for number in range(5):
        pub("s/1", number, "--qos", qos)
        eventually(lambda: len(payloads()) > number, 20)
        door.cut()
    subscriber.wait_for("trying again")
    eventually(lambda: subscriber.log.read_text().count("back at ") >= 5, 20)
    pub("s/1", 5, "--qos", qos)
    eventually(lambda: payloads() == [str(number) for number in range(6)], 20)


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
