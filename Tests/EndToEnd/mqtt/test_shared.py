"""Shared subscriptions."""

import pytest

from mqtt import packets
from mqtt.packets import PUBACK, PUBLISH, PUBREC, PUBREL, V5
from mqtt.proof import proves


def drain(members, sender, name, qos=0):
    """What each member has got by the time that one more message to each has arrived."""
    return [member.settle(sender, f"{name}/end{number}", qos) for number, member in enumerate(members)]


@proves(v3="", v5="4.8.2-1")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_of_a_group_one_member_gets_a_message(client, name, qos):
    members, other, sender = [client() for _ in range(3)], client(), client()
    for member in members:
        assert member.subscribe(f"$share/{name}/{name}/+", qos=qos) == [qos]
    other.subscribe(f"{name}/+", qos=qos)
    for number in range(30):
        sender.publish(f"{name}/{number % 4}", b"%d" % number, qos)
    shares = [[int(each.payload) for each in share] for share in drain(members, sender, f"{name}-end", qos)]
    assert sorted(sum(shares, [])) == list(range(30)) and all(shares), shares
    assert [int(each.payload) for each in other.messages(30)] == list(range(30))


@proves(v3="", v5="4.8.2-1")
def test_groups_have_a_message_each(client, name):
    """And a member's subscription of its own is apart from its share."""
    one, two, both, sender = client(), client(), client(), client()
    one.subscribe(f"$share/{name}a/{name}")
    two.subscribe(f"$share/{name}b/{name}")
    both.subscribe(f"$share/{name}c/{name}", name)
    sender.publish(name, b"x")
    found = drain([one, two, both], sender, f"{name}/end")
    assert [len(share) for share in found[:2]] == [1, 1] and len(found[2]) in (1, 2)


@proves(v5="4.8.2-3")
def test_each_member_has_its_own_qos(client, name):
    members, sender = [client() for _ in range(3)], client()
    for qos, member in enumerate(members):
        assert member.subscribe(f"$share/{name}/{name}", qos=qos) == [qos]
    for _ in range(9):
        sender.publish(name, b"x", 2)
    shares = drain(members, sender, f"{name}/end", 2)
    assert sum(map(len, shares)) == 9
    for qos, share in enumerate(shares):
        assert {each.qos for each in share} <= {qos}


@proves(v3="", v5="4.8.2-3")
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("is_away", [False, True], ids=["there", "away"])
def test_the_highest_qos_of_a_members_filters_counts(client, name, version, order, is_away):
    session = {"clean": False} | ({"more": {"session_expiry": 60}} if version == V5 else {})
    member, sender = client("m", **session), client()
    member.subscribe(*[(f"$share/{name}/{name}/#", 0), (f"$share/{name}/{name}/+", 2)][::order])
    if is_away:
        member.leave()
    sender.publish(f"{name}/a", b"x", 1)
    if is_away:
        member = client("m", **session)
    assert 1 in [each.qos for each in member.settle(sender, f"{name}-end", 1)]


@proves(v5="3.10.4-1")
def test_a_member_that_unsubscribes_gets_no_more(client, name):
    stays, goes, sender = client(), client(), client()
    for member in (stays, goes):
        member.subscribe(f"$share/{name}/{name}", qos=1)
    assert goes.unsubscribe(f"$share/{name}x/{name}", name, f"$share/{name}/{name}") == [0x11, 0x11, 0]
    for number in range(6):
        sender.publish(name, b"%d" % number, 1)
    assert [len(share) for share in drain([stays, goes], sender, f"{name}/end", 1)] == [6, 0]


@proves(v3="", v5="")
def test_an_absent_member_gets_nothing_while_another_is_there(client, name):
    stays, sender = client(), client()
    session = {"clean": False, "more": {"session_expiry": 60}}
    away = client("away", **session)
    for member in (stays, away):
        member.subscribe(f"$share/{name}/{name}", qos=1)
    away.leave()
    for number in range(6):
        sender.publish(name, b"%d" % number, 1)
    assert [int(each.payload) for each in stays.settle(sender, f"{name}/end", 1)] == list(range(6))
    back = client("away", **session)
    assert back.connack.session_present
    assert back.settle(sender, f"{name}/end2", 1) == []


@proves(v3="", v5="")
def test_shared_subscriptions_get_no_retained_messages(client, name):
    sender, member = client(), client()
    sender.publish(name, b"kept", 1, retain=True)
    member.subscribe(f"$share/{name}/{name}", qos=1)
    assert member.settle(sender, f"{name}/end") == []
    sender.publish(name, b"", retain=True)


@proves(v5="4.8.2-4 4.8.2-5")
@pytest.mark.parametrize("is_received", [False, True], ids=["before PUBREC", "after PUBREC"])
def test_qos_2_on_its_way_stays_with_its_member(client, name, is_received):
    """It is completed when the member returns, and nobody else gets it meanwhile, nor when the member's session has ended."""
    sender, other = client(), client()
    session = {"clean": False, "more": {"session_expiry": 60}}
    member = client("m", **session)
    member.subscribe(f"$share/{name}/{name}", qos=2)
    sender.publish(name, b"x", 2)
    message = member.message(ack=False)
    if is_received:
        member.answer(PUBREC, message.id)
        member.wait(PUBREL, message.id)
    other.subscribe(f"$share/{name}/{name}", qos=2)
    member.vanish()
    member = client("m", **session)
    again = member.wait(PUBREL if is_received else PUBLISH, message.id)
    if not is_received:
        assert again.dup and again.payload == b"x"
    member.leave(0, {"session_expiry": 0})
    assert other.settle(sender, f"{name}/end", 2) == []


@proves(v5="4.8.2-6")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_a_member_refuses_goes_to_nobody_else(client, name, qos):
    sender, members = client(), [client(), client()]
    members[0].subscribe(f"$share/{name}/{name}", qos=qos)
    sender.publish(name, b"x", qos)
    message = members[0].message(ack=False)
    members[1].subscribe(f"$share/{name}/{name}", qos=qos)
    members[0].answer(PUBACK if qos == 1 else PUBREC, message.id, 0x80)
    assert drain(members, sender, f"{name}/end", qos) == [[], []]


@proves(v5="4.8.2-1 4.8.2-2 3.8.3-4")
@pytest.mark.parametrize("filter", ["$share", "$share/g", "$share/g/", "$share//f", "$share/g+/f", "$share/g#/f", "$share/+/f"])
def test_shares_without_a_name_or_filter(client, broker, witness, filter):
    """Refused in SUBACK, or the connection ends."""
    made = client()
    made.send(packets.subscribe(made.version, 1, [(filter, 0)]))
    first = made.next_or_end()
    if first and first.kind == packets.SUBACK:
        assert first.reasons == [0x8F]
    else:
        assert first is None and not broker.is_shunt or first.reason in (0x8F, 0x81, 0x82), first


@proves(v5="3.8.3-4")
def test_no_local_on_a_share(client, broker, witness, name):
    made = client()
    made.send(packets.subscribe(made.version, 1, [(f"$share/{name}/f", packets.options(no_local=True))]))
    broker.check_end(made, 0x82)
