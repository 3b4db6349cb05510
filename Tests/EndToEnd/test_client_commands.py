"""The client commands when things go wrong: workers that restart, readers that stall, places that are taken."""

import json
import os
import re
import signal
import sqlite3
import subprocess

import pytest

from exchange import eventually
from processes import BINARY, environment, run


@pytest.fixture
def dev(shunt):
    process = shunt.dev()
    eventually(lambda: process.workers().get(process.exchange, {}).get("state") == "live")
    return process


def counts(text: str) -> dict[str, int]:
    """What the summary of `shunt pub` says; reasons stand below it."""
    text = next(line for line in text.splitlines() if " acknowledged, " in line)
    return {name: int(number) for number, name in re.findall(r"(\d+) (sent|acknowledged|refused|of unknown outcome|not sent)", text)}


# pub


def test_pub_outlives_the_restart_of_the_only_worker(shunt, connect, command):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master})
    eventually(lambda: master.workers())
    connect(worker.exchange).subscribe("t")
    pub = command("pub", "t", "-", "--master", master.master)
    pub.type("0\n1\n")
    worker.wait_metric("shunt_deliveries_total", 2)
    worker.stop()
    pub.type("2\n3\n4\n")
    again = shunt.worker({"worker.masters": master.master, "worker.listeners.exchange.listen": worker.exchange})
    consumer = connect(again.exchange).subscribe("t")
    pub.type("5\n")
    pub.end()
    said = counts(pub.shown)
    assert said["sent"] + said.get("not sent", 0) == 6
    assert said["sent"] == said["acknowledged"] + said["refused"] + said.get("of unknown outcome", 0)
    assert said.get("not sent", 0) == 0, pub.shown
    # Those that the new worker had before its consumer are refused; none is lost without a word.
    eventually(lambda: len(consumer.inbox) + said["refused"] + said.get("of unknown outcome", 0) == 4)


def test_pub_accounts_for_every_line_when_no_worker_comes_back(shunt, connect, command):
    worker = shunt.worker()
    connect(worker.exchange).subscribe("t")
    pub = command("pub", "t", "-", "--worker", worker.exchange, "--patience", "0.2")
    pub.type("0\n1\n2\n")
    worker.wait_metric("shunt_deliveries_total", 3)
    worker.kill()
    pub.type("3\n4\n5\n6\n")
    assert pub.end() == 69
    said = counts(pub.shown)
    assert said["acknowledged"] == 3
    # The loss may have been noticed before the last lines went out, or after.
    assert said["sent"] + said.get("not sent", 0) == 7 and said["sent"] == 3 + said.get("of unknown outcome", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_pub_sums_up_when_it_is_interrupted(dev, connect, command, number):
    connect(dev.exchange).subscribe("t")
    pub = command("pub", "t", "-", "--master", dev.master)
    pub.type("0\n1\n2\n")
    dev.wait_metric("shunt_deliveries_total", 3)
    assert pub.end(number) == 128 + number
    assert "3 sent, 3 acknowledged, 0 refused" in pub.shown


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"a\xffb", b"caf\xe9 {"])
def test_a_payload_is_sent_with_the_bytes_that_were_given(dev, connect, payload):
    consumer = connect(dev.exchange).subscribe("t")
    result = subprocess.run(
        [BINARY, "pub", "t", payload, "--master", dev.master], env=environment(), capture_output=True, timeout=30)
    assert result.returncode == 0, result.stderr
    eventually(lambda: consumer.inbox)
    assert consumer.inbox[0].value == payload


@pytest.mark.parametrize(
    "arguments", [["pub", b"t\xff", "x"], ["pub", "t", "x", "--key", b"\xff"], ["sub", b"\xff"], ["worker", "--check", "--config", b"\xff"]])
def test_other_arguments_are_utf_8(arguments):
    result = subprocess.run([BINARY, *arguments], env=environment(), capture_output=True, timeout=30)
    assert result.returncode == 64 and b"not UTF-8" in result.stderr, result


def test_lines_and_files_and_whole_inputs_are_sent_as_they_are(dev, connect, tmp_path):
    consumer = connect(dev.exchange).subscribe("t")

    def pub(*arguments, input=b""):
        result = subprocess.run(
            [BINARY, "pub", "t", *arguments, "--master", dev.master], input=input, env=environment(), capture_output=True, timeout=30)
        assert result.returncode == 0, result.stderr
        return result

    (tmp_path / "two.txt").write_bytes(b"one\r\n\ntwo\n\xff")
    pub("-", input=b"\xef\xbb\xbfcrlf\r\nlast")
    pub("--file", tmp_path / "two.txt")
    pub("--whole", input=b"a\nb\n")
    expected = [b"\xef\xbb\xbfcrlf\r", b"last", b"one\r\n\ntwo\n\xff", b"a\nb\n"]
    eventually(lambda: len(consumer.inbox) == 4)
    assert [message.value for message in consumer.inbox] == expected


def test_input_that_cannot_be_sent_is_told_with_the_summary(dev, connect, tmp_path):
    connect(dev.exchange).subscribe("t")
    result = run("pub", "t", "-", "--master", dev.master, input="x\n" + "y" * (11 << 20) + "\nz\n")
    assert result.returncode == 65 and "1 sent, 1 acknowledged" in result.stderr and "standard input:2" in result.stderr
    result = run("pub", "t", "-", "--json", "--master", dev.master, input="{}\n{x}\n")
    assert result.returncode == 65 and "1 sent, 1 acknowledged" in result.stderr and "message 2" in result.stderr
    assert run("pub", "t", "x", "--json", "--master", dev.master).returncode == 65
    assert run("pub", "t", "--file", tmp_path / "nowhere", "--master", dev.master).returncode == 74
    assert run("pub", "t", "--whole", "--master", dev.master, input="").returncode == 64


def test_pub_waits_for_a_subscriber_when_it_is_told_to(dev, connect, command):
    pub = command("pub", "t", "x", "--retry", "60", "--master", dev.master)
    eventually(lambda: dev.metrics().get("shunt_requests_total", 1) > 0 or pub.process.poll() is not None, 20)
    consumer = connect(dev.exchange).subscribe("t")
    assert pub.process.wait(30) == 0 and "1 acknowledged" in pub.shown
    assert len(consumer.inbox) == 1
    assert run("pub", "nobody", "x", "--retry", "0.1", "--master", dev.master).returncode == 65


def test_notify_reads_its_message_from_standard_input(dev, command):
    device = command("device", "--uid", "ann", "--device", "phone", "--worker", dev.exchange)
    device.wait_for("registered")
    assert run("notify", "-", "--master", dev.master, input="two\nlines\n").returncode == 0
    device.wait_for("two\\nlines")
    assert run("notify", "-", "--master", dev.master, input="\n").returncode == 64


@pytest.mark.parametrize(
    "arguments, words", [
        (["pub", "", "x"], "topic is empty"), (["pub", "t", ""], "payload is empty"), (["sub", "t", "--count", "-1"], "--count is -1"),
        (["pub", "t", "x", "--count", "-1"], "--count is -1"), (["device", "--uid", "a", "--device", "b", "--count", "-1"], "-1"),
        (["admin", "workers", "--limit", "-1"], "--limit is -1"),
    ])
def test_what_cannot_be_sent_or_counted_is_wrong_usage(arguments, words):
    result = run(*arguments)
    assert result.returncode == 64 and words in result.stderr, result.stderr


def test_a_port_of_another_protocol_is_called_one(dev):
    result = run("pub", "t", "x", "--master", dev.admin)
    assert result.returncode == 69 and "does not speak the exchange protocol" in result.stderr
    assert "limits.frame" not in result.stderr and "4088" in result.stderr


def test_a_worker_that_cannot_be_reached_is_not_called_a_master(shunt):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master})
    eventually(lambda: master.workers())
    worker.kill()
    result = run("pub", "t", "x", "--master", master.master)
    assert result.returncode == 69 and worker.exchange in result.stderr
    assert "is a worker that the master lists" in result.stderr and "is a master running there" not in result.stderr


# sub


@pytest.mark.parametrize("signals", [1, 2])
def test_sub_ends_by_a_signal_though_nobody_reads_its_output(dev, connect, command, signals):
    reading, writing = os.pipe()
    sub = command("sub", "t", "--output", "payload", "--master", dev.master, stdout=writing)
    os.close(writing)
    sub.wait_for("subscribed")
    producer = connect(dev.exchange)
    for _ in range(30):
        assert producer.message("t", "x" * 100_000).status == 200
    for _ in range(signals):
        sub.process.send_signal(signal.SIGINT)
    assert sub.process.wait(20) == 130
    os.close(reading)


def test_output_that_cannot_be_written_is_told(dev, connect, command):
    with open("/dev/full", "wb") as full:
        sub = command("sub", "t", "--master", dev.master, stdout=full)
        sub.wait_for("subscribed")
        connect(dev.exchange).message("t", "x")
        assert sub.process.wait(20) == 74 and "(io.failed)" in sub.shown
        admin = subprocess.run(
            [BINARY, "admin", "workers", "--master", dev.admin], stdout=full, stderr=subprocess.PIPE, env=environment(), text=True)
        assert admin.returncode == 74 and "No space left".lower() in admin.stderr.lower()


def test_sub_says_what_is_no_filter(dev, command):
    for topic in ("a/#/b", "a+"):
        result = run("sub", topic, "--master", dev.master)
        assert result.returncode == 65 and "wildcard inside a level" in result.stderr, result
    sub = command("sub", "a/+", "--master", dev.master)
    sub.wait_for("subscribed")
    assert "wildcard" not in sub.shown
    assert sub.end(signal.SIGINT) == 0


# admin


def test_lists_of_a_worker_that_is_not_there_say_so(dev):
    for kind in ("devices", "chats"):
        result = run("admin", kind, "--worker", "nope", "--master", dev.admin)
        assert result.returncode == 65 and "worker.unknown" in result.stderr and not result.stdout
        assert run("admin", kind, "--worker", "127.0.0.1", "--master", dev.admin).returncode == 0


def test_a_registry_that_is_not_there_is_named_by_the_option(tmp_path):
    result = run("admin", "workers", "--registry", tmp_path / "nope.sqlite")
    assert result.returncode == 69 and "--registry" in result.stderr


def test_workers_of_a_master_that_ended_long_ago_are_shown_as_lost(dev):
    name = dev.exchange
    dev.kill()
    with sqlite3.connect(dev.registry) as database:
        database.execute("UPDATE workers SET heartbeat_at = heartbeat_at - 60")
    database.close()
    for arguments in (["workers"], ["workers", "--state", "lost"]):
        found = json.loads(run("admin", *arguments, "--registry", dev.registry, "--output", "json").stdout)["workers"]
        assert [(worker["name"], worker["state"]) for worker in found] == [(name, "lost")]
    assert "lost" in run("admin", "worker", name, "--registry", dev.registry).stdout


# chat, devices


def devices(dev, uid: str) -> set[str]:
    """The names of the uid's devices that are online, as the master knows them."""
    answer = run("admin", "devices", "--uid", uid, "--online", "--output", "json", "--master", dev.admin)
    return {device["device"] for device in json.loads(answer.stdout)["devices"]}


def test_one_user_in_two_chats_stays_a_device_when_one_ends(dev, command):
    first, second = (command("chat", room, "--as", "dora", "--worker", dev.exchange) for room in ("r1", "r2"))
    for chat in (first, second):
        chat.wait_for("in the chat")
    eventually(lambda: devices(dev, "dora") == {"chat-r1", "chat-r2"}, 20)
    second.type("/quit\n")
    assert second.process.wait(20) == 0
    eventually(lambda: devices(dev, "dora") == {"chat-r1"}, 20)
    assert run("notify", "--uid", "dora", "hello dora", "--master", dev.master).returncode == 0
    first.wait_for("broadcast: hello dora")


def test_who_joins_by_the_name_of_a_member_takes_its_place_and_the_one_before_is_told(dev, command):
    first = command("chat", "r", "--as", "ann", "--worker", dev.exchange)
    first.wait_for("in the chat")
    second = command("chat", "r", "--as", "ann", "--worker", dev.exchange)
    second.wait_for("in the chat")
    assert first.process.wait(20) == 75
    assert "* your place was taken by another connection of the same name" in first.shown
    other = command("chat", "r", "--as", "bob", "--worker", dev.exchange)
    other.wait_for("in the chat")
    other.type("hello\n")
    second.wait_for("bob: hello")


def test_the_end_of_input_that_nobody_types_frees_the_place(dev, command):
    other = command("chat", "r", "--as", "ann", "--worker", dev.exchange)
    other.wait_for("in the chat")
    assert run("chat", "r", "--as", "web1", "--worker", dev.exchange, input="up 3 days\n").returncode == 0
    other.wait_for("web1: up 3 days")
    assert run("chat", "r", "--as", "web2", "--worker", dev.exchange, input="up 4 days\n").returncode == 0
    other.wait_for("web2: up 4 days")


def test_quit_frees_the_place_at_once_and_a_signal_keeps_it(dev, command):
    def join(name):
        chat = command("chat", "r", "--as", name, "--worker", dev.exchange)
        eventually(lambda: "in the chat" in chat.shown or chat.process.poll() is not None, 20)
        return chat

    members = {name: join(name) for name in ("ann", "bob")}
    members["ann"].end(signal.SIGINT)
    late = join("carl")
    assert late.process.wait(20) == 65 and "chat.full" in late.shown
    members["bob"].type("held for ann\n")
    members["ann"] = join("ann")
    members["ann"].wait_for("held for ann")
    members["ann"].type("/quit\n")
    assert members["ann"].process.wait(20) == 0
    join("carl").wait_for("in the chat")


def test_what_an_absent_member_has_sent_has_its_name(dev, command):
    ann, bob = (command("chat", "r", "--as", name, "--worker", dev.exchange) for name in ("ann", "bob"))
    for chat in (ann, bob):
        chat.wait_for("in the chat")
    ann.end(signal.SIGINT)
    bob.wait_for("ann has left")
    bob.type("are you there?\n/none\n")
    bob.wait_for("/none is no command")
    bob.end(signal.SIGINT)
    back = command("chat", "r", "--as", "ann", "--worker", dev.exchange)
    back.wait_for("bob: are you there?")


def test_notify_finds_a_device_that_has_just_registered(dev, command):
    device = command("device", "--uid", "ann", "--device", "phone", "--worker", dev.exchange)
    device.wait_for("registered")
    result = run("notify", "--uid", "ann", "hi", "--master", dev.master)
    assert result.returncode == 0 and "1 matched, 1 sent" in result.stdout
    device.wait_for("hi")


def test_notify_reaches_only_the_workers_that_hold_devices_of_the_uid(shunt, command):
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": master.master}) for _ in range(3)]
    eventually(lambda: len(master.workers()) == 3)
    for worker in workers[:2]:
        command("device", "--uid", "ann", "--device", worker.exchange, "--worker", worker.exchange).wait_for("registered")
    eventually(lambda: len(devices(master, "ann")) == 2, 20)
    report = json.loads(run("notify", "--uid", "ann", "hi", "--output", "json", "--master", master.master).stdout)
    assert {worker["address"] for worker in report["workers"]} == {worker.exchange for worker in workers[:2]}
    assert (report["matched"], report["sent"]) == (2, 2)
    assert workers[2].metric("shunt_broadcasts_total") == 0
    everyone = json.loads(run("notify", "hi", "--output", "json", "--master", master.master).stdout)
    assert len(everyone["workers"]) == 3


def test_notify_of_one_uid_that_nobody_has_says_so(dev):
    result = run("notify", "--uid", "nobody", "hi", "--master", dev.master)
    assert result.returncode == 65 and "no device matches" in result.stdout + result.stderr


def test_what_a_worker_refuses_is_told_with_its_status_and_no_code_of_another_thing(dev):
    result = run("device", "--uid", "x" * 300, "--device", "phone", "--worker", dev.exchange)
    assert result.returncode == 65 and "status 400" in result.stderr and "request.invalid" not in result.stderr
