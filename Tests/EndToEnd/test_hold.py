"""What was acknowledged arrives: producers wait for consumers that read more slowly than they send."""

import json
import threading

import pytest

from exchange import JSON, MESSAGE, PING, SUBSCRIBE, UNSUBSCRIBE, encode, eventually, subscription
from processes import get

KIB = 1 << 10
DROPPED = 'shunt_messages_dropped_total{reason="slow_consumer"}'
LOOPS = pytest.mark.parametrize("loops", [1, 2])


def silent_consumer(connect, worker, topic, group="slow"):
    """Has subscribed and reads nothing."""
    consumer = connect(worker.exchange, receive_buffer=4096, reading=False)
    consumer.send(encode(SUBSCRIBE, 1, subscription(topic, group), format=JSON))
    eventually(lambda: worker.metric("shunt_subscriptions") >= 1)
    return consumer


def in_background(producer, topic, count, size=KIB):
    """Pipelines messages that begin with their number."""
    frames = b"".join(encode(MESSAGE, 100 + n, f"{n:08}".encode().ljust(size, b"."), topic) for n in range(count))

    def send():
        try:
            producer.send(frames)
        except OSError:
            pass  # The test has ended.

    threading.Thread(target=send, daemon=True).start()


@LOOPS
@pytest.mark.parametrize("size", [KIB, 8 * KIB])
def test_a_consumer_that_pauses_gets_all_that_was_acknowledged(shunt, connect, loops, size):
    worker = shunt.worker({"worker.loops": loops, "limits.out_buffer": "1MiB", "worker.slow_patience": "60s"})
    count = (40 << 20) // size
    consumer, producer = silent_consumer(connect, worker, "t"), connect(worker.exchange)
    in_background(producer, "t", count, size)
    worker.wait_metric("shunt_held_producers", 1)
    assert len(producer.answers) < count
    consumer.start_reading()
    got = consumer.receive(count, timeout=60)
    assert [int(frame.text[:8]) for frame in got] == list(range(count))
    assert all(answer.status == 200 for answer in producer.take_answers(count))
    assert worker.metric(DROPPED) == 0
    worker.wait_metric("shunt_held_producers", 0)


@LOOPS
def test_nobody_waits_for_a_consumer_that_is_stuck(shunt, connect, loops):
    worker = shunt.worker({"worker.loops": loops, "limits.out_buffer": "256KiB", "worker.slow_patience": "300ms"})
    consumer, producer = silent_consumer(connect, worker, "t"), connect(worker.exchange)
    count = 20_000
    in_background(producer, "t", count)
    assert all(answer.status == 200 for answer in producer.take_answers(count))
    worker.wait_metric("shunt_stuck_consumers", 1)
    eventually(lambda: worker.metric(DROPPED) > 0)
    worker.wait_log("(stuck)")
    # It reads again: from then on it is waited for like any other.
    consumer.start_reading()
    worker.wait_metric("shunt_stuck_consumers", 0)
    dropped = int(worker.metric(DROPPED))
    consumer.receive(count - dropped)
    in_background(producer, "t", count)
    assert [int(frame.text[:8]) for frame in consumer.receive(count)] == list(range(count))


@LOOPS
def test_others_are_not_held(shunt, connect, loops):
    worker = shunt.worker({"worker.loops": loops, "limits.out_buffer": "256KiB", "worker.slow_patience": "60s"})
    silent_consumer(connect, worker, "slow")
    held = connect(worker.exchange)
    in_background(held, "slow", 20_000)
    worker.wait_metric("shunt_held_producers", 1)
    reading, other = connect(worker.exchange).subscribe("fast", "g"), connect(worker.exchange)
    for number in range(100):
        assert other.message("fast", str(number)).status == 200
    assert [frame.text for frame in reading.receive(100)] == [str(number) for number in range(100)]


@LOOPS
def test_a_producer_is_let_go_when_its_consumer_leaves(shunt, connect, loops):
    worker = shunt.worker({"worker.loops": loops, "limits.out_buffer": "256KiB", "worker.slow_patience": "60s"})
    consumer, producer = silent_consumer(connect, worker, "t"), connect(worker.exchange)
    in_background(producer, "t", 20_000)
    worker.wait_metric("shunt_held_producers", 1)
    consumer.close()
    producer.take_answers(20_000)
    worker.wait_metric("shunt_held_producers", 0)


@LOOPS
def test_two_clients_that_produce_for_each_other_do_not_block_each_other(shunt, connect, loops):
    worker = shunt.worker({"worker.loops": loops, "limits.out_buffer": "64KiB", "worker.slow_patience": "60s"})
    a, b = connect(worker.exchange).subscribe("to/a", "a"), connect(worker.exchange).subscribe("to/b", "b")
    in_background(a, "to/b", 20_000)
    in_background(b, "to/a", 20_000)
    for client in (a, b):
        assert [int(frame.text[:8]) for frame in client.receive(20_000, timeout=60)] == list(range(20_000))
    assert worker.metric(DROPPED) == 0


def test_a_client_that_floods_itself_is_held_like_any_other(shunt, connect):
    worker = shunt.worker({"worker.loops": 1, "limits.out_buffer": "256KiB", "worker.slow_patience": "60s"})
    client = silent_consumer(connect, worker, "own")
    before = worker.resident()
    in_background(client, "own", 20_000)
    eventually(lambda: worker.metric("shunt_held_producers") == 1 or worker.metric("shunt_requests_total") > 100)
    assert worker.resident() - before < 16 << 20
    client.start_reading()
    client.receive(20_000)
    assert worker.metric(DROPPED) == 0


@LOOPS
def test_a_group_may_have_another_policy(shunt, connect, loops):
    worker = shunt.worker({
        "worker.loops": loops, "limits.out_buffer": "256KiB", "worker.slow_patience": "60s", "worker.groups.slow": "{audit: drop_newest}"})
    silent_consumer(connect, worker, "t", "audit")
    producer = connect(worker.exchange)
    in_background(producer, "t", 20_000)
    producer.take_answers(20_000)
    eventually(lambda: worker.metric(DROPPED) > 0)
    assert worker.metric("shunt_holds_total") == 0


def test_many_producers_that_are_held_lose_nothing(shunt, connect):
    worker = shunt.worker({"worker.loops": 2, "limits.out_buffer": "64KiB", "worker.slow_patience": "60s"})
    consumer = silent_consumer(connect, worker, "t")
    producers = [connect(worker.exchange) for _ in range(30)]
    for producer in producers:
        in_background(producer, "t", 500)
    # The kernel takes what a few of them send.
    eventually(lambda: worker.metric("shunt_held_producers") >= 20)
    consumer.start_reading()
    assert len(consumer.receive(15_000, timeout=60)) == 15_000
    for producer in producers:
        assert all(answer.status == 200 for answer in producer.take_answers(500))


@pytest.mark.parametrize("change", ["subscribe", "unsubscribe"])
def test_a_subscription_that_was_answered_holds_on_every_loop(shunt, connect, change):
    worker = shunt.worker({"worker.loops": 2})
    consumer, producer = connect(worker.exchange), connect(worker.exchange)
    for number in range(300):
        topic = f"t/{number}"
        consumer.subscribe(topic)
        if change == "subscribe":
            assert producer.message(topic, "x").status == 200
        else:
            assert consumer.request(UNSUBSCRIBE, subscription(topic, "group"), format=JSON).status == 200
            assert producer.message(topic, "x").status == 500


def test_clients_that_read_no_answers_cost_bounded_memory(shunt, connect):
    worker = shunt.worker({"worker.loops": 2, "limits.buffers": "16MiB"})
    before = worker.resident()
    clients = [connect(worker.exchange, receive_buffer=4096, reading=False) for _ in range(30)]

    def flood(client):
        try:
            for _ in range(400):
                client.send(encode(PING, 1) * 1000)
        except OSError:
            pass

    threads = [threading.Thread(target=flood, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    worker.wait_metric("shunt_slow_consumers_closed_total", 30)
    assert worker.resident() - before < 24 << 20
    assert connect(worker.exchange).request(PING).status == 200


@pytest.mark.parametrize("topic", ["in/+", "in/#", "in/a+", "#", "in/\0"])
def test_a_message_cannot_have_a_wildcard_topic(shunt, connect, topic):
    worker = shunt.worker({"worker.loops": 1})
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    answer = producer.message(topic, "x")
    assert answer.status == 400 and "wildcards" in answer.text
    producer.message("in/a", "next")
    assert consumer.receive(1)[0].text == "next"


@pytest.mark.parametrize("topic", ["$share/g/t", "a+/b", "a/#/b", "a\\u0000"])
def test_a_filter_that_can_match_nothing_is_refused(shunt, connect, topic):
    worker = shunt.worker({"worker.loops": 1})
    answer = connect(worker.exchange).request(SUBSCRIBE, subscription(topic, "g"), format=JSON)
    assert answer.status == 400
    if topic.startswith("$share"):
        assert "group g, topic t" in answer.text


def test_an_operator_sees_which_consumer_is_stuck(shunt, connect):
    master = shunt.master()
    worker = shunt.worker({
        "worker.masters": master.master, "limits.out_buffer": "256KiB", "worker.slow_patience": "300ms", "worker.loops": 2})
    consumer, producer = silent_consumer(connect, worker, "t"), connect(worker.exchange)
    in_background(producer, "t", 20_000)

    def seen() -> tuple[int, list[str]]:
        found = json.loads(get(f"http://{master.admin}/api/v1/workers"))["workers"]
        return (found[0]["figures"]["stuck_consumers"], found[0]["stuck"]) if found else (0, [])

    eventually(lambda: seen()[0] == 1 and seen()[1])
    assert "groups slow" in seen()[1][0]
    consumer.start_reading()
    eventually(lambda: seen() == (0, []), timeout=30)
