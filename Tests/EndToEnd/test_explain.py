"""`shunt admin explain`: what would become of a message, asked of live workers; nothing is sent, and nothing changes."""

import json
import random
import subprocess

import pytest

from exchange import Client, eventually, parse_address
from processes import PATIENCE, run, write_rule

GUARD = """
local R = { name = "guard", priority = 90, match = { kind = "topic", topic = "orders/#" } }
function R.on_message(msg, ctx)
  kv.incr("seen")
  shared.incr("seen")
  counter("seen"):inc()
  if msg.payload == "bad" then return route.reject("a bad order") end
end
return R
"""
COPY = """
local R = { name = "copy", priority = 50, match = { kind = "topic", topic = "orders/+" } }
function R.on_message(msg, ctx)
  local order = msg:json()
  if not order then return end
  order.card = nil
  local clean = msg:with { payload = json.encode(order) }
  return route.fanout { clean, clean:with { topic = "audit/orders" } }
end
return R
"""


@pytest.fixture
def cluster(shunt, tmp_path):
    plugins = tmp_path / "plugins"
    write_rule(plugins, "guard", GUARD)
    write_rule(plugins, "copy", COPY)
    master = shunt.master()
    sets = {
        "worker.masters": master.master, "worker.loops": 2, "worker.listeners.mqtt.protocol": "mqtt",
        "worker.listeners.mqtt.listen": "127.0.0.1:0", "rules.directory": plugins, "rules.enabled": "[guard, copy]"}
    workers = [shunt.worker(dict(sets)) for _ in range(2)]
    for worker in workers:
        worker.wait_metric("shunt_master_connected", 1)
    master.workers_of = workers
    eventually(lambda: len(master.workers()) == 2)
    return master


def explain(master, *arguments, code=0):
    done = run("admin", "explain", *arguments, "--master", master.admin)
    assert done.returncode == code, done
    return done


def answers(master, *arguments) -> list[dict]:
    return [each["answer"] for each in json.loads(explain(master, *arguments, "--output", "json").stdout)["workers"]]


def test_it_tells_decisions_and_recipients_and_sends_nothing(cluster):
    first = cluster.workers_of[0]
    one, two, audit = Client(first.exchange), Client(first.exchange), Client(first.exchange)
    one.register("ada").subscribe("orders/+", "workers")
    two.register("bob").subscribe("orders/7", "workers")
    audit.register("eve").subscribe("audit/#", "auditors")
    arguments = ["--topic", "orders/7", "--payload", '{"id":7,"card":"4111"}', "--payloads", "--worker", first.exchange]
    answer = eventually(lambda: (found := answers(cluster, *arguments)[0])["routes"] and found)
    assert answer["outcome"] == "delivered"
    # What stays in its topic is sent nowhere else.
    assert [(rule["rule"], rule["verdict"], rule["sends"]) for rule in answer["rules"]] == [
        ("guard", "pass", []), ("copy", "fanout", ["audit/orders"])]
    assert [(route["topic"], route["recipients"]) for route in answer["routes"]] == [("orders/7", 1), ("audit/orders", 1)]
    assert answer["routes"][0]["groups"][0]["members"] == 2
    assert {choice["client"]["uid"] for choice in answer["routes"][0]["groups"][0]["chosen"]} <= {"ada", "bob"}
    assert answer["routes"][1]["groups"][0]["chosen"][0]["client"]["uid"] == "eve"
    assert first.metric('shunt_rule_calls_total{rule="guard",hook="on_message"}') == 0
    assert "shunt_rule_seen" not in str(first.metrics())
    text = explain(cluster, *arguments).stdout
    assert "rule copy" in text and "audit/orders (sent there by rule copy)" in text
    publisher = Client(first.exchange)
    publisher.message("orders/7", b'{"id":7,"card":"4111"}')
    assert b"4111" not in audit.receive(1)[0].value


def test_a_group_that_is_not_there_is_told(cluster):
    first = cluster.workers_of[0]
    Client(first.exchange).subscribe("things/1", "workers")
    arguments = ["--topic", "things/1", "--worker", first.exchange]
    eventually(lambda: "next is" in explain(cluster, *arguments, "--group", "workers").stdout)
    text = explain(cluster, *arguments, "--group", "worker").stdout
    assert "worker: NO GROUP OF THIS NAME takes the topic; did you mean workers? it has workers" in " ".join(text.split())
    route = answers(cluster, *arguments, "--group", "zz")[0]["routes"][0]
    assert (route["missing_group"], route["other_groups"], route["groups"]) == ("zz", ["workers"], [])


def answer_of(arguments):
    return json.loads(run(*arguments).stdout)["workers"][0]["answer"]


def test_a_renamed_message_is_asked_about_as_a_worker_asks(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "mover", """
return { priority = 9, on_message = function(msg) return msg:with { topic = "t/" .. msg.topic } end }""")
    write_rule(plugins, "marker", 'return { priority = 5, on_message = function(msg) return msg:with { payload = "new" } end }')
    write_rule(plugins, "guard", 'return { priority = 20, match = { topic = "t/#" }, on_message = function(msg) end }')
    process = shunt.dev({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 1})
    process.wait_metric("shunt_master_connected", 1)
    Client(process.exchange).subscribe("t/x", "g")
    arguments = ("admin", "explain", "--topic", "x", "--payload", "old", "--master", process.admin, "--output", "json")

    def answer():
        found = answer_of(arguments)
        return found if found["routes"] else None

    answer = eventually(answer)
    assert [(rule["rule"], rule["topic"]) for rule in answer["rules"]] == [("mover", "x"), ("marker", "t/x"), ("guard", "t/x")]
    assert [(route["topic"], route["by"]) for route in answer["routes"]] == [("t/x", "mover")]
    write_rule(plugins, "marker", 'return { priority = 5, on_message = function(msg) return route.done() end }')
    run("admin", "rules", "reload", "--master", process.admin)
    eventually(lambda: [rule["rule"] for rule in answer_of(arguments)["rules"]] == ["mover", "marker"])


def test_what_goes_out_later_is_followed(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "later", """
return { match = { topic = "now/#" }, on_message = function(msg, ctx)
  ctx:emit(route.delay(5, route.push({ uid = "ada" }, msg)))
  return route.delay(2.5, route.to("later/1", msg))
end }""")
    write_rule(plugins, "next", 'return { match = { topic = "later/#" }, on_message = function(msg) return route.to("end/1") end }')
    process = shunt.dev({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 1})
    process.wait_metric("shunt_master_connected", 1)
    Client(process.exchange).subscribe("end/1", "g")
    arguments = ("admin", "explain", "--topic", "now/1", "--payload", "x", "--master", process.admin)
    eventually(lambda: "1 recipient as of now" in run(*arguments).stdout)
    text = " ".join(run(*arguments).stdout.split())
    assert "only what rules send as broadcasts, into chats or later goes out" in text
    assert "end/1 (sent there by rule next, 2.5 s later): 1 recipient as of now" in text
    assert 'later: a broadcast to devices of {"uid":"ada"}, after 5.0 s' in text


def test_rejected_nobody_and_a_topic_that_was_meant(cluster):
    first = cluster.workers_of[0]
    Client(first.exchange).subscribe("other/things", "g")
    rejected = answers(cluster, "--topic", "orders/7", "--payload", "bad")
    assert {(each["outcome"], each["why"]) for each in rejected} == {("rejected", "rule guard: a bad order")}
    eventually(lambda: "did you mean other/things?" in explain(cluster, "--topic", "other/thing", "--worker", first.exchange).stdout)
    assert "nobody gets it" in explain(cluster, "--topic", "other/thing").stdout


def test_what_it_tells_is_what_comes(cluster):
    rng = random.Random(10)
    worker = cluster.workers_of[0]
    filters = ["orders/1", "orders/+", "orders/#", "things/1", "things/#", "audit/#", "+/1"]
    clients = {}
    for number in range(12):
        client = Client(worker.exchange)
        client.register(f"u{number}")
        client.subscribe(rng.choice(filters), rng.choice(["a", "b", f"own{number}"]))
        clients[f"u{number}"] = client
    publisher = Client(worker.exchange)
    for _ in range(15):
        topic = rng.choice(["orders/1", "orders/2", "things/1", "things/2", "audit/x"])
        payload = rng.choice(['{"id":1}', "bad", "text"])
        answer = answers(cluster, "--topic", topic, "--payload", payload, "--limit", "100", "--worker", worker.exchange)[0]
        # Turns are each loop's own: a group's choice is among what the loops would choose.
        expected = sum(route["recipients"] for route in answer["routes"])
        before = {name: len(client.inbox) for name, client in clients.items()}
        publisher.message(topic, payload.encode())
        eventually(lambda: sum(len(c.inbox) for c in clients.values()) - sum(before.values()) >= expected)
        came = sum(len(c.inbox) for c in clients.values()) - sum(before.values())
        assert came == expected, (topic, payload, answer)


def test_rights_of_a_user_who_does_not_get_it(shunt, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("user ada\ntopic readwrite orders/#\nuser bob\ntopic read news/#\n")
    process = shunt.dev({"access.acl_file": acl, "worker.loops": 2})
    process.wait_metric("shunt_master_connected", 1)
    bob = run("admin", "explain", "--topic", "orders/7", "--as", "bob", "--master", process.admin)
    assert bob.returncode == 0, bob
    assert "bob MAY NOT publish to orders/7" in bob.stdout and "bob MAY NOT subscribe to orders/7" in bob.stdout
    ada = run("admin", "explain", "--topic", "orders/7", "--as", "ada", "--master", process.admin)
    assert "ada may publish to orders/7" in ada.stdout and f"{acl}:2" in ada.stdout.replace("\n", "") or "acl:2" in ada.stdout


def test_what_is_no_question_is_told(cluster, tmp_path):
    done = explain(cluster, "--topic", "orders/#", code=65)
    assert "explain follows one message" in done.stderr
    large = tmp_path / "large"
    large.write_bytes(b"x" * (1 << 20))
    assert "at most 262144 bytes" in explain(cluster, "--topic", "orders/7", "--payload", f"@{large}", code=64).stderr
    assert "cannot be read" in explain(cluster, "--topic", "orders/7", "--payload", "@/nowhere", code=74).stderr
    assert answers(cluster, "--topic", "orders/7", "--as", "nobody-knows-her")[0]["outcome"] == "nobody"
    steered = explain(cluster, "--topic", "orders/\u001b[31m7").stdout
    assert "\u001b" not in steered
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x00\xff\xfe")
    assert answers(cluster, "--topic", "things/7", "--payload", f"@{binary}")[0]["outcome"] == "nobody"


def test_clients_of_mqtt_are_named(cluster):
    worker = cluster.workers_of[1]
    host, port = parse_address(worker.listeners["worker.mqtt"])
    subscriber = subprocess.Popen(["mosquitto_sub", "-h", host, "-p", str(port), "-i", "phone-1", "-t", "plain/#"])
    try:
        def named():
            routes = answers(cluster, "--topic", "plain/1", "--worker", worker.exchange)[0]["routes"]
            return routes and routes[0]["clients"]
        assert eventually(named, timeout=PATIENCE)[0]["client"] == "phone-1"
    finally:
        subscriber.terminate()
        subscriber.wait()


WHO = """
return {
  match = { topic = "w/#" },
  on_connect = function(conn) return conn:with { attributes = { plan = "gold" }, tags = { "t1" } } end,
  on_message = function(msg)
    local s = msg.sender
    return route.reject(json.encode {
      plan = s.attributes.plan or "-", tag = s.tags[1] or "-", protocol = s.protocol, client = s.client_id or "-", version = s.version or "-",
      uid = s.uid, qos = msg.qos })
  end,
}"""


def test_rules_are_asked_about_the_sender_as_it_is_connected(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "who", WHO)
    process = shunt.dev({
        "rules.directory": plugins, "rules.enabled": "all", "worker.loops": 2, "worker.listeners.mqtt.protocol": "mqtt",
        "worker.listeners.mqtt.listen": "127.0.0.1:0"})
    process.wait_metric("shunt_master_connected", 1)

    def asked(*arguments) -> tuple[dict, str]:
        answer = answers(process, "--topic", "w/1", "--payload", "x", *arguments)[0]
        return json.loads(answer["why"].removeprefix("rule who: ")), answer.get("sender", "")

    exchange = {"plan": "-", "tag": "-", "protocol": "exchange", "client": "-", "version": "-", "uid": "", "qos": 1}
    assert asked() == (exchange, "")
    nobody = "no client is connected by this name: rules are asked about one without tags, alias, groups and attributes"
    assert asked("--as", "ada") == ({**exchange, "uid": "ada"}, nobody)
    mqtt = {**exchange, "protocol": "mqtt", "client": "c1", "version": "5.0", "uid": "c1", "qos": 0}
    assert asked("--client", "c1") == (mqtt, nobody)
    assert asked("--as", "ada", "--client", "c1", "--listener", "mqtt", "--qos", "2")[0] == {**mqtt, "uid": "ada", "qos": 2}
    ada, host_port = Client(process.exchange), parse_address(process.listeners["worker.mqtt"])
    ada.register("ada")
    with subprocess.Popen(
            ["mosquitto_sub", "-h", host_port[0], "-p", str(host_port[1]), "-i", "c1", "-t", "none", "-V", "311"]) as listening:
        try:
            eventually(lambda: "as it is connected" in asked("--client", "c1")[1])
            known = {"plan": "gold", "tag": "t1"}
            told, sender = asked("--client", "c1")
            assert told == {**mqtt, **known, "version": "3.1.1"} and sender.startswith("c1, 127.0.0.1:")
            assert asked("--as", "ada")[0]["plan"] == "gold"
            assert asked("--as", "ada", "--listener", "mqtt")[1] == nobody
            also = Client(process.exchange)
            also.register("ada", device="two")
            eventually(lambda: asked("--as", "ada")[1].startswith("several clients are connected by this name"))
            assert "; --client names one" in asked("--as", "ada")[1]
            assert asked("--as", "ada", "--client", "two", "--listener", "exchange")[1].endswith("as it is connected")
        finally:
            listening.terminate()


def test_what_no_client_may_send_is_denied(cluster):
    exchange = cluster.workers_of[0].exchange
    client = Client(exchange)
    client.subscribe("orders/1", "g")
    for topic, why in (("$SYS/x", "only the worker publishes below $SYS"), ("x" * 2000, "the topic has 2000 bytes")):
        answer = answers(cluster, "--topic", topic, "--worker", exchange)[0]
        assert answer["outcome"] == "denied" and answer["why"].startswith(why) and not answer["routes"]
        assert client.message(topic, b"x").status == 400
