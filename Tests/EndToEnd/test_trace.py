"""`shunt admin trace` and `record`: live messages through the rules, and into a file of the operator's."""

import gzip
import json
import os
import signal
import stat
import subprocess
import urllib.error
import urllib.request

import pytest

from exchange import GZIP, JSON, Client, eventually, parse_address
from processes import PATIENCE, environment, run, write_rule
from test_explain import COPY, GUARD

SECRET = "payload-that-is-hidden"
READER, OPERATOR = "readers-token-0123456789", "operators-token-0123456789"


def binary() -> str:
    return os.environ.get("SHUNT_BINARY", ".build/release/shunt")


class Running:
    """A command that runs until it is told to end."""

    def __init__(self, tmp_path, *arguments):
        self.out, self.err = tmp_path / "trace.out", tmp_path / "trace.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen([binary(), "admin", *arguments], stdout=out, stderr=err, env=environment())
        eventually(lambda: "following" in self.err.read_text(), timeout=PATIENCE, what=self.err.read_text)

    def end(self, number=signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def cluster(shunt, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read:dash:{READER}\noperate:ops:{OPERATOR}\n")
    tokens.chmod(0o600)
    for name, token in (("reader", READER), ("operator", OPERATOR)):
        (tmp_path / name).write_text(token)
        (tmp_path / name).chmod(0o600)
    plugins = tmp_path / "plugins"
    write_rule(plugins, "guard", GUARD)
    write_rule(plugins, "copy", COPY)
    master = shunt.master({"master.admin.tokens_file": tokens})
    sets = {
        "worker.masters": master.master, "worker.loops": 2, "worker.listeners.mqtt.protocol": "mqtt",
        "worker.listeners.mqtt.listen": "127.0.0.1:0", "rules.directory": plugins, "rules.enabled": "[guard, copy]"}
    master.workers_of = [shunt.worker(dict(sets)) for _ in range(2)]
    for worker in master.workers_of:
        worker.wait_metric("shunt_master_connected", 1)
    master.read = ["--master", master.admin, "--token-file", tmp_path / "reader"]
    master.operate = ["--master", master.admin, "--token-file", tmp_path / "operator"]
    return master


def test_messages_of_both_protocols_and_all_workers_are_followed_without_payloads(cluster, tmp_path):
    trace = Running(tmp_path, "trace", "--topic", "#", *cluster.read)
    for worker in cluster.workers_of:
        client = Client(worker.exchange)
        client.subscribe("audit/#", "g")
        client.register("ada")
        client.message("orders/1", f'{{"id":"{SECRET}"}}'.encode())
        client.message("orders/2", b"bad")
        host, port = parse_address(worker.listeners["worker.mqtt"])
        subprocess.run(["mosquitto_pub", "-h", host, "-p", str(port), "-i", "phone", "-t", "plain/1", "-m", SECRET], check=True, timeout=PATIENCE)
    eventually(lambda: trace.out.read_text().count("nobody has subscribed") >= 2, timeout=PATIENCE)
    assert trace.end() == 0
    text = trace.out.read_text()
    assert SECRET not in text and SECRET not in trace.err.read_text()
    for worker in cluster.workers_of:
        lines = [line for line in text.splitlines() if worker.exchange in line]
        assert any("received orders/1 from ada" in line for line in lines)
        assert any("rule copy: fanout" in line for line in lines)
        assert any("delivered to 1 recipient" in line for line in lines)
        assert any("rule guard: reject (a bad order)" in line for line in lines)
        assert any("received plain/1 from phone, " in line for line in lines)


def test_a_trace_tells_what_goes_out_later_and_what_rights_keep_back(shunt, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite open/#\n")
    plugins = write_rule(tmp_path / "plugins", "forward", """
return { on_message = function(msg, ctx)
  if msg.payload == "later" then return route.delay(2, msg) end
  return route.to("closed/1")
end }""")
    process = shunt.dev({
        "rules.directory": plugins, "rules.enabled": "all", "access.acl_file": acl, "worker.listeners.exchange.allow_anonymous": "true"})
    process.wait_metric("shunt_master_connected", 1)
    trace = Running(tmp_path, "trace", "--topic", "open/#", "--limit", "2", "--master", process.admin)
    client = Client(process.exchange)
    client.message("open/1", b"later")
    client.message("open/1", b"now")
    assert trace.process.wait(PATIENCE) == 0
    told = " ".join(trace.out.read_text().split())
    assert "rule forward: delay, sends to open/1, after 2.0 s" in told and "#1 sent: open/1 in 2.0 s" in told
    assert "delivered" not in told
    assert "rule forward: denied (neither the sender may send it (no entry) nor do the rule's grants have it)" in told and "closed/1" in told


def test_the_last_of_as_many_rules_as_a_worker_can_have_decides_about_what_is_followed(shunt, connect, tmp_path):
    plugins = tmp_path / "plugins"
    for number in range(63):
        write_rule(plugins, f"p{number}", "return { on_message = function() end }")
    write_rule(plugins, "redact", "return { priority = -1, on_message = function(msg) return msg:with { payload = 'redacted' } end }")
    process = shunt.dev({"rules.directory": plugins, "rules.enabled": "all"})
    process.wait_metric("shunt_master_connected", 1)
    trace = Running(tmp_path, "trace", "--topic", "t", "--limit", "1", "--master", process.admin)
    receiver, producer = connect(process.exchange).subscribe("t"), connect(process.exchange)
    producer.message("t", SECRET)
    assert receiver.receive(1)[0].text == "redacted"
    assert trace.process.wait(PATIENCE) == 0
    assert "rule redact: replace" in trace.out.read_text()


def test_payloads_need_the_role_and_are_an_event(cluster, tmp_path):
    done = run("admin", "trace", "--topic", "#", "--payloads", "--for", "1s", *cluster.read)
    assert done.returncode == 77, done
    trace = Running(tmp_path, "trace", "--topic", "orders/#", "--payloads", "--limit", "1", *cluster.operate)
    Client(cluster.workers_of[0].exchange).message("orders/1", b"a\x1b[31mb")
    assert trace.process.wait(PATIENCE) == 0
    assert "payload a\\u{1B}[31mb" in trace.out.read_text()
    eventually(lambda: "follow orders/# --payloads" in run("admin", "events", *cluster.read, "--output", "json").stdout)


def test_a_recording_is_the_operators_own_file_and_runs_again(cluster, tmp_path):
    out = tmp_path / "messages.jsonl"
    trace = Running(tmp_path, "record", "--topic", "orders/#", "--out", out, "--limit", "2", *cluster.operate)
    client = Client(cluster.workers_of[0].exchange)
    client.register("ada")
    client.message("orders/1", b'{"id":1}', key="k")
    client.message("orders/2", b"\xff\x00")
    assert trace.process.wait(PATIENCE) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    first, second = (json.loads(line) for line in out.read_text().splitlines())
    assert (first["topic"], first["payload"], first["key"], first["sender"]["uid"]) == ("orders/1", '{"id":1}', "k", "ada")
    assert second["payload_base64"] == "/wA=" and "payload" not in second
    again = run("admin", "record", "--topic", "#", "--out", out, "--for", "1s", *cluster.operate)
    assert again.returncode == 74 and "there already" in again.stderr
    other = tmp_path / "other.jsonl"
    assert run("admin", "record", "--topic", "#", "--out", other, "--for", "1s", *cluster.read).returncode == 77
    assert not other.exists()


def test_a_recording_has_what_rules_read_of_a_message_and_its_sender(cluster, tmp_path):
    out = tmp_path / "messages.jsonl"
    trace = Running(tmp_path, "record", "--topic", "meters/#", "--out", out, "--limit", "1", *cluster.operate)
    host, port = parse_address(cluster.workers_of[0].listeners["worker.mqtt"])
    subprocess.run(
        ["mosquitto_pub", "-V", "5", "-h", host, "-p", str(port), "-i", "phone", "-t", "meters/1", "-m", "21",
         "-D", "publish", "user-property", "region", "eu", "-D", "publish", "content-type", "text/plain",
         "-D", "publish", "response-topic", "answers/1", "-D", "connect", "user-property", "build", "7"], check=True, timeout=PATIENCE)
    assert trace.process.wait(PATIENCE) == 0
    message = json.loads(out.read_text())
    assert message["props"] == [{"name": "region", "value": "eu"}]
    assert (message["content_type"], message["response_topic"]) == ("text/plain", "answers/1")
    sender = message["sender"]
    assert (sender["client_id"], sender["protocol"], sender["version"]) == ("phone", "mqtt", "5.0")
    assert sender["props"] == [{"name": "build", "value": "7"}]
    plugin = tmp_path / "by-header"
    plugin.mkdir()
    (plugin / "rule.lua").write_text(
        "return { on_message = function(msg)"
        " if msg.props.region == 'eu' and msg.sender.client_id == 'phone' then return route.drop('seen') end end }")
    done = run("rule", "run", plugin, "--messages", out)
    assert done.returncode == 0 and "seen" in done.stdout


def ask(master, path, token, method="GET", body=None):
    request = urllib.request.Request(f"http://{master.admin}{path}", method=method, data=body)
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_reader_cannot_read_a_recording_and_traces_are_few(cluster):
    status, begun = ask(cluster, "/api/v1/recordings", OPERATOR, "POST", b'{"topic":"#"}')
    assert status == 200
    id = begun["workers"][0]["answer"]["id"]
    assert ask(cluster, f"/api/v1/recordings/{id}", READER)[0] == 403
    status, problem = ask(cluster, f"/api/v1/traces/{id}", READER)
    assert (status, problem["code"]) == (404, "not_found")
    assert ask(cluster, "/api/v1/traces", READER, "POST", b'{"topic":"#","payloads":true}')[0] == 200
    answers = [ask(cluster, "/api/v1/traces", READER, "POST", b'{"topic":"#"}')[1] for _ in range(4)]
    assert answers[-1]["workers"][0]["error"]["code"] == "limit.memory"
    assert ask(cluster, "/api/v1/traces", READER, "POST", b'{"topic":"a/#/b"}')[1]["workers"][0]["error"]["code"] == "topic.invalid"
    # Nobody reads them: they end by themselves, and make room.
    eventually(
        lambda: "answer" in ask(cluster, "/api/v1/traces", READER, "POST", b'{"topic":"#"}')[1]["workers"][0], timeout=30)


def test_a_worker_may_forbid_payloads(shunt):
    process = shunt.dev({"worker.admin_payloads": "false"})
    process.wait_metric("shunt_master_connected", 1)
    done = run("admin", "trace", "--topic", "#", "--payloads", "--for", "1s", "--master", process.admin)
    assert done.returncode == 77 and "worker.admin_payloads: false" in done.stderr
    assert run("admin", "trace", "--topic", "#", "--for", "1s", "--master", process.admin).returncode == 0


SENDING = """
return { priority = 5, match = { topic = "t/#" }, on_message = function(msg, ctx)
  if msg.payload == "moved" then return route.to("copy/1") end
  ctx:emit(route.to("copy/1"))
  ctx:emit(msg:with { topic = "seen/1" })
  if msg.payload == "reject" then return route.reject("the real reason") end
  if msg.payload == "drop" then return route.drop("the real reason") end
  if msg.payload == "plain" then return route.drop() end
end }"""
STOPPING = """
return { match = { topic = "copy/#" }, on_message = function(msg)
  return route.reject("another reason")
end }"""


def failing(text: str, priority: int) -> str:
    return f'''
return {{ priority = {priority}, match = {{ topic = "t/#" }}, on_message = function(msg)
  if msg.payload == "fail" then error("{text}") end
end }}'''


def test_a_trace_gives_each_rule_its_own_failure_and_the_sender_the_reason_that_it_was_told(shunt, tmp_path):
    plugins = tmp_path / "plugins"
    for name, text in (("send", SENDING), ("stop", STOPPING), ("first", failing("AAA", 90)), ("second", failing("BBB", 80))):
        write_rule(plugins, name, text)
    process = shunt.dev({"rules.directory": plugins, "rules.enabled": "all"})
    process.wait_metric("shunt_master_connected", 1)
    watcher = Client(process.exchange)
    watcher.register("eve").subscribe("seen/#", "g")
    trace = Running(tmp_path, "trace", "--topic", "t/#", "--limit", "5", "--output", "json", "--master", process.admin)
    client = Client(process.exchange)
    answers = {payload: client.message("t/1", payload) for payload in ("reject", "drop", "plain", "moved", "fail")}
    assert answers["reject"].value == b"the real reason"
    assert trace.process.wait(PATIENCE) == 0
    told = [json.loads(line)["message"] for line in trace.out.read_text().splitlines()]
    assert [(one["outcome"], one["why"], one["recipients"]) for one in told] == [
        ("rejected", "the real reason", 1), ("dropped", "the real reason", 1), ("dropped", "", 1),
        ("nobody", "rule stop: another reason", 0), ("delivered", "", 1)]
    steps = {step["rule"]: step for step in told[0]["steps"]}
    assert steps["send"]["sends"] == ["copy/1", "seen/1"]
    failures = {step["rule"]: step["why"] for step in told[4]["steps"] if step["verdict"] == "error"}
    assert "AAA" in failures["first"] and "BBB" in failures["second"]


def test_a_copy_under_the_own_topic_of_a_dropped_message_is_told(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "copy", """
return { on_message = function(msg, ctx)
  ctx:emit(msg:with { payload = "short" })
  return route.drop("copied")
end }""")
    process = shunt.dev({"rules.directory": plugins, "rules.enabled": "all"})
    process.wait_metric("shunt_master_connected", 1)
    watcher = Client(process.exchange)
    watcher.register("eve").subscribe("t/#", "g")
    trace = Running(tmp_path, "trace", "--topic", "t/#", "--limit", "1", "--master", process.admin)
    Client(process.exchange).message("t/1", "long")
    assert trace.process.wait(PATIENCE) == 0
    text = " ".join(trace.out.read_text().split())
    assert "rule copy: drop (copied), sends to t/1" in text
    assert "dropped: copied; what rules sent besides went to 1 recipient" in text
    told = run("admin", "explain", "--topic", "t/1", "--payload", "long", "--master", process.admin).stdout
    assert "dropped by rule copy: copied; what rules sent besides goes to 1 recipient" in " ".join(told.split())
    assert "sends to t/1" in " ".join(told.split())


LIMIT = """
return { match = { topic = "w/#" }, on_message = function(msg)
  local s = msg.sender
  local body = msg:json() or {}
  return route.reject(("%d %s %s %s"):format(kv.incr("n" .. s.id), table.concat(s.groups, ","), tostring(body.id), msg.id))
end }"""


def test_a_recording_runs_again_as_it_came(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "limit", LIMIT)
    process = shunt.dev({"rules.directory": plugins, "rules.enabled": "all"})
    process.wait_metric("shunt_master_connected", 1)
    ada, bob = Client(process.exchange), Client(process.exchange)
    ada.register("ada").subscribe("zz", "grp")
    bob.register("bob")
    out = tmp_path / "messages.jsonl"
    trace = Running(tmp_path, "record", "--topic", "w/#", "--out", out, "--limit", "4", "--master", process.admin)
    packed = gzip.compress(b'{"id":7}')
    live = [
        ada.message("w/1", b'{"id":1}', format=JSON), ada.message("w/1", packed, compress=GZIP, format=JSON), bob.message("w/1", b"x"),
        ada.message("w/1", b"y")]
    assert trace.process.wait(PATIENCE) == 0
    again = run("rule", "run", plugins / "limit", "--messages", out, "--output", "json")
    told = [json.loads(line)["why"] for line in again.stdout.splitlines() if '"why"' in line]
    assert told == [answer.value.decode() for answer in live]
    assert [text.split(" ")[0] for text in told] == ["1", "2", "1", "3"]
