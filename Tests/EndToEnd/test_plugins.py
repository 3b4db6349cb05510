"""The plugins that come with Shunt, on a configuration that changes while they run."""

import json
import re

import pytest

from exchange import JSON
from processes import copy_plugins, write_whole

CONFIGURATION = """
worker:
  loops: 1
  masters: []
  listeners: {{ exchange: {{ protocol: exchange, listen: "127.0.0.1:0" }} }}
rules:
  directory: {plugins}
  enabled: [topic-router, rate-limit, redact]
  settings:
    topic-router:
      apply: all
      routes:
        - {{ topic: orders/+, when: {{ region: [eu, uk] }}, to: ["orders/{{1}}", "{{region}}/orders"] }}
        - {{ topic: alarms/#, to: "audit/{{2}}" }}
    rate-limit:
      limits: [{{ topic: chatter/#, rate: 0.001, burst: {burst} }}]
    redact:
      redactions:
        - {{ topic: orders/+, remove: [card.cvc], mask: [card.number], hash: [customer], salt: eight or more }}
"""


@pytest.fixture
def configured(shunt, tmp_path):
    """A worker with all three, on a configuration that a test may write anew."""
    plugins = copy_plugins(tmp_path / "plugins", "topic-router", "rate-limit", "redact")
    path = tmp_path / "shunt.yaml"

    def write(burst=3):
        write_whole(path, CONFIGURATION.format(plugins=plugins, burst=burst))
        return path

    worker = shunt.worker(config=write())
    return worker, write, plugins


def test_topic_router_routes_by_topic_and_by_payload(configured, connect):
    worker, _, _ = configured
    consumer, producer = connect(worker.exchange).subscribe("#"), connect(worker.exchange)
    assert producer.message("orders/1", '{"region":"eu"}', format=JSON).status == 200
    assert producer.message("orders/2", '{"region":"us"}', format=JSON).status == 200
    assert producer.message("alarms/fire/1", "hot").status == 200
    topics = [frame.topic for frame in consumer.receive(4)]
    assert sorted(topics) == ["audit/fire", "eu/orders", "orders/2", "orders/orders"]


def test_redact_removes_masks_and_hashes(configured, connect):
    worker, _, _ = configured
    consumer, producer = connect(worker.exchange).subscribe("orders/1"), connect(worker.exchange)
    order = {"id": 1, "card": {"number": "4111111111111111", "cvc": "123"}, "customer": "ada"}
    assert producer.message("orders/1", json.dumps(order), format=JSON).status == 200
    clean = json.loads(consumer.receive(1)[0].text)
    assert clean["id"] == 1 and clean["card"] == {"number": "************1111"}
    assert re.fullmatch("sha256:[0-9a-f]{64}", clean["customer"])
    unchanged = b'{ "id" : 2 }'
    assert producer.message("orders/1", unchanged, format=JSON).status == 200
    assert consumer.receive(1)[0].value == unchanged


def test_rate_limit_refuses_beyond_the_burst_each_sender_by_itself(configured, connect):
    worker, _, _ = configured
    connect(worker.exchange).subscribe("chatter/#")
    for sender in (connect(worker.exchange), connect(worker.exchange)):
        statuses = [sender.message("chatter/1", "x").status for _ in range(5)]
        assert statuses == [200, 200, 200, 403, 403]


def test_changed_settings_take_effect_by_a_signal_without_losing_a_message(configured, connect):
    worker, write, _ = configured
    consumer = connect(worker.exchange).subscribe("steady").subscribe("chatter/#")
    producer = connect(worker.exchange)
    ids = [producer.publish("steady", str(number)) for number in range(500)]
    write(burst=10)
    assert "read the configuration again" in worker.reload()
    ids += [producer.publish("steady", str(number)) for number in range(500, 1000)]
    assert [answer.id for answer in producer.take_answers(1000) if answer.status == 200] == ids
    assert [frame.text for frame in consumer.receive(1000)] == [str(number) for number in range(1000)]
    sender = connect(worker.exchange)
    assert [sender.message("chatter/1", "x").status for _ in range(11)] == [200] * 10 + [403]


BROKEN = {
    "a syntax error": "local R = {\nthis is no Lua", "an unknown hook": "return { on_mesage = function() end }",
    "a failing on_load": "return { on_load = function() error('no settings') end, on_message = function() end }",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_keeps_the_old_one_running_and_the_reason_is_logged(configured, connect, name):
    worker, write, plugins = configured
    consumer, producer = connect(worker.exchange).subscribe("orders/1"), connect(worker.exchange)
    (plugins / "redact/rule.lua").write_text(BROKEN[name])
    write(burst=10)
    log = worker.reload()
    assert "stays as it was" in log and "rule.lua:" in log
    assert producer.message("orders/1", '{"card":{"number":"4111111111111111"}}', format=JSON).status == 200
    assert json.loads(consumer.receive(1)[0].text)["card"]["number"] == "************1111"
    (plugins / "redact/rule.lua").write_text("return { on_message = function(m) return route.drop('all') end }")
    (plugins / "redact/rule_test.lua").unlink()
    assert "read the configuration again" in worker.reload()
    assert producer.message("orders/1", '{"card":{"number":"4111111111111111"}}', format=JSON).status == 200
    assert not consumer.inbox
