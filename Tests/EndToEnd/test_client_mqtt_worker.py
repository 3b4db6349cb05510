"""The client commands over MQTT at a worker, where they meet those that speak the exchange protocol."""

import re
import signal

import pytest

from client_commands import wait_messages
from exchange import eventually
from processes import run

VERSIONS = [pytest.param([], id="5.0"), pytest.param(["--v311"], id="3.1.1")]


@pytest.fixture
def worker(shunt):
    # A publisher may be faster than a subscriber: what waits for it is not to be dropped here.
    return shunt.worker({
        "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.loops": 2,
        "mqtt.queue.messages": 100_000,
    })


@pytest.fixture
def mqtt(worker):
    return ["--mqtt", worker.listeners["worker.mqtt"]]


@pytest.fixture
def exchange(worker):
    return ["--worker", worker.exchange]


def well(*arguments, **more):
    done = run(*arguments, **more)
    assert done.returncode == 0, done
    return done


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_go_both_ways_with_key_and_format(command, mqtt, exchange, version):
    over_mqtt = command("sub", "a/+", *mqtt, *version, "--qos", 2, "--output", "json")
    over_exchange = command("sub", "a/+", *exchange, "--output", "json")
    for subscriber in (over_mqtt, over_exchange):
        subscriber.wait_for("subscribed to ")
    for qos in (0, 1, 2):
        well("pub", "a/1", f'{{"qos":{qos}}}', "--qos", qos, *mqtt, *version)
    well("pub", "a/2", "text", "--key", "eu", *exchange)
    shown = [
        [(message["topic"], message["payload"], message.get("key"), message["format"]) for message in wait_messages(subscriber, 4)]
        for subscriber in (over_mqtt, over_exchange)
    ]
    is_new = not version
    text = "json" if is_new else "text"
    assert shown[0] == [("a/1", f'{{"qos":{qos}}}', None, text) for qos in (0, 1, 2)] + [("a/2", "text", "eu" if is_new else None, "text")]
    assert [row[:3] for row in shown[1]] == [row[:3] for row in shown[0][:3]] + [("a/2", "text", "eu")]
    assert [message["qos"] for message in wait_messages(over_mqtt, 4)] == [0, 1, 2, 1]
    assert over_mqtt.end(signal.SIGINT) == 0


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", VERSIONS)
def test_many_messages_arrive_in_order_once(command, mqtt, version, qos):
    count = 5_000
    subscriber = command("sub", "load", "--qos", qos, *mqtt, *version)
    subscriber.wait_for("subscribed to ")
    said = well("pub", "load", "-", "--qos", qos, *mqtt, *version, input="".join(f"{number}\n" for number in range(count))).stderr
    assert f"{count} sent" in said
    eventually(lambda: subscriber.output.read_text().count("\n") >= count, 30)
    assert subscriber.output.read_text() == "".join(f"load\t\t{number}\n" for number in range(count))


def test_a_kept_session_retained_messages_and_a_will(command, mqtt):
    kept = ["sub", "s/#", *mqtt, "--id", "me", "--session-expiry", 60, "--output", "json"]
    first = command(*kept, "--will-topic", "s/gone", "--will-payload", "bye", "--will-retain")
    first.wait_for("subscribed to ")
    watcher = command("sub", "s/gone", *mqtt, "--output", "json")
    watcher.wait_for("subscribed to ")
    first.end(signal.SIGKILL)
    assert wait_messages(watcher, 1)[0]["payload"] == "bye"
    well("pub", "s/1", "meanwhile", *mqtt, "--qos", 2)
    second = command(*kept)
    assert {message["payload"] for message in wait_messages(second, 2)} == {"bye", "meanwhile"}
    late = command("sub", "s/gone", *mqtt, "--output", "json")
    assert wait_messages(late, 1)[0]["retain"] is True


def test_one_client_id_is_one_client(command, mqtt):
    first = command("sub", "t", *mqtt, "--id", "same")
    first.wait_for("subscribed to ")
    second = command("sub", "t", *mqtt, "--id", "same")
    second.wait_for("subscribed to ")
    assert first.process.wait(20) == 75
    assert "another connection has taken the client id (session.replaced)" in first.shown


def test_broadcasts_reach_devices_of_both_protocols_and_are_counted(command, mqtt, exchange):
    phone = command("device", "--uid", "ann", "--device", "phone", "--tag", "driver", *mqtt)
    desk = command("device", "--uid", "bob", "--device", "desk", "--tag", "driver", *exchange)
    quiet = command("device", "--uid", "eve", "--device", "quiet", *mqtt)
    for device in (phone, desk, quiet):
        device.wait_for("is registered at ")
    assert "2 matched, 2 sent" in well("notify", "--tag", "driver", "storm", *mqtt, "--user", "boss").stdout
    assert "2 matched, 2 sent" in well("notify", "--tag", "driver", '{"message":"x"}', *exchange).stdout
    for device in (phone, desk):
        eventually(lambda: device.output.read_text() == 'storm\n{"message":"x"}\n', 20, device.output.read_text)
    assert quiet.output.read_text() == ""
    done = run("notify", "--tag", "nobody", "x", *mqtt, "--user", "boss")
    assert done.returncode == 65 and "device.none" in done.stderr
    done = run("notify", "x", *mqtt)
    assert done.returncode == 77 and "clients without a user name may not send broadcasts" in done.stderr


def test_a_chat_has_members_of_both_protocols(command, mqtt, exchange):
    ann = command("chat", "room", "--as", "ann", *mqtt)
    ann.wait_for("in the chat, at ")
    bob = command("chat", "room", "--as", "bob", *exchange)
    bob.wait_for("in the chat, at ")
    ann.type("hello\n")
    bob.wait_for(": hello")
    bob.type("well\n")
    ann.wait_for(": well")
    assert "hello" not in ann.output.read_text()
    bob.type("/destroy\n")
    assert ann.process.wait(20) == 0
    assert "the chat has been closed" in ann.shown
    assert bob.process.wait(20) == 0


def test_what_the_worker_refuses_is_told_with_its_words(mqtt):
    done = run("pub", "$SYS/x", "y", *mqtt)
    assert done.returncode == 65 and re.search("1 refused: 0x87 not authorized: only the worker publishes below .SYS", done.stderr), done.stderr


def test_commands_come_back_when_the_worker_does(shunt, command):
    listener = {"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"}
    worker = shunt.worker(listener)
    at = worker.listeners["worker.mqtt"]
    subscriber = command("sub", "t", "--mqtt", at)
    subscriber.wait_for("subscribed to ")
    publisher = command("pub", "t", "-", "--mqtt", at)
    publisher.type("1\n")
    eventually(lambda: "\t1\n" in subscriber.output.read_text(), 20)
    worker.stop()
    subscriber.wait_for("lost ")
    assert "the broker shuts down" in subscriber.shown
    publisher.type("2\n")
    shunt.worker(listener | {"worker.listeners.mqtt.listen": at})
    subscriber.wait_for("back at ")
    publisher.type("3\n")
    eventually(lambda: "\t3\n" in subscriber.output.read_text(), 20)
    assert publisher.end() == 0
