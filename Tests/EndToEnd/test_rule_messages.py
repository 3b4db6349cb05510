"""What rules are told of messages that go out, go out later, or reach nobody."""

import json

import pytest

from exchange import eventually
from processes import write_rule

LATER = """
local R = { priority = 1 }
function R.on_message(msg) if msg.topic == "later" then return route.delay(0.1, msg) end end
function R.on_chat(msg) if msg.payload == "later" then return route.delay(0.2, msg) end end
return R
"""
SEEN = """
return { on_message = function(msg)
  return msg:with { payload = msg.hops .. " " .. tostring(msg.sender and msg.sender.device) }
end }
"""


def test_a_delayed_message_has_made_one_hop_and_is_its_senders_while_that_is_there(hooked, connect, tmp_path):
    write_rule(tmp_path / "plugins", "seen", SEEN)
    worker, mqtt = hooked(LATER)
    consumer, own = connect(worker.exchange).subscribe("later"), mqtt("meter")
    own.subscribe("later", qos=1, no_local=True)
    own.publish("later", b"x", 1)
    assert consumer.receive(1)[0].text == "1 meter"
    gone = mqtt("gone")
    gone.publish("later", b"x", 1)
    gone.leave()
    assert consumer.receive(1)[0].text == "1 nil"
    assert own.message().payload == b"1 nil", "what the client has sent itself does not come back"


def test_a_chats_message_that_is_delayed_reaches_the_others_alone(hooked, connect):
    worker, _ = hooked(LATER)
    ada, bob = (connect(worker.exchange).register(name).join("room") for name in ("ada", "bob"))
    ada.say("room", "later")
    assert bob.receive(1)[0].text == "later"
    bob.say("room", "now")
    assert [frame.text for frame in ada.receive(1)] == ["now"]


FLAGS = """
local R = {}
local function tell(what, msg, conn) log.info("flags", { what, conn.uid, msg.retain, msg.qos, msg.id ~= 0, msg.hops }) end
function R.on_message(msg) if msg.topic == "hop" then return route.to("kept") end end
function R.on_deliver(msg, conn) tell("deliver", msg, conn) end
function R.on_acked(msg, conn) tell("acked", msg, conn) end
return R
"""


def test_deliveries_say_whether_their_packets_are_retained(hooked, connect):
    worker, mqtt = hooked(FLAGS)
    first, as_published, exchange = mqtt("first"), mqtt("published"), connect(worker.exchange).register("frames").subscribe("kept")
    first.subscribe("kept", qos=1)
    as_published.subscribe(("kept", 2 | 8))
    mqtt("p").publish("hop", b"x", 2, retain=True)
    late = mqtt("late")
    for client, flag in ((first, False), (as_published, True)):
        assert client.message().retain == flag
    late.subscribe("kept", qos=1)
    assert late.message().retain
    exchange.receive(1)
    expected = {
        ("deliver", "frames", False, 1, True, 0), ("deliver", "first", False, 1, False, 0), ("acked", "first", False, 1, False, 0),
        ("deliver", "published", True, 2, False, 0), ("acked", "published", True, 2, False, 0), ("deliver", "late", True, 1, False, 0),
        ("acked", "late", True, 1, False, 0)}

    def told():
        lines = [json.loads(line) for line in worker.stderr.splitlines()]
        return {tuple(json.loads(line["metadata"]["fields"])["value"]) for line in lines if line["message"] == "flags"}

    eventually(lambda: told() == expected, what="flags of all deliveries")


ELSEWHERE = """
local R = { match = { topic = "in/#" } }
local MADE = {
  push = function(m) return route.push({ uid = m.payload }, m) end,
  chat = function(m) return route.chat(m.payload, m) end,
  fanout = function(m) return route.fanout { route.to("out/none"), route.push({ uid = m.payload }, m), route.chat(m.payload, m) } end,
  later = function(m) return route.delay(0.1, route.push({ uid = m.payload }, m)) end,
  laterchat = function(m) return route.delay(0.1, route.chat(m.payload, m)) end,
}
function R.on_message(msg) return MADE[msg.topic:sub(4)](msg) end
function R.on_undelivered(msg, why) log.info("undelivered", { msg.kind, msg.topic }) end
return R
"""


@pytest.mark.parametrize("name", ["nobody", "no room", "nowhere"])
def test_what_becomes_a_broadcast_or_a_chats_message_and_reaches_nobody_is_a_dead_letter(hooked, connect, name):
    """Whatever loop the chat is at home on. What reaches somebody is none."""
    worker, _ = hooked(ELSEWHERE, **{"rules.dead_letter": "dead"})
    dead, ada = connect(worker.exchange).subscribe("dead"), connect(worker.exchange).register("ada").join("ada")
    sender = connect(worker.exchange)
    reasons = {"push": b"no device", "chat": b"no subscriber", "later": b"no device", "laterchat": b"no subscriber", "fanout": None}
    for made, reason in reasons.items():
        # As part of several, a chat on another loop may answer before or after the devices have.
        reasons_of = {reason} if reason else {b"no device", b"no subscriber"}
        assert sender.message(f"in/{made}", "ada").status == 200
        ada.receive(2 if made == "fanout" else 1)
        assert sender.message(f"in/{made}", name).status == 200
        letter = dead.receive(1)[0]
        assert letter.text == name and letter.key in reasons_of

    def told():
        lines = [json.loads(line) for line in worker.stderr.splitlines()]
        return [json.loads(line["metadata"]["fields"])["value"] for line in lines if line["message"] == "undelivered"]

    eventually(lambda: told() == [["topic", f"in/{made}"] for made in reasons], what="on_undelivered of each")
    assert not dead.inbox
