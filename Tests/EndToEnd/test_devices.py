"""Devices: registration, takeover, and what the master gets to know of them (sections 9.4, 10.3)."""

import json
import sqlite3

import pytest

from exchange import ALLOCATION, GZIP, JSON, REGISTER, REGISTERED, encode, eventually, registration
from java_peers import JavaMaster, JavaWorker
from processes import Door, get

LOOPS = {"worker.loops": 2}


def reached(sender, devices, **filter) -> list[int]:
    """Which of the devices get a broadcast, by their place in the list; the sender is told how many."""
    answer = sender.notify("who?", **filter)
    count = int(answer.text.split()[0]) if answer.status == 200 else 0
    eventually(lambda: sum(len(device.inbox) for device in devices) >= count, what=f"{count} notifications")
    got = [place for place, device in enumerate(devices) for _ in range(len(device.inbox))]
    for device in devices:
        device.inbox.clear()
    return got


def known(master) -> dict[tuple[str, str], tuple]:
    """What the registry holds of devices: worker, tags, and whether each is online, by uid and device."""
    with sqlite3.connect(f"file:{master.registry}?mode=ro", uri=True) as registry:
        rows = registry.execute("SELECT uid, device, worker, tags, online FROM devices").fetchall()
    return {(uid, device): (worker, sorted(json.loads(tags)), bool(online)) for uid, device, worker, tags, online in rows}


def wait_known(master, expected: dict):
    """By name, once the registry is written: `worker, tags, online`."""
    found = {}

    def is_known():
        nonlocal found
        found = known(master)
        return found == expected

    try:
        eventually(is_known, 20)
    except AssertionError:
        wrong = {name: (found.get(name), expected.get(name)) for name in found.keys() | expected.keys()}
        wrong = {name: pair for name, pair in wrong.items() if pair[0] != pair[1]}
        raise AssertionError(f"what the registry has, and should have: {wrong}") from None


def test_a_registered_device_gets_broadcasts_and_the_last_registration_of_a_connection_counts(shunt, connect):
    worker = shunt.worker(LOOPS)
    device, sender = connect(worker.exchange), connect(worker.exchange)
    device.register("ann", "phone", tags=["driver"])
    assert reached(sender, [device], uid="ann", match_tags=["driver"]) == [0]
    device.register("bob", "tablet", tags=["courier"], alias=["b"])
    for gone in ({"uid": "ann"}, {"device": "phone"}, {"match_tags": ["driver"]}):
        assert sender.notify("who?", **gone).status == 500, gone
    assert reached(sender, [device], uid="bob", device="tablet", match_tags=["courier"], match_alias=["b"]) == [0]
    assert reached(sender, [device]) == [0], "one notification, not one for each registration"
    device.register("bob", "tablet")
    assert sender.notify("who?", match_tags=["courier"]).status == 500


def test_the_connection_that_registered_a_device_last_is_the_device_on_whatever_loop_it_is(shunt, connect):
    worker = shunt.worker(LOOPS)
    sender = connect(worker.exchange)
    # The loops get connections in turn, so of three in a row two are on one loop and one is on the other.
    connections = []
    for _ in range(6):
        connections.append(connect(worker.exchange).register("ann", "phone", tags=["driver"]))
        for filter in ({}, {"uid": "ann"}, {"match_tags": ["driver"]}):
            eventually(lambda: reached(sender, connections, **filter) == [len(connections) - 1], what="the takeover")
    # Another device of the same user takes nothing over; one that was displaced can register again.
    tablet = connect(worker.exchange).register("ann", "tablet")
    eventually(lambda: reached(sender, [*connections, tablet], uid="ann") == [5, 6])
    connections[0].register("ann", "phone")
    eventually(lambda: reached(sender, connections, uid="ann", device="phone") == [0])
    connections[5].close()
    assert reached(sender, connections[:5], uid="ann", device="phone") == [0], "its old connection's end is not its own"


def test_a_device_that_has_left_gets_nothing_and_may_come_back_at_once(shunt, connect):
    worker = shunt.worker(LOOPS)
    sender = connect(worker.exchange)
    for _ in range(10):
        device = connect(worker.exchange).register("ann")
        eventually(lambda: reached(sender, [device], uid="ann") == [0])
        device.close()
    eventually(lambda: sender.notify("who?").status == 500, what="the last one's leaving")


@pytest.mark.parametrize(
    "what, body",
    {
        "no body": None, "no JSON": b"certainly not", "an array": b"[1]", "no uid": b'{"device":"d"}', "no device": b'{"uid":"u"}',
        "an empty uid": b'{"uid":"","device":"d"}', "a null uid": b'{"uid":null,"device":"d"}',
        "a long uid": registration("u" * 257, "d"), "an empty tag": registration("u", "d", tags=[""]),
        "tags that are no list": b'{"uid":"u","device":"d","tags":{}}',
        "too many tags": registration("u", "d", [str(n) for n in range(33)]),
    }.items(),
)
def test_a_bad_registration_is_refused_with_a_sentence_and_changes_nothing(shared_worker, connect, what, body):
    device, sender = connect(shared_worker.exchange).register("kept", "phone"), connect(shared_worker.exchange)
    answer = device.request(REGISTER, body, format=JSON)
    assert answer.status == 400 and len(answer.text) > 10 and "\n" not in answer.text, answer
    assert reached(sender, [device], uid="kept") == [0]


def test_a_compressed_registration_is_refused(shared_worker, connect):
    answer = connect(shared_worker.exchange).request(REGISTER, registration("u", "d"), format=JSON, compress=GZIP)
    assert answer.status == 400 and "compress" in answer.text


@pytest.fixture(scope="module")
def shared_worker(shared_shunt):
    return shared_shunt.worker(LOOPS)


def test_the_registry_knows_where_each_device_is_and_when_it_has_left(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker(LOOPS | {"worker.masters": master.master}) for _ in range(2)]
    one, two = (worker.exchange for worker in workers)
    phone = connect(one).register("ann", "phone", tags=["driver", "eu"])
    tablet = connect(two).register("ann", "tablet")
    wait_known(master, {("ann", "phone"): (one, ["driver", "eu"], True), ("ann", "tablet"): (two, [], True)})
    # It moves to the other worker, and its old connection ends after that.
    moved = connect(two).register("ann", "phone", tags=["courier"])
    wait_known(master, {("ann", "phone"): (two, ["courier"], True), ("ann", "tablet"): (two, [], True)})
    tablet.close()
    phone.close()
    wait_known(master, {("ann", "phone"): (two, ["courier"], True), ("ann", "tablet"): (two, [], False)})
    # Registered as something else, a connection is not any more what it was.
    moved.register("bob", "phone")
    wait_known(
        master,
        {("ann", "phone"): (two, ["courier"], False), ("ann", "tablet"): (two, [], False), ("bob", "phone"): (two, [], True)})


def test_a_device_is_at_the_worker_where_it_registered_last_and_at_no_other(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker(LOOPS | {"worker.masters": master.master}) for _ in range(2)]
    for worker in workers:
        worker.wait_metric("shunt_master_connected", 1)
    senders = [connect(worker.exchange) for worker in workers]
    for number in range(20):
        one, two = number % 2, 1 - number % 2
        uid = f"ann-{number}"
        earlier = connect(workers[one].exchange).register(uid)
        later = connect(workers[two].exchange).register(uid)
        notice = earlier.receive(1)[0]
        assert (notice.type, notice.topic, json.loads(notice.text)) == (REGISTERED, "device", {"event": "replaced"})
        assert reached(senders[one], [earlier, later], uid=uid) == []
        assert reached(senders[two], [earlier, later], uid=uid) == [1]
        earlier.close()
        assert reached(senders[two], [later], uid=uid) == [0], "the end of the earlier connection changes nothing"
    wait_known(master, {(f"ann-{n}", "phone"): (workers[1 - n % 2].exchange, [], True) for n in range(20)})


def test_a_registration_that_was_answered_is_known_to_the_master(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker(LOOPS | {"worker.masters": master.master}) for _ in range(2)]
    for worker in workers:
        worker.wait_metric("shunt_master_connected", 1)
    asking = connect(master.master)
    for number in range(20):
        uid = f"bob-{number}"
        for place, worker in enumerate(workers):
            connect(worker.exchange).register(uid, f"device-{place}")
            answer = asking.request(ALLOCATION, json.dumps({"uid": uid}).encode(), "device", format=JSON)
            named = sorted(each.exchange for each in workers[: place + 1])
            assert (answer.status, sorted(answer.text.split(","))) == (200, named)


def test_the_devices_of_a_lost_worker_are_offline(shunt, connect):
    master = shunt.master({"master.heartbeat.live_for": "1s"})
    worker = shunt.worker({"worker.masters": master.master})
    connect(worker.exchange).register("ann", "phone")
    wait_known(master, {("ann", "phone"): (worker.exchange, [], True)})
    worker.kill()
    wait_known(master, {("ann", "phone"): (worker.exchange, [], False)})


def test_a_device_that_has_left_is_forgotten_after_its_time(shunt, connect):
    master = shunt.master({"devices.keep": "1s"})
    worker = shunt.worker({"worker.masters": master.master})
    left = connect(worker.exchange).register("ann", "phone")
    connect(worker.exchange).register("bob", "phone")
    wait_known(master, {("ann", "phone"): (worker.exchange, [], True), ("bob", "phone"): (worker.exchange, [], True)})
    left.close()
    wait_known(master, {("bob", "phone"): (worker.exchange, [], True)})


def test_ever_new_names_take_the_memory_that_the_master_gives_devices(shunt, connect):
    master = shunt.master({"devices.memory": "1MiB"})
    worker = shunt.worker({"worker.masters": master.master})
    eventually(lambda: master.workers())
    labels = [f"{number} {'x' * 246}" for number in range(32)]
    clients = [connect(worker.exchange) for _ in range(4)]
    for number in range(100):
        for place, client in enumerate(clients):
            client.register(f"u{place} {number}", "phone", tags=labels, alias=labels)

    def figures() -> dict[str, int]:
        lines = get(f"http://{master.admin}/metrics").splitlines()
        return {name: int(float(value)) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    eventually(lambda: all((f"u{place} 99", "phone") in known(master) for place in range(4)))
    eventually(lambda: figures()["shunt_master_devices_forgotten_total"] > 300)
    assert figures()["shunt_master_device_bytes"] <= figures()["shunt_master_device_bytes_limit"] == 1 << 20
    assert figures()["shunt_master_devices"] < 100
    assert len(known(master)) < 100
    master.wait_log("devices take all the memory that they may")


@pytest.mark.parametrize("registry", ["with its registry", "with an empty registry"])
def test_a_master_that_was_killed_learns_all_devices_again(shunt, connect, registry):
    door = shunt.closing(Door())
    master = shunt.master()
    door.target = master.master
    worker = shunt.worker(LOOPS | {"worker.masters": door.address, "worker.heartbeat.every": "300ms"})
    eventually(lambda: master.workers())
    expected = {(f"u{number}", "phone"): (worker.exchange, ["driver"], True) for number in range(50)}
    devices = [connect(worker.exchange).register(uid, "phone", tags=["driver"]) for uid, _ in expected]
    wait_known(master, expected)
    master.kill()
    devices[0].close()
    connect(worker.exchange).register("late", "phone", tags=["driver"])
    master = shunt.master(folder=master.folder if registry == "with its registry" else None)
    door.target = master.master
    expected |= {("late", "phone"): (worker.exchange, ["driver"], True)}
    if registry == "with its registry":
        expected[("u0", "phone")] = (worker.exchange, ["driver"], False)
    else:
        del expected[("u0", "phone")]
    wait_known(master, expected)


def test_a_thousand_devices_that_register_at_once_are_all_known(shunt, connect):
    master = shunt.master()
    worker = shunt.worker(LOOPS | {"worker.masters": master.master})
    eventually(lambda: master.workers())
    connections = [connect(worker.exchange) for _ in range(1000)]
    for number, connection in enumerate(connections):
        connection.send(encode(REGISTER, 0, registration(f"u{number}", "phone", ["storm"]), format=JSON))
    for connection in connections:
        assert connection.answer(0).status == 200
    wait_known(master, {(f"u{number}", "phone"): (worker.exchange, ["storm"], True) for number in range(1000)})
    assert connect(worker.exchange).notify("all").text == "1000 matched, 1000 sent, 0 not sent"
    for connection in connections:
        connection.receive(1)


def test_a_java_workers_registrations_are_known_to_our_master(shunt):
    master = shunt.master()
    worker = shunt.closing(JavaWorker(master.master, 4091))
    worker.round()
    for device in ("phone", "tablet", "phone"):
        answer = worker.register(device)
        assert (answer.status, answer.value) == (200, None)
    wait_known(master, {("u1", device): ("127.0.0.1:4091", ["driver"], True) for device in ("phone", "tablet")})
    assert worker.beat().status == 200


@pytest.mark.parametrize("advertised", [None, "127.0.0.1"])
def test_our_worker_tells_a_java_master_of_each_device_as_a_java_worker_does(shunt, connect, advertised):
    master = shunt.closing(JavaMaster())
    sets = {"worker.masters": master.address} | ({"worker.advertise": advertised} if advertised else {})
    worker = shunt.worker(LOOPS | sets)
    # One from before the master was joined, or not: it is told either way, and once.
    device = connect(worker.exchange).register("ann", "phone", tags=["driver", "eu"], alias=["a"])
    master.wait_for(1)
    connect(worker.exchange).register("bob", "tablet")
    eventually(lambda: len(master.registrations) == 2, what="two registrations")
    told = {json.loads(frame.text)["uid"]: frame for frame in master.registrations}
    ann, port = json.loads(told["ann"].text), int(worker.exchange.split(":")[1])
    assert (told["ann"].format, told["ann"].name, told["ann"].key) == (JSON, None, None)
    assert list(ann) == sorted(ann), "keys in alphabetical order"
    assert told["ann"].text == json.dumps(ann, separators=(",", ":"), ensure_ascii=False), "strict JSON, no spaces"
    assert (ann["uid"], ann["device"], sorted(ann["tags"]), ann["alias"]) == ("ann", "phone", ["driver", "eu"], ["a"])
    assert ann["address"] == "%s:%d" % device.socket.getsockname()
    assert (ann.get("worker_host"), ann["worker_port"]) == (advertised, port)
    assert ann["workerAddress"] == f"{advertised or 'null'}:{port}"
    assert ann["created_time"] > 1_000_000_000_000
    # What a Java master has no word for is not sent: it would close the connection.
    device.close()
    master.wait_for(len(master.heartbeats) + 3)
    assert len(master.connections) == 1 and len(master.registrations) == 2
