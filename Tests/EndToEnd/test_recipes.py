"""The recipes of docs/rules-recipes.md: the page's code is the files' code, and each has tests that pass."""

import json
import pathlib
import re

import pytest

from exchange import JSON, eventually
from mqtt import packets
from mqtt.client import Client
from processes import run, write_whole

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/recipes"
PAGE = (ROOT / "docs/rules-recipes.md").read_text()
BLOCKS = dict(re.findall(r"```lua\n-- examples/recipes/([\w-]+)/rule\.lua\n(.*?)```", PAGE, re.S))


def test_the_page_shows_each_recipe_as_it_is():
    assert sorted(BLOCKS) == sorted(folder.name for folder in FOLDER.iterdir()) and len(BLOCKS) >= 10
    for name, code in BLOCKS.items():
        assert code == (FOLDER / name / "rule.lua").read_text(), f"{name}: the page's code is not the file's"


def test_the_table_leads_to_each_recipe():
    headings = set(re.findall(r"^## (.*)$", PAGE, re.M))
    links = re.findall(r"^\| \[(.*)\]\(#(.*)\) \| `([\w-]+)` \|$", PAGE, re.M)
    assert {name for _, _, name in links} == set(BLOCKS)
    for title, anchor, _ in links:
        assert title in headings and anchor == title.lower().replace(" ", "-")


def test_every_recipe_has_tests_that_pass_without_a_warning():
    result = run("rule", "test", FOLDER)
    assert result.returncode == 0 and "0 failed" in result.stdout and "warning" not in result.stdout, result
    for name in BLOCKS:
        assert f"passed  {name}: " in result.stdout, name


@pytest.fixture
def running(shunt, tmp_path):
    """A worker with one of the recipes."""

    def start(recipe):
        path = tmp_path / "shunt.yaml"
        listeners = {name: {"protocol": name, "listen": "127.0.0.1:0"} for name in ("exchange", "mqtt")}
        write_whole(path, json.dumps({
            "worker": {"loops": 1, "masters": [], "listeners": listeners}, "rules": {"directory": str(FOLDER), "enabled": [recipe]},
        }))
        return shunt.worker(config=path)

    return start


@pytest.fixture
def mqtt(shunt):
    return lambda worker: shunt.closing(Client(worker.listeners["worker.mqtt"], 5))


def test_a_tenants_wills_and_its_clients_of_both_protocols_stay_inside(running, mqtt, connect):
    worker = running("tenant-prefix")
    reader, mortal = mqtt(worker), mqtt(worker)
    reader.connect("reader", user="ada@acme")
    reader.subscribe("orders/#", qos=1)
    mortal.connect("mortal", user="bob@acme", will=packets.Will("orders/gone", b"gone", 1))
    mortal.vanish()
    assert reader.message().topic == "acme/orders/gone"
    assert connect(worker.exchange).register("eve@other").message("orders/1", "x").status == 500
    assert connect(worker.exchange).register("eve@acme").message("orders/1", "x").status == 200
    assert reader.message().topic == "acme/orders/1"


def test_a_second_try_of_what_nobody_got_passes_and_a_double_does_not(running, connect):
    worker = running("deduplicate")
    producer = connect(worker.exchange)
    assert producer.message("events/1", "open").status == 500
    consumer = connect(worker.exchange).subscribe("events/#")
    assert [producer.message("events/1", text).status for text in ("open", "open", "shut")] == [200, 200, 200]
    assert [frame.text for frame in consumer.receive(2)] == ["open", "shut"]


def test_no_payment_goes_on_without_its_copy(running, connect):
    worker = running("audit-copy")
    audit, producer = connect(worker.exchange).subscribe("audit/#"), connect(worker.exchange)
    for topic in (b"payments/eu", b"payments/\xff"):
        assert producer.message(topic, '[{"sum":5,"card":"4111"}]', format=JSON).status == 200
    copies = [json.loads(frame.text) for frame in audit.receive(2)]
    assert [copy["topic"] for copy in copies] == ["payments/eu", "cGF5bWVudHMv/w=="]
    assert all(copy["payment"] == [{"sum": 5}] for copy in copies)


def test_a_device_of_either_protocol_is_missed_and_back_and_one_that_says_goodbye_is_not(running, connect, mqtt):
    worker = running("dead-device")

    def logged():
        lines = [json.loads(line) for line in worker.stderr.splitlines() if "a watched device" in line]
        return [(line["message"].split()[-1], json.loads(line["metadata"]["fields"])["uid"]) for line in lines]

    connect(worker.exchange).register("pump", tags=["watched"]).close()
    eventually(lambda: logged() == [("gone", "pump")])
    connect(worker.exchange).register("pump", tags=["watched"])
    for name in ("left", "taken", "taken", "u" * 600, "lost"):
        device = mqtt(worker)
        device.connect(name[:9], user=name, more={"user": ("tag", "watched")})
        if name == "left":
            device.leave()
    device.vanish()
    eventually(lambda: logged() == [("gone", "pump"), ("back", "pump"), ("gone", "lost")])
