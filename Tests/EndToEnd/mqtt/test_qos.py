"""QoS 1 and 2, as a receiver and as a sender."""

import pytest

from mqtt import packets
from mqtt.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, V3, V5
from mqtt.proof import proves

# The server receives


@proves(v3="2.3.1-6 3.3.4-1 4.3.2-2", v5="2.2.1-5 3.3.4-1 4.3.2-4 3.4.2-1")
@pytest.mark.parametrize("id", [1, 2, 255, 256, 65_535])
def test_qos_1_is_acknowledged_by_its_identifier(client, name, id):
    sender, receiver = client(), client()
    receiver.subscribe(name, qos=1)
    sender.send(packets.publish(sender.version, name, b"x", 1, id=id))
    answer = sender.next()
    assert (answer.kind, answer.id, answer.reason) == (PUBACK, id, 0)
    assert receiver.message().payload == b"x"


@proves(v3="4.3.2-2", v5="4.3.2-5")
@pytest.mark.parametrize("dup", [False, True])
def test_after_puback_the_identifier_means_a_new_message(client, name, dup):
    sender, receiver = client(), client()
    receiver.subscribe(name, qos=1)
    for payload in (b"one", b"two"):
        sender.publish(name, payload, qos=1, id=5, dup=dup)
    assert [each.payload for each in receiver.messages(2)] == [b"one", b"two"]


@proves(v3="2.3.1-6 3.3.4-1 4.3.3-2", v5="2.2.1-5 3.3.4-1 3.5.2-1 3.7.2-1 4.3.3-8 4.3.3-11")
@pytest.mark.parametrize("id", [1, 65_535])
def test_qos_2_goes_through_its_handshake(client, name, id):
    sender, receiver = client(), client()
    receiver.subscribe(name, qos=2)
    sender.send(packets.publish(sender.version, name, b"x", 2, id=id))
    answer = sender.next()
    assert (answer.kind, answer.id, answer.reason) == (PUBREC, id, 0)
    sender.answer(PUBREL, id)
    answer = sender.next()
    assert (answer.kind, answer.id, answer.reason) == (PUBCOMP, id, 0)
    assert receiver.message().payload == b"x"


@proves(v3="4.3.3-2", v5="4.3.3-10 4.3.3-12")
def test_qos_2_before_its_pubrel_is_the_same_message(client, name):
    sender, receiver = client(), client()
    receiver.subscribe(name, qos=2)
    for dup in (False, True, True):
        sender.send(packets.publish(sender.version, name, b"first", 2, id=9, dup=dup))
        assert sender.next().kind == PUBREC
    sender.answer(PUBREL, 9)
    sender.wait(PUBCOMP, 9)
    # After PUBCOMP the identifier means a new one.
    sender.publish(name, b"second", 2, id=9)
    assert [each.payload for each in receiver.settle(sender, f"{name}/end", 2)] == [b"first", b"second"]


@proves(v3="4.3.3-2", v5="4.3.3-11")
def test_pubrel_is_answered_each_time(client):
    """Of an identifier that nothing is known about as well: the answer may have been lost."""
    sender = client()
    sender.publish("nobody/listens", b"x", 2, id=3)
    for id in (3, 3, 77):
        sender.answer(PUBREL, id)
        answer = sender.next()
        assert (answer.kind, answer.id) == (PUBCOMP, id)
        assert answer.reason in ((0, 0x92) if sender.version == V5 else (0,))


@proves(v5="3.4.2-1 3.5.2-1")
@pytest.mark.parametrize("qos", [1, 2])
def test_nobody_has_subscribed(client, name, qos):
    sender = client()
    assert sender.publish(name, b"x", qos) == 0x10
    sender.subscribe(name)
    assert sender.publish(name, b"x", qos) == 0


@proves(v3="3.8.4-6", v5="3.8.4-8")
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_the_lower_qos_counts(client, name, published, granted):
    sender, receiver = client(), client()
    assert receiver.subscribe(name, qos=granted) == [granted]
    sender.publish(name, b"x", published)
    assert receiver.message().qos == min(published, granted)


# The server sends


@proves(v3="2.3.1-1 2.3.1-4 4.3.2-1", v5="2.2.1-4 4.3.2-1 4.3.2-2 4.3.2-3")
def test_identifiers_in_flight_differ(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(f"{name}/#", qos=2)
    flying = set()
    for number in range(60):
        sender.publish(f"{name}/{number}", b"x", qos=1)
        message = receiver.message(ack=False)
        assert message.id not in flying and not message.dup and message.qos == 1
        flying.add(message.id)
        # Of three messages one stays unacknowledged for a while.
        if number % 3 or len(flying) > 5:
            freed = message.id if number % 3 else min(flying)
            receiver.answer(PUBACK, freed)
            flying.discard(freed)


@proves(v3="4.3.3-1 2.3.1-4 2.3.1-6", v5="4.3.3-1..6 3.6.2-1 2.2.1-5")
def test_qos_2_to_a_subscriber(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(name, qos=2)
    sender.publish(name, b"x", qos=2)
    message = receiver.message(ack=False)
    assert (message.qos, message.dup) == (2, False) and message.id
    for _ in range(2):
        # A PUBREC that comes again gets the PUBREL again, and no PUBLISH.
        receiver.answer(PUBREC, message.id)
        release = receiver.next()
        assert (release.kind, release.id, release.flags, release.reason) == (PUBREL, message.id, 2, 0)
    receiver.answer(PUBCOMP, message.id)
    receiver.ping()
    assert not receiver.kept


@proves(v5="4.3.3-4 4.4.0-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_its_receiver_refuses_is_done_with(client, name, qos):
    receiver, sender = client("r", clean=False, more={"session_expiry": 60, "receive_maximum": 1}), client()
    receiver.subscribe(name, qos=qos)
    for payload in (b"refused", b"taken"):
        sender.publish(name, payload, qos)
    message = receiver.message(ack=False)
    receiver.answer(PUBACK if qos == 1 else PUBREC, message.id, 0x83)
    # No PUBREL, the window is free again, and nothing of it comes back.
    second = receiver.next()
    assert (second.kind, second.payload) == (PUBLISH, b"taken")
    receiver.vanish()
    receiver = client("r", clean=False, more={"session_expiry": 60})
    assert receiver.message().payload == b"taken"
    assert receiver.settle(sender, f"{name}/end", qos) == []


@proves(v3="3.3.5-1", v5="3.3.4-2")
@pytest.mark.parametrize("speaks", [V3, V5], ids=["from v3", "from v5"])
def test_subscriptions_that_overlap_give_the_highest_qos(client, name, speaks):
    receiver, sender = client(), client(speaks=speaks)
    receiver.subscribe((f"{name}/+", 0), (f"{name}/#", 2), (f"{name}/a", 1))
    sender.publish(f"{name}/a", b"x", 2)
    assert max(each.qos for each in receiver.settle(sender, f"{name}-end", 2)) == 2


@proves(v3="", v5="")
def test_subscriptions_that_overlap_give_one_message(client, name):
    receiver, sender = client(), client()
    receiver.subscribe((f"{name}/+", 0), (f"{name}/#", 2), (f"{name}/a", 1))
    for _ in range(3):
        sender.publish(f"{name}/a", b"x", 2)
    assert [each.qos for each in receiver.settle(sender, f"{name}-end", 2)] == [2, 2, 2]


@proves(v3="4.3.2-1 4.3.3-1", v5="4.4.0-1")
@pytest.mark.parametrize("qos", [1, 2])
def test_nothing_is_sent_again_while_the_connection_lasts(client, name, qos):
    receiver, sender = client(), client()
    receiver.subscribe(name, qos=qos)
    sender.publish(name, b"x", qos)
    message = receiver.message(ack=False)
    assert receiver.settle(sender, f"{name}/end") == []
    receiver.acknowledge(message)
