"""Figures of a master and a worker that have something to tell, as Debian's promtool reads them; and examples/monitoring, held against them."""

import json
import re
import subprocess

import pytest
import yaml

from exchange import ALLOCATION, Client, eventually
from processes import ROOT, get, run, write_rule
from test_metrics import check_conventions, families
from tls.conftest import listeners
from tls.test_cluster import authority, tls

EXAMPLES = ROOT / "examples/monitoring"
RULE = """
local R = { name = "failing", match = { topic = "t/#" } }
function R.on_message(msg) if msg.topic == "t/bad" then error("bad") end end
return R
"""


def promtool(*arguments, input=None) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], input=input, capture_output=True, text=True)
    assert done.returncode == 0 and "error" not in done.stderr, done
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def texts(shared_shunt, certificates, tmp_path_factory):
    """What /metrics gives, by role: with TLS on listeners and between the two, a rule that fails, messages, a client that asks the master."""
    folder = tmp_path_factory.mktemp("monitoring")
    cluster = authority(folder / "cluster")
    master = shared_shunt.master(tls(cluster, "m"))
    worker = shared_shunt.worker(
        listeners(certificates) | tls(cluster, "w1") | {
            "worker.masters": f"[{master.master}]", "rules.directory": write_rule(folder / "plugins", "failing", RULE),
            "rules.enabled": "[failing]"})
    worker.wait_metric("shunt_master_connected", 1)
    client = shared_shunt.closing(Client(worker.exchange)).subscribe("t/#")
    assert client.message("t/1", "x").status == 200
    client.message("t/bad", "x")
    assert shared_shunt.closing(Client(master.master)).request(ALLOCATION).status == 200

    def text(process, address) -> str:
        return get(f"http://{address}/metrics")

    def told(*parts):
        master_text, worker_text = text(master, master.admin), text(worker, worker.listeners["worker.http"])
        return all(part in master_text + worker_text for part in parts)

    eventually(lambda: told('shunt_master_allocations_total{outcome="answered"} 1\n', 'shunt_master_workers{state="live"} 1\n'))
    eventually(lambda: told('shunt_rule_errors_total{rule="failing",hook="on_message",code="'))
    eventually(lambda: not told("shunt_master_registry_write_lag_seconds_count 0\n"))
    return {"master": text(master, master.admin), "worker": text(worker, worker.listeners["worker.http"])}


@pytest.mark.parametrize("role", ["master", "worker"])
def test_promtool_finds_nothing_in_live_figures(texts, role):
    assert promtool("check", "metrics", input=texts[role]).strip() == ""
    found = families(texts[role])
    check_conventions(found)
    version = run("--version").stdout.split()[-1]
    assert found["shunt_build_info"]["samples"] == {f'{{version="{version}",role="{role}"}}': 1.0}


HISTOGRAMS = {"worker": ["shunt_request_seconds", "shunt_loop_lag_seconds", "shunt_rule_seconds"],
              "master": ["shunt_loop_lag_seconds", "shunt_master_registry_write_lag_seconds"]}


@pytest.mark.parametrize("role, name", [(role, name) for role, names in HISTOGRAMS.items() for name in names])
def test_histograms_count_and_add_up(texts, role, name):
    family = families(texts[role])[name]
    assert family["type"] == "histogram"
    # Of a rule's hooks, one.
    buckets = [value for labels, value in family["samples"].items() if labels.startswith(f"{name}_bucket")]
    seconds, count = [value for labels, value in family["samples"].items() if not labels.startswith(f"{name}_bucket")][:2]
    assert buckets == sorted(buckets) and buckets[-1] == count > 0 and 0 <= seconds < 60 * count


def test_the_alerts_and_the_configuration_are_what_prometheus_takes():
    promtool("check", "rules", EXAMPLES / "alerts.yml")
    promtool("check", "config", EXAMPLES / "prometheus.yml")
    promtool("test", "rules", EXAMPLES / "alerts_test.yml")
    alerts = re.findall(r"- alert: (\w+)", (EXAMPLES / "alerts.yml").read_text())
    shown = re.findall(r'alertname="(\w+)"', (EXAMPLES / "alerts_test.yml").read_text())
    assert len(alerts) > 10 and alerts == shown, "each alert is seen firing"


def expressions() -> dict[str, str]:
    """By where they stand: all of the dashboard and of the alerts."""
    panels = json.loads((EXAMPLES / "dashboard.json").read_text())["panels"]
    found = {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", [])}
    for group in yaml.safe_load((EXAMPLES / "alerts.yml").read_text())["groups"]:
        found |= {rule["alert"]: rule["expr"] for rule in group["rules"]}
    return found


def test_the_dashboard_and_the_alerts_ask_for_what_there_is(texts, shunt, tmp_path):
    there = set()
    # A master that has peers tells more.
    standby = get(f"http://{shunt.master({'master.peers': '[127.0.0.1:1]'}).admin}/metrics")
    for text in [*texts.values(), standby]:
        for name, family in families(text).items():
            there |= {name} if family["type"] != "histogram" else {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    samples = "".join(texts.values())
    found = expressions()
    assert len(found) > 50
    for place, expression in found.items():
        names = set(re.findall(r"\bshunt_\w+", expression))
        assert names <= there, f"{place}: {names - there}"
        # An answer may be missing where a label's value is: then nothing would ever be seen.
        for label, operator, values in re.findall(r'(\w+)(=~?)"([^"$]+)"', expression):
            for value in values.split("|") if operator == "=~" else [values]:
                assert label == "job" or f'{label}="{value}"' in samples, f"{place}: no {label}={value}"
    plain = [expression.replace("$__rate_interval", "5m").replace("$instance", ".*") for expression in found.values()]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(plain)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yml")


def test_panels_do_not_lie_on_one_another():
    taken = set()
    for panel in json.loads((EXAMPLES / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
