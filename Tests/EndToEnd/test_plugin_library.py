"""The plugins that need a worker to be seen whole: who connects, what nobody gets, what is counted over loops."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from exchange import JSON, SUBSCRIBE, eventually, subscription
from lookups.backend import Backend
from mqtt import packets
from mqtt.client import Client
from mqtt.packets import AUTH
from processes import ROOT, write_whole

SECRET = "a secret of thirty-two bytes at least"


@pytest.fixture
def running(shunt, tmp_path):
    """A worker with these plugins and settings."""

    def start(settings: dict, loops=2, **rules):
        document = {
            "worker": {
                "loops": loops, "masters": [],
                "listeners": {
                    "exchange": {"protocol": "exchange", "listen": "127.0.0.1:0"}, "mqtt": {"protocol": "mqtt", "listen": "127.0.0.1:0"},
                },
            },
            "rules": {"directory": str(ROOT / "plugins"), "enabled": list(settings), "settings": settings} | rules,
        }
        path = tmp_path / "shunt.yaml"
        write_whole(path, json.dumps(document))
        return shunt.worker(config=path)

    return start


def dies(mqtt, worker, name, topic, **more):
    """A client that says nothing and vanishes, with a will on a topic."""
    client = mqtt(worker)
    client.connect(name, will=packets.Will(topic, b"gone", 1, properties={"user": ("tenant", "forged")}), **more)
    client.vanish()


@pytest.fixture
def mqtt(shunt):
    return lambda worker: shunt.closing(Client(worker.listeners["worker.mqtt"], 5))


def token(**claims) -> str:
    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = b".".join(part(json.dumps(each).encode()) for each in ({"alg": "HS256"}, {"sub": "ada", "exp": time.time() + 600} | claims))
    return (signed + b"." + part(hmac.digest(SECRET.encode(), signed, hashlib.sha256))).decode()


def told(message) -> dict:
    return dict(message.all("user"))


def test_a_token_says_who_a_client_is_and_whose_quota_it_uses(running, mqtt):
    worker = running({
        "jwt-auth": {"secrets": {"a": SECRET}, "attributes": {"tenant": "org"}, "required": "mqtt"},
        "tenant-quota": {"by": "attribute", "default": {"day": {"messages": 3}, "connections": 2}},
    })
    assert mqtt(worker).connect("none", refused=True).reason == 0x87
    assert mqtt(worker).connect("wrong", refused=True, more={"user": ("token", token(exp=1))}).reason == 0x87
    one, two = mqtt(worker), mqtt(worker)
    one.connect("one", more={"user": ("token", token(org="acme"))})
    # By MQTT 5.0's authentication, whose claims reach on_connect too.
    two.connect("two", more={"authentication_method": "JWT", "authentication_data": token(org="acme").encode()})
    assert mqtt(worker).connect("three", refused=True, more={"user": ("token", token(org="acme"))}).reason == 0x87
    assert mqtt(worker).connect("other", more={"user": ("token", token(org="other"))}).reason == 0
    reasons = [client.publish("a", b"x", qos=1) for client in (one, two, one, two, one)]
    assert [reason >= 0x80 for reason in reasons] == [False, False, False, True, True]
    two.leave()
    eventually(lambda: mqtt(worker).connect("four", refused=True, more={"user": ("token", token(org="acme"))}).reason == 0)


def test_a_full_quota_lets_a_client_take_its_own_place_and_nobody_bring_more_along(running, connect, mqtt):
    worker = running({"tenant-quota": {"separator": "@", "default": {"connections": 1, "subscriptions": 2}}}, loops=2)
    for _ in range(4):
        mqtt(worker).connect("phone", user="ada@acme")
    assert mqtt(worker).connect("laptop", user="ada@acme", refused=True).reason == 0x87
    device = connect(worker.exchange)
    for number, name in enumerate(("u@one", "u@other", "u@one")):
        device.register(name)
        answers = [device.request(SUBSCRIBE, subscription(f"t/{number}/{each}", "g"), format=JSON).status for each in range(3)]
        assert answers == ([200, 200, 403] if number == 0 else [403] * 3), name


def test_the_subscriptions_of_a_session_count_when_its_client_comes_back(running, mqtt):
    worker = running({"tenant-quota": {"separator": "@", "default": {"connections": 2, "subscriptions": 3}}}, loops=2)

    def comes(name, **more):
        client = mqtt(worker)
        client.connect(name, user="ada@acme", clean=False, more={"session_expiry": 60}, **more)
        return client

    first = comes("first")
    assert first.subscribe("a", "b") == [0, 0]
    first.vanish()
    second = comes("second")
    eventually(lambda: second.subscribe("c", "d") == [0, 0], what="room once the first has gone")
    assert comes("first", refused=True).connack.reason == 0x87
    second.unsubscribe("d")
    first = comes("first")
    assert first.connack.session_present
    # It may take its own place, and ask for what it has.
    first = comes("first")
    assert first.subscribe("a", "b") == [0, 0]
    assert second.subscribe("e")[0] >= 0x80
    first.unsubscribe("a")
    assert second.subscribe("e") == [0]


def test_a_client_renews_its_token_and_stays(running, mqtt):
    worker = running({"jwt-auth": {"secrets": {"a": SECRET}, "leeway": "0s"}})
    client = mqtt(worker)
    method = {"authentication_method": "JWT"}
    other = mqtt(worker)
    for each in (client, other):
        each.connect("one" if each is client else "two", more=method | {"authentication_data": token(exp=time.time() + 2).encode()})
    client.send(packets.auth(0x19, more=method | {"authentication_data": token().encode()}))
    assert client.wait(AUTH).reason == 0
    assert other.ended() is not None, "the one that has not renewed it is closed when its token ends"
    client.ping()


def test_what_nobody_gets_is_tried_again_and_parked(running, connect, mqtt):
    worker = running({"dead-letter": {"letters": [
        {"topic": "orders/+", "to": "dead/orders", "retries": 2, "wait": "1s"},
        {"topic": "jobs/#", "to": "dead/jobs", "needs": ["id"], "envelope": True},
    ]}})
    dead = mqtt(worker)
    dead.connect("dead")
    dead.subscribe("dead/#", qos=1)
    producer = connect(worker.exchange)
    assert producer.message("orders/1", "lost").status == 500
    letter = dead.message()
    props = told(letter)
    assert (letter.topic, letter.payload) == ("dead/orders", b"lost")
    assert (props["dead-letter-reason"], props["dead-letter-attempts"]) == ("no subscriber", "2")
    assert producer.message("orders/2", "found").status == 500
    consumer = connect(worker.exchange).subscribe("orders/2")
    assert consumer.receive(1)[0].text == "found", "a retry reaches who has come meanwhile"
    assert producer.message("jobs/1", '{"name":1}', format=JSON).status == 200
    assert json.loads(dead.message().payload)["reason"] == "without id"


def test_no_dead_letter_is_lost_where_a_call_has_no_time_to_send_them_all(running, connect, mqtt):
    worker = running({"dead-letter": {"letters": [{"topic": "orders/+", "to": "dead/orders"}], "bytes": "16MiB"}}, loops=1)
    dead, producer = connect(worker.exchange).subscribe("dead/#"), mqtt(worker)
    producer.connect("producer")
    # A call takes them in one by one, and has 90 of them to send at once: more than 2 ms of work.
    many = [("user", (f"name-{number}", "value")) for number in range(200)]
    for number in range(90):
        producer.publish("orders/1", str(number).encode(), qos=0, more=many)
    producer.ping()
    assert sorted(int(frame.text) for frame in dead.receive(90)) == list(range(90))
    assert sum(value for name, value in worker.metrics().items() if 'hook="on_tick",code="rule.time"' in name) > 0


def test_a_retry_does_not_make_a_messages_life_longer_and_odd_names_have_letters(running, connect, mqtt):
    worker = running({"dead-letter": {"letters": [
        {"topic": "orders/+", "to": "dead/orders", "retries": 1, "wait": "1s"}, {"topic": "jobs/+", "to": "dead/jobs", "json": True},
    ]}})
    sender, reader = mqtt(worker), mqtt(worker)
    for each in (sender, reader):
        each.connect("sender" if each is sender else "reader")
    sender.publish("orders/1", b"lasts", qos=1, more={"message_expiry": 60})
    sender.publish("orders/2", b"over by then", qos=1, more={"message_expiry": 1})
    sender.publish("orders/3", b"many", qos=1, more=[("user", (f"name-{number}", "value")) for number in range(1022)])
    reader.subscribe("#", qos=1)
    found = [reader.message() for _ in range(3)]
    assert sorted((each.topic, each.payload) for each in found) == [
        ("dead/orders", b"over by then"), ("orders/1", b"lasts"), ("orders/3", b"many")]
    assert [each.get("message_expiry") <= 59 for each in found if each.topic == "orders/1"] == [True]
    eve = connect(worker.exchange).register("ev\nil")
    assert eve.message("jobs/a\nb", "no JSON").status == 200
    letter = told(reader.message())
    assert (letter["dead-letter-topic"], letter["dead-letter-sender"]) == ("jobs/a?b", "ev?il")


def test_dead_letters_without_a_reader_come_to_rest(running, connect):
    worker = running({"dead-letter": {"letters": [{"to": "dead", "retries": 1, "wait": "1s"}]}})
    assert connect(worker.exchange).message("orders/1", "lost").status == 500

    def counted(what):
        found = worker.metrics().items()
        return sum(value for name, value in found if name.startswith("shunt_rule_dead_letter_total") and f'what="{what}"' in name)

    eventually(lambda: counted("parked") == 1)
    # The letter itself has had no reader by the time that another message has become one.
    assert connect(worker.exchange).message("orders/2", "lost too").status == 500
    eventually(lambda: counted("parked") == 2)
    assert (counted("retried"), counted("lost")) == (2, 0)


def test_duplicates_are_known_on_all_loops_and_told_from_second_tries(running, connect):
    worker = running({"dedupe": {"streams": [{"topic": "orders/+", "by": "field", "field": "id", "among": "stream"}]}})
    producers = [connect(worker.exchange) for _ in range(4)]
    assert [each.message("orders/1", '{"id":1}', format=JSON).status for each in producers[:2]] == [500, 500], "nobody got it: it may be sent again"
    consumer = connect(worker.exchange).subscribe("orders/#")
    for number in range(20):
        assert {each.message("orders/1", json.dumps({"id": number}), format=JSON).status for each in producers} == {200}
    assert [json.loads(frame.text)["id"] for frame in consumer.receive(20)] == list(range(20))
    producers[0].message("orders/1", '{"id":"last"}', format=JSON)
    assert json.loads(consumer.receive(1)[0].text) == {"id": "last"}


def test_duplicates_are_known_through_a_reload_that_puts_a_stream_in_front(running, connect, tmp_path):
    worker = running({"dedupe": {"streams": [{"topic": "orders/+"}]}})
    consumer, producer = connect(worker.exchange).subscribe("orders/#"), connect(worker.exchange)
    assert producer.message("orders/1", "one").status == 200
    document = json.loads((tmp_path / "shunt.yaml").read_text())
    document["rules"]["settings"]["dedupe"]["streams"].insert(0, {"topic": "alarms/+"})
    write_whole(tmp_path / "shunt.yaml", json.dumps(document))
    assert "read the configuration again" in worker.reload()
    for text in ("one", "two"):
        assert producer.message("orders/1", text).status == 200
    assert [frame.text for frame in consumer.receive(2)] == ["one", "two"]


def test_wills_of_several_clients_are_not_one_message(running, mqtt):
    worker = running({"dedupe": {"streams": [{"topic": "status/+", "among": "sender"}]}})
    watcher = mqtt(worker)
    watcher.connect("watcher")
    watcher.subscribe("status/#", qos=1)
    for number in range(3):
        device = mqtt(worker)
        device.connect(f"device-{number}", user=f"device-{number}", will=packets.Will(f"status/{number}", b"offline", 1))
        device.vanish()
    assert sorted(watcher.message().topic for _ in range(3)) == ["status/0", "status/1", "status/2"]


def test_wills_count_with_their_clients_messages_and_get_what_is_known_of_them(running, mqtt, shunt):
    backend = shunt.closing(Backend(lambda method, target, body: (0, 200, b'{"tenant":"acme"}')))
    worker = running(
        {
            "rate-limit": {"limits": [{"topic": "often", "rate": 0.001, "burst": 2}]},
            "tenant-quota": {"separator": "@", "default": {"day": {"messages": 5}, "connections": 2}},
            "enrich": {"url": backend.url + "/{uid}", "attributes": {"tenant": "tenant"}, "topics": ["often", "known"]},
        },
        lookups={"enrich": {"hosts": [backend.host]}}, loops=1,
    )
    reader = mqtt(worker)
    reader.connect("reader", user="eve@readers")
    reader.subscribe("#", qos=1)
    for topic in ("often", "often", "often", "known", "known", "known", "known"):
        dies(mqtt, worker, "device", topic, user="ada@acme")
    dies(mqtt, worker, "device", "last", user="bob@other")
    got = []
    while not got or got[-1].topic != "last":
        got.append(reader.message())
    assert [each.topic for each in got] == ["often", "often", "known", "known", "known", "last"]
    assert [told(each)["tenant"] for each in got] == ["acme"] * 5 + ["forged"]


def test_a_rate_counts_what_clients_send_and_not_what_rules_send_on(running, connect):
    worker = running({
        "rate-limit": {"limits": [{"rate": 0.001, "burst": 2}]}, "topic-router": {"routes": [{"topic": "in/+", "to": "out/{2}"}]},
    })
    connect(worker.exchange).subscribe("out/+")
    producer = connect(worker.exchange)
    assert [producer.message("in/1", "x").status for _ in range(3)] == [200, 200, 403]


def test_what_a_service_says_of_a_client_goes_with_its_messages(running, connect, mqtt, shunt):
    def answer(method, target, body):
        return 0.05, 200 if target == "/clients/ada" else 404, b'{"org":{"id":"acme"}}'

    backend = shunt.closing(Backend(answer))
    worker = running(
        {"enrich": {"url": backend.url + "/clients/{uid}", "attributes": {"tenant": "org.id"}, "topics": ["orders/#"], "unknown": "reject"}},
        lookups={"enrich": {"hosts": [backend.host]}},
    )
    consumer, producer = mqtt(worker), mqtt(worker)
    consumer.connect("reader", user="ada")
    consumer.subscribe("orders/#", qos=1)
    producer.connect("writer", user="ada")
    producer.publish("orders/1", b"x", qos=1, more={"user": ("tenant", "forged")})
    assert told(consumer.message())["tenant"] == "acme"
    device = connect(worker.exchange).register("ada")
    assert device.message("orders/2", "y").status == 200
    assert told(consumer.message())["tenant"] == "acme"
    for name in ("eve", "..", "x" * 257, ""):
        assert mqtt(worker).connect("eve", user=name, refused=True).reason == 0x87, "nobody is asked about some, who are as unknown"


def test_what_is_known_of_a_client_ends_when_it_registers_as_another(running, connect, shunt):
    def answer(method, target, body):
        return 0, 200 if target == "/ada" else 404, b'{"tenant":"acme","odd":"a\\nb"}'

    backend = shunt.closing(Backend(answer))
    worker = running(
        {"enrich": {"url": backend.url + "/{uid}", "attributes": {"tenant": "tenant", "odd": "odd"}, "topics": ["#"], "add": "payload"}},
        lookups={"enrich": {"hosts": [backend.host]}},
    )
    consumer, producer = connect(worker.exchange).subscribe("orders/#"), connect(worker.exchange)
    for name, known in (("ada", {"tenant": "acme"}), ("eve", {})):
        producer.register(name)
        assert producer.message("orders/1", "{}", format=JSON).status == 200
        assert json.loads(consumer.receive(1)[0].text) == {"client": known}


def test_schemas_splits_and_places_together(running, connect):
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
    region = {"name": "date-line", "to": "areas/{region}", "circle": {"lat": 0, "lon": 180, "meters": 50000}}
    split = {"topic": "jobs", "by": "key", "to": [{"topic": "jobs/a", "weight": 1}, {"topic": "jobs/b", "weight": 1}]}
    worker = running({
        "json-schema": {"schemas": [{"topic": "vehicles/#", "schema": schema}]},
        "geo-fanout": {"topics": ["vehicles/+"], "regions": [region]},
        "weighted-split": {"splits": [split]},
    })
    area, jobs = connect(worker.exchange).subscribe("areas/date-line"), connect(worker.exchange).subscribe("jobs/+")
    connect(worker.exchange).subscribe("vehicles/+")
    producer = connect(worker.exchange)
    answer = producer.message("vehicles/1", '{"lat":0.1,"lon":-179.9}', format=JSON)
    assert (answer.status, answer.text) == (403, "it does not fit its schema: required at the top")
    for lon in ("179.9", "-179.9", "0"):
        assert producer.message("vehicles/1", f'{{"id":"v","lat":0.1,"lon":{lon}}}', format=JSON).status == 200
    assert [json.loads(frame.text)["lon"] for frame in area.receive(2)] == [179.9, -179.9]
    places = {}
    for number in range(60):
        assert producer.message("jobs", str(number), key=f"k{number % 20}").status == 200
    for frame in jobs.receive(60):
        places.setdefault(frame.key, set()).add(frame.topic)
    assert len(places) == 20 and all(len(each) == 1 for each in places.values())
    assert set().union(*places.values()) == {"jobs/a", "jobs/b"}
