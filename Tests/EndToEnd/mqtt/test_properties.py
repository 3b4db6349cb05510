"""Properties of 5.0: what is passed on, what expires, what is too large."""

import time

import pytest

from mqtt import packets
from mqtt.packets import PUBLISH, PUBREL, V3, V5
from mqtt.proof import proves


@proves(v5="3.3.2-4 3.3.2-13 3.3.2-15..20 1.5.7-1")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_are_passed_on_unaltered(client, name, qos):
    receiver, old, sender = client(), client(speaks=V3), client()
    more = [("payload_format", 1), ("content_type", "application/x; é"), ("response_topic", "reply/é"), ("correlation_data", b"\0\xff\x80"),
            ("user", ("b", "1")), ("user", ("", "")), ("user", ("a", "é")), ("user", ("b", "1"))]
    for each in (receiver, old):
        each.subscribe(name, qos=qos)
    sender.publish(name, b"x", qos, more=more)
    assert receiver.message().properties == more
    assert old.message().payload == b"x"
    for single in more:
        sender.publish(name, b"y", qos, more=[single])
        assert receiver.message().properties == [single]


@proves(v5="3.3.2-4")
def test_a_payload_format_of_0_is_as_good_as_none(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(name)
    sender.publish(name, b"\xff", more={"payload_format": 0})
    assert receiver.message().properties in ([("payload_format", 0)], [])


@proves(v5="3.3.2-17 3.3.2-18")
def test_a_thousand_user_properties(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(name)
    more = [("user", (f"k{number % 7}", f"v{number}")) for number in range(1000)]
    sender.publish(name, b"x", more=more)
    assert receiver.message().properties == more


@proves(v5="3.3.2-5 4.3.3-13")
@pytest.mark.parametrize("qos", [1, 2])
def test_messages_expire_while_they_wait(client, name, qos):
    session = {"clean": False, "more": {"session_expiry": 60}}
    away, sender = client("a", **session), client()
    away.subscribe(f"{name}/#", qos=qos)
    away.leave()
    for topic, expiry in (("a", {"message_expiry": 1}), ("b", {}), ("c", {"message_expiry": 100})):
        sender.publish(f"{name}/{topic}", b"x", qos, more=expiry)
    time.sleep(2.1)
    back = client("a", **session)
    found = {each.topic[-1]: each.get("message_expiry") for each in back.settle(sender, f"{name}-end", qos)}
    assert set(found) == {"b", "c"} and found["b"] is None and 95 <= found["c"] <= 98


@proves(v5="3.3.2-5 3.3.2-6")
def test_retained_messages_expire(client, name):
    sender = client()
    sender.publish(f"{name}/a", b"x", 1, retain=True, more={"message_expiry": 1})
    sender.publish(f"{name}/b", b"x", 1, retain=True, more={"message_expiry": 100})
    time.sleep(2.1)
    late = client()
    late.subscribe(f"{name}/#")
    found = {each.topic[-1]: each.get("message_expiry") for each in late.settle(sender, f"{name}-end")}
    assert set(found) == {"b"} and 95 <= found["b"] <= 98
    sender.publish(f"{name}/b", b"", retain=True)


@proves(v5="3.3.2-6")
def test_an_expiry_is_passed_on(client, name):
    receiver, sender = client(), client()
    receiver.subscribe(name)
    for seconds in (100, 4_294_967_295):
        sender.publish(name, b"x", more={"message_expiry": seconds})
        assert seconds - 2 <= receiver.message().get("message_expiry") <= seconds


@proves(v5="4.3.3-7")
def test_a_message_that_was_sent_does_not_expire(client, name):
    session = {"clean": False, "more": {"session_expiry": 60}}
    first, sender = client("a", **session), client()
    first.subscribe(name, qos=2)
    sender.publish(name, b"x", 2, more={"message_expiry": 1})
    message = first.message(ack=False)
    time.sleep(2.1)
    first.answer(packets.PUBREC, message.id)
    assert first.next().kind == PUBREL


@proves(v5="3.1.2-24 3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_too_large_for_a_client_is_dropped_for_it_alone(client, name, qos):
    small, other, sender = client(more={"maximum_packet_size": 100}), client(), client()
    for each in (small, other):
        each.subscribe(f"{name}/#", qos=qos)
    whole = len(packets.publish(V5, f"{name}/a", b"", qos, id=1 if qos else None))
    for size in (101 - whole, 100 - whole, 5000, 1):
        assert sender.publish(f"{name}/a", b"x" * size, qos) in (0, None)
    assert [len(each.payload) for each in small.settle(sender, f"{name}-end", qos)] == [100 - whole, 1]
    assert [len(each.payload) for each in other.messages(4)] == [101 - whole, 100 - whole, 5000, 1]
    small.ping()


@proves(v5="3.1.2-24 3.2.2-19 3.2.2-20 3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2 3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.7.2-2 3.7.2-3")
def test_answers_hold_the_maximum_packet_size(raw, name):
    """Reason strings and user properties give way to it: no answer is longer."""
    limit = 60
    client = raw()
    client.connect(name, more={"maximum_packet_size": limit})
    packets_seen = [client.connack]
    client.send(packets.subscribe(V5, 1, [("$share/" + name, 0)] * 2))
    client.send(packets.subscribe(V5, 1, [(f"{name}/#", 1)]))
    client.send(packets.unsubscribe(V5, 2, ["never"] * 10), packets.publish(V5, "nobody", b"", 1, id=3), packets.publish(V5, "no", b"", 2, id=4))
    client.send(packets.answer(V5, PUBREL, 4), packets.answer(V5, PUBREL, 99), packets.PING)
    while (made := client.next_or_end()) and made.kind != packets.PINGRESP:
        packets_seen.append(made)
    assert all(len(each.raw) <= limit for each in packets_seen), [str(each) for each in packets_seen]


@proves(v5="3.2.2-19 3.2.2-20")
def test_a_refusal_holds_the_maximum_packet_size(raw, name):
    client = raw()
    client.send(packets.connect(V5, name, more={"maximum_packet_size": 20, "authentication_method": "none such"}))
    assert len(client.next().raw) <= 20


@proves(v5="3.14.2-3 3.14.2-4 3.14.2-1")
def test_a_disconnect_holds_the_maximum_packet_size(raw, broker, name):
    client = raw()
    client.connect(name, more={"maximum_packet_size": 40})
    client.send(b"\x36\x05\x00\x01t\x00\x01")
    made = client.next_or_end()
    assert made is None or len(made.raw) <= 40
    client.ended()


@proves(v5="3.1.2-28")
@pytest.mark.parametrize("asked", [None, 0])
def test_no_response_information_where_it_was_not_asked_for(client, asked):
    made = client(more={} if asked is None else {"request_response_information": asked})
    assert made.connack.get("response_information") is None


@proves(v5="3.1.2-29")
def test_no_words_where_problem_information_was_not_asked_for(client, broker, name):
    made = client(more={"request_problem_information": 0})
    made.send(packets.subscribe(V5, 1, [(f"{name}/#", 0)]), packets.unsubscribe(V5, 2, ["never"]))
    made.send(packets.publish(V5, "nobody", b"", 1, id=3), packets.answer(V5, PUBREL, 99), packets.PING)
    for _ in range(5):
        answer = made.next()
        assert answer.get("reason_string") is None and answer.all("user") == [], str(answer)


@proves(v5="3.3.2-15 3.3.2-16")
def test_request_and_response(client, name):
    asks, answers = client(), client()
    asks.subscribe(f"{name}/reply")
    answers.subscribe(f"{name}/ask")
    asks.publish(f"{name}/ask", b"6*7", 1, more={"response_topic": f"{name}/reply", "correlation_data": b"\1\2"})
    request = answers.message()
    answers.publish(request.get("response_topic"), b"42", more={"correlation_data": request.get("correlation_data")})
    reply = asks.message()
    assert (reply.kind, reply.payload, reply.get("correlation_data")) == (PUBLISH, b"42", b"\1\2")


@proves(v5="2.2.2-1")
def test_short_forms_of_answers(client, name):
    """Reason and properties may be left out; an empty property length may stand."""
    receiver, sender = client(), client()
    receiver.subscribe(name, qos=2)
    for number, (reason, more) in enumerate([(None, None), (0, None), (0, {}), (0, {"user": ("a", "b"), "reason_string": "fine"})]):
        sender.publish(name, b"%d" % number, 1)
        receiver.answer(packets.PUBACK, receiver.message(ack=False).id, reason, more)
        sender.publish(name, b"%d" % number, 2)
        message = receiver.message(ack=False)
        receiver.answer(packets.PUBREC, message.id, reason, more)
        receiver.wait(PUBREL, message.id)
        receiver.answer(packets.PUBCOMP, message.id, reason, more)
    receiver.ping()
    receiver.leave(0, {"reason_string": "good bye", "user": ("a", "b")})
