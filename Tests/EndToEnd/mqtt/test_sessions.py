"""Sessions: what stays while a client is away, what comes again, when they end."""

import time

import pytest

from mqtt import packets
from mqtt.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, V3, V5
from mqtt.proof import proves


@pytest.fixture
def stay(client, version):
    """Connects with a session that is kept, of `a` unless another is named."""

    def open(id="a", clean=False, expiry=60, **properties):
        return client(id, clean=clean, **({"more": {"session_expiry": expiry} | properties} if version == V5 else {}))

    return open


@proves(v3="3.1.2-4 3.2.2-2 3.2.2-3 4.1.0-1 4.1.0-2", v5="3.1.2-5 3.1.2-6 3.1.2-23 3.2.2-3 4.1.0-1")
def test_a_session_is_found_again(stay, client, name):
    first = stay()
    assert not first.connack.session_present
    first.subscribe(f"{name}/a")
    first.leave()
    second = stay()
    assert second.connack.session_present
    client().publish(f"{name}/a", b"x")
    assert second.message().payload == b"x"
    second.vanish()
    assert stay().connack.session_present


@proves(v3="3.1.2-6 3.1.4-3 3.2.2-1", v5="3.1.2-4 3.1.4-4 3.2.2-2")
@pytest.mark.parametrize("is_there", [False, True], ids=["left", "taken over"])
def test_a_clean_start_forgets(stay, client, name, is_there):
    first, sender = stay(), client()
    first.subscribe(name, qos=1)
    if not is_there:
        first.leave()
        sender.publish(name, b"forgotten", 1)
    second = stay(clean=True)
    assert not second.connack.session_present
    sender.publish(name, b"nobody's", 1)
    assert second.settle(sender, f"{name}/end", 1) == []


@proves(v3="3.1.2-6", v5="4.1.0-2")
def test_a_session_that_is_not_kept_ends_with_its_connection(client, version, name):
    """3.1.1: clean session; 5.0: no expiry, whatever the clean start."""
    first = client("a", clean=version == V3)
    first.subscribe(name)
    first.vanish()
    second = client("a", clean=False, **({"more": {"session_expiry": 0}} if version == V5 else {}))
    assert not second.connack.session_present
    assert second.settle(client(), f"{name}/end") == []
    second.leave()
    # And so does nothing stay of the one in between.
    if version == V3:
        client("a", clean=True).leave()
    assert not client("a", clean=False).connack.session_present


@proves(v3="3.1.2-5 4.5.0-1", v5="3.1.2-23 4.5.0-1")
def test_messages_wait_for_an_absent_client(stay, client, name):
    first, sender = stay(), client()
    first.subscribe((f"{name}/0", 0), (f"{name}/1", 1), (f"{name}/2", 2))
    first.leave()
    for number in range(60):
        sender.publish(f"{name}/{number % 3}", b"%d" % number, 2)
    second = stay()
    found = [(each.topic[-1], int(each.payload), each.qos, each.dup) for each in second.settle(sender, f"{name}/end", 2)]
    for qos in (1, 2):
        assert [each for each in found if each[0] == str(qos)] == [(str(qos), number, qos, False) for number in range(60) if number % 3 == qos]


@proves(v3="3.3.1-1 4.4.0-1 4.6.0-1 2.3.1-3 2.3.1-4", v5="3.3.1-1 4.3.3-6 4.4.0-1 4.6.0-1")
def test_unacknowledged_messages_come_again(stay, client, name):
    """In their order, with DUP and their identifiers; PUBREL in the place of a message that was received."""
    first, sender = stay(), client()
    first.subscribe(f"{name}/#", qos=2)
    for number, qos in enumerate((1, 2, 1, 2, 2)):
        sender.publish(f"{name}/{number}", b"%d" % number, qos)
    sent = first.messages(5, ack=False)
    first.answer(PUBACK, sent[0].id)
    first.answer(PUBREC, sent[1].id)
    first.wait(PUBREL, sent[1].id)
    first.ping()
    first.vanish()
    second = stay()
    assert second.connack.session_present
    again = [second.next() for _ in range(4)]
    assert [(each.kind, each.id) for each in again if each.kind == PUBREL] == [(PUBREL, sent[1].id)]
    messages = [each for each in again if each.kind == PUBLISH]
    assert [(each.id, each.dup, each.qos, each.payload) for each in messages] == [(each.id, True, each.qos, each.payload) for each in sent[2:]]
    second.answer(PUBCOMP, sent[1].id)
    for message in messages:
        second.acknowledge(message)
    assert second.settle(sender, f"{name}-end", 2) == []
    second.leave()
    assert stay().settle(sender, f"{name}-end", 2) == []


@proves(v3="4.4.0-1", v5="4.4.0-1")
def test_a_receiver_finds_its_qos_2_state_again(stay, client, name):
    """A message that was published before the connection broke, and again after it, comes once."""
    receiver, first = client(), stay()
    receiver.subscribe(name, qos=2)
    first.send(packets.publish(first.version, name, b"once", 2, id=11))
    assert first.next().kind == PUBREC
    first.vanish()
    second = stay()
    second.send(packets.publish(second.version, name, b"once", 2, id=11, dup=True))
    assert second.next().kind == PUBREC
    second.answer(PUBREL, 11)
    assert second.next().kind == PUBCOMP
    assert [each.payload for each in receiver.settle(second, f"{name}/end", 2)] == [b"once"]


@proves(v3="4.6.0-1", v5="4.6.0-1")
@pytest.mark.parametrize("qos", [1, 2])
def test_order_holds_over_many_breaks(stay, client, name, qos):
    first, sender = stay(), client()
    first.subscribe(name, qos=qos)
    for number in range(90):
        sender.publish(name, b"%d" % number, qos)
    got, is_last = [], False
    for round in range(4):
        receiver = stay() if round else first
        for _ in range(15 if round < 3 else 45):
            message = receiver.message(ack=False)
            got.append(int(message.payload))
            receiver.acknowledge(message)
        if round < 3:
            receiver.ping()
            receiver.vanish()
    assert got == sorted(set(got)) and len(got) == 90


@proves(v3="3.1.2-6", v5="3.1.2-4")
def test_other_sessions_are_not_touched(stay, client, name):
    stay("b").leave()
    client("a", clean=True).leave()
    assert stay("b").connack.session_present


@proves(v3="3.1.3-2", v5="3.1.3-2")
def test_a_session_may_be_resumed_in_the_other_version(client, stay, name, version):
    first = stay()
    first.subscribe(name, qos=1)
    first.leave()
    client().publish(name, b"x", 1)
    if version == V5:
        second = client("a", speaks=V3, clean=False)
    else:
        second = client("a", speaks=V5, clean=False, more={"session_expiry": 60})
    assert second.connack.session_present
    assert second.message().payload == b"x"
    # Messages come in the form of the version that the client speaks now.
    sender = client(speaks=V5)
    for qos in (0, 1):
        sender.publish(name, b"y", qos, more=[("content_type", "text/x"), ("user", ("k", "v"))])
        message = second.message()
        assert (message.payload, message.properties) == (
            b"y", [("content_type", "text/x"), ("user", ("k", "v"))] if second.version == V5 else [])


# Of 5.0


@proves(v5="4.1.0-2")
def test_a_session_expires(stay, client, name):
    first = stay(expiry=1)
    first.subscribe(name)
    first.leave()
    assert stay(expiry=1).connack.session_present
    stay(expiry=1).leave()
    time.sleep(1.2)
    # Each look finds a session and gives it another second, so the looks are further apart than that.
    for _ in range(4):
        made = stay(expiry=1)
        if not made.connack.session_present:
            return
        made.leave()
        time.sleep(2.2)
    raise AssertionError("the session is still there")


@proves(v5="3.1.2-23 4.1.0-1")
def test_a_session_does_not_expire_while_its_client_is_there(stay, client, name):
    made, sender = stay(expiry=1), client()
    made.subscribe(name)
    time.sleep(1.6)
    sender.publish(name, b"x")
    assert made.message().payload == b"x"


@proves(v5="4.1.0-2 3.1.2-23")
def test_disconnect_may_change_the_expiry(stay, name):
    stay(expiry=60).leave(0, {"session_expiry": 0})
    assert not stay(expiry=60).connack.session_present
    stay(expiry=1).leave(0, {"session_expiry": 600})
    time.sleep(1.5)
    assert stay(expiry=60).connack.session_present


@proves(v5="4.1.0-2")
@pytest.mark.parametrize("is_resumed", [False, True], ids=["new", "resumed"])
def test_a_session_without_expiry_ends_as_it_is_taken_over(stay, is_resumed):
    """Its connection is closed first, and with it the session ends; also where it once had an expiry, and was resumed without one."""
    if is_resumed:
        stay(expiry=60).leave()
    assert stay(expiry=0).connack.session_present == is_resumed
    assert not stay(expiry=60).connack.session_present


@proves(v5="3.14.2-2")
def test_disconnect_must_not_raise_the_expiry_from_nothing(stay, broker, witness):
    client = stay(expiry=0)
    client.send(packets.disconnect(V5, 0, {"session_expiry": 5}))
    broker.check_end(client, 0x82)
    assert not stay().connack.session_present


@proves(v5="4.5.0-1 4.9.0-2")
def test_a_window_that_shrinks_over_a_break_holds(stay, client, name):
    first, sender = stay(), client()
    first.subscribe(name, qos=1)
    for number in range(6):
        sender.publish(name, b"%d" % number, 1)
    first.messages(6, ack=False)
    first.vanish()
    second = stay(receive_maximum=2)
    got = second.messages(2, ack=False)
    second.ping()
    assert not second.kept
    for number in range(2, 6):
        second.acknowledge(got[-2])
        got.append(second.message(ack=False))
    assert [int(each.payload) for each in got] == list(range(6))
