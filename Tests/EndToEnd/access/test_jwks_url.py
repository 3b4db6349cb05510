"""Keys for tokens that an address gives (`access.jwt.keys`)."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from access.answering import FLOOD, Answering, always, slow
from access.test_access import OPEN, connect
from exchange import eventually
from mqtt import packets
from mqtt.client import Client
from processes import run


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def secret(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def key_set(*names: str) -> dict:
    return {"keys": [{"kty": "oct", "kid": name, "alg": "HS256", "k": encoded(secret(name))} for name in names]}


def token(name: str, **claims) -> str:
    text = encoded(json.dumps({"alg": "HS256", "kid": name}).encode()) + "." + encoded(json.dumps({"sub": "ada"} | claims).encode())
    return text + "." + encoded(hmac.new(secret(name), text.encode(), hashlib.sha256).digest())


@pytest.fixture
def fetching(shunt):
    def start(answer, **more):
        source = shunt.closing(Answering(answer))
        worker = shunt.worker(OPEN | {"access.jwt.keys": source.url, "access.jwt.refresh": "1h", "access.jwt.keep": "2h",
                                      "worker.listeners.exchange.allow_anonymous": "true"} | more)
        worker.source = source
        worker.age = f'shunt_access_keys_age_seconds{{address="{source.url}"}}'
        worker.usable = f'shunt_access_keys_usable{{address="{source.url}"}}'
        return worker

    return start


def reason(worker, given: str) -> int:
    client = Client(worker.listeners["worker.mqtt"], 5)
    client.send(packets.connect(5, "", user="any", password=given.encode()))
    return client.wait(packets.CONNACK).reason


def test_keys_are_fetched_at_the_start_and_a_new_one_counts(fetching):
    worker = fetching(slow(0.5, always(200, key_set("one"))), **{"access.jwt.refresh": "1s"})
    assert reason(worker, token("one")) == 0, "a client waits for the first keys"
    assert reason(worker, token("one")[:-6] + "AAAAAA") == 0x86
    assert worker.metric(worker.usable) == 1 and worker.age in worker.metrics()
    worker.source.answer = always(200, key_set("two"))
    eventually(lambda: reason(worker, token("one")) == 0x86, 20)
    assert reason(worker, token("two")) == 0
    assert worker.stderr.count("keys for tokens are fetched") == 1


def test_an_unknown_key_leads_to_one_fetch(fetching):
    worker = fetching(always(200, key_set("one")))
    assert reason(worker, token("one")) == 0
    worker.source.answer = slow(0.3, always(200, key_set("one", "two")))
    clients = [Client(worker.listeners["worker.mqtt"], 5) for _ in range(10)]
    for client in clients:
        client.send(packets.connect(5, "", user="any", password=token("two").encode()))
    assert [client.wait(packets.CONNACK).reason for client in clients] == [0] * 10
    assert len(worker.source.asked) == 2
    worker.reload()
    assert reason(worker, token("two")) == 0 and len(worker.source.asked) == 2, "a reload keeps what is known"
    # A stranger makes the worker fetch no more than that.
    assert reason(worker, token("three")) == 0x86
    assert len(worker.source.asked) == 2


def test_keys_stay_for_a_while_when_the_source_is_down(fetching, shunt):
    worker = fetching(always(200, key_set("one")), **{"access.jwt.refresh": "1s", "access.jwt.keep": "6s"})
    assert reason(worker, token("one")) == 0
    port = worker.source.port
    worker.source.close()
    worker.wait_log("the last ones count for")
    assert reason(worker, token("one")) == 0, "they still count"
    worker.wait_log("keys for tokens are too old")
    assert reason(worker, token("one")) == 0x88
    worker.wait_metric(worker.usable, 0)
    again = shunt.closing(Answering(always(200, key_set("one")), port))
    again.wait_asked(1)
    eventually(lambda: reason(worker, token("one")) == 0, 20)
    assert worker.stderr.count("the last ones count for") == 1 and worker.stderr.count("keys for tokens are too old") == 1
    assert worker.stderr.count("keys for tokens are fetched") == 2


@pytest.mark.parametrize("status,body", [(500, key_set("one")), (200, b"<html>"), (200, FLOOD), (200, b""), (404, b""), (200, {"keys": []})])
def test_what_is_no_key_set_costs_nothing_else(fetching, status, body):
    worker = fetching(always(status, body))
    worker.wait_log("keys for tokens cannot be fetched, tokens are refused")
    assert reason(worker, token("one")) == 0x88
    assert worker.peak() < 200 << 20
    worker.source.answer = always(200, key_set("one"))
    eventually(lambda: reason(worker, token("one")) == 0, 40)
    worker.wait_metric(worker.usable, 1)


def test_a_bad_set_does_not_take_the_place_of_a_good_one(fetching):
    worker = fetching(always(200, key_set("one")), **{"access.jwt.refresh": "1s"})
    assert reason(worker, token("one")) == 0
    worker.source.answer = always(200, b"{}")
    worker.wait_log("the last ones count for")
    assert reason(worker, token("one")) == 0


def test_a_worker_starts_without_the_source(shunt):
    source = Answering(always(200, key_set("one")))
    source.close()
    worker = shunt.worker(OPEN | {"access.jwt.keys": source.url, "worker.listeners.exchange.allow_anonymous": "true"})
    assert reason(worker, token("one")) == 0x88
    worker.wait_log("keys for tokens cannot be fetched, tokens are refused")
    worker.wait_metric('shunt_access_refused_total{reason="keys"}', 1)
    again = shunt.closing(Answering(always(200, key_set("one")), source.port))
    eventually(lambda: reason(worker, token("one")) == 0, 40)
    assert again.asked
    ada = connect(worker, 5, "any", token("one", exp=time.time() + 100))
    assert ada.subscribe("x") == [0]


def test_keys_that_would_not_count_in_between_are_an_error():
    checked = run("worker", "--check", "--set", "access.jwt.keys=https://id.example.org/keys", "--set", "access.jwt.keep=1m")
    assert checked.returncode == 78 and "access.jwt.keep" in checked.stderr
