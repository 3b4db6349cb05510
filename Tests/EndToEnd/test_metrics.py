"""`/metrics` as Prometheus reads it, and as `promtool check metrics` wants it: families whole, names by its conventions."""

import re
import time

from exchange import PING
from mqtt.client import Client as MQTTClient
from processes import copy_plugins, get, write_rule, write_whole

COUNTING = """
local R = {{ name = "counting", match = {{ topic = "t/#" }} }}
local plain = counter("seen", {{ how = "{version}" }})
function R.on_message(msg)
  plain:inc()
  counter("seen_total"):inc()
  counter("weird", {{ text = 'a"b\\\\c\\nd' }}):inc(0.5)
end
return R
"""

# prometheus/docs, naming: a base unit, no other.
OTHER_UNITS = {"milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "kilobytes", "kibibytes", "megabytes", "bits"}
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)')


def families(text: str) -> dict[str, dict]:
    """Type, help and samples by family; fails where the text is not what Prometheus' text format says."""
    found, family = {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, help = line[7:].partition(" ")
            assert name not in found, f"{name} comes twice, or its samples are not together"
            family = found[name] = {"help": help, "type": None, "samples": {}}
        elif line.startswith("# TYPE "):
            name, type = line[7:].split()
            assert found.get(name) is family and family["type"] is None and not family["samples"] and type in TYPES, line
            family["type"] = type
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            if family and family["type"] == "histogram":
                name = re.sub(r"_(bucket|sum|count)$", "", name)
                labels = f"{match[1]}{labels}"
            assert found.get(name) is family, f"{name} stands outside its family"
            assert labels not in family["samples"], f"{name}{labels} comes twice"
            names = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="', labels or "")
            assert len(names) == len(set(names)) and not any(each.startswith("__") for each in names)
            family["samples"][labels] = float(value)
    return found


def check_conventions(found: dict[str, dict]):
    """The rules of promtool's linter (prometheus/client_golang, promlint)."""
    for name, family in found.items():
        assert family["help"], f"{name} has no HELP"
        assert family["type"], f"{name} has no TYPE"
        assert (family["type"] == "counter") == name.endswith("_total"), f"counters and only counters end in _total: {name}"
        assert not re.search(r"_(count|sum|bucket)$", name), name
        assert ":" not in name and not re.search(r"[a-z][A-Z]", name), f"{name} is not in snake case"
        assert not set(name.split("_")) & (OTHER_UNITS | TYPES), f"{name} has a unit or a type in it"
        for labels in family["samples"]:
            assert not re.search(r"[a-z][A-Z]\w*=", labels or "")


def test_all_metrics_keep_prometheus_conventions_with_rules_that_count(shunt, connect, tmp_path):
    plugins = copy_plugins(tmp_path / "plugins", "chat-away")
    write_rule(plugins, "counting", COUNTING.format(version="first"))
    worker = shunt.worker({"rules.directory": plugins, "rules.enabled": "all", "worker.loops": 2})
    clients = [connect(worker.exchange).subscribe("t/#", f"g{number}") for number in range(2)]
    for client in clients:
        for _ in range(3):
            assert client.message("t/1", "x").status == 200
    worker.wait_metric('shunt_rule_seen_total{rule="counting",how="first"}', 6)
    found = families(get(f"http://{worker.listeners['worker.http']}/metrics"))
    check_conventions(found)
    assert len(found) > 25 and "shunt_rule_chat_away_total" in found
    assert found["shunt_rule_seen_total"]["samples"] == {'{rule="counting"}': 6.0, '{rule="counting",how="first"}': 6.0}
    assert found["shunt_rule_weird_total"]["samples"] == {'{rule="counting",text="a\\"b\\\\c\\nd"}': 3.0}


def test_messages_are_counted_by_kind_and_connections_by_protocol(shunt, connect):
    worker = shunt.worker({
        "worker.loops": 2, "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0",
        "worker.listeners.web.protocol": "mqtt", "worker.listeners.web.transport": "websocket", "worker.listeners.web.listen": "127.0.0.1:0"})
    one, two = connect(worker.exchange).join("room"), connect(worker.exchange).subscribe("t", "g")
    for _ in range(3):
        assert one.message("t", "x").status == 200
    assert one.say("room", "hello").status == 200
    assert one.request(PING).status == 200
    two.notify("x")
    client = MQTTClient(worker.listeners["worker.mqtt"], 5)
    client.connect("c")
    for topic, payload in (("t", b"x"), ("$chat/room", b"x"), ("$shunt/notify", b"{}"), ("$shunt/other", b"")):
        client.publish(topic, payload, qos=1)
    kinds = {kind: f'shunt_messages_received_total{{kind="{kind}"}}' for kind in ("topic", "broadcast", "chat")}
    for kind, count in (("topic", 4), ("broadcast", 2), ("chat", 2)):
        worker.wait_metric(kinds[kind], count)
    worker.wait_metric('shunt_protocol_connections{protocol="exchange",transport="tcp"}', 2)
    worker.wait_metric('shunt_protocol_connections{protocol="mqtt",transport="tcp"}', 1)
    worker.wait_metric('shunt_protocol_connections{protocol="mqtt",transport="websocket"}', 0)
    client.close()
    worker.wait_metric('shunt_protocol_connections{protocol="mqtt",transport="tcp"}', 0)


def test_figures_of_the_process_are_those_of_the_system(shunt):
    master, worker = shunt.master(), shunt.worker()
    for process, address in ((master, master.admin), (worker, worker.listeners["worker.http"])):
        found = families(get(f"http://{address}/metrics"))
        check_conventions(found)
        values = {name: family["samples"].get(None) for name, family in found.items() if name.startswith("process_")}
        assert abs(values["process_open_fds"] - process.descriptors()) <= 4
        assert 1e6 < values["process_resident_memory_bytes"] < 1e9 and 0 < values["process_cpu_seconds_total"] < 600
        assert -5 < time.time() - values["process_start_time_seconds"] < 600
        assert values["process_max_fds"] >= values["process_open_fds"]


def test_figures_of_rules_go_on_over_reloads_and_end_with_the_rule(shunt, connect, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "counting", COUNTING.format(version="first"))
    path = tmp_path / "worker.yaml"
    text = f"rules: {{ directory: {plugins}, enabled: [counting] }}\nworker: {{ loops: 2, listeners: {{ exchange: {{ listen: '127.0.0.1:0' }} }} }}\n"
    write_whole(path, text)
    worker = shunt.worker(config=path)
    clients = [connect(worker.exchange).subscribe("t/#", f"g{number}") for number in range(2)]
    calls, seen = 'shunt_rule_calls_total{rule="counting",hook="on_message"}', 'shunt_rule_seen_total{rule="counting"}'

    def send():
        for client in clients:
            assert client.message("t/1", "x").status == 200

    send()
    worker.wait_metric(calls, 2)
    # Neither a reload that leaves the rule as it is, nor a new version of it, begins again.
    worker.reload()
    send()
    worker.wait_metric(calls, 4)
    write_whole(plugins / "counting" / "rule.lua", COUNTING.format(version="second"))
    worker.reload()
    send()
    worker.wait_metric(calls, 6)
    worker.wait_metric(seen, 6)
    assert worker.metric('shunt_rule_seen_total{rule="counting",how="first"}') == 4
    assert worker.metric('shunt_rule_seen_total{rule="counting",how="second"}') == 2
    write_whole(path, text.replace("[counting]", "[]"))
    worker.reload()
    worker.wait_metric(calls, 0)
    assert not any("counting" in name for name in worker.metrics())
