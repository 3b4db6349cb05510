"""MQTT 5.0's enhanced authentication, which rules decide about (§4.12)."""

import hashlib
import hmac

import pytest

from mqtt import packets
from mqtt.client import Client
from mqtt.packets import AUTH, CONNACK, DISCONNECT
from processes import write_rule

# The client answers a challenge with HMAC-SHA-256 of it, by a key that the backend knows.
RULE = """
local R = {}
function R.on_auth(conn, data)
  if conn.auth_method ~= "HMAC" then return end
  local nonce = kv.get("nonce-" .. conn.id)
  if data == "loop" then return route.continue("more") end
  if not nonce then
    kv.set("nonce-" .. conn.id, "n" .. conn.id, 30)
    kv.set("user-" .. conn.id, data, 30)
    return route.continue("n" .. conn.id)
  end
  local user = kv.get("user-" .. conn.id)
  kv.delete("nonce-" .. conn.id)
  local answer = http.get("$URL/keys/" .. user)
  if answer.status ~= 200 or data ~= hash.hmac(answer.body, nonce) then return route.reject("wrong answer") end
  return conn:with { uid = user }
end
function R.on_message(msg) return msg:with { payload = msg.sender.uid .. "/" .. tostring(msg.sender.auth_method) } end
return R
"""
KEYS = {"ada": b"secret", "bob": b"other"}


@pytest.fixture
def worker(asking):
    def answer(method, target, body):
        key = KEYS.get(target.rsplit("/")[-1])
        return 0.05, 200 if key else 404, key or b""

    return asking(RULE, answer)


def begin(worker, user=b"ada", method="HMAC") -> Client:
    client = Client(worker.listeners["worker.mqtt"], 5)
    client.send(packets.connect(5, "phone", more={"authentication_method": method, "authentication_data": user}))
    return client


def step(data, reason=0x18, method="HMAC") -> bytes:
    return packets.auth(reason, more={"authentication_method": method, "authentication_data": data})


def solve(client, user):
    """Answers the challenge that has come."""
    challenge = client.wait(AUTH)
    assert (challenge.reason, challenge.get("authentication_method")) == (0x18, "HMAC")
    client.send(step(hmac.new(KEYS[user], challenge.get("authentication_data"), hashlib.sha256).hexdigest().encode()))


def test_a_client_that_answers_the_challenge_is_in_under_its_name(worker):
    client = begin(worker)
    solve(client, "ada")
    answer = client.wait(CONNACK)
    assert (answer.reason, answer.get("authentication_method")) == (0, "HMAC")
    client.subscribe("t")
    client.publish("t", b"?")
    assert client.message().payload == b"ada/HMAC"


def test_a_wrong_answer_and_an_unknown_method_are_refused(worker):
    client = begin(worker)
    client.wait(AUTH)
    client.send(step(b"guess"))
    answer = client.wait(CONNACK)
    assert (answer.reason, answer.get("reason_string")) == (0x87, "wrong answer")
    assert begin(worker, method="OTHER").wait(CONNACK).reason == 0x8C


@pytest.mark.parametrize("packet", [
    packets.publish(5, "t", b"x"), packets.connect(5, "again"), step(b"x", method="OTHER"), step(b"x", reason=0x19), step(b"x", reason=0),
    b"\xf0\x02\xff\x00",
])
def test_nothing_but_the_next_step_may_come_before_connack(worker, packet):
    client = begin(worker)
    client.wait(AUTH)
    client.send(packet)
    assert client.wait(CONNACK).reason >= 0x80


def test_a_client_may_leave_in_the_middle(worker):
    client = begin(worker)
    client.wait(AUTH)
    client.send(packets.disconnect(5))
    client.ended()
    again = begin(worker)
    solve(again, "ada")
    assert again.wait(CONNACK).reason == 0


def test_steps_are_bounded(worker):
    client = begin(worker, b"loop")
    for _ in range(15):
        assert client.wait(AUTH).reason == 0x18
        client.send(step(b"loop"))
    assert client.wait(AUTH).reason == 0x18
    client.send(step(b"loop"))
    assert client.wait(CONNACK).reason == 0x87


def test_a_client_shows_anew_who_it_is_and_stays_the_same(worker):
    client = begin(worker)
    solve(client, "ada")
    assert client.wait(CONNACK).reason == 0
    client.subscribe("t")
    client.send(step(b"ada", reason=0x19))
    # Messages go on meanwhile.
    client.publish("t", b"?")
    challenge = client.wait(AUTH)
    assert client.message().payload == b"ada/HMAC"
    client.send(step(hmac.new(b"secret", challenge.get("authentication_data"), hashlib.sha256).hexdigest().encode()))
    assert client.wait(AUTH).reason == 0
    client.send(step(b"bob", reason=0x19))
    solve(client, "bob")
    assert client.wait(DISCONNECT).reason == 0x87


def test_a_time_that_is_over_lets_nobody_in_and_closes_who_is(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "over", """
local R = {}
function R.on_auth(conn, data, ctx)
  return conn:with { uid = "ada", expires_at = ctx.now + (data == "good" and 3600 or -1) }
end
function R.on_connect(conn, ctx)
  if conn.client_id == "late" then return conn:with { expires_at = ctx.now - 1 } end
end
return R
""")
    worker = shunt.worker({
        "rules.directory": plugins, "rules.enabled": "all", "worker.listeners.mqtt.protocol": "mqtt",
        "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtt.allow_anonymous": "true"})
    assert begin(worker, b"bad").wait(CONNACK).reason == 0x87
    client = begin(worker, b"good")
    assert client.wait(CONNACK).reason == 0
    client.send(step(b"bad", reason=0x19))
    assert client.wait(DISCONNECT).reason == 0x87
    late = Client(worker.listeners["worker.mqtt"], 5)
    late.send(packets.connect(5, "late"))
    assert late.wait(CONNACK).reason == 0x87


STEPS = """
local R = {}
function R.on_auth(conn, data, ctx)
  ctx:emit(route.message { topic = "steps", payload = data })
  if data == "ask" then resolve("localhost") end
  if data == "more" then return route.continue("") end
  if data == "yes" or data == "ask" then return conn:with { uid = "ada", expires_at = conn.uid ~= "" and ctx.now + 60 or nil } end
  if data == "no" then return route.reject("no") end
end
function R.on_connect(conn, ctx)
  if conn.client_id == "brief" then return conn:with { expires_at = ctx.now + 1 } end
end
return R
"""


@pytest.fixture
def stepping(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "steps", STEPS)
    return shunt.worker({
        "rules.directory": plugins, "rules.enabled": "all", "worker.listeners.mqtt.protocol": "mqtt",
        "rules.lookups.steps.names": "[localhost]", "worker.listeners.mqtt.listen": "127.0.0.1:0",
        "worker.listeners.mqtt.allow_anonymous": "true"})


def test_what_a_rule_sends_in_a_step_goes_out_whatever_it_decides(stepping, connect):
    watcher = connect(stepping.exchange).subscribe("steps")
    for data, reason in (("yes", 0), ("ask", 0), ("more", 0x18), ("no", 0x87), ("unknown", 0x8C)):
        assert begin(stepping, data.encode()).next().reason == reason
        assert watcher.receive(1)[0].text == data


def test_who_shows_anew_who_it_is_has_no_more_time_than_on_connect_gave(stepping):
    client = Client(stepping.listeners["worker.mqtt"], 5)
    client.send(packets.connect(5, "brief", more={"authentication_method": "HMAC", "authentication_data": b"yes"}))
    assert client.wait(CONNACK).reason == 0
    client.send(step(b"yes", reason=0x19))
    assert client.wait(AUTH).reason == 0
    assert client.wait(DISCONNECT).reason == 0x87
