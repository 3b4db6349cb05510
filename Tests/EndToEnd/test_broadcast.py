"""Broadcasts to devices: whom a filter takes, what they get, and what the sender is told (sections 9.5, 10.4)."""

import pytest

from exchange import ACK, GZIP, JSON, NONE, NOTIFY, REGISTER, broadcast, encode, eventually, registration
from processes import run

LOOPS = {"worker.loops": 2}
NOBODY = "The register device live list is empty"

# uid, device, tags, alias. Each is registered on both loops, under two device names.
PROFILES = {
    "ann": (["driver", "eu"], ["a"]), "bob": (["driver"], ["b", "boss"]), "cleo": (["courier", "eu"], None),
    "dan": (None, ["boss"]), "eve": (None, None),
}

# The truth table of section 10.4: a filter, and the users that it takes.
FILTERS = [
    ({}, "ann bob cleo dan eve"),
    ({"uid": "ann"}, "ann"),
    ({"uid": "nobody"}, ""),
    ({"uid": "Ann"}, ""),
    ({"match_tags": ["driver"]}, "ann bob"),
    ({"match_tags": ["courier", "driver"]}, "ann bob cleo"),
    ({"match_tags": ["boss"]}, ""),
    ({"match_tags": []}, ""),
    ({"match_alias": ["boss"]}, "bob dan"),
    ({"match_alias": ["driver"]}, ""),
    ({"match_alias": ["a", "b"]}, "ann bob"),
    ({"filter_tags": ["driver"]}, "cleo dan eve"),
    ({"filter_tags": ["nothing"]}, "ann bob cleo dan eve"),
    ({"filter_alias": ["boss"]}, "ann cleo eve"),
    ({"filter_tags": ["driver"], "filter_alias": ["boss"]}, "cleo eve"),
    ({"match_tags": ["eu"], "filter_tags": ["courier"]}, "ann"),
    ({"match_tags": ["driver"], "filter_tags": ["driver"]}, ""),
    ({"match_tags": ["driver"], "match_alias": ["boss"]}, "bob"),
    ({"match_tags": ["driver"], "filter_alias": ["boss"]}, "ann"),
    ({"uid": "bob", "match_tags": ["driver"]}, "bob"),
    ({"uid": "bob", "match_tags": ["eu"]}, ""),
    ({"uid": "bob", "filter_alias": ["b"]}, ""),
]


class Crowd:
    """A worker of two loops with a device of each profile on each of them."""

    def __init__(self, shunt, connect):
        self.worker = shunt.worker(LOOPS)
        self.sender = connect(self.worker.exchange)
        self.devices = {}
        for uid, (tags, alias) in PROFILES.items():
            # The loops get connections in turn: one each.
            for device in ("first", "second"):
                self.devices[uid, device] = connect(self.worker.exchange).register(uid, device, tags, alias)

    def check(self, expected: set, **filter):
        """Exactly those get it, once, and the sender is told how many they are."""
        answer = self.sender.notify("text", **filter)
        if expected:
            assert (answer.status, answer.text) == (200, f"{len(expected)} matched, {len(expected)} sent, 0 not sent"), filter
        else:
            assert (answer.status, answer.text) == (500, NOBODY), filter
        # What comes for all after it is the next one that each sees: so nobody got it who should not.
        assert self.sender.notify("the end").status == 200
        for name, device in self.devices.items():
            frames = device.receive(2 if name in expected else 1)
            assert frames[-1].value == broadcast("the end") and not device.inbox, (filter, name)


def test_a_filter_takes_exactly_the_devices_of_the_truth_table_on_all_loops(shunt, connect):
    crowd = Crowd(shunt, connect)
    for filter, users in FILTERS:
        crowd.check({name for name in crowd.devices if name[0] in users.split()}, **filter)
        crowd.check({(uid, "first") for uid in users.split()}, device="first", **filter)
    crowd.check({("ann", "second")}, uid="ann", device="second")
    crowd.check(set(), uid="ann", device="third")


def test_a_device_gets_the_frame_byte_for_byte_and_the_sender_too_if_it_is_one(shunt, connect):
    worker = shunt.worker(LOOPS)
    devices = [connect(worker.exchange).register(f"u{number}") for number in range(4)]
    body = "{ 'message' : \"\u4f60\u597d\", match_tags:null,, /* as a Java server would read it */ device:'phone' }".encode()
    frame = encode(NOTIFY, -(2**63) + 5, body, format=JSON)
    devices[0].send(frame)
    assert devices[0].answer(-(2**63) + 5).raw == encode(ACK, -(2**63) + 5, b"4 matched, 4 sent, 0 not sent")
    assert [device.receive(1)[0].raw for device in devices] == [frame] * 4


def test_a_broadcast_without_body_goes_without_body_to_all_devices(shunt, connect):
    worker = shunt.worker(LOOPS)
    devices = [connect(worker.exchange).register(f"u{number}") for number in range(3)]
    bystander = connect(worker.exchange).subscribe("#")
    assert bystander.request(NOTIFY).text == "3 matched, 3 sent, 0 not sent"
    assert [(frame.type, frame.value) for device in devices for frame in device.receive(1)] == [(NOTIFY, None)] * 3
    assert not bystander.inbox, "it is no device"


def test_the_broadcasts_of_a_sender_reach_each_device_in_order_and_are_answered_in_order(shunt, connect):
    worker = shunt.worker(LOOPS)
    devices = [connect(worker.exchange).register(f"u{number}") for number in range(4)]
    sender = connect(worker.exchange)
    sender.send(b"".join(encode(NOTIFY, number, broadcast(str(number)), format=JSON) for number in range(1000)))
    assert [answer.id for answer in sender.take_answers(1000)] == list(range(1000))
    for device in devices:
        assert [frame.id for frame in device.receive(1000)] == list(range(1000))


@pytest.mark.parametrize("policy", ["drop_newest", "disconnect"])
def test_the_sender_is_told_who_was_too_slow(shunt, connect, policy):
    worker = shunt.worker(LOOPS | {"limits.out_buffer": "64KiB", "worker.slow_consumer": policy})
    sender = connect(worker.exchange)
    quick = [connect(worker.exchange).register(f"quick{number}", tags=["quick"]) for number in range(2)]
    slow = connect(worker.exchange, receive_buffer=4096, reading=False)
    slow.send(encode(REGISTER, 1, registration("slow", "phone"), format=JSON))
    eventually(lambda: sender.notify("there?", uid="slow").status == 200, what="the slow device's registration")
    # All that the kernel takes, and the buffer.
    while (answer := sender.notify("x" * 60_000, uid="slow")).text == "1 matched, 1 sent, 0 not sent":
        pass
    assert (answer.status, answer.text) == (200, "1 matched, 0 sent, 1 not sent (too slow)")
    answer = sender.notify("y" * 60_000)
    if policy == "drop_newest":
        assert (answer.status, answer.text) == (200, "3 matched, 2 sent, 1 not sent (too slow)")
    else:
        # It was closed, and is no device any more.
        eventually(lambda: sender.notify("there?", uid="slow").status == 500)
        slow.start_reading()
        slow.wait_closed()
    assert [len(device.receive(1)[0].text) > 60_000 for device in quick] == [True, True]


def test_nobody_there_is_an_error_that_java_clients_know(shunt, connect):
    worker = shunt.worker(LOOPS)
    sender = connect(worker.exchange).subscribe("t")
    for answer in (sender.notify("hello"), sender.request(NOTIFY), sender.notify("hello", uid="ann")):
        assert (answer.status, answer.text) == (500, NOBODY)


BAD = {
    "no JSON": (b"certainly not", NONE), "cut off": (b'{"message":"x', NONE), "an array": (b'["ann"]', NONE),
    "a string": (b'"ann"', NONE), "an unquoted value": (b"{uid:ann}", NONE),
    "an unknown field": (b'{"uuid":"ann","message":"x"}', NONE),
    "a misspelt field": (b'{"matchTags":["driver"],"message":"x"}', NONE), "an empty uid": (broadcast("x", uid=""), NONE),
    "a long uid": (broadcast("x", uid="u" * 257), NONE), "tags that are an object": (b'{"match_tags":{}}', NONE),
    "tags that are objects": (b'{"match_tags":[{}]}', NONE), "an empty tag": (broadcast("x", match_tags=[""]), NONE),
    "too many tags": (broadcast("x", match_tags=[str(number) for number in range(257)]), NONE),
    "nesting without end": (b'{"uid":' + b"[" * 100_000, NONE), "a compressed filter": (broadcast("x"), GZIP),
}


@pytest.fixture(scope="module")
def shared_worker(shared_shunt):
    return shared_shunt.worker(LOOPS)


@pytest.mark.parametrize("what", BAD)
def test_a_bad_filter_is_refused_with_a_sentence_and_reaches_nobody(shared_worker, connect, what):
    body, compress = BAD[what]
    device, sender = connect(shared_worker.exchange).register("ann", what), connect(shared_worker.exchange)
    answer = sender.request(NOTIFY, body, format=JSON, compress=compress)
    assert answer.status == 400 and len(answer.text) > 10 and "\n" not in answer.text, answer
    assert sender.notify("the end", device=what).status == 200
    assert device.receive(1)[0].value == broadcast("the end", device=what)


def test_message_channels_own_test_of_broadcasts(shunt, connect):
    """Ten broadcasts, each to every worker in turn with one id: the worker with the device sends it, the other has none."""
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": master.master}) for _ in range(2)]
    device = connect(workers[0].exchange).register("10001", "device_1", ["tag1", "tag2"], ["alias1"])
    clients = [connect(worker.exchange) for worker in workers]
    for number in range(10):
        frame = encode(NOTIFY, 1000 + number, broadcast(f"hello {number}"), format=JSON)
        for client in clients:
            client.send(frame)
        answers = [client.answer(1000 + number) for client in clients]
        assert [answer.status for answer in answers] == [200, 500]
        assert answers[1].text == NOBODY
    assert [frame.value for frame in device.receive(10)] == [broadcast(f"hello {number}") for number in range(10)]


def test_shunt_notify_reaches_the_devices_of_all_workers_and_prints_the_sums(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker(LOOPS | {"worker.masters": master.master}) for _ in range(2)]
    eventually(lambda: len(master.workers()) == 2)
    devices = [connect(worker.exchange).register(f"u{place}", "phone", ["driver"]) for place, worker in enumerate(workers * 2)]
    told = run("notify", "--tag", "driver", "storm", "--master", master.master)
    assert told.returncode == 0, told.stderr
    assert "4 matched, 4 sent" in told.stdout.splitlines()[-1]
    told = run("notify", "--uid", "u1", "only you", "--master", master.master)
    assert told.returncode == 0 and "1 matched, 1 sent" in told.stdout.splitlines()[-1], told
    nobody = run("notify", "--uid", "nobody", "hello", "--master", master.master)
    assert nobody.returncode == 65 and "device.none" in nobody.stderr, nobody
    texts = [[frame.text for frame in device.receive(2 if place == 1 else 1)] for place, device in enumerate(devices)]
    assert ["storm" in text[0] for text in texts] == [True] * 4 and "only you" in texts[1][1]
