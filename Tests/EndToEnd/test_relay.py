"""Topic messages from producers to consumers, over real sockets (sections 9.2, 9.3, 10)."""

import os

import pytest

import bodies
from exchange import (
    ACK, ALLOCATION, BALANCE, BINDING, GZIP, JSON, LZ4, MESSAGE, NONE, PING, REGISTERED, SNAPPY, SUBSCRIBE, TEXT, UNSUBSCRIBE,
    encode, eventually, subscription,
)

TEXTS = {
    "text": (TEXT, NONE, b"plain text, \xe4\xbd\xa0"), "JSON": (JSON, NONE, b'{"v": "\xe4\xbd\xa0"}'),
    "gzip": (TEXT, GZIP, bodies.gzip(b"hello " * 100)), "LZ4": (JSON, LZ4, bodies.lz4(b'{"v":1}')),
    "Snappy": (TEXT, SNAPPY, bodies.snappy(b"hello " * 30_000)), "bytes": (TEXT, NONE, bytes(range(256)) * 40),
    "what is no gzip": (TEXT, GZIP, b"not compressed at all"),
}


@pytest.fixture(scope="module")
def worker(shared_shunt):
    """One for the tests that only pass messages through."""
    return shared_shunt.worker({"worker.loops": 2})


@pytest.fixture
def topic(request):
    """A topic that no other test uses."""
    return "t-" + os.urandom(6).hex()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("key", [None, "key_1"])
def test_a_message_arrives_byte_for_byte(worker, connect, topic, name, key):
    format, compress, value = TEXTS[name]
    consumer, producer = connect(worker.exchange).subscribe(topic), connect(worker.exchange)
    frame = encode(MESSAGE, -(2**63) + 5, value, topic, key, format, compress)
    producer.send(frame)
    assert producer.answer(-(2**63) + 5).raw == encode(ACK, -(2**63) + 5)
    assert consumer.receive(1)[0].raw == frame


@pytest.mark.parametrize(
    "what, tail", [("an empty key", "0000000161" "00000000"), ("bytes after the key", "0000000161" "000000016bffff"),
                   ("a name that is not UTF-8", "00000001ff")])
def test_an_unusual_frame_that_is_legal_arrives_byte_for_byte(shunt, connect, what, tail):
    worker = shunt.worker()
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    body = bytes.fromhex("010000000176" + tail)
    frame = encode(MESSAGE, 7)[:-4] + len(body).to_bytes(4, "big") + body
    producer.send(frame)
    assert producer.answer(7).status == 200
    assert consumer.receive(1)[0].raw == frame


def test_each_group_gets_a_message_once_and_its_members_share(worker, connect, topic):
    members = [connect(worker.exchange).subscribe(topic, "shared") for _ in range(2)]
    alone = connect(worker.exchange).subscribe(topic, "alone")
    producer = connect(worker.exchange)
    for number in range(30):
        assert producer.message(topic, str(number)).status == 200
    assert [frame.text for frame in alone.receive(30)] == [str(number) for number in range(30)]
    eventually(lambda: sum(len(member.inbox) for member in members) == 30, what="all messages at the group")
    assert [len(member.inbox) for member in members] == [15, 15]
    assert {frame.text for member in members for frame in member.inbox} == {str(number) for number in range(30)}


def test_one_connection_with_two_groups_gets_a_message_twice_and_its_own_too(worker, connect, topic):
    client = connect(worker.exchange).subscribe(topic, "a").subscribe(topic, "b")
    assert client.message(topic, "x").status == 200
    assert [frame.text for frame in client.receive(2)] == ["x", "x"]


def test_a_subscription_with_a_key_gets_messages_with_that_key_only(worker, connect, topic):
    keyed = connect(worker.exchange).subscribe(topic, "keyed", "eu")
    everything = connect(worker.exchange).subscribe(topic, "everything", "*")
    producer = connect(worker.exchange)
    for key in (None, "us", "eu"):
        assert producer.message(topic, str(key), key).status == 200
    assert [frame.text for frame in everything.receive(3)] == ["None", "us", "eu"]
    assert [frame.text for frame in keyed.receive(1)] == ["eu"]
    assert not keyed.inbox


@pytest.mark.parametrize(
    "filter, matching, other",
    [("+", "a", "a/b"), ("a/+", "a/b", "a/b/c"), ("a/#", "a/b/c", "b/a"), ("a/#", "a", "ab"), ("+/b/+", "x/b/y", "x/c/y"),
     ("a*", "a*", "ab"), ("A", "A", "a")])
def test_topic_filters_match_as_in_mqtt_and_all_else_literally(worker, connect, topic, filter, matching, other):
    consumer, producer = connect(worker.exchange).subscribe(f"{topic}/{filter}"), connect(worker.exchange)
    assert producer.message(f"{topic}/{other}", "no").status == 500
    assert producer.message(f"{topic}/{matching}", "yes").status == 200
    assert consumer.receive(1)[0].text == "yes"


def test_what_nobody_subscribed_is_refused_in_the_words_java_clients_know(worker, connect, topic):
    producer = connect(worker.exchange)
    answer = producer.message(topic, "x")
    assert (answer.status, answer.text) == (500, "The worker subscriber is empty")


def test_a_message_without_body_is_a_bad_request_once_there_is_a_subscription(shunt, connect):
    worker = shunt.worker()
    client = connect(worker.exchange)
    assert client.request(MESSAGE).text == "The worker subscriber is empty"
    client.subscribe("t")
    answer = client.request(MESSAGE)
    assert (answer.status, answer.text) == (400, "Bad Request")


def test_subscribing_twice_and_unsubscribing_what_is_not_there_fail(worker, connect, topic):
    client = connect(worker.exchange).subscribe(topic, "g")
    again = client.request(SUBSCRIBE, subscription(topic, "g", "*"), format=JSON)
    assert (again.status, again.text) == (500, "subscribe failed")
    assert client.request(UNSUBSCRIBE, subscription(topic, "g"), format=JSON).status == 200
    gone = client.request(UNSUBSCRIBE, subscription(topic, "g"), format=JSON)
    assert (gone.status, gone.text) == (500, "unsubscribe failed")
    assert client.message(topic, "x").status == 500


def test_subscriptions_are_read_as_leniently_as_java_servers_read_them(worker, connect, topic):
    client = connect(worker.exchange)
    value = f"{{ /* which */ topic : '{topic}', 'GROUP':\"g\",, key:null, other:[1,{{}}] }}".encode()
    assert client.request(SUBSCRIBE, value, format=JSON).status == 200
    assert client.message(topic, "x").status == 200


def test_a_connection_that_ends_takes_its_subscriptions_along(worker, connect, topic):
    consumer, producer = connect(worker.exchange).subscribe(topic), connect(worker.exchange)
    assert producer.message(topic, "x").status == 200
    consumer.close()
    eventually(lambda: producer.message(topic, "x").status == 500, what="the subscription's end")


def test_the_order_of_a_producer_is_kept_and_so_is_that_of_its_answers(worker, connect, topic):
    consumer = connect(worker.exchange).subscribe(topic)
    producer = connect(worker.exchange)
    ids = [producer.publish(topic if number % 3 else topic + "/nobody", str(number)) for number in range(6000)]
    answers = producer.take_answers(6000)
    assert [answer.id for answer in answers] == ids
    assert [answer.status for answer in answers] == [200 if number % 3 else 500 for number in range(6000)]
    assert [frame.text for frame in consumer.receive(4000)] == [str(number) for number in range(6000) if number % 3]


def test_messages_reach_subscribers_on_every_loop(shunt, connect):
    worker = shunt.worker({"worker.loops": 4})
    consumers = [connect(worker.exchange).subscribe("t", f"group-{number}") for number in range(16)]
    for producer in [connect(worker.exchange) for _ in range(8)]:
        assert producer.message("t", "x").status == 200
    for consumer in consumers:
        assert len(consumer.receive(8)) == 8


def test_a_subscription_holds_for_producers_on_every_loop_soon_after_its_answer(shunt, connect):
    worker = shunt.worker({"worker.loops": 4})
    producers = [connect(worker.exchange) for _ in range(8)]
    connect(worker.exchange).subscribe("t")
    for producer in producers:
        eventually(lambda: producer.message("t", "x").status == 200)


def test_consumers_of_two_workers_get_what_arrives_at_either(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": master.master}) for _ in range(2)]
    asking = connect(master.master)
    listed = eventually(lambda: len(listed := asking.request(ALLOCATION, b"true").text.split(",")) == 2 and listed)
    assert sorted(listed) == sorted(worker.exchange for worker in workers)
    consumers = [connect(address).subscribe("t") for address in listed]
    for address in listed:
        assert connect(address).message("t", address).status == 200
    assert [consumer.receive(1)[0].text for consumer in consumers] == listed


STRATEGIES = {
    "round_robin": lambda served: served[:4] in ([0, 1, 0, 1], [1, 0, 1, 0]) and served.count(0) == served.count(1),
    "least_delivered": lambda served: served.count(0) == served.count(1),
    "sticky": lambda served: served in ([0] * 40, [1] * 40),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_group_chooses_its_members_by_its_strategy(shunt, connect, strategy):
    worker = shunt.worker({"worker.groups.overrides": f"{{chosen: {strategy}}}", "worker.loops": 1})
    members = [connect(worker.exchange).subscribe("t", "chosen") for _ in range(2)]
    producer = connect(worker.exchange)
    for number in range(40):
        assert producer.message("t", str(number)).status == 200
    eventually(lambda: sum(len(member.inbox) for member in members) == 40)
    served = {int(frame.text): place for place, member in enumerate(members) for frame in member.inbox}
    assert STRATEGIES[strategy]([served[number] for number in range(40)])


def test_key_hash_gives_a_key_to_one_member_and_uses_all_of_them(shunt, connect):
    worker = shunt.worker({"worker.groups.strategy": "key_hash", "worker.loops": 2})
    members = [connect(worker.exchange).subscribe("t", "g") for _ in range(3)]
    producer = connect(worker.exchange)
    for number in range(300):
        assert producer.message("t", "x", f"key-{number % 30}").status == 200
    eventually(lambda: sum(len(member.inbox) for member in members) == 300)
    keys = [{frame.key for frame in member.inbox} for member in members]
    assert all(keys), "a member got nothing"
    assert sum(map(len, keys)) == 30, "a key went to two members"


def test_a_ping_is_answered(worker, connect):
    assert connect(worker.exchange).request(PING).status == 200


@pytest.mark.parametrize("type", [BALANCE, BINDING, REGISTERED, ACK])
def test_what_a_worker_does_not_serve_is_left_without_answer_and_the_connection_stays(worker, connect, type):
    client = connect(worker.exchange)
    client.send(encode(type, 77, b"1"))
    assert client.request(PING).status == 200
    assert not client.answers


def test_a_worker_allocates_nothing(worker, connect):
    answer = connect(worker.exchange).request(ALLOCATION, b"true")
    assert (answer.status, answer.text) == (500, "not found server")


def test_equal_ids_on_one_connection_are_each_answered(worker, connect, topic):
    client = connect(worker.exchange).subscribe(topic)
    client.send(encode(MESSAGE, 5, b"a", topic) + encode(MESSAGE, 5, b"b", topic))
    assert [answer.id for answer in client.take_answers(2)] == [5, 5]
    assert [frame.text for frame in client.receive(2)] == ["a", "b"]


def test_a_thousand_connections_are_served(shunt, connect):
    worker = shunt.worker({"worker.loops": 2})
    consumers = [connect(worker.exchange).subscribe("t", f"g-{number}") for number in range(1000)]
    worker.wait_metric("shunt_connections", 1000)
    assert connect(worker.exchange).message("t", "x").status == 200
    for consumer in consumers:
        assert consumer.receive(1)[0].text == "x"


def test_a_filter_with_wildcards_has_a_bounded_number_of_levels(shunt, connect):
    worker = shunt.worker({"limits.topic": 65535})
    client = connect(worker.exchange)
    answer = client.request(SUBSCRIBE, subscription("a/" * 32_000 + "+", "g"), format=JSON)
    assert answer.status == 400 and "at most 128" in answer.text
    client.subscribe("a/" * 127 + "+", "g")
    assert client.message("a/" * 127 + "b", "x").status == 200
    assert client.message("a/" * 32_000 + "b", "x").status == 500, "nobody has subscribed it"
    assert [frame.text for frame in client.receive(1)] == ["x"]
