"""Rules over real messages: what they decide happens, and none can hurt the worker."""

import json
import re
import statistics
import time

import pytest

import bodies
from exchange import (
    CHAT, GZIP, JSON, LZ4, MESSAGE, NOTIFY, PING, SNAPPY, SUBSCRIBE, UNSUBSCRIBE, broadcast, encode, eventually, subscription)
from mqtt.client import Client as MQTTClient
from processes import copy_plugins, write_rule, write_whole


def rule(on_message: str, head: str = "") -> str:
    table = f'local R = {{ name = "bad", match = {{ topic = "bad/#" }}, {head} }}'
    return f"{table}\nfunction R.on_message(msg, ctx)\n{on_message}\nend\nreturn R\n"


KILLED = {"rule.time", "rule.memory"}

BAD = {
    "an endless loop": ("while true do end", {"rule.time"}),
    "an endless loop that swallows errors": ("while true do pcall(function() while true do end end) end", {"rule.time"}),
    "swallowing errors without end": ("while true do pcall(error, 'x') end", KILLED),
    "allocating without end": ("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", KILLED),
    "a text of a gigabyte": ('return route.drop(("x"):rep(1e9))', {"rule.memory"}),
    "a text of a gigabyte, caught": ('while true do pcall(string.rep, "x", 1e9) end', KILLED),
    "a pathological pattern": ('(("a"):rep(5000) .. "b"):find(".-.-.-.-.-.-.-x")', {"rule.time"}),
    "a pathological substitution": ('(("a"):rep(30)):gsub(("a?"):rep(30) .. ("a"):rep(30) .. "b", "")', {"rule.time"}),
    "recursion without end": ("local function f() return 1 + f() end f()", KILLED | {"rule.failed"}),
    "an error": ('error("no")', {"rule.failed"}),
    "an error that is no text": ("error({})", {"rule.failed"}),
    "nil that is indexed": ("return msg.nothing.more", {"rule.failed"}),
    "a verdict that is none": ("return 42", {"rule.failed"}),
    "an endless coroutine": ("coroutine.wrap(function() while true do end end)()", {"rule.time"}),
    "comparing that never ends": (
        "local m = setmetatable({}, { __index = function(t, k) while true do end end }) return m.x", {"rule.time"}),
}


def rule_errors(worker, name="bad") -> dict[str, float]:
    """Errors of on_message by code."""
    start = f'shunt_rule_errors_total{{rule="{name}",hook="on_message",code="'
    return {key[len(start) : -2]: value for key, value in worker.metrics().items() if key.startswith(start)}


@pytest.mark.parametrize("name", BAD)
def test_a_rule_that_misbehaves_is_ended_and_counted_and_others_go_on(shunt, connect, tmp_path, name):
    source, codes = BAD[name]
    plugins = write_rule(tmp_path / "plugins", "bad", rule(source))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "[bad]", "worker.loops": 1})
    consumer = connect(worker.exchange).subscribe("#")
    bad, good = connect(worker.exchange), connect(worker.exchange)
    latencies = []
    for number in range(20):
        bad.publish("bad/1", str(number))
        start = time.monotonic()
        assert good.message("good", str(number)).status == 200
        latencies.append(time.monotonic() - start)
    # What a rule fails on passes, by default.
    assert [answer.status for answer in bad.take_answers(20)] == [200] * 20
    assert len(consumer.receive(40)) == 40
    assert statistics.median(latencies) < 0.2
    eventually(lambda: sum(rule_errors(worker).values()) == 20, what="20 errors in the figures")
    assert set(rule_errors(worker)) <= codes
    assert worker.resident() < 200 << 20
    eventually(lambda: "on_message" in worker.stderr, what="a line about it in the log")


@pytest.mark.parametrize("on_error, status, delivered", [("pass", 200, True), ("drop", 200, False), ("reject", 500, False)])
def test_on_error_says_what_becomes_of_the_message(shunt, connect, tmp_path, on_error, status, delivered):
    plugins = write_rule(tmp_path / "plugins", "bad", rule('error("no")', f'on_error = "{on_error}"'))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    answer = producer.message("bad/1", "x")
    assert (answer.status == 200) == (status == 200), answer
    assert producer.message("end", "end").status == 200
    assert [frame.topic for frame in consumer.receive(2 if delivered else 1)] == ["bad/1"] * delivered + ["end"]


def test_a_rule_that_keeps_failing_is_switched_off_and_costs_nothing_more(shunt, connect, tmp_path):
    head = 'breaker = { errors = 5, window = "60s", retry = "60s" }'
    plugins = write_rule(tmp_path / "plugins", "bad", rule("while true do end", head))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 1})
    connect(worker.exchange).subscribe("#")
    for number in range(10):
        assert connect(worker.exchange).message("bad/1", str(number)).status == 200
    worker.wait_metric('shunt_rule_off{rule="bad"}', 1)
    assert rule_errors(worker) == {"rule.time": 6}


def test_a_rejection_reaches_the_sender_and_nobody_else(shunt, connect, tmp_path):
    source = 'if not msg:json().id then return route.reject("no order id") end'
    plugins = write_rule(tmp_path / "plugins", "bad", rule(source))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    answer = producer.message("bad/1", "{}", format=JSON)
    assert (answer.status, answer.text) == (403, "no order id")
    assert producer.message("bad/1", '{"id":1}', format=JSON).status == 200
    assert consumer.receive(1)[0].text == '{"id":1}'
    worker.wait_metric('shunt_messages_dropped_total{reason="rule_rejected"}', 1)


def test_a_rule_sends_copies_to_other_topics_and_drops_others(shunt, connect, tmp_path):
    source = """
      if msg.topic == "bad/drop" then return route.drop("unwanted") end
      return route.fanout { msg:with { payload = "changed", key = "k" }, msg:with { topic = "audit" } }"""
    plugins = write_rule(tmp_path / "plugins", "bad", rule(source))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    assert producer.message("bad/drop", "x").status == 200
    assert producer.message("bad/1", "x").status == 200
    got = [(frame.topic, frame.text, frame.key) for frame in consumer.receive(2)]
    assert got == [("bad/1", "changed", b"k"), ("audit", "x", None)]
    worker.wait_metric('shunt_messages_dropped_total{reason="rule_dropped"}', 1)


@pytest.mark.parametrize("compress", [GZIP, LZ4, SNAPPY])
def test_a_rule_reads_compressed_payloads_and_leaves_what_it_does_not_change(shunt, connect, tmp_path, compress):
    source = 'if msg.payload ~= "secret" then return route.reject("read: " .. msg.payload) end'
    plugins = write_rule(tmp_path / "plugins", "bad", rule(source))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    packed = bodies.COMPRESSIONS[compress](b"secret")
    assert producer.message("bad/1", packed, compress=compress).status == 200
    frame = consumer.receive(1)[0]
    assert (frame.compress, frame.value) == (compress, packed)
    assert producer.message("bad/1", bodies.COMPRESSIONS[compress](b"other"), compress=compress).text == "read: other"


def test_a_payload_that_inflates_beyond_the_limit_hurts_nobody(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "bad", rule("return #msg.payload > 0 and route.done() or nil"))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 1})
    client = connect(worker.exchange).subscribe("#")
    bomb = bodies.gzip(bytes(128 << 20))
    before = worker.resident()
    assert client.message("bad/1", bomb, compress=GZIP).status in (200, 500)
    assert worker.resident() - before < 48 << 20
    assert client.request(PING).status == 200


HOOKS = """
local R = { name = "hooks" }
function R.on_connect(conn, ctx) return conn:with { uid = "u-" .. conn.protocol } end
function R.on_subscribe(sub, ctx)
  if sub.topic == "secret" then return route.reject("not for you") end
  if sub.topic == "old" then return sub:with { topic = "new", group = "moved" } end
end
function R.on_message(msg, ctx)
  if msg.topic == "who" then return msg:with { payload = msg.sender.uid .. " on " .. ctx.worker } end
end
function R.on_disconnect(conn, why) log.info("goodbye", { uid = conn.uid }) end
return R
"""


def test_rules_admit_clients_change_subscriptions_and_hear_of_the_end(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "hooks", HOOKS)
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.name": "w1"})
    client = connect(worker.exchange).subscribe("who").subscribe("old")
    refused = client.request(SUBSCRIBE, subscription("secret", "g"), format=JSON)
    assert (refused.status, refused.text) == (403, "not for you")
    assert client.message("who", "?").status == 200
    assert client.receive(1)[0].text == "u-exchange on w1"
    assert client.message("old", "x").status == 500
    assert client.message("new", "x").status == 200
    client.close()
    worker.wait_log("goodbye")


def test_rules_hear_of_subscriptions_that_end_and_of_time(shunt, connect, tmp_path):
    source = """
        local ended, ticks = counter("ended_total"), counter("ticks_total")
        return { name = "watch", tick = 0.2,
          on_unsubscribe = function(sub, ctx)
            log.info(sub.sender.protocol .. " gave up " .. sub.topic .. " of " .. sub.group)
            ended:inc()
          end,
          on_tick = function(ctx) ticks:inc() end }"""
    plugins = write_rule(tmp_path / "plugins", "watch", source)
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 2,
                           "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0",
                           "worker.listeners.mqtt.allow_anonymous": "true"})
    client = connect(worker.exchange).subscribe("a/+", "billing")
    assert client.request(UNSUBSCRIBE, subscription("a/+", "billing"), format=JSON).status == 200
    assert client.request(UNSUBSCRIBE, subscription("a/+", "billing"), format=JSON).status != 200
    other = MQTTClient(worker.listeners["worker.mqtt"], 5)
    other.connect("c")
    other.subscribe("$share/g/b/#", "c")
    assert other.unsubscribe("$share/g/b/#", "c") == [0, 0]
    worker.wait_log("exchange gave up a/+ of billing")
    worker.wait_log("mqtt gave up b/# of g")
    # Each loop has its own.
    eventually(lambda: worker.metric('shunt_rule_ticks_total{rule="watch"}') >= 6, 20)
    # What is not there does not end.
    eventually(lambda: worker.metric('shunt_rule_ended_total{rule="watch"}') == 3, 20)


def test_a_client_that_a_rule_turns_away_is_told_why_and_closed(shunt, connect, tmp_path):
    source = 'return { name = "door", on_connect = function(conn) return route.reject("not today") end }'
    plugins = write_rule(tmp_path / "plugins", "door", source)
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    client = connect(worker.exchange)
    answer = client.request(PING)
    assert (answer.status, answer.text) == (403, "not today")
    client.wait_closed()


@pytest.mark.parametrize("what", ["io", "os", "package", "debug", "dofile", "loadfile"])
def test_rules_have_no_way_out_of_the_sandbox(shunt, connect, tmp_path, what):
    plugins = write_rule(tmp_path / "plugins", "bad", rule(f'return route.reject(type({what}))'))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    assert connect(worker.exchange).subscribe("#").message("bad/1", "x").text == "nil"


def test_messages_beyond_the_fanout_are_an_error_that_is_counted_and_told(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "first", """
local list = {}
for i = 1, 600 do list[i] = route.to("second") end
return { match = { topic = "first" }, on_message = function() return route.fanout(list) end }""")
    write_rule(plugins, "second", """
return { match = { topic = "second" }, on_error = "drop", on_message = function() return route.fanout { route.to("end"), route.to("end") } end }""")
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    consumer = connect(worker.exchange).subscribe("end")
    assert connect(worker.exchange).message("first", "x").status == 200
    # The first takes 600 of a thousand; each call of the second two more, until none are left.
    assert len(consumer.receive(400)) == 400
    eventually(lambda: rule_errors(worker, "second") == {"limit.fanout": 400}, what="400 errors of the second rule")
    worker.wait_log("limits.fanout messages would come of one message")
    assert re.search(r"second.*limits.fanout messages would come", worker.stderr) or "rule=second" in worker.stderr


def test_what_a_rule_sends_and_nobody_lets_it_is_logged(shunt, connect, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite open/#\n")
    plugins = write_rule(tmp_path / "plugins", "forward", """
return { on_message = function(msg, ctx)
  if msg.payload == "more" then
    ctx:emit(route.push({ uid = "ada" }, msg))
    ctx:emit(route.delay(1, route.to("closed/later", msg)))
  end
  return route.to("closed/1")
end }""")
    worker = shunt.worker({
        "rules.directory": plugins, "rules.enabled": "all", "access.acl_file": acl, "worker.listeners.mqtt.protocol": "mqtt",
        "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtt.allow_anonymous": "true",
        "worker.listeners.exchange.allow_anonymous": "true"})
    assert connect(worker.exchange).message("open/1", "x").status == 403
    producer = MQTTClient(worker.listeners["worker.mqtt"], 5)
    producer.connect("p")
    assert producer.publish("open/1", b"x", 1) == 0x83
    producer.publish("open/1", b"more", 1)
    for target in ("closed/1", "closed/later", "devices"):
        worker.wait_log(f"what it sends to {target} goes nowhere: neither the sender may send it")
    assert rule_errors(worker, "forward") == {}
    eventually(lambda: worker.metric("shunt_access_denied_total") == 5)


def test_a_message_that_went_over_too_many_topics_is_an_error_that_is_counted_and_told(shunt, connect, tmp_path):
    plugins = tmp_path / "plugins"
    for number in range(3):
        write_rule(plugins, f"r{number}", f"""
return {{ match = {{ topic = "t{number}" }}, on_message = function() return route.to("t{number + 1}") end }}""")
    write_rule(plugins, "told", """
return { on_undelivered = function(msg, why) log.warn(msg.topic .. " did not arrive: " .. why) end }""")
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "limits.hops": 1, "rules.dead_letter": "dead"})
    consumer, letters = connect(worker.exchange).subscribe("t/#"), connect(worker.exchange).subscribe("dead")
    producer = connect(worker.exchange)
    producer.message("t0", "x")
    producer.message("nowhere", "y")
    eventually(lambda: rule_errors(worker, "r1") == {"limit.hops": 1}, what="an error of the rule that sent it on last")
    worker.wait_log("limits.hops topics")
    worker.wait_log("t0 did not arrive: too many hops")
    worker.wait_log("nowhere did not arrive: no subscriber")
    assert [(frame.key, frame.text) for frame in letters.receive(2)] == [(b"limit.hops", "x"), (b"no subscriber", "y")]
    assert not consumer.inbox


@pytest.mark.parametrize("hook", ["", "msg.topic", "msg:with { payload = 'p' .. conn.id .. ('x'):rep(500000) }"])
def test_on_deliver_costs_no_copy_of_a_message_for_each_recipient(shunt, connect, tmp_path, hook):
    body = hook if hook.startswith("msg:") else f"local _ = {hook or 'nil'} and nil"
    source = f"return {{ on_deliver = function(msg, conn) {'return ' + body if hook.startswith('msg:') else body} end }}"
    plugins = write_rule(tmp_path / "plugins", "looks", source)
    worker = shunt.worker({
        "rules.directory": plugins, "rules.enabled": "all", "worker.loops": 2, "limits.buffers": "64MiB", "limits.frame": "8MiB",
        "worker.slow_consumer": "drop_newest", "rules.budget.time": "2s"})
    consumers = [connect(worker.exchange, reading=False) for _ in range(120)]
    for number, consumer in enumerate(consumers):
        consumer.send(encode(SUBSCRIBE, 1, subscription("t", f"g{number}"), format=JSON))
    worker.wait_metric("shunt_subscriptions", 120)
    before = worker.resident()
    producer = connect(worker.exchange)
    for _ in range(3):
        producer.publish("t", "x" * (4 << 20))
    assert producer.take_answers(3)
    # Answered once the other loop has taken what came before.
    connect(worker.exchange).subscribe("other")
    peak = worker.peak() - before
    # What waits for clients, the frames that arrive and go to the other loop, and what Lua holds; 120 copies were 480 MiB.
    assert peak < 100 << 20, peak


def test_a_reload_that_one_loop_can_not_follow_changes_none(shunt, connect, tmp_path):
    def version(name, check=""):
        return f"""
local n = 0
return {{
  on_load = function(_, saved) {check} n = saved and saved.n or 0 end,
  on_unload = function() return {{ n = n }} end,
  on_message = function(msg) n = n + 1 return route.reject("{name} " .. n) end,
}}"""

    plugins = write_rule(tmp_path / "plugins", "counts", version("one"))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 2})
    clients = [connect(worker.exchange) for _ in range(4)]
    # On one loop more than on the other, whichever is whose.
    assert clients[0].message("t", "x").text == "one 1"
    write_whole(plugins / "counts" / "rule.lua", version("two", 'if saved and saved.n > 0 then error("can not take that") end'))
    log = worker.reload()
    assert "the configuration stays as it was" in log and "can not take that" in log and "all keep the old rules" in log
    assert sorted({client.message("t", "x").text.split()[0] for client in clients}) == ["one"]
    write_whole(plugins / "counts" / "rule.lua", version("three"))
    assert "read the configuration again" in worker.reload()
    assert sorted({client.message("t", "x").text.split()[0] for client in clients}) == ["three"]


def test_a_plugin_whose_file_is_missing_at_a_reload_stays(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "guard", 'return { on_message = function() return route.reject("guarded") end }')
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all"})
    (plugins / "guard" / "rule.lua").rename(tmp_path / "rule.lua")
    log = worker.reload()
    assert "the configuration stays as it was" in log and "the plugin guard has no rule.lua" in log
    assert connect(worker.exchange).message("t", "x").text == "guarded"
    (tmp_path / "rule.lua").rename(plugins / "guard" / "rule.lua")
    assert "read the configuration again" in worker.reload()


# What a rule of a higher priority than redact sends, and whether redact sees it.
BEFORE_REDACT = {
    "route.to": ('return route.to("vip")', ["vip hidden"]),
    "route.fanout to another topic": ('return route.fanout { route.to("vip"), route.to("other") }', ["vip hidden", "other hidden"]),
    "route.fanout of the message": ('return route.fanout { msg, route.to("vip") }', ["t open", "vip hidden"]),
    "route.done": ("return route.done()", ["t open"]),
    "ctx:emit under its topic": ('ctx:emit(msg:with { key = "k" })', ["t hidden", "t open"]),
    "ctx:emit to another topic": ('ctx:emit(route.to("vip"))', ["t hidden", "vip hidden"]),
    "msg:with": ('return msg:with { key = "k" }', ["t hidden"]),
}


@pytest.mark.parametrize("name", BEFORE_REDACT)
def test_what_a_guard_sees_of_what_rules_before_it_send(shunt, connect, tmp_path, name):
    source, expected = BEFORE_REDACT[name]
    plugins = copy_plugins(tmp_path / "plugins", "redact")
    write_rule(plugins, "first", f'return {{ priority = 90, match = {{ topic = "t" }}, on_message = function(msg, ctx) {source} end }}')
    settings = "{redact: {redactions: [{remove: [secret]}]}}"
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "rules.settings": settings})
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    assert producer.message("t", '{"secret":1}', format=JSON).status == 200
    got = [f"{frame.topic} {'open' if 'secret' in frame.text else 'hidden'}" for frame in consumer.receive(len(expected))]
    assert sorted(got) == sorted(expected)


def test_all_that_one_message_makes_rules_do_has_a_budget_of_its_own(shunt, connect, tmp_path):
    """200 messages of one, and 40 recipients, meet a rule that takes all it can get: most of its calls are not made."""
    fan = """
        local R = { match = { topic = "fan" } }
        function R.on_message(msg)
          local all = {}
          for i = 1, 200 do all[i] = route.to("slow/" .. i) end
          return route.fanout(all)
        end
        return R
    """
    slow = """
        local R = { match = { topic = "slow/#" }, breaker = { errors = 1000000 } }
        function R.on_message(msg) while true do end end
        function R.on_deliver(msg) if msg.topic == "slow/deliver" then while true do end end end
        return R
    """
    plugins = write_rule(tmp_path / "plugins", "fan", fan)
    write_rule(plugins, "slow", slow)
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "[fan, slow]", "worker.loops": 1})
    consumers = [connect(worker.exchange).subscribe("slow/#", group=f"g{number}") for number in range(40)]
    producer = connect(worker.exchange)

    def figure(kind: str, hook: str) -> float:
        return sum(value for key, value in worker.metrics().items()
                   if key.startswith(f'shunt_rule_{kind}_total{{rule="slow",hook="{hook}"'))

    producer.publish("fan", "x")
    eventually(lambda: figure("errors", "on_message") == 200, 30)
    assert figure("calls", "on_message") < 100
    # What the rule has failed on is delivered all the same.
    assert len(consumers[0].receive(200)) == 200
    assert [consumer.receive(200)[-1].topic for consumer in consumers[1:]] == ["slow/200"] * 39
    errors, calls = figure("errors", "on_deliver"), figure("calls", "on_deliver")
    producer.publish("slow/deliver", "x")
    eventually(lambda: figure("errors", "on_deliver") == errors + 40, 30)
    assert figure("calls", "on_deliver") < calls + 40
    assert [consumer.receive(1)[0].topic for consumer in consumers] == ["slow/deliver"] * 40
    # Another message has a budget again.
    assert producer.message("other", "x").status == 500


TAKES_LONG = "for i = 1, 60000 do n = n + i end"

MUCH = {
    "messages": ("on_message", lambda i: encode(MESSAGE, i, b"x", f"bad/{i}")),
    "subscriptions": ("on_subscribe", lambda i: encode(SUBSCRIBE, i, subscription(f"bad/{i % 9}", "g"), format=JSON)),
    "broadcasts": ("on_broadcast", lambda i: encode(NOTIFY, i, broadcast("x"), format=JSON)),
    "chats": ("on_chat_open", lambda i: encode(CHAT, i, b"x", f"bad{i}", "CREATE")),
}


@pytest.mark.parametrize("what", MUCH)
def test_a_client_that_sends_much_which_rules_take_long_for_lets_others_have_their_turn(shunt, connect, tmp_path, what):
    hook, frame = MUCH[what]
    source = f"local n = 0\nreturn {{ {hook} = function() {TAKES_LONG} end }}"
    plugins = write_rule(tmp_path / "plugins", "bad", source)
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 1})
    bad, good = connect(worker.exchange), connect(worker.exchange)
    assert good.request(PING).status == 200
    bad.send(b"".join(frame(number) for number in range(1, 1001)))
    bad.take_answers(1)
    # What came at once is a thousand half milliseconds: another is answered somewhere between.
    assert good.request(PING).status == 200
    assert len(bad.answers) < 500
    assert [answer.id for answer in bad.take_answers(999)] == list(range(2, 1001))


def test_what_a_client_sent_before_it_went_is_taken_however_long_rules_take_for_it(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "bad", f"local n = 0\nreturn {{ on_message = function() {TAKES_LONG} end }}")
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 1})
    consumer = connect(worker.exchange).subscribe("#")
    gone = connect(worker.exchange, reading=False)
    gone.send(b"".join(encode(MESSAGE, number, b"x", f"bad/{number}") for number in range(500)))
    # With answers that it has not read: the connection is reset.
    consumer.receive(1)
    gone.socket.close()
    assert [frame.topic for frame in consumer.receive(499)] == [f"bad/{number}" for number in range(1, 500)]
    worker.wait_metric("shunt_connections", 1)
