"""Java workers under our master, our workers under a Java master, and Java clients with both."""

import pytest

from exchange import ACK, ALLOCATION, PING, eventually
from java_peers import HEARTBEAT_KEYS, JavaConsumer, JavaMaster, JavaProducer, JavaWorker, milliseconds


def allocation(client) -> tuple[int, str]:
    answer = client.request(ALLOCATION, b"true")
    return answer.status, answer.text
from processes import Door


def test_a_java_worker_is_listed_under_the_address_it_comes_from(shunt, connect):
    master = shunt.master()
    asking = connect(master.master)
    assert allocation(asking) == (500, "not found server")
    worker = shunt.closing(JavaWorker(master.master, 4091))
    for answer in worker.round():
        assert (answer.type, answer.status, answer.value) == (ACK, 200, None)
    assert allocation(asking) == (200, "127.0.0.1:4091")
    named = shunt.closing(JavaWorker(master.master, 4092, name="worker.example"))
    named.round()
    assert allocation(asking) == (200, "127.0.0.1:4091,worker.example:4092")
    eventually(lambda: set(master.workers()) == {"127.0.0.1:4091", "worker.example:4092"})


def test_java_workers_are_ordered_by_load_and_negative_counts_are_none(shunt, connect):
    master = shunt.master()
    asking = connect(master.master)
    for port, connections in ((4091, 7), (4092, -1), (4093, 3)):
        shunt.closing(JavaWorker(master.master, port, connections=connections)).round()
    assert allocation(asking)[1] == "127.0.0.1:4092,127.0.0.1:4093,127.0.0.1:4091"
    assert asking.request(ALLOCATION).text == "127.0.0.1:4092"
    assert asking.request(ALLOCATION, b"one, please").text == "127.0.0.1:4092"
    assert asking.request(ALLOCATION, b"TRUE").text.count(",") == 2


def test_a_java_worker_that_falls_silent_is_lost_and_returns_with_its_next_heartbeat(shunt, connect):
    master = shunt.master({"master.heartbeat.live_for": "500ms"})
    asking = connect(master.master)
    worker = shunt.closing(JavaWorker(master.master, 4091))
    worker.beat()
    assert allocation(asking)[0] == 200
    eventually(lambda: allocation(asking)[0] == 500, what="the worker's loss")
    eventually(lambda: master.workers()["127.0.0.1:4091"]["state"] == "lost")
    worker.beat()
    assert allocation(asking)[0] == 200


def test_a_java_worker_signs_off_with_an_old_time(shunt, connect):
    master = shunt.master()
    asking = connect(master.master)
    worker = shunt.closing(JavaWorker(master.master, 4091))
    worker.beat()
    assert worker.beat(created=milliseconds() - 20_000).status == 200
    assert allocation(asking)[0] == 500


def test_a_java_worker_may_pass_on_registrations_and_chats(shunt, connect):
    """Each is answered once on the heartbeat connection, and that stays."""
    master = shunt.master()
    worker = shunt.closing(JavaWorker(master.master, 4091))
    worker.beat()
    assert worker.register("d1").status == 200
    for key in ("CREATE", "SESSION", "certainly not"):
        answer = worker.chat("13141516", key)
        assert answer.type == ACK and answer.value, "an empty answer would make a Java worker close its client's connection"
    assert worker.beat().status == 200
    assert not worker.client.answers


def test_a_ping_without_body_at_the_master_is_a_bad_request(shunt, connect):
    answer = connect(shunt.master().master).request(PING)
    assert (answer.status, answer.text) == (400, "Bad Request")


def test_a_worker_tells_a_java_master_what_a_java_worker_tells(shunt, connect):
    master = shunt.closing(JavaMaster())
    worker = shunt.worker({"worker.masters": master.address, "worker.advertise": "127.0.0.1"})
    client = connect(worker.exchange).subscribe("t")
    client.message("t", "x")
    eventually(lambda: master.heartbeats and master.heartbeats[-1]["request_total_count"] >= 2, 20)
    beat, text = master.heartbeats[-1], master.heartbeat_texts[-1]
    known = [key for key in beat if key in HEARTBEAT_KEYS]
    assert known == list(HEARTBEAT_KEYS), "the known keys, in their order"
    assert text.startswith("{machine_id:'")
    assert f"{beat['server_name']}:{beat['server_port']}" == worker.exchange
    assert beat["connection_count"] == 1
    assert abs(beat["created_time"] - milliseconds()) < 20_000
    numbers = [key for key in HEARTBEAT_KEYS if key not in ("machine_id", "server_name")]
    assert all(isinstance(beat[key], int) and beat[key] >= 0 for key in numbers)


def test_a_worker_that_is_told_to_balance_keeps_its_clients(shunt, connect):
    master = shunt.closing(JavaMaster(balance=0))
    worker = shunt.worker({"worker.masters": master.address})
    clients = [connect(worker.exchange) for _ in range(10)] + [connect(worker.exchange).subscribe("t")]
    master.wait_for(len(master.heartbeats) + 6)
    assert all(client.request(PING).status == 200 for client in clients)


def test_a_worker_returns_to_a_java_master_that_dropped_its_connection(shunt):
    master = shunt.closing(JavaMaster())
    shunt.worker({"worker.masters": master.address})
    master.wait_for(2)
    master.drop_connections()
    master.wait_for(len(master.heartbeats) + 2)


def test_a_java_cluster_with_one_of_our_workers_serves_java_clients(shunt):
    master = shunt.closing(JavaMaster(balance=1))
    worker = shunt.worker({"worker.masters": master.address, "worker.advertise": "127.0.0.1"})
    eventually(lambda: worker.exchange in master.workers)
    consumer = shunt.closing(JavaConsumer(master.address))
    consumer.subscribe("ddx", "my")
    producer = shunt.closing(JavaProducer(master.address))
    assert producer.worker == worker.exchange
    assert producer.send("ddx", "value_1", "key_1").status == 200
    eventually(lambda: [frame.text for frame in consumer.received()] == ["value_1"])


def test_java_clients_find_our_workers_and_share_messages_in_their_group(shunt):
    """What message-channel's own test of two consumers and a producer shows: 60 messages, 30 each."""
    master = shunt.master()
    for _ in range(2):
        shunt.worker({"worker.masters": master.master})
    eventually(lambda: len(master.workers()) == 2)
    consumers = [shunt.closing(JavaConsumer(master.master)) for _ in range(2)]
    for consumer in consumers:
        assert len(consumer.workers) == 2
        consumer.subscribe("ddx", "my")
    producer = shunt.closing(JavaProducer(master.master))
    for number in range(60):
        assert producer.send("ddx", str(number)).status == 200
    eventually(lambda: sum(len(consumer.received()) for consumer in consumers) == 60)
    assert [len(consumer.received()) for consumer in consumers] == [30, 30]
    assert sorted(int(frame.text) for consumer in consumers for frame in consumer.received()) == list(range(60))


def test_a_java_consumer_finds_a_worker_that_joins_later(shunt, connect):
    master = shunt.master()
    sets = {"worker.masters": master.master}
    shunt.worker(sets)
    eventually(lambda: len(master.workers()) == 1)
    consumer = shunt.closing(JavaConsumer(master.master))
    consumer.subscribe("ddx", "my")
    later = shunt.worker(sets)
    producer = connect(later.exchange)
    eventually(lambda: producer.message("ddx", "found").status == 200, what="the consumer's subscription at the new worker")
    eventually(lambda: [frame.text for frame in consumer.received()] == ["found"])


@pytest.mark.parametrize("advertised", ["127.0.0.1", ""], ids=["a name", "the address that the master sees"])
def test_a_java_master_that_names_another_worker_with_200_means_that_worker(shunt, connect, advertised):
    master = shunt.closing(JavaMaster(redirects=False))
    sets = {"worker.masters": master.address} | ({"worker.advertise": advertised} if advertised else {})
    one, two = [shunt.worker(sets) for _ in range(2)]
    eventually(lambda: len(master.workers) == 2)
    ann, bob = connect(one.exchange).join("chat"), connect(two.exchange)
    answer = bob.create("chat")
    assert (answer.status, answer.text) == (307, one.exchange)
    bob = connect(answer.text).join("chat")
    assert ann.say("chat", "hello").status == 200
    assert bob.receive(1)[0].text == "hello"


def test_a_java_master_that_starts_again_is_told_of_open_chats(shunt, connect):
    door = shunt.closing(Door())
    first, second = [shunt.closing(JavaMaster(redirects=False)) for _ in range(2)]
    door.target = first.address
    one, two = [shunt.worker({"worker.masters": door.address, "worker.advertise": "127.0.0.1"}) for _ in range(2)]
    eventually(lambda: len(first.workers) == 2)
    for number in range(20):
        connect(one.exchange).join(f"chat-{number}")
    door.target = second.address
    first.close()
    eventually(lambda: len(second.sessions) == 20, 20, "the chats at the new master")
    answer = connect(two.exchange).create("chat-7")
    assert (answer.status, answer.text) == (307, one.exchange)
