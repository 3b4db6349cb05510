"""Clients that rules close: before they are let in, in a message's hook, and from the loop of a chat."""

import json

import pytest

from exchange import CHAT, encode, eventually
from mqtt import packets
from mqtt.client import Client as MQTTClient
from mqtt.packets import V3, V5, Will

AT_THE_DOOR = """
local R = {}
local function is_no(conn) return conn.client_id == "no" or conn.protocol == "exchange" and shared.get("closed") end
function R.on_connect(conn)
  if is_no(conn) or #conn.props > 0 then conn:close("not you") end
end
function R.on_auth(conn, data)
  conn:close("not so")
  return route.continue("go on")
end
function R.on_message(msg) if msg.topic == "close" then shared.set("closed", true) end end
function R.on_disconnect(conn, why, ctx) ctx:emit(route.message { topic = "gone", payload = why }) end
function R.on_session(event, session, ctx) ctx:emit(route.message { topic = "gone", payload = event }) end
return R
"""


def closes(worker) -> list[str]:
    lines = [json.loads(line) for line in worker.stderr.splitlines()]
    return [line["metadata"]["why"] for line in lines if line["message"] == "closed a client"]


def test_a_client_that_on_connect_closes_takes_nothing_over_and_sends_no_will(hooked, shunt):
    worker, mqtt = hooked(AT_THE_DOOR, **{"log.levels.listener": "debug"})
    watcher = mqtt("watcher")
    first = mqtt("x", clean=False, more={"session_expiry": 100}, will=Will("will", b"first"))
    watcher.subscribe("gone", "will")
    second = shunt.closing(MQTTClient(worker.listeners["worker.mqtt"], V5))
    second.send(packets.connect(V5, "x", clean=False, will=Will("will", b"second"), more=[("session_expiry", 100), ("user", ("is", "second"))]))
    answer = second.wait(packets.CONNACK)
    assert (answer.reason, answer.get("reason_string")) == (0x87, "not you")
    assert second.ended() is None
    first.ping()
    assert watcher.settle(first, "end") == []
    eventually(lambda: closes(worker) == ["not you (rule.rejected)"], what="the line of the log")


def test_an_exchange_client_that_on_connect_closes_is_answered_and_sends_nothing(hooked, connect):
    worker, mqtt = hooked(AT_THE_DOOR)
    watcher = mqtt("watcher")
    watcher.subscribe("t", "gone")
    watcher.publish("close", b"", 1)
    client = connect(worker.exchange)
    answer = client.message("t", "x")
    assert (answer.status, answer.text) == (403, "not you")
    client.wait_closed()
    assert watcher.settle(watcher, "end") == []


def test_a_client_that_on_auth_closes_is_refused(hooked, shunt):
    worker, _ = hooked(AT_THE_DOOR)
    client = shunt.closing(MQTTClient(worker.listeners["worker.mqtt"], V5))
    client.send(packets.connect(V5, "c", more={"authentication_method": "M", "authentication_data": b"d"}))
    answer = client.wait(packets.CONNACK)
    assert (answer.reason, answer.get("reason_string")) == (0x87, "not so")


IN_A_MESSAGE = """
local R = {}
function R.on_message(msg)
  if msg.topic == "say" then msg.sender:close("too loud") end
  if msg.topic == "repeat" then msg.sender:close("has said " .. msg.payload) end
end
function R.on_disconnect(conn, why, ctx) ctx:emit(route.message { topic = "gone", payload = why }) end
return R
"""


@pytest.mark.parametrize("version", [V3, V5])
def test_the_reason_of_a_close_is_told_and_repeats_no_payload(hooked, version):
    worker, mqtt = hooked(IN_A_MESSAGE, **{"log.levels.listener": "debug"})
    watcher = mqtt("watcher")
    watcher.subscribe("gone")
    loud, spy = mqtt("loud", version), mqtt("spy", version)
    loud.send(packets.publish(version, "say", b"boo"))
    assert loud.ended() == (0x98 if version == V5 else None)
    assert version == V3 or loud.farewell.get("reason_string") == "too loud"
    assert watcher.message().payload == b"too loud (rule.rejected)"
    spy.send(packets.publish(version, "repeat", b"the secret word"))
    spy.ended()
    assert b"secret" not in watcher.message().payload
    eventually(lambda: len(closes(worker)) == 2, what="two lines of the log")
    assert closes(worker)[0] == "too loud (rule.rejected)" and "secret" not in worker.stderr


IN_A_CHAT = """
local R = {}
function R.on_chat(msg) if msg.payload == "bye" then msg.sender:close("bad words") end end
function R.on_chat_join(chat, conn) if conn.device == "late" then conn:close("too late") end end
return R
"""


def test_rules_of_a_chat_close_clients_of_other_loops(hooked, connect):
    worker, mqtt = hooked(IN_A_CHAT)
    for number in range(6):
        room = f"$chat/room{number}"
        host, rude, late = mqtt(f"host{number}"), mqtt(f"rude{number}"), mqtt("late")
        assert host.subscribe(room) == rude.subscribe(room) == [0]
        rude.send(packets.publish(V5, room, b"bye"))
        assert rude.ended() == 0x98 and rude.farewell.get("reason_string") == "bad words"
        late.send(packets.subscribe(V5, 1, [(room, 0)]))
        while (made := late.next_or_end()) is not None and made.kind != packets.DISCONNECT:
            pass
        assert made is not None and made.reason == 0x98
    for number in range(6):
        host, rude = (connect(worker.exchange).register(f"{name}{number}").join(f"hall{number}") for name in ("host", "rude"))
        rude.send(encode(CHAT, 9, b"bye", f"hall{number}", "SESSION"))
        rude.wait_closed()
        assert not host.closed
