"""A consumer that does not read costs a bounded amount of memory, and nobody else anything."""

import json

import pytest

from exchange import JSON, PING, SUBSCRIBE, encode, eventually, subscription
from mqtt import packets
from mqtt.client import Client
from mqtt.packets import V5
from processes import write_rule, write_whole

MIB = 1 << 20
PAYLOAD = 16_384
COUNT = 3_000  # 48 MiB, far over what the kernel and the out-buffer take together
BATCH = 50  # what is on its way to the consumer that reads stays under its bound


def text(number: int) -> str:
    return f"{number:010}".ljust(PAYLOAD, ".")


def number(frame) -> int:
    return int(frame.text[:10])


@pytest.fixture
def flood(shunt, connect):
    """Sends more than a consumer that does not read can be kept waiting for, beside one that reads."""

    def run(policy):
        worker = shunt.worker({"worker.slow_consumer": policy, "limits.out_buffer": "1MiB", "worker.loops": 2})
        slow = connect(worker.exchange, receive_buffer=4096, reading=False)
        slow.send(encode(SUBSCRIBE, 1, subscription("t", "slow"), format=JSON))
        fast, producer = connect(worker.exchange).subscribe("t", "fast"), connect(worker.exchange)
        worker.wait_metric("shunt_subscriptions", 2)
        before = worker.resident()
        for start in range(0, COUNT, BATCH):
            for each in range(start, start + BATCH):
                producer.publish("t", text(each))
            assert [number(frame) for frame in fast.receive(BATCH)] == list(range(start, start + BATCH))
        assert all(answer.status == 200 for answer in producer.take_answers(COUNT))
        assert worker.resident() - before < 16 * MIB
        return worker, slow

    return run


DROPPED = 'shunt_messages_dropped_total{reason="slow_consumer"}'


def accounted(worker, slow) -> list[int]:
    """What the slow consumer gets, once each message was either written to it or dropped."""
    slow.start_reading()
    eventually(lambda: worker.metric("shunt_deliveries_total") + worker.metric(DROPPED) == 2 * COUNT)
    dropped = int(worker.metric(DROPPED))
    assert dropped > 0
    return [number(frame) for frame in slow.receive(COUNT - dropped)]


def test_drop_newest_keeps_what_waits(flood):
    worker, slow = flood("drop_newest")
    got = accounted(worker, slow)
    assert got[:100] == list(range(100))
    assert got == sorted(set(got))
    worker.wait_log("do not read fast enough")


def test_one_stuck_client_is_logged_as_one_by_name_for_as_long_as_it_is_stuck(shunt, connect):
    worker = shunt.worker({"limits.out_buffer": "256KiB", "worker.slow_patience": "200ms", "worker.loops": 2})
    stuck = connect(worker.exchange, receive_buffer=4096, reading=False)
    stuck.send(encode(SUBSCRIBE, 1, subscription("t", "audit"), format=JSON))
    producer = connect(worker.exchange)
    worker.wait_metric("shunt_subscriptions", 1)

    def lines() -> list[dict]:
        """Of the time in which it is stuck."""
        found = [json.loads(line) for line in worker.stderr.splitlines() if "do not read fast enough" in line]
        return [line["metadata"] for line in found if line["metadata"]["stuck"] == "1"]

    def dropped_and_logged(count: int) -> bool:
        for _ in range(50):
            producer.publish("t", "x" * PAYLOAD)
        producer.take_answers(50)
        return len(lines()) >= count

    # A line a second, while drops go on.
    eventually(lambda: dropped_and_logged(3), 20)
    address = "127.0.0.1:%d" % stuck.socket.getsockname()[1]
    assert all(line["clients"] == "1" and address in line["worst"] and "audit" in line["worst"] for line in lines()), lines()
    assert worker.metric(DROPPED) > 0 and worker.metric("shunt_stuck_consumers") == 1
    stuck.close()
    worker.wait_metric("shunt_stuck_consumers", 0)


def test_drop_oldest_keeps_the_newest(flood):
    worker, slow = flood("drop_oldest")
    got = accounted(worker, slow)
    assert got == sorted(set(got))
    assert got[-1] == COUNT - 1


def test_disconnect_closes_the_connection(flood):
    worker, slow = flood("disconnect")
    worker.wait_metric("shunt_slow_consumers_closed_total", 1)
    slow.start_reading()
    slow.wait_closed()
    assert [number(frame) for frame in slow.inbox] == list(range(len(slow.inbox)))
    eventually(lambda: worker.metric('shunt_messages_dropped_total{reason="client_gone"}') > 0, what="what waited when it was closed")
    worker.wait_metric("shunt_subscriptions", 1)


def test_a_group_prefers_members_that_read(shunt, connect):
    worker = shunt.worker({"limits.out_buffer": "1MiB", "worker.loops": 2})
    stopped = connect(worker.exchange, receive_buffer=4096, reading=False)
    stopped.send(encode(SUBSCRIBE, 1, subscription("t", "g"), format=JSON))
    reading, producer = connect(worker.exchange).subscribe("t", "g"), connect(worker.exchange)
    worker.wait_metric("shunt_subscriptions", 2)
    for start in range(0, COUNT, BATCH):
        for each in range(start, start + BATCH):
            producer.publish("t", text(each))
        producer.take_answers(BATCH)
        # Its answer comes behind all messages for this member: it keeps up.
        assert reading.request(PING).status == 200
    assert worker.metric(DROPPED) == 0
    stopped.start_reading()
    worker.wait_metric("shunt_deliveries_total", COUNT)
    eventually(lambda: len(stopped.inbox) + len(reading.inbox) == COUNT)
    assert len(reading.inbox) > COUNT / 2


def test_a_client_that_reads_no_answers_is_closed_in_time(shunt, connect):
    worker = shunt.worker({"limits.out_buffer": "64KiB"})
    deaf = connect(worker.exchange, receive_buffer=4096, reading=False)
    before = worker.resident()
    with pytest.raises(OSError):
        for _ in range(20_000):
            deaf.send(encode(PING, 1) * 100)
    worker.wait_metric("shunt_slow_consumers_closed_total", 1)
    assert worker.resident() - before < 16 * MIB


def test_a_message_larger_than_the_buffer_reaches_a_consumer_that_keeps_up(shunt, connect):
    worker = shunt.worker()  # limits.frame is 10 MiB, limits.out_buffer 8
    consumer, producer = connect(worker.exchange).subscribe("t"), connect(worker.exchange)
    payload = "x" * (9 * MIB)
    for _ in range(3):
        assert producer.message("t", payload).status == 200
        assert consumer.receive(1)[0].text == payload


def test_those_who_do_not_read_leave_room_for_the_others(shunt, connect):
    worker = shunt.worker({"limits.buffers": "8MiB", "limits.out_buffer": "4MiB", "worker.loops": 1})
    for each in range(6):
        deaf = connect(worker.exchange, receive_buffer=4096, reading=False)
        deaf.send(encode(SUBSCRIBE, 1, subscription("flood", f"g{each}"), format=JSON))
    consumer, producer = connect(worker.exchange).subscribe("t"), connect(worker.exchange)
    worker.wait_metric("shunt_subscriptions", 7)
    for each in range(1000):
        producer.publish("flood", text(each))
    producer.take_answers(1000)
    eventually(lambda: worker.metric('shunt_messages_dropped_total{reason="slow_consumer"}') > 0)
    for start in range(0, 500, 10):
        ids = [producer.publish("t", text(each)) for each in range(start, start + 10)]
        assert [answer.id for answer in producer.take_answers(10)] == ids
        assert [number(frame) for frame in consumer.receive(10)] == list(range(start, start + 10))


def test_a_new_policy_meets_what_waits_already(shunt, connect, tmp_path):
    path = tmp_path / "live.yaml"

    def write(policy):
        write_whole(path, f"worker: {{ slow_consumer: {policy}, loops: 1, listeners: {{ exchange: {{ listen: '127.0.0.1:0' }} }} }}\n"
                          "limits: { out_buffer: 1MiB }\n")

    write("drop_newest")
    worker = shunt.worker(config=path)
    slow = connect(worker.exchange, receive_buffer=4096, reading=False)
    slow.send(encode(SUBSCRIBE, 1, subscription("t", "slow"), format=JSON))
    producer = connect(worker.exchange)
    worker.wait_metric("shunt_subscriptions", 1)

    def publish():
        for each in range(COUNT // 10):
            producer.publish("t", text(each))
        producer.take_answers(COUNT // 10)

    publish()
    write("drop_oldest")
    worker.reload()
    publish()
    slow.start_reading()
    assert connect(worker.exchange).request(PING).status == 200
    eventually(lambda: slow.inbox and number(slow.inbox[-1]) == COUNT // 10 - 1, what="the newest message")


@pytest.mark.parametrize("rule", [None, "msg.sender:close('enough')"])
def test_a_client_that_is_closed_while_its_own_large_frame_is_handled_harms_nobody(shunt, connect, tmp_path, rule):
    """It has subscribed what it sends and does not read, or a rule closes it."""
    sets = {"worker.slow_consumer": "disconnect", "limits.out_buffer": "1MiB", "worker.loops": 1}
    if rule:
        write_rule(tmp_path, "closer", f"return {{ match = {{ topic = 'own' }}, on_message = function(msg) {rule} end }}")
        sets |= {"rules.directory": tmp_path, "rules.enabled": "[closer]"}
    worker = shunt.worker(sets)
    consumer = connect(worker.exchange).subscribe("own", "other")
    client = connect(worker.exchange, receive_buffer=4096, reading=False)
    client.send(encode(SUBSCRIBE, 1, subscription("own", "self"), format=JSON))
    worker.wait_metric("shunt_subscriptions", 2)
    with pytest.raises(OSError):
        for _ in range(50):
            client.publish("own", "x" * 5 * MIB)
    consumer.receive(1)
    assert connect(worker.exchange).request(PING).status == 200


@pytest.mark.parametrize("aliases", [0, 10])
def test_a_stuck_client_of_mqtt_stays_whatever_aliases_it_has(shunt, aliases):
    """What is not queued names no alias to it: what it gets afterwards comes under its own topic."""
    worker = shunt.worker({
        "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "limits.out_buffer": "1MiB",
        "worker.slow_patience": "500ms"})
    address = worker.listeners["worker.mqtt"]
    stuck, producer = Client(address, V5, receive_buffer=4096), Client(address, V5)
    stuck.connect("stuck", more={"topic_alias_maximum": aliases} if aliases else None)
    stuck.subscribe("t/#")
    producer.connect("producer")
    for number in range(COUNT):
        topic = f"t/{number % 20}"
        producer.send(packets.publish(V5, topic, f"{topic} {number}".ljust(PAYLOAD, ".").encode(), 0))
    producer.ping()
    eventually(lambda: worker.metric(DROPPED) > 0, what="messages that have no room")
    producer.publish("t/last", "t/last ")
    last = None
    for _ in range(COUNT):
        last = stuck.message()
        assert last.payload.split()[0].decode() == last.topic
        if last.topic == "t/last":
            break
        # The first may have been dropped, too.
        if last.topic == "t/19":
            producer.publish("t/last", "t/last ")
    assert last.topic == "t/last"
    for client in (stuck, producer):
        client.close()


TOLD = """
local R = {}
function R.on_undelivered(msg, why) counter("told", { right = tostring(msg.payload:match("^%S+") == msg.topic) }):inc() end
return R
"""


def test_messages_that_are_dropped_leave_aliases_as_they_are(shunt, tmp_path):
    """The oldest messages go, but none that tells a number: each message comes under its own topic, and the client stays. Those that go are
    told under their own topic, too."""
    worker = shunt.worker({
        "rules.directory": write_rule(tmp_path / "rules", "told", TOLD), "rules.enabled": "all",
        "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.slow_consumer": "drop_oldest",
        "limits.out_buffer": "256KiB", "worker.loops": 1})
    address = worker.listeners["worker.mqtt"]
    slow, producer = Client(address, V5, receive_buffer=4096), Client(address, V5)
    slow.connect("slow", more={"topic_alias_maximum": 1})
    slow.subscribe("#")
    producer.connect("producer")

    def publish(topic, count, size):
        for each in range(count):
            producer.send(packets.publish(V5, topic, f"{topic} {each} ".ljust(size, ".").encode(), 0))

    # More than the kernel and the buffer take. Of three of a topic the second tells its number.
    number = 0
    while not worker.metric(DROPPED):
        for _ in range(50):
            publish(f"c/{number}", 3, 1000)
            number += 1
        producer.ping()
    for topic in ("b", "d", "last"):
        publish(topic, 1000, 400)
    producer.ping()
    while True:
        message = slow.message()
        assert message.payload.split()[0].decode() == message.topic
        if message.topic == "last" and message.payload.split()[1] == b"999":
            break
    assert worker.metric('shunt_rule_told_total{rule="told",right="true"}') == worker.metric(DROPPED)
    for client in (slow, producer):
        client.close()
