"""Chats on one worker: members, what they say, and what is refused (section 11.5)."""

import itertools

import pytest

from exchange import ACK, ALLOCATION, CHAT, GZIP, JSON, PING, TEXT, Client, encode, eventually, lenient_json
from java_peers import JavaMaster, JavaProducer, JavaWorker, java_hash_order

LOOPS = {"worker.loops": 2}

# Ids are unlike one another, so that some of any ten are at home on each loop.
_numbers = itertools.count(1)


def chat_id() -> str:
    return f"chat-{next(_numbers)}-\u4f60"


@pytest.fixture(scope="module")
def worker(shared_shunt):
    """Without a master: it decides alone."""
    return shared_shunt.worker(LOOPS)


@pytest.fixture
def members(worker, connect):
    """Opens a chat of two."""

    def open(chat: str, at=worker) -> list[Client]:
        return [connect(at.exchange).join(chat) for _ in range(2)]

    return open


def texts(member: Client, count: int) -> list[str]:
    return [frame.text for frame in member.receive(count)]


def nothing_came(*clients: Client) -> bool:
    """What a client's own loop had for it is there when a PING is answered."""
    return all(client.request(PING).status == 200 and not client.inbox and not client.answers for client in clients)


def test_what_a_member_says_reaches_the_other_once_in_order_and_never_itself(members):
    # Ten chats, over two loops, of which some are at home where neither member is.
    for _ in range(10):
        chat = chat_id()
        ann, bob = members(chat)
        for number in range(20):
            answer = ann.say(chat, f"a{number}")
            assert (answer.type, answer.status, answer.value) == (ACK, 200, None)
            assert bob.say(chat, f"b{number}").status == 200
        assert texts(bob, 20) == [f"a{number}" for number in range(20)]
        assert texts(ann, 20) == [f"b{number}" for number in range(20)]
        assert nothing_came(ann, bob)


def test_a_member_gets_the_value_as_it_was_packed_and_a_fresh_id(members):
    chat = chat_id()
    ann, bob = members(chat)
    ann.send(encode(CHAT, 77, b'{"v":1}', chat, "SESSION", format=JSON))
    ann.send(encode(CHAT, 78, b"not really compressed", chat, "SESSION", compress=GZIP))
    assert [ann.answer(id).status for id in (77, 78)] == [200, 200]
    one, two = bob.receive(2)
    assert (one.type, one.format, one.value, one.topic, one.key) == (CHAT, JSON, b'{"v":1}', chat, b"SESSION")
    assert (two.compress, two.format, two.value) == (GZIP, TEXT, b"not really compressed")
    assert len({one.id, two.id, 77, 78}) == 4


def test_creating_again_is_acknowledged_and_changes_nothing(members):
    chat = chat_id()
    ann, bob = members(chat)
    assert [ann.create(chat).status, bob.create(chat).status] == [200, 200]
    assert ann.say(chat, "hello").status == 200
    assert texts(bob, 1) == ["hello"]
    assert nothing_came(ann, bob)


def test_the_first_to_come_may_talk_before_the_other_is_there(worker, connect):
    """message-channel's own test: create, two texts at once, and both arrive once (section 18)."""
    for _ in range(10):
        chat = chat_id()
        ann = connect(worker.exchange)
        frames = [(1, "CREATE", chat), (2, "SESSION", "text 1"), (3, "SESSION", "text 2")]
        ann.send(b"".join(encode(CHAT, id, text.encode(), chat, key) for id, key, text in frames))
        assert [(answer.id, answer.status) for answer in ann.take_answers(3)] == [(1, 200), (2, 200), (3, 200)]
        bob = connect(worker.exchange).join(chat)
        assert texts(bob, 2) == ["text 1", "text 2"]
        assert bob.say(chat, "got them").status == 200
        assert texts(ann, 1) == ["got them"]
        assert nothing_came(ann, bob)


def test_a_third_party_is_refused_and_hears_nothing(members, worker, connect):
    chat = chat_id()
    ann, bob = members(chat)
    third = connect(worker.exchange)
    answer = third.create(chat)
    assert answer.status == 409 and "2 members" in answer.text
    assert third.say(chat, "let me in").status == 403
    assert third.destroy(chat).status == 403
    assert ann.say(chat, "hello").status == 200
    assert texts(bob, 1) == ["hello"]
    assert nothing_came(ann, bob, third)


def test_more_members_by_setting_and_each_hears_all_the_others(shunt, connect):
    worker = shunt.worker(LOOPS | {"chat.members": 4})
    for _ in range(5):
        chat = chat_id()
        members = [connect(worker.exchange).join(chat) for _ in range(4)]
        assert connect(worker.exchange).create(chat).status == 409, "a fifth of four"
        for place, member in enumerate(members):
            assert member.say(chat, str(place)).status == 200
        for place, member in enumerate(members):
            assert sorted(texts(member, 3)) == [str(other) for other in range(4) if other != place]
        assert nothing_came(*members)


def test_a_chat_that_is_destroyed_is_over_for_both_and_may_be_created_anew(members, connect, worker):
    for _ in range(5):
        chat = chat_id()
        ann, bob = members(chat)
        assert ann.destroy(chat).status == 200
        frame = bob.receive(1)[0]
        assert (frame.type, frame.topic, frame.key, frame.text) == (CHAT, chat, b"DESTROY", chat)
        assert [ann.say(chat, "x").status, bob.say(chat, "x").status, bob.destroy(chat).status] == [404, 404, 404]
        assert nothing_came(ann, bob)
        others = members(chat)
        assert others[0].say(chat, "anew").status == 200
        assert texts(others[1], 1) == ["anew"] and not ann.inbox and not bob.inbox


def test_one_connection_may_be_in_many_chats(worker, connect):
    ann, bob = connect(worker.exchange), connect(worker.exchange)
    chats = [chat_id() for _ in range(30)]
    for chat in chats:
        ann.join(chat)
        bob.join(chat)
    for chat in chats:
        assert ann.say(chat, f"in {chat}").status == 200
    assert {frame.topic: frame.text for frame in bob.receive(30)} == {chat: f"in {chat}" for chat in chats}


# Coming back


def test_who_comes_back_gets_what_was_said_meanwhile_in_order(worker, connect):
    for _ in range(5):
        chat = chat_id()
        ann = noticing(connect(worker.exchange), chat)
        bob = connect(worker.exchange).join(chat)
        bob.close()
        assert notices(ann, chat, 2) == [(None, "joined"), (None, "left")]
        for number in range(20):
            assert ann.say(chat, f"{number}").status == 200
        bob = connect(worker.exchange).join(chat)
        assert texts(bob, 20) == [f"{number}" for number in range(20)]
        assert notices(ann, chat, 1) == [(None, "rejoined")]
        assert bob.say(chat, "back").status == 200
        assert texts(ann, 1) == ["back"]


def test_a_member_who_has_said_who_it_is_gets_its_own_place_back(worker, connect):
    chat = chat_id()
    ann = connect(worker.exchange).register("ann").join(chat)
    bob = connect(worker.exchange).register("bob").join(chat)
    bob.close()
    stranger = connect(worker.exchange).register("stranger")
    assert stranger.create(chat).status == 409, "the place is kept for bob"
    assert ann.say(chat, "where are you?").status == 200
    bob = connect(worker.exchange).register("bob", "tablet").join(chat)
    assert texts(bob, 1) == ["where are you?"]
    # Even before the worker has seen that the old connection is dead.
    again = connect(worker.exchange).register("bob", "watch").join(chat)
    assert ann.say(chat, "hello again").status == 200
    assert texts(again, 1) == ["hello again"]
    assert nothing_came(bob) and bob.say(chat, "me too?").status == 403


def test_those_who_asked_are_told_who_left_and_who_came_back(shunt, connect):
    worker = shunt.worker(LOOPS | {"chat.rejoin": "1s", "chat.members": 3})
    chat = chat_id()
    ann = noticing(connect(worker.exchange).register("ann"), chat)
    quiet = connect(worker.exchange).register("quiet").join(chat)
    bob = connect(worker.exchange).register("bob").join(chat)
    bob.close()
    assert notices(ann, chat, 3) == [("quiet", "joined"), ("bob", "joined"), ("bob", "left")]
    bob = connect(worker.exchange).register("bob").join(chat)
    assert notices(ann, chat, 1) == [("bob", "rejoined")]
    bob.close()
    assert notices(ann, chat, 2) == [("bob", "left"), ("bob", "expired")]
    assert nothing_came(quiet), "who has not asked is told nothing"


def noticing(client: Client, chat: str) -> Client:
    """Joins as our own clients do: it wants to be told of the others."""
    assert client.request(CHAT, b'{"notices":true}', chat, "CREATE", format=JSON).status == 200
    return client


def notices(member: Client, chat: str, count: int) -> list[tuple]:
    """Who did what, as the next frames tell."""
    frames = member.receive(count)
    assert {(frame.type, frame.topic, frame.key) for frame in frames} == {(CHAT, chat, b"NOTICE")}, frames
    told = [lenient_json(frame.text) for frame in frames]
    return [(notice.get("uid"), notice["event"]) for notice in told]


def test_the_place_is_free_after_its_time_and_the_message_is_not_for_the_next(shunt, connect):
    worker = shunt.worker(LOOPS | {"chat.rejoin": "1s"})
    for uid in ("bob", ""):
        chat = chat_id()
        ann, bob = connect(worker.exchange).register("ann").join(chat), connect(worker.exchange)
        bob = (bob.register(uid) if uid else bob).join(chat)
        bob.close()
        ann.say(chat, "for bob only")
        newcomer = connect(worker.exchange).register("newcomer")
        eventually(lambda: newcomer.create(chat).status == 200, what="the end of the time to rejoin")
        assert ann.say(chat, "hello, newcomer").status == 200
        assert texts(newcomer, 1) == ["hello, newcomer"]


def test_a_chat_that_all_have_left_is_gone_after_its_time(shunt, connect):
    worker = shunt.worker(LOOPS | {"chat.rejoin": "1s"})
    chat = chat_id()
    for member in [connect(worker.exchange).register(uid).join(chat) for uid in ("ann", "bob")]:
        member.close()
    stranger = connect(worker.exchange).register("stranger")
    assert stranger.create(chat).status == 409
    eventually(lambda: stranger.create(chat).status == 200, what="the chat's end")


def test_an_idle_chat_closes_and_its_members_are_told(shunt, connect):
    worker = shunt.worker(LOOPS | {"chat.idle": "1s"})
    chat = chat_id()
    ann, bob = connect(worker.exchange).join(chat), connect(worker.exchange).join(chat)
    assert ann.say(chat, "hello").status == 200
    assert texts(bob, 1) == ["hello"]
    for member in (ann, bob):
        frame = member.receive(1)[0]
        assert (frame.key, frame.topic, frame.text) == (b"DESTROY", chat, chat)
        assert member.say(chat, "too late").status == 404


# What is refused


BAD = {
    "no body": (None, None, None), "no name": (b"x", None, None), "an empty name": (b"x", b"", None), "no key": (b"x", "c", None),
    "an unknown key": (b"x", "c", "JOIN"), "a key in lower case": (b"x", "c", "create"), "a long id": (b"x", "c" * 257, "CREATE"),
    "an id that is not UTF-8": (b"x", b"\xff\xfe", "CREATE"), "a long id to say something in": (b"x", "c" * 257, "SESSION"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_chat_frame_is_refused_with_a_sentence_and_the_connection_stays(worker, connect, what):
    value, name, key = BAD[what]
    client = connect(worker.exchange)
    answer = client.request(CHAT, value, name, key)
    assert answer.status == 400 and len(answer.text) > 10 and "\n" not in answer.text, answer
    assert client.request(PING).status == 200


def test_an_id_may_have_256_bytes(members):
    chat = "\u00e9" * 128
    ann, bob = members(chat)
    assert ann.say(chat, "long").status == 200
    assert texts(bob, 1) == ["long"]


def test_nothing_can_be_said_in_a_chat_that_is_not_there(worker, connect):
    client, chat = connect(worker.exchange), chat_id()
    assert (client.say(chat, "x").status, client.destroy(chat).status) == (404, 404)
    assert client.create(chat).status == 200, "it was not opened by that"


def test_a_chat_that_needs_a_master_is_refused_while_there_is_none(shunt, connect):
    worker = shunt.worker({"worker.masters": "127.0.0.1:1"})
    answer = connect(worker.exchange).create(chat_id(), timeout=5)
    assert (answer.status, answer.text) == (503, "Service Unavailable")


# With message-channel's own programs


def test_a_java_worker_asks_twice_with_one_id_and_each_is_answered_with_a_text(shunt):
    """An empty 200 would make it fail, and close its client's connection (section 11.5)."""
    master = shunt.master()
    one, two = [shunt.closing(JavaWorker(master.master, port)) for port in (4091, 4092)]
    one.round()
    two.round()
    chat = chat_id()
    for _ in range(2):
        assert [(answer.status, answer.text) for answer in one.chat_twice(chat, "CREATE")] == [(200, "127.0.0.1:4091")] * 2
        assert [(answer.status, answer.text) for answer in one.chat_twice(chat, "SESSION")] == [(200, "127.0.0.1:4091")] * 2
    assert [(answer.status, answer.text) for answer in two.chat_twice(chat, "CREATE")] == [(307, "127.0.0.1:4091")] * 2
    assert [answer.text for answer in one.chat_twice(chat, "DESTROY")] == ["127.0.0.1:4091"] * 2
    assert [(answer.status, answer.text) for answer in two.chat_twice(chat, "CREATE")] == [(200, "127.0.0.1:4092")] * 2
    assert one.beat().status == two.beat().status == 200


def test_chats_of_our_worker_and_of_a_java_worker_are_redirected_to_each_other(shunt, connect):
    master = shunt.master()
    java = shunt.closing(JavaWorker(master.master, 4091))
    java.round()
    worker = shunt.worker(LOOPS | {"worker.masters": master.master})
    eventually(lambda: len(master.workers()) == 2)
    theirs, ours = chat_id(), chat_id()
    java.chat_twice(theirs, "CREATE")
    client = connect(worker.exchange)
    answer = client.create(theirs)
    assert (answer.status, answer.text) == (307, "127.0.0.1:4091")
    client.join(ours)
    assert [(answer.status, answer.text) for answer in java.chat_twice(ours, "CREATE")] == [(307, worker.exchange)] * 2


@pytest.mark.parametrize("advertised", [None, "127.0.0.1"])
def test_our_workers_ask_a_java_master_as_java_workers_do_and_take_its_first_answer(shunt, connect, advertised):
    master = shunt.closing(JavaMaster())
    sets = LOOPS | {"worker.masters": master.address} | ({"worker.advertise": advertised} if advertised else {})
    one, two = [shunt.worker(sets) for _ in range(2)]
    eventually(lambda: len(master.workers) == 2)
    for worker in (one, two):
        worker.wait_metric("shunt_master_connected", 1)
    chats = [chat_id() for _ in range(10)]
    ann, elsewhere = connect(one.exchange), connect(two.exchange)
    for chat in chats:
        ann.join(chat)
        asked, port = master.chats[-1], int(one.exchange.split(":")[1])
        host = f"'{advertised}'" if advertised else "null"
        assert (asked.text, asked.topic, asked.key, asked.format) == (f"{{host:{host}, port:{port}}}", chat, b"CREATE", JSON)
        answer = elsewhere.create(chat)
        assert (answer.status, answer.text) == (307, one.exchange)
        bob = connect(one.exchange).join(chat)
        assert ann.say(chat, f"in {chat}").status == 200
        assert texts(bob, 1) == [f"in {chat}"]
    assert nothing_came(ann, elsewhere)
    assert len(master.chats) == 2 * len(chats), "the chat that is here is not asked for again"
    assert len(master.connections) == 2, "nothing that it was told made it close"


def test_a_master_that_does_not_answer_costs_the_asker_two_seconds_and_nobody_else_any(shunt, connect):
    master = shunt.closing(JavaMaster(answers_chats=False))
    worker = shunt.worker(LOOPS | {"worker.masters": master.address})
    worker.wait_metric("shunt_master_connected", 1)
    asking, others = connect(worker.exchange), [connect(worker.exchange) for _ in range(4)]
    chats = [chat_id() for _ in range(10)]
    for number, chat in enumerate(chats):
        asking.send(encode(CHAT, number, b"x", chat, "CREATE") + encode(CHAT, 100 + number, b"hello", chat, "SESSION"))
    for other in others:
        assert other.request(PING).status == 200
    assert asking.request(PING).status == 200
    assert not asking.answers, "all of that came before the answer"
    answers = asking.take_answers(20, timeout=6)
    assert {(answer.status, answer.text) for answer in answers} == {(503, "Service Unavailable")}
    master.answers_chats = True
    asking.join(chats[0])


def test_message_channels_own_test_of_a_chat_through_a_master(shunt):
    """Two producers that find the worker by the master: created, talked into at once, and both texts arrive once."""
    master = shunt.master()
    workers = 1
    shunt.worker(LOOPS | {"worker.masters": master.master})
    listed = []
    # Where two addresses fall into one place of its HashSet, a producer takes the one that the master lists first: not always the same.
    while len(listed) < 2 or java_hash_order(listed)[0] != java_hash_order(listed[::-1])[0]:
        workers += 1
        shunt.worker(LOOPS | {"worker.masters": master.master})
        eventually(lambda: len(master.workers()) == workers)
        with Client(master.master) as asking:
            listed = asking.request(ALLOCATION, b"true").text.split(",")
    # Twice on one cluster: for message-channel itself the second run delivers nothing.
    for _ in range(2):
        ann, bob = [shunt.closing(JavaProducer(master.master)) for _ in range(2)]
        assert ann.worker == bob.worker
        chat = "13141516"
        for number, (client, key, text) in enumerate([(ann, "CREATE", chat), (ann, "SESSION", "text 1"), (bob, "CREATE", chat),
                                                      (ann, "SESSION", "text 2")]):
            client.client.send(encode(CHAT, number, text.encode(), chat, key))
        assert {answer.status for answer in ann.client.take_answers(3) + bob.client.take_answers(1)} == {200}
        assert texts(bob.client, 2) == ["text 1", "text 2"]
        assert bob.client.destroy(chat).status == 200
        assert [frame.key for frame in ann.client.receive(1)] == [b"DESTROY"]
        ann.close()
        bob.close()
