"""Hooks of clients, devices, groups, sessions and wills, and what rules send of their own or later, over both protocols."""

import json
import time

import pytest

from exchange import JSON, REGISTER, SUBSCRIBE, UNSUBSCRIBE, eventually, registration, subscription
from mqtt.client import Client as MQTTClient
from mqtt.packets import V3, V5, Will
from processes import run, write_rule, write_whole

HOOKS = """
local R = { tick = 0.2 }
local function tell(ctx, what, text) ctx:emit(route.message { topic = "events/" .. what, payload = text }) end
function R.on_connect(conn, ctx)
  tell(ctx, "connect", conn.protocol)
  return conn:with { attributes = { plan = "gold" } }
end
function R.on_register(conn, ctx)
  tell(ctx, "register", conn.uid .. "/" .. conn.device .. "/" .. conn.attributes.plan)
  if conn.uid == "mallory" then return route.reject("not you") end
  return conn:with { tags = { "by-rule" } }
end
function R.on_session(event, session, ctx) tell(ctx, "session", event .. " " .. session.client_id) end
function R.on_will(msg, conn, ctx)
  tell(ctx, "will", conn.client_id or conn.device)
  return route.to("graves/" .. conn.device)
end
function R.on_acked(msg, conn) counter("acked", { topic = msg.topic }):inc() end
function R.on_disconnect(conn, why, ctx) tell(ctx, "disconnect", conn.attributes.plan) end
return R
"""


def test_hooks_of_both_protocols_are_called_and_send_messages(hooked, connect):
    worker, mqtt = hooked(HOOKS)
    watcher = connect(worker.exchange).subscribe("events/#").subscribe("graves/#")
    seen = []

    def expect(*wanted):
        def came():
            seen.extend((frame.topic, frame.text) for frame in watcher.receive(len(watcher.inbox)))
            return all(each in seen for each in wanted)

        eventually(came, what=f"{wanted}, of which came {seen}")

    device = connect(worker.exchange)
    device.register("ada")
    expect(("events/connect", "exchange"), ("events/register", "ada/phone/gold"))
    answer = connect(worker.exchange).request(REGISTER, registration("mallory", "phone"), format=JSON)
    assert answer.status == 403 and answer.text == "not you"
    meter = mqtt("meter", will=Will("w", b"gone"), clean=False, more={"session_expiry": 100})
    expect(("events/connect", "mqtt"), ("events/session", "created meter"))
    meter.subscribe("work", qos=2)
    for qos in (1, 2):
        assert mqtt(f"producer{qos}").publish("work", b"x", qos) == 0
        meter.message()
    worker.wait_metric('shunt_rule_acked_total{rule="hooks",topic="work"}', 2)
    meter.vanish()
    expect(("events/will", "meter"), ("graves/meter", "gone"), ("events/disconnect", "gold"))


TERMS = """
local R = {}
function R.on_connect(conn)
  if conn.uid == "short" or conn.device == "short" then return conn:with { expires_at = time.now() + 1 } end
  if conn.device == "slow" then return conn:with { limits = { messages_per_second = 10 } } end
end
return R
"""


@pytest.mark.parametrize("version", [V3, V5])
def test_a_rule_says_how_long_a_client_stays_and_how_fast_it_sends(hooked, connect, version):
    worker, mqtt = hooked(TERMS)
    short = mqtt("short", version)
    assert short.ended() == (0x87 if version == V5 else None)
    consumer = connect(worker.exchange).subscribe("t")
    slow = mqtt("slow", version)
    start = time.monotonic()
    for number in range(40):
        slow.publish("t", b"%d" % number)
    consumer.receive(40)
    # As much as in a second may come at once.
    assert time.monotonic() - start > 2.5
    fast = mqtt("fast", version)
    start = time.monotonic()
    for number in range(1000):
        fast.publish("t", b"%d" % number)
    consumer.receive(1000)
    assert time.monotonic() - start < 20
    assert worker.metric("shunt_pace_holds_total") >= 1


SELECT = """
local R = { match = { topic = "jobs/#" } }
function R.on_subscribe(sub) shared.set("member:" .. sub.sender.id, sub.sender.device) end
function R.on_select(group, members, msg)
  for _, member in ipairs(members) do
    if shared.get("member:" .. member.id) == msg.payload then return member end
  end
  if msg.payload == "nobody" then return { id = 1 } end
end
return R
"""


def test_a_rule_chooses_the_member_of_a_group_on_whatever_loop(hooked, connect):
    worker, mqtt = hooked(SELECT)
    members = {name: mqtt(name) for name in ("ann", "bob", "cid", "dan", "eve")}
    for member in members.values():
        member.subscribe("$share/g/jobs/+")
    for producer in [connect(worker.exchange) for _ in range(4)]:
        for name, member in members.items():
            assert producer.message("jobs/1", name).status == 200
            assert member.message().payload == name.encode()
    for _ in range(10):
        assert producer.message("jobs/1", "nobody").status == 200
    error = 'shunt_rule_errors_total{rule="hooks",hook="on_select",code="rule.failed"}'
    eventually(lambda: worker.metrics().get(error) == 10, what="10 errors of on_select")


ALWAYS = """
local R = { priority = 1 }
function R.on_message(msg) return route.always(route.done()) end
function R.on_select(group, members) return members[#members] end
return R
"""


def test_a_rule_chooses_members_where_a_standing_decision_ends_the_rules(hooked, connect, tmp_path):
    write_rule(tmp_path / "plugins", "behind", 'local R = {} function R.on_message() counter("asked"):inc() end return R')
    worker, _ = hooked(ALWAYS, **{"worker.loops": 1})
    first, last = (connect(worker.exchange).subscribe("t", "g") for _ in range(2))
    sender = connect(worker.exchange)
    for number in range(10):
        assert sender.message("t", str(number)).status == 200
    eventually(lambda: len(first.inbox) + len(last.inbox) == 10, what="ten messages")
    worker.wait_metric('shunt_rule_calls_total{rule="hooks",hook="on_select"}', 10)
    worker.wait_metric('shunt_rule_verdicts_total{rule="hooks",hook="on_message",verdict="done"}', 10)
    assert worker.metric('shunt_rule_calls_total{rule="hooks",hook="on_message"}') == 1
    assert "shunt_rule_asked_total" not in worker.metrics()


FILTERED = """
local R = {}
function R.on_deliver(push) return push:with { payload = push.payload .. " " .. json.encode(push.filter) } end
return R
"""


def test_on_deliver_sees_a_broadcasts_filter_whatever_its_device_speaks(hooked, connect):
    worker, mqtt = hooked(FILTERED)
    device = mqtt("meter", user="ann")
    device.subscribe("$shunt/notify", qos=1)
    other = connect(worker.exchange).register("bob", "phone")
    sender = connect(worker.exchange)
    for uid, reads in (("ann", lambda: device.message().payload.decode()), ("bob", lambda: json.loads(other.receive(1)[0].value)["message"])):
        assert sender.notify("hi", uid=uid).text == "1 matched, 1 sent, 0 not sent"
        assert reads() == f'hi {{"uid":"{uid}"}}'


DELAY = """
local R = { match = { topic = "slow/#" }, on_error = "reject" }
function R.on_message(msg)
  if msg.props.seen then return end
  return route.delay(tonumber(msg.payload), msg:with { props = { seen = "yes" } })
end
return R
"""


def test_a_message_goes_out_later_and_only_so_many_wait(hooked, connect):
    worker, mqtt = hooked(DELAY, **{"rules.delay.messages": 4, "worker.loops": 1})
    consumer, watcher = connect(worker.exchange).subscribe("#"), mqtt("w")
    watcher.subscribe("slow/#")
    producer = connect(worker.exchange)
    start = time.monotonic()
    assert producer.message("slow/1", "0.5").status == 200
    assert consumer.receive(1)[0].text == "0.5"
    assert 0.4 < time.monotonic() - start < 5
    assert watcher.message().payload == b"0.5"
    assert [producer.message("slow/1", "600").status for _ in range(5)] == [200] * 4 + [403]
    worker.wait_metric("shunt_delayed_messages", 4)
    assert worker.metric("shunt_delays_total") == 5
    assert worker.metric('shunt_rule_errors_total{rule="hooks",hook="on_message",code="limit.delay"}') == 1


DEAD = """
local R = { match = { topic = "bad/#" }, on_error = "drop" }
function R.on_message(msg) error("no") end
return R
"""


def test_dead_letters_tell_why_and_a_reload_names_another_topic(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "hooks", DEAD)
    config = tmp_path / "worker.yaml"

    def configure(topic):
        write_whole(config, f"""
worker:
  name: w
  loops: 2
  listeners:
    exchange: {{ listen: "127.0.0.1:0", allow_anonymous: true }}
    mqtt: {{ protocol: mqtt, listen: "127.0.0.1:0", allow_anonymous: true }}
rules: {{ directory: {plugins}, enabled: all, dead_letter: "{topic}" }}
""")

    configure("dead")
    worker = shunt.worker(config=config)
    consumer = connect(worker.exchange).subscribe("dead").subscribe("other")
    watcher = shunt.closing(MQTTClient(worker.listeners["worker.mqtt"], V5))
    watcher.connect("w")
    watcher.subscribe("dead")
    producer = connect(worker.exchange)
    assert producer.message("nowhere", "lost").status == 500
    assert producer.message("bad/1", "failed", key="k").status == 200
    got = consumer.receive(2)
    assert [(frame.text, frame.key) for frame in got] == [("lost", b"no subscriber"), ("failed", b"rule.failed")]
    letters = [watcher.message() for _ in range(2)]
    assert [letter.payload for letter in letters] == [b"lost", b"failed"]
    pairs = [dict(letter.all("user")) for letter in letters]
    assert [each["dead-letter-topic"] for each in pairs] == ["nowhere", "bad/1"]
    assert [each["dead-letter-reason"] for each in pairs] == ["no subscriber", "rule.failed"]
    assert pairs[1]["dead-letter-rule"] == "hooks" and pairs[1]["dead-letter-key"] == "k"
    eventually(lambda: worker.metric("shunt_dead_letters_total") == 2, what="two dead letters in the figures")
    configure("other")
    worker.reload()
    assert producer.message("nowhere", "again").status == 500
    assert consumer.receive(1)[0].topic == "other"


def test_ticks_that_send_without_end_are_bounded_and_others_go_on(hooked, connect):
    worker, _ = hooked("""
local R = { tick = 0.1 }
function R.on_tick(ctx) while true do ctx:emit(route.message { topic = "flood", payload = "x" }) end end
return R
""")
    consumer = connect(worker.exchange).subscribe("good")
    producer = connect(worker.exchange)
    error = 'shunt_rule_errors_total{rule="hooks",hook="on_tick",code="limit.fanout"}'
    eventually(lambda: worker.metrics().get(error, 0) >= 5, what="errors of on_tick")
    for number in range(20):
        assert producer.message("good", str(number)).status == 200
    assert len(consumer.receive(20)) == 20


WHOSE = """
local R = {}
function R.on_deliver(msg, conn)
  if msg.topic == "text" then return msg:with { payload = conn.device } end
end
function R.on_session(event, session, ctx) ctx:emit(route.message { topic = "events", payload = event .. " " .. session.client_id }) end
function R.on_chat_close(chat, why, ctx) ctx:emit(route.message { topic = "events", payload = why }) end
return R
"""


@pytest.mark.parametrize("share, device", [(100, "ada"), (0, "ada"), (0, "bob")])
def test_a_canary_decides_for_recipients_sessions_and_who_ends_a_chat(hooked, connect, share, device):
    """Those of `uids` are in it whatever its share is: also a session whose client is away."""
    worker, mqtt = hooked(WHOSE, **{"rules.trials.hooks.mode": "canary", "rules.trials.hooks.share": share, "rules.trials.hooks.uids": "[ada]"})
    is_in = device == "ada"
    watcher = connect(worker.exchange).subscribe("events")
    client = mqtt(device, clean=False, more={"session_expiry": 1})
    client.subscribe("text")
    connect(worker.exchange).message("text", "plain")
    assert client.message().payload == (b"ada" if is_in else b"plain")
    client.subscribe("$chat/room")
    client.publish("$chat/room/destroy", b"", 1)
    client.vanish()
    eventually(lambda: worker.metric("shunt_mqtt_sessions") == 0, what="the end of the session")
    wanted = [f"created {device}", "destroyed", f"expired {device}"] if is_in else []
    assert [frame.text for frame in watcher.receive(len(wanted))] == wanted
    assert not watcher.inbox


def test_errors_name_whom_and_what_their_hooks_are_about(hooked, connect):
    hooks = ["on_subscribe", "on_unsubscribe", "on_chat_open", "on_chat_join", "on_chat_close", "on_session", "on_deliver"]
    failing = "\n".join(f'function R.{hook}() error("no") end' for hook in hooks)
    worker, mqtt = hooked(f'local R = {{ on_error = "pass" }}\n{failing}\nreturn R')
    ada, bob = (mqtt(name, clean=False, more={"session_expiry": 60}) for name in ("ada", "bob"))
    ada.subscribe("text")
    connect(worker.exchange).message("text", "x")
    ada.message()
    ada.unsubscribe("text")
    for client in (ada, bob):
        assert client.subscribe("$chat/room") == [0]
    ada.publish("$chat/room/destroy", b"", 1)
    expected = {
        ("on_session", "", "ada"), ("on_session", "", "bob"), ("on_subscribe", "text", "ada"), ("on_deliver", "text", "ada"),
        ("on_unsubscribe", "text", "ada"), ("on_chat_open", "room", "ada"), ("on_chat_join", "room", "bob"), ("on_chat_close", "room", "ada")}

    def told():
        lines = [line for line in map(json.loads, worker.stderr.splitlines()) if line["message"].endswith("no (rule.failed)")]
        return {(line["message"].split(":")[0], line["metadata"].get("topic", ""), line["metadata"].get("client", "")) for line in lines}

    eventually(lambda: told() == expected, what="the errors of all hooks")


UNSUBSCRIBED = """
local R = {}
function R.on_unsubscribe(sub, ctx) ctx:emit(route.message { topic = "given-up", payload = sub.topic }) end
return R
"""


def test_a_rule_sends_when_a_subscription_is_given_up(hooked, connect):
    worker, mqtt = hooked(UNSUBSCRIBED)
    watcher, client, meter = connect(worker.exchange).subscribe("given-up"), connect(worker.exchange).subscribe("a"), mqtt("meter")
    assert client.request(UNSUBSCRIBE, subscription("a", "group"), format=JSON).status == 200
    assert watcher.receive(1)[0].text == "a"
    meter.subscribe("b")
    meter.unsubscribe("b")
    assert watcher.receive(1)[0].text == "b"
    # One that takes another's place, too.
    meter.subscribe("c")
    meter.subscribe("c")
    assert watcher.receive(1)[0].text == "c"


TWO_IN_ONE = """
local R = {}
function R.on_subscribe(sub) if sub.topic == "one" or sub.topic == "two" then return sub:with { topic = "both" } end end
function R.on_unsubscribe(sub, ctx) ctx:emit(route.message { topic = "given-up", payload = sub.topic }) end
return R
"""


@pytest.mark.parametrize("looks_up", [False, True])
def test_on_unsubscribe_is_not_told_of_what_another_subscription_has_become_too(hooked, connect, looks_up):
    worker, mqtt = hooked(TWO_IN_ONE, **({"rules.lookups.hooks.hosts": "127.0.0.1:1"} if looks_up else {}))
    watcher, meter = connect(worker.exchange).subscribe("given-up"), mqtt("meter")
    meter.subscribe("one")
    for filter in ("two", "both", "two", "one"):
        meter.subscribe(filter)
    meter.unsubscribe("one", "two")
    connect(worker.exchange).message("both", "still there")
    assert meter.message().payload == b"still there"
    assert not watcher.inbox
    meter.unsubscribe("both")
    assert watcher.receive(1)[0].text == "both"


def test_the_rule_test_bench_has_what_is_sent_in_every_hook_without_a_message(tmp_path):
    folder = write_rule(tmp_path / "plugins", "sends", """
local function send(_, a, b) (b or a):emit(route.message { topic = "t", payload = "x" }) end
return { on_auth = send, on_unsubscribe = send }
""")
    (folder / "sends" / "rule_test.lua").write_text("""
return { ["both send"] = function(t)
  t:eq(#t:auth { method = "M", data = "d" }.messages, 1)
  t:eq(#t:unsubscribe { topic = "t" }.messages, 1)
end }
""")
    tested = run("rule", "test", str(folder))
    assert tested.returncode == 0, tested.stdout + tested.stderr


REWRITTEN = """
local R = {}
function R.on_subscribe(sub)
  if sub.topic == "mine" or sub.topic == "my" then return sub:with { topic = "users/" .. (shared.get("as") or sub.sender.uid) } end
end
function R.on_message(msg) if msg.topic == "as" then shared.set("as", msg.payload) end end
return R
"""


def test_an_exchange_client_gives_a_rewritten_subscription_up_by_its_own_words(hooked, connect):
    worker, _ = hooked(REWRITTEN)
    client, sender = connect(worker.exchange).register("ada"), connect(worker.exchange)

    def ask(type, topic):
        return client.request(type, subscription(topic, "g"), format=JSON).status

    assert [ask(SUBSCRIBE, topic) for topic in ("mine", "mine", "my", "users/ada")] == [200, 500, 200, 200]
    for topic in ("mine", "users/ada", "my"):
        assert sender.message("users/ada", "x").status == 200
        assert [ask(UNSUBSCRIBE, topic), ask(UNSUBSCRIBE, topic)] == [200, 500]
    assert sender.message("users/ada", "x").status == 500
    # Another one by then takes the place of the first.
    ask(SUBSCRIBE, "mine")
    sender.message("as", "bob")
    assert ask(SUBSCRIBE, "mine") == 200
    assert [sender.message(f"users/{name}", "x").status for name in ("ada", "bob")] == [500, 200]
