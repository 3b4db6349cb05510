"""A machine that is gone says nothing: its connections are closed when it has not answered for `limits.peer_timeout`."""

import subprocess
import time
import warnings

import pytest

from exchange import JSON, PING, SUBSCRIBE, encode, eventually, subscription
from processes import PATIENCE

VANISHING = "127.0.0.77"
ROUTE = ["blackhole", f"{VANISHING}/32", "table", "local"]
TIMEOUT = {"limits.peer_timeout": "2s"}


@pytest.fixture
def blackhole():
    """Makes what is sent to VANISHING get lost, as if its machine were gone; undone at the end."""
    probe = subprocess.run(["ip", "route", "add", *ROUTE], capture_output=True, text=True) if _has_ip() else None
    if probe is None or probe.returncode != 0:
        why = "there is no ip command" if probe is None else probe.stderr.strip()
        warnings.warn(f"NOT TESTED: what becomes of machines that vanish, since no route can be added here: {why}")
        pytest.skip(f"no route can be added: {why}")
    subprocess.run(["ip", "route", "del", *ROUTE], check=True)
    added = []

    def vanish():
        subprocess.run(["ip", "route", "add", *ROUTE], check=True)
        added.append(True)

    try:
        yield vanish
    finally:
        if added:
            subprocess.run(["ip", "route", "del", *ROUTE], check=True)


def _has_ip() -> bool:
    try:
        return subprocess.run(["ip", "-V"], capture_output=True).returncode == 0
    except OSError:
        return False


def test_a_member_whose_machine_is_gone_is_closed_and_the_group_goes_on_without_it(shunt, connect, blackhole):
    worker = shunt.worker(TIMEOUT)
    connect(worker.exchange, source=VANISHING).subscribe("t", "g")
    connect(worker.exchange, source=VANISHING)
    staying, producer, idle = connect(worker.exchange).subscribe("t", "g"), connect(worker.exchange), connect(worker.exchange)
    worker.wait_metric("shunt_subscriptions", 2)
    blackhole()
    # One gets messages, which nobody acknowledges; the other is silent, and is asked by the kernel.
    for _ in range(10):
        assert producer.message("t", "x").status == 200
    worker.wait_metric("shunt_connections_vanished_total", 2)
    worker.wait_log("its machine does not answer any longer")
    worker.wait_metric("shunt_subscriptions", 1)
    staying.inbox.clear()
    for _ in range(10):
        assert producer.message("t", "y").status == 200
    assert [frame.text for frame in staying.receive(10)] == ["y"] * 10
    # What is silent and there stays.
    assert idle.request(PING).status == 200
    assert worker.metric("shunt_connections") == 3


def test_a_client_that_is_there_and_does_not_read_stays(shunt, connect):
    """Its window is closed for several times the timeout; TCP's probes are answered all the while."""
    worker = shunt.worker(TIMEOUT | {"limits.peer_timeout": "1s", "limits.out_buffer": "64KiB", "worker.slow_consumer": "drop_newest"})
    slow = connect(worker.exchange, receive_buffer=4096, reading=False)
    slow.send(encode(SUBSCRIBE, 1, subscription("t", "g"), format=JSON))
    producer = connect(worker.exchange)
    worker.wait_metric("shunt_subscriptions", 1)
    sent = 0
    dropped = 'shunt_messages_dropped_total{reason="slow_consumer"}'

    def pressed() -> bool:
        nonlocal sent
        for _ in range(100):
            producer.publish("t", "x" * 16_384)
        producer.take_answers(100)
        sent += 100
        return worker.metric(dropped) > 0

    eventually(pressed, PATIENCE)
    # Keep-alive and the worker's own look have each had several turns.
    before = worker.metric(dropped)
    ticks = connect(worker.exchange)
    start = time.monotonic()
    while time.monotonic() - start < 4:
        assert ticks.request(PING).status == 200
        time.sleep(0.1)
    assert worker.metric("shunt_connections_vanished_total") == 0 and worker.metric("shunt_connections") == 3
    assert before > 0
    slow.start_reading()
    assert slow.receive(1)


def test_a_masters_client_whose_machine_is_gone_is_closed(shunt, connect, blackhole):
    master = shunt.master(TIMEOUT)
    connect(master.master, source=VANISHING).request(PING)
    blackhole()
    master.wait_log("its machine does not answer any longer")


def test_a_worker_notices_that_its_masters_machine_is_gone(shunt, blackhole):
    master = shunt.master({"master.exchange.listen": f"{VANISHING}:0"})
    worker = shunt.worker(TIMEOUT | {"worker.masters": f"[{master.master}]"})
    worker.wait_metric("shunt_master_connected", 1)
    blackhole()
    worker.wait_metric("shunt_master_connected", 0)
