"""What rules decide about MQTT's messages, and how its clients are told. Of Shunt alone."""

import time

import pytest

from mqtt import brokers, packets
from mqtt.client import Client
from mqtt.packets import PUBREL, V3, V5
from mqtt.proof import proves
from processes import write_rule

pytestmark = pytest.mark.skipif(bool(brokers.CHOSEN), reason="rules are Shunt's")

RULE = """
local R = { match = { topic = "guarded/#" } }
function R.on_message(msg)
  if msg.payload == "no" then return route.reject("not today") end
end
return R
"""


@pytest.fixture
def guarded(shunt, tmp_path, version):
    """Opens clients of a worker with a rule that rejects the payload `no`."""
    folder = write_rule(tmp_path / "rules", "guard", RULE)
    broker = brokers.shunt(shunt, **{"rules.directory": str(folder), "rules.enabled": "all"})

    def open(id) -> Client:
        made = shunt.closing(Client(broker.address, version))
        made.connect(id)
        return made

    return open


@proves(v3="3.3.5-2", v5="3.4.2-1 3.5.2-1 4.3.3-9")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_a_rule_rejects(guarded, qos, version):
    """3.1.1 has no word for it: acknowledged, and dropped. 5.0 gets the rule's sentence."""
    receiver, sender = guarded("r"), guarded("s")
    receiver.subscribe("guarded/#", qos=qos)
    sender.send(packets.publish(version, "guarded/x", b"no", qos, id=7))
    answer = sender.next()
    assert (answer.reason, answer.get("reason_string")) == ((0x83, "not today") if version == V5 else (0, None))
    if qos == 2 and version == V3:
        sender.answer(PUBREL, 7)
        sender.wait(packets.PUBCOMP, 7)
    # The identifier means a new message now.
    sender.publish("guarded/x", b"yes", qos, id=7)
    assert [each.payload for each in receiver.settle(sender, "end", qos)] == [b"yes"]


OTHERS = """
local R = {}
function R.on_subscribe(sub)
  if sub.topic == "mine" or sub.topic == "my" then return sub:with { topic = "users/" .. sub.sender.device } end
  if sub.topic == "own/chat" then return sub:with { topic = "$chat/room" } end
  if sub.topic == "own/notes" then return sub:with { topic = "$shunt/notify" } end
end
function R.on_unsubscribe(sub, ctx) ctx:emit(route.message { topic = "given-up", payload = sub.topic }) end
return R
"""


@pytest.fixture
def rewriting(shunt, tmp_path, version):
    folder = write_rule(tmp_path / "rules", "others", OTHERS)
    broker = brokers.shunt(shunt, **{"rules.directory": str(folder), "rules.enabled": "all"})

    def open(id, **more) -> Client:
        made = shunt.closing(Client(broker.address, version))
        made.connect(id, **more)
        return made

    return open


@proves(v3="3.8.4-3 3.10.4-1", v5="3.8.4-3 3.10.4-1")
@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_subscription_that_a_rule_makes_another_of_is_the_clients_by_its_own_filter(rewriting, is_resumed, version):
    """It is asked for again, and given up, by the filter that the client has named."""
    lasting = {"clean": False, **({"more": {"session_expiry": 60}} if version == V5 else {})}
    client, sender = rewriting("c", **lasting), rewriting("s")
    assert client.subscribe("mine", qos=1) == [1]
    if is_resumed:
        client.leave()
        client = rewriting("c", **lasting)
    assert client.subscribe("mine", qos=0) == [0]
    assert client.subscribe("mine", qos=2) == [2]
    sender.publish("users/c", b"once", 2)
    assert [each.payload for each in client.settle(sender, "end", 1)] == [b"once"]
    sender.subscribe("given-up")
    assert client.unsubscribe("mine") == ([0] if version == V5 else [])
    assert sender.message().payload == b"users/c"
    sender.publish("users/c", b"no more", 2)
    assert client.settle(sender, "end", 1) == []
    if version == V5:
        assert client.unsubscribe("mine") == [0x11]


def test_filters_that_become_one_subscription_end_it_with_the_last(rewriting):
    client, sender = rewriting("c"), rewriting("s")
    assert client.subscribe("users/c", "mine", "my", qos=1) == [1, 1, 1]
    for filter in ("mine", "users/c"):
        assert client.unsubscribe(filter) == [0]
        sender.publish("users/c", b"still", 1)
        assert [each.payload for each in client.settle(sender, "end", 1)] == [b"still"]
    assert client.unsubscribe("my") == [0]
    sender.publish("users/c", b"no more", 1)
    assert client.settle(sender, "end", 1) == []


@proves(v5="3.3.4-3")
def test_the_identifier_of_such_a_subscription_comes_with_its_messages(rewriting):
    client, sender = rewriting("c"), rewriting("s")
    client.subscribe("mine", qos=1, more={"subscription_identifier": 7})
    sender.publish("users/c", b"x", 1)
    assert client.message().all("subscription_identifier") == [7]
    client.subscribe("my", qos=1, more={"subscription_identifier": 7})
    for filter, code in (("mine", 0), ("users/c", 0x11)):
        assert client.unsubscribe(filter) == [code]
        sender.publish("users/c", b"y", 1)
        assert client.message().all("subscription_identifier") == [7]
    client.subscribe("my", qos=1)
    sender.publish("users/c", b"x", 1)
    assert client.message().all("subscription_identifier") == []


@pytest.mark.parametrize("filter", ["own/chat", "own/notes"])
def test_a_rule_makes_none_of_the_workers_own_topics_of_a_filter(rewriting, filter):
    client = rewriting("c")
    client.send(packets.subscribe(V5, 9, [(filter, 1)]))
    answer = client.next()
    assert answer.reasons == [0x87]
    assert answer.get("reason_string").startswith("rule others makes '$")


REDACTION = """
local R = {}
function R.on_deliver(msg)
  local props = msg.props
  props.secret = false
  return msg:with { key = msg.key, props = props }
end
return R
"""


def test_on_deliver_gives_properties_back_with_the_key_among_them(shunt, tmp_path):
    folder = write_rule(tmp_path / "rules", "redaction", REDACTION)
    broker = brokers.shunt(shunt, **{"rules.directory": str(folder), "rules.enabled": "all"})
    reader, writer = (shunt.closing(Client(broker.address, V5)) for _ in range(2))
    reader.connect("reader")
    writer.connect("writer")
    reader.subscribe("t")
    for pairs in ([("a", "1")], [("key", "k"), ("a", "1")], [("a", "1"), ("key", "k"), ("key", "l")]):
        writer.publish("t", b"x", more=[("user", ("secret", "s")), *(("user", pair) for pair in pairs)])
        assert reader.message().all("user") == pairs


EXPIRING = """
local R = {}
function R.on_deliver(msg)
  if msg.topic == "changed" then return msg:with { payload = tostring(msg.expiry) } end
end
function R.on_acked(msg, conn) counter("acked", { topic = msg.topic, fresh = msg.expiry > 28 }):inc() end
return R
"""


def test_rules_see_the_seconds_that_a_message_has_left_and_give_it_no_more(shunt, tmp_path):
    folder = write_rule(tmp_path / "rules", "expiring", EXPIRING)
    broker = brokers.shunt(shunt, **{"rules.directory": str(folder), "rules.enabled": "all"})
    topics = ("changed", "same")

    def connect(id, **more) -> Client:
        made = shunt.closing(Client(broker.address, V5))
        made.connect(id, **more)
        return made

    session = {"clean": False, "more": {"session_expiry": 100}}
    reader, writer = connect("reader", **session), connect("writer")
    reader.subscribe(*topics, qos=1)
    reader.leave()
    for topic in topics:
        writer.publish(topic, b"x", 1, more={"message_expiry": 30})
    time.sleep(2.5)
    came = {made.topic: made for made in connect("reader", **session).messages(2)}
    for topic in topics:
        assert 20 < came[topic].get("message_expiry") <= 28
    assert came["changed"].payload == str(came["changed"].get("message_expiry")).encode()
    for topic in topics:
        broker.process.wait_metric(f'shunt_rule_acked_total{{rule="expiring",fresh="false",topic="{topic}"}}', 1)
