"""An HTTP service that is asked about clients (`access.http`)."""

import json
import re
import ssl
import time
from pathlib import Path

import pytest

from access.answering import FLOOD, Answering, always, slow
from access.test_access import OPEN, connect, hashed
from access.test_jwks_url import key_set, token
from exchange import JSON, REGISTER, Client as ExchangeClient, eventually
from mqtt import packets
from mqtt.client import Client
from processes import run
from tls.certificates import Certificates

SECRET = "a-secret-that-nobody-logs"
ALLOW, DENY, IGNORE = ({"result": word} for word in ("allow", "deny", "ignore"))
METRIC = "shunt_access_http_total"


@pytest.fixture
def asking(shunt):
    """A worker that asks a service: `answer` says what it answers, `more` are other settings."""

    def start(answer, **more):
        service = shunt.closing(Answering(answer))
        worker = shunt.worker(OPEN | {"access.http.url": service.url, "access.http.timeout": "10s", "worker.listeners.exchange.listen": "127.0.0.1:0",
                                      "log.level": "debug"} | more)
        worker.service = service
        return worker

    yield start
    for process in shunt.all:
        for path in process.folder.rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), path


def reason(worker, user="ada", password=SECRET, version=5, name="phone") -> int:
    client = Client(worker.listeners["worker.mqtt"], version)
    client.send(packets.connect(version, name, user=user, password=password and password.encode()))
    return client.wait(packets.CONNACK).reason


def results(worker) -> dict:
    return {match[1]: value for name, value in worker.metrics().items() if (match := re.match(METRIC + r'\{.*result="(\w+)"', name)) and value}


def test_the_service_is_told_who_asks(asking):
    worker = asking(always(200, ALLOW))
    assert reason(worker) == 0
    assert worker.service.asked == [{"client_id": "phone", "user": "ada", "password": SECRET, "address": "127.0.0.1", "listener": "mqtt",
                                     "protocol": "mqtt", "certificate": None}]
    client = ExchangeClient(worker.exchange)
    body = {"uid": "bob", "device": "phone", "tags": [], "alias": [], "token": f"bob:{SECRET}"}
    assert client.request(REGISTER, json.dumps(body).encode(), format=JSON).status == 200
    assert worker.service.asked[1] == {"client_id": "", "user": "bob", "password": SECRET, "address": "127.0.0.1", "listener": "exchange",
                                       "protocol": "exchange", "certificate": None}


@pytest.mark.parametrize("version,refused,elsewhere", [(5, 0x86, 0x88), (4, 4, 3)])
def test_what_it_answers_decides(asking, version, refused, elsewhere):
    answers = {"ada": (200, ALLOW), "eve": (200, DENY), "new": (200, IGNORE), "broken": (500, ALLOW), "lost": (404, ALLOW), "odd": (200, b"{allow}"),
               "more": (200, ALLOW | {"superuser": True}), "over": (200, ALLOW | {"expires": 1}), "flood": (200, FLOOD), "moved": (302, ALLOW)}
    worker = asking(lambda question: answers[question["user"]])
    assert reason(worker, "ada", version=version) == 0
    assert reason(worker, "eve", version=version) == refused
    assert reason(worker, "new", version=version) == refused, "nothing else knows it"
    for user in ("broken", "lost", "odd", "more", "flood", "moved"):
        assert reason(worker, user, version=version) == elsewhere, user
    assert reason(worker, "over", version=version) == refused
    # The one that answers 500 is asked again.
    assert len(worker.service.asked) == len(answers) + 1
    worker.wait_metric('shunt_access_refused_total{reason="unavailable"}', 6)
    worker.wait_metric('shunt_access_refused_total{reason="http"}', 2)
    assert results(worker) == {"allow": 2, "deny": 1, "ignore": 1, "failed": 6}
    assert worker.stderr.count("the service of access.http gives no answer") == 1
    eventually(lambda: worker.service.was_cut, 20)
    assert worker.peak() < 200 << 20


def test_a_slow_service_times_out(asking):
    worker = asking(slow(3, always(200, ALLOW)), **{"access.http.timeout": "200ms"})
    started = time.monotonic()
    assert reason(worker) == 0x88
    assert time.monotonic() - started < 2
    worker.wait_log("no answer in time")


@pytest.mark.parametrize("on_error,anonymous,expected", [("refuse", "true", 0x88), ("ignore", "true", 0), ("ignore", "false", 0x86)])
def test_a_service_that_is_down(asking, on_error, anonymous, expected):
    worker = asking(always(200, ALLOW), **{"access.http.on_error": on_error, "worker.listeners.mqtt.allow_anonymous": anonymous,
                                           "worker.listeners.exchange.allow_anonymous": "true"})
    worker.service.close()
    assert reason(worker) == expected
    worker.wait_log("the service of access.http gives no answer")
    assert reason(worker) == expected


def test_an_answer_counts_for_a_while(asking):
    worker = asking(always(200, ALLOW), **{"access.http.cache": "3s"})
    assert reason(worker) == 0
    answered = time.monotonic()
    assert [reason(worker) for _ in range(49)] == [0] * 49
    assert time.monotonic() - answered > 2.9 or len(worker.service.asked) == 1
    assert reason(worker, password="other") == 0
    assert worker.service.asked[-1]["password"] == "other", "another password is another question"
    before = len(worker.service.asked)
    worker.service.answer = always(200, DENY)
    eventually(lambda: reason(worker) == 0x86, 20, "asked anew")
    assert len(worker.service.asked) == before + 1 and time.monotonic() - answered > 2.5
    assert reason(worker) == 0x86 and len(worker.service.asked) == before + 1


def test_one_question_is_asked_once_and_many_are_bounded(asking):
    worker = asking(slow(0.3, always(200, ALLOW)), **{"access.http.concurrency": 4, "access.http.timeout": "10s"})
    clients = [Client(worker.listeners["worker.mqtt"], 5) for _ in range(30)]
    for number, client in enumerate(clients):
        name = "same" if number < 20 else f"other-{number}"
        client.send(packets.connect(5, name, user="ada", password=SECRET.encode()))
    # Of clients of one identifier the one that came last stays: one that came before is replaced, or does not come in any more.
    reasons = [client.wait(packets.CONNACK).reason for client in clients]
    assert set(reasons[:19]) <= {0, 0x85} and reasons[19:] == [0] * 11
    assert sorted(question["client_id"] for question in worker.service.asked) == sorted(["same"] + [f"other-{number}" for number in range(20, 30)])


def test_the_answer_says_who_the_client_is_and_what_it_may_do(asking):
    answers = {"ada": ALLOW | {"uid": "a-1", "acl": {"publish": ["up/%u"], "subscribe": ["up/#"]}, "expires": time.time() + 4},
               "bob": ALLOW | {"acl": {"subscribe": ["up/#"]}}}
    worker = asking(lambda question: (200, answers[question["user"]]))
    ada, bob = connect(worker, 5, "ada", SECRET), connect(worker, 5, "bob", SECRET)
    assert ada.subscribe("up/#", "x") == [0, 0x87] and bob.subscribe("up/#") == [0]
    assert ada.publish("up/ada", b"x", 1) == 0x87
    assert ada.publish("up/a-1", b"x", 1) == 0
    assert bob.message().payload == b"x" and ada.message().payload == b"x"
    assert ada.ended() == 0x87, "the answer is over"
    assert bob.subscribe("up/1") == [0]


def test_the_first_that_knows_a_client_decides(asking, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text(f"ada:{hashed('right')}\n")
    worker = asking(always(200, ALLOW), **{"access.password_file": passwords})
    assert reason(worker, "ada", "right") == 0
    assert reason(worker, "ada", "wrong") == 0x86
    assert worker.service.asked == []
    assert reason(worker, "bob") == 0
    assert [question["user"] for question in worker.service.asked] == ["bob"]


def test_a_connection_serves_many_questions_and_may_end_in_between(asking, shunt):
    service = shunt.closing(Answering(always(200, ALLOW), silence=0.5))
    worker = asking(always(200, DENY), **{"access.http.url": service.url, "access.http.retries": 0})
    started = time.monotonic()
    assert [reason(worker, password=str(number)) for number in range(5)] == [0] * 5
    assert service.connections == 1 or time.monotonic() - started > 0.5
    eventually(lambda: service.open == 0, 20, "the service has ended the connection")
    before = service.connections
    assert reason(worker, password="later") == 0 and service.connections == before + 1


def test_a_token_is_not_asked_about(asking, tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(key_set("one")))
    worker = asking(always(200, ALLOW), **{"access.jwt.keys": tmp_path / "keys.json"})
    assert reason(worker, "any", token("one")) == 0
    assert reason(worker, "any", token("other")) == 0x86
    assert worker.service.asked == []
    assert reason(worker, "any") == 0 and reason(worker, None, None) == 0
    assert [question["user"] for question in worker.service.asked] == ["any", None]


def test_a_service_with_a_certificate(asking, shunt, tmp_path):
    certificates = Certificates(tmp_path / "certificates")
    certificates.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    service = shunt.closing(Answering(always(200, ALLOW), context=context))
    trusting = asking(always(200, DENY), **{"access.http.url": service.url, "access.http.ca": certificates["ca.pem"]})
    assert reason(trusting) == 0 and len(service.asked) == 1
    # The system does not know the authority.
    strict = asking(always(200, DENY), **{"access.http.url": service.url})
    assert reason(strict) == 0x88 and len(service.asked) == 1
    strict.wait_log("certificate")
    checked = run("worker", "--check", "--set", f"access.http.url={service.url}", "--set", f"access.http.ca={certificates['server.key']}")
    assert checked.returncode == 78 and "access.http.ca" in checked.stderr


def test_a_client_that_is_denied_again_and_again_waits(asking):
    worker = asking(always(200, DENY))
    started = time.monotonic()
    for number in range(6):
        assert reason(worker, password=f"guess-{number}") == 0x86
    assert time.monotonic() - started > 1


def test_a_reload_takes_other_settings(asking, shunt, tmp_path):
    first, second = shunt.closing(Answering(always(200, ALLOW))), shunt.closing(Answering(always(200, DENY)))

    def text(url: str) -> str:
        return json.dumps({"access": {"http": {"url": url}}, "worker": {"listeners": {"mqtt": {"protocol": "mqtt", "listen": "127.0.0.1:0"}}}})

    worker = shunt.worker(config=text(first.url))
    assert reason(worker) == 0
    worker.reload()
    assert reason(worker) == 0 and len(first.asked) == 1, "what is known stays"
    Path(worker.folder / "config.yaml").write_text(text(second.url))
    worker.reload()
    assert reason(worker) == 0x86 and len(second.asked) == 1 and len(first.asked) == 1


@pytest.mark.parametrize("key", ["access.http.url", "access.jwt.keys"])
def test_secrets_do_not_go_over_the_network_in_clear(key):
    checked = run("worker", "--check", "--set", f"{key}=http://10.0.0.1/x")
    assert checked.returncode == 78 and key in checked.stderr and "https" in checked.stderr
