"""Each answer of a real master against the master's OpenAPI document."""

import os
import signal
import threading
import urllib.parse

import pytest

from admin_api.contract import Contract, send
from exchange import eventually

READER, OPERATOR = "readers-token-0123456789", "operators-token-0123456789"


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


# What each operation is asked, and answers with 200. {…}: what the cluster has in this place.
CALLS = [
    ("get", "/api/v1/status", "/api/v1/status", None),
    ("get", "/api/v1/workers", "/api/v1/workers?state=live&limit=5&offset=0", None),
    ("get", "/api/v1/workers", "/api/v1/workers?offset=1000000", None),
    ("get", "/api/v1/workers/{name}", "/api/v1/workers/{worker}", None),
    ("get", "/api/v1/workers/{name}", "/api/v1/workers/edge-1", None),
    ("get", "/api/v1/workers/{name}/history", "/api/v1/workers/edge-1/history?step=10&figures=requests,connections", None),
    ("get", "/api/v1/history", "/api/v1/history?since=1", None),
    ("get", "/api/v1/workers/{name}/drain", "/api/v1/workers/{worker}/drain", None),
    ("delete", "/api/v1/workers/{name}/drain", "/api/v1/workers/edge-1/drain", None),
    ("get", "/api/v1/balance", "/api/v1/balance", None),
    ("post", "/api/v1/balance", "/api/v1/balance?rate=10", None),
    ("get", "/api/v1/configuration", "/api/v1/configuration", None),
    ("post", "/api/v1/reload", "/api/v1/reload?worker={worker}", None),
    ("get", "/api/v1/log", "/api/v1/log", None),
    ("post", "/api/v1/log", "/api/v1/log?level=info&subsystem=link&worker={worker}", None),
    ("get", "/api/v1/events", "/api/v1/events", None),
    ("get", "/api/v1/events", "/api/v1/events?after=1&since=1&kind=command&limit=1", None),
    ("get", "/api/v1/clients", "/api/v1/clients?search=METER&state=connected&protocol=mqtt&uid=&client=meter-7&worker={worker}", None),
    ("get", "/api/v1/clients", "/api/v1/clients?limit=1000", None),
    ("get", "/api/v1/clients/{client}", "/api/v1/clients/meter-7?subscriptions=1&worker={worker}", None),
    ("get", "/api/v1/clients/{client}", "/api/v1/clients/phone", None),
    ("get", "/api/v1/subscriptions", "/api/v1/subscriptions?filter=%23&limit=3", None),
    ("get", "/api/v1/groups", "/api/v1/groups", None),
    ("get", "/api/v1/topics", "/api/v1/topics?by=bytes&over=total&limit=3", None),
    ("get", "/api/v1/devices", "/api/v1/devices?uid=alice&tag=vip&online=true&worker={worker}", None),
    ("get", "/api/v1/devices/{uid}", "/api/v1/devices/alice", None),
    ("get", "/api/v1/chats", "/api/v1/chats", None),
    ("get", "/api/v1/chats/{id}", "/api/v1/chats/room%2F1", None),
    ("get", "/api/v1/retained", "/api/v1/retained?filter=sensors/%23&limit=1", None),
    ("get", "/api/v1/refused", "/api/v1/refused?address=127.0.0.0/8&limit=500", None),
    ("get", "/api/v1/rules", "/api/v1/rules?worker={worker}", None),
    ("get", "/api/v1/conditions", "/api/v1/conditions", None),
    ("post", "/api/v1/rules/reload", "/api/v1/rules/reload", None),
    ("post", "/api/v1/rules/rollback", "/api/v1/rules/rollback?worker={worker}", None),
    ("get", "/api/v1/bans", "/api/v1/bans", None),
    ("post", "/api/v1/bans", "/api/v1/bans", {"subject": "uid:mallory", "seconds": None, "why": "said so"}),
    ("delete", "/api/v1/bans", "/api/v1/bans?subject=uid:mallory", None),
    ("post", "/api/v1/explain", "/api/v1/explain", {"topic": "sensors/7/status", "payload": "x", "uid": "ada", "qos": 1, "limit": 100}),
    ("post", "/api/v1/explain", "/api/v1/explain", {"topic": "orders/1", "payload_base64": "AAE=", "payloads": True}),
    ("post", "/api/v1/explain", "/api/v1/explain?worker={worker}", {"topic": "no#topic"}),
    ("post", "/api/v1/query", "/api/v1/query", {"sql": "SELECT 1, 1.5, NULL, 'a', x'00ff'"}),
    ("get", "/api/v1/query", "/api/v1/query?sql=SELECT+*+FROM+workers", None),
    ("get", "/api/v1/registry/check", "/api/v1/registry/check", None),
    ("post", "/api/v1/registry/vacuum", "/api/v1/registry/vacuum", None),
    ("get", "/api/v1/openapi.json", "/api/v1/openapi.json", None),
    ("get", "/healthz", "/healthz", None),
    ("get", "/readyz", "/readyz", None),
    ("get", "/metrics", "/metrics", None),
    # The last ones, since they take what the others look at.
    ("delete", "/api/v1/clients/{client}", "/api/v1/clients/phone?end_session=true", None),
    ("delete", "/api/v1/clients", "/api/v1/clients?worker={worker}&session={session}", None),
    ("delete", "/api/v1/chats/{id}", "/api/v1/chats/room%2F1", None),
    ("delete", "/api/v1/retained", "/api/v1/retained?filter=none/%23", None),
]
# What this cluster, of one worker and one master, refuses.
REFUSED = [
    ("post", "/api/v1/workers/{name}/drain", "/api/v1/workers/edge-1/drain?rate=5&exit=true", 400),
    ("post", "/api/v1/step-down", "/api/v1/step-down", 400),
    ("post", "/api/v1/serve", "/api/v1/serve", 400),
    ("get", "/api/v1/traces/{id}", "/api/v1/traces/zz", 404),
    ("delete", "/api/v1/recordings/{id}", "/api/v1/recordings/zz", 404),
    ("get", "/api/v1/history", "/api/v1/history?since=2&until=1", 400),
    ("get", "/api/v1/refused", "/api/v1/refused?address=1.2.3.4:5", 400),
    ("delete", "/api/v1/bans", "/api/v1/bans?subject=m2", 400),
]
STREAM = "/api/v1/events/stream"
# Asked by tests of their own, since they take an id of the answer before.
TRACED = {f"/api/v1/{name}{end}" for name in ("traces", "recordings") for end in ("", "/{id}")}


@pytest.mark.parametrize(("method", "path", "target", "body"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_answer_is_what_the_document_says(cluster, contract, method, path, target, body):
    target = target.replace("{worker}", quoted(cluster.worker.exchange))
    if "{session}" in target:
        target = target.replace("{session}", cluster.ask("GET", "/api/v1/clients?client=meter-8").json["clients"][0]["session"])
    answer = cluster.ask(method, target, body)
    contract.check(method, path, answer)
    assert answer.status == 200, answer


@pytest.mark.parametrize(("method", "path", "target", "status"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_refusal_is_what_the_document_says(cluster, contract, method, path, target, status):
    answer = cluster.ask(method, target)
    contract.check(method, path, answer)
    assert answer.status == status, answer


@pytest.mark.parametrize("name", ["traces", "recordings"])
def test_a_trace_and_its_messages_are_what_the_document_says(cluster, contract, name):
    path = f"/api/v1/{name}"
    begun = cluster.ask("POST", path, {"topic": "#"})
    contract.check("post", path, begun)
    id = begun.json["workers"][0]["answer"]["id"]
    for topic in ("sensors/7/status", "orders/bad"):
        cluster.people[0].publish(topic, b"\xff", qos=1).wait_for_publish(10)
    seen = []

    def read():
        answer = cluster.ask("GET", f"{path}/{id}?after={len(seen)}")
        contract.check("get", path + "/{id}", answer)
        seen.extend(answer.json["workers"][0]["answer"]["messages"])
        return len(seen) >= 2

    eventually(read, 20, "two messages")
    contract.check("get", "/api/v1/rules", cluster.ask("GET", "/api/v1/rules"))
    contract.check("delete", path + "/{id}", cluster.ask("DELETE", f"{path}/{id}"))


def test_every_operation_is_asked(contract):
    asked = {(method, path) for method, path, *_ in CALLS + REFUSED}
    assert {(method, path) for method, path, _ in contract.operations() if path not in TRACED | {STREAM}} <= asked


def target_of(path: str, operation: dict, value="x") -> str:
    """With all that must be given."""
    query = {
        each["name"]: each["schema"].get("enum", [value])[0]
        for each in operation.get("parameters", []) if each["in"] == "query" and each["required"]}
    for each in operation.get("parameters", []):
        path = path.replace("{%s}" % each["name"], quoted(value))
    return path + ("?" + urllib.parse.urlencode(query) if query else "")


def test_what_is_wrong_everywhere_is_answered_as_the_document_says(cluster, contract):
    for method, path, operation in contract.operations():
        target = target_of(path, operation)
        mark = "&" if "?" in target else "?"
        for status, answer in {
            400: cluster.ask(method, f"{target}{mark}nonsense=1"),
            421: cluster.ask(method, target, host="evil.example"),
        }.items():
            assert answer.status == status, (method, path, answer)
            contract.check(method, path, answer)
        if method == "post":
            answer = cluster.ask(method, target, b" " * ((1 << 20) + 1))
            assert answer.status == 413, (path, answer)
            contract.check(method, path, answer)
        if method != "get":
            answer = cluster.ask(method, target, headers={"Origin": "http://evil.example"})
            assert answer.status == 403, (path, answer)
            contract.check(method, path, answer)


@pytest.mark.parametrize("place", ["parameter", "member"])
def test_a_bound_of_the_document_is_a_bound_of_the_master(cluster, contract, place):
    """Just beyond each bound is refused."""
    for method, path, operation in contract.operations():
        target = target_of(path, operation)
        mark = "&" if "?" in target else "?"
        if place == "parameter":
            for parameter in (each for each in operation.get("parameters", []) if each["in"] == "query"):
                schema = parameter["schema"]
                wrong = [schema[bound] + step for bound, step in (("minimum", -1), ("maximum", 1)) if bound in schema]
                wrong += ["other"] if schema["type"] in ("boolean", "integer") or "enum" in schema else []
                wrong += ["a" * (schema["maxLength"] + 1)] if "maxLength" in schema else []
                for value in wrong:
                    answer = cluster.ask(method, f"{target}{mark}{parameter['name']}={value}")
                    assert answer.status == 400 and answer.json["location"] == parameter["name"], (method, path, parameter, answer)
        elif "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            schema = contract.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
            right = {name: "a" for name in schema["required"]}
            for name in schema["required"]:
                answer = cluster.ask(method, target, {other: value for other, value in right.items() if other != name})
                assert answer.status == 400 and answer.json["location"] == name, answer
            for name, member in schema["properties"].items():
                wrong = [[], {}] + [member[bound] + step for bound, step in (("minimum", -1), ("maximum", 1)) if bound in member]
                wrong += ["a" * (member["maxLength"] + 1)] if "maxLength" in member else []
                wrong += [1] if "string" in member["type"] else ["1"]
                for value in wrong:
                    answer = cluster.ask(method, target, right | {name: value})
                    assert answer.status == 400 and answer.json["location"] == name, (path, name, answer)
            answer = cluster.ask(method, target, right | {"nonsense": 1})
            assert answer.status == 400 and answer.json["location"] == "nonsense", answer


@pytest.mark.parametrize(("method", "path", "target", "body", "status", "code"), [
    ("get", "/api/v1/workers/{name}", "/api/v1/workers/nobody", None, 404, "worker.unknown"),
    ("get", "/api/v1/rules", "/api/v1/rules?worker=nobody", None, 404, "worker.unknown"),
    ("get", "/api/v1/devices/{uid}", "/api/v1/devices/nobody", None, 404, "device.unknown"),
    ("get", "/api/v1/chats/{id}", "/api/v1/chats/nothing", None, 404, "chat.unknown"),
    ("delete", "/api/v1/chats/{id}", "/api/v1/chats/nothing", None, 404, "chat.unknown"),
    ("delete", "/api/v1/clients/{client}", "/api/v1/clients/nobody", None, 404, "client.unknown"),
    ("delete", "/api/v1/clients", "/api/v1/clients?worker={worker}&session=0-9-9", None, 404, "client.unknown"),
    ("delete", "/api/v1/bans", "/api/v1/bans?subject=uid:nobody", None, 404, "ban.unknown"),
    ("post", "/api/v1/bans", "/api/v1/bans", {"subject": "nobody"}, 400, "request.invalid"),
    ("get", "/api/v1/retained", "/api/v1/retained?filter=a%23", None, 400, "filter.invalid"),
    ("delete", "/api/v1/retained", "/api/v1/retained?filter=a%23", None, 400, "filter.invalid"),
    ("get", "/api/v1/subscriptions", "/api/v1/subscriptions?filter=a%23", None, 400, "filter.invalid"),
    ("get", "/api/v1/topics", "/api/v1/topics?by=size", None, 400, "request.invalid"),
    ("get", "/api/v1/query", "/api/v1/query?sql=SELEC", None, 400, "query.invalid"),
    ("post", "/api/v1/query", "/api/v1/query", {"sql": "DELETE FROM workers"}, 403, "registry.read_only"),
    ("post", "/api/v1/query", "/api/v1/query", {"sql": "SELECT printf('%2000d', 1)"}, 422, "query.limit"),
])
def test_each_wrong_request_has_a_code_of_its_own(cluster, contract, method, path, target, body, status, code):
    answer = cluster.ask(method, target.replace("{worker}", quoted(cluster.worker.exchange)), body)
    assert (answer.status, answer.json["code"]) == (status, code), answer
    assert answer.json["help"]
    contract.check(method, path, answer)


def test_a_path_or_a_method_that_is_not_there(cluster, contract):
    assert cluster.ask("GET", "/api/v1/nothing").json["code"] == "not_found"
    for path in contract.document["paths"]:
        known = {method.upper() for method in contract.document["paths"][path]}
        for method in {"GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "HEAD"} - known - ({"HEAD"} if "GET" in known else set()):
            answer = cluster.ask(method, path.replace("{", "").replace("}", ""))
            assert answer.status == 405, (method, path, answer)
            assert set(answer.headers["allow"].split(", ")) == known | ({"HEAD"} if "GET" in known else set())
            assert method == "HEAD" or answer.json["code"] == "method.not_allowed"


def test_a_body_of_a_hundred_megabytes_is_refused_by_its_length_or_where_it_gets_too_long(cluster):
    for headers in ({"Content-Length": str(100 << 20)}, {"Transfer-Encoding": "chunked"}):
        try:
            answer = send(cluster.address, "POST", "/api/v1/query", b"" if "Content-Length" in headers else chunks(100 << 20), headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            continue
        assert (answer.status, answer.json["code"]) == (413, "frame.too_large")
    assert cluster.ask("GET", "/healthz").status == 200


def chunks(size: int) -> bytes:
    part = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    return part * (size // 0x10000)


def test_who_may_ask_is_what_the_document_says(shunt, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read:dash:{READER}\noperate:ops:{OPERATOR}\n")
    tokens.chmod(0o600)
    master = shunt.master({"master.admin.tokens_file": tokens})
    contract = Contract(master.admin)
    for method, path, operation in contract.operations():
        target = target_of(path, operation)
        roles = [role for option in operation["security"] for role in option.get("token", [])]
        refused = send(master.admin, method, target)
        assert (refused.status == 401) == bool(roles), (method, path, refused)
        contract.check(method, path, refused)
        if not roles:
            continue
        assert refused.headers["www-authenticate"].startswith("Bearer")
        reading = send(master.admin, method, target, headers={"Authorization": f"Bearer {READER}"})
        assert (reading.status == 403) == (roles == ["operate"]), (method, path, reading)
        contract.check(method, path, reading)
    # From the sixth on each waits; where too many wait, no more may.
    answers = []

    def guess():
        answers.append(send(master.admin, "GET", "/api/v1/status", headers={"Authorization": "Bearer wrong-token-0123456789"}))

    waiting = [threading.Thread(target=guess) for _ in range(40)]
    for each in waiting:
        each.start()
    for each in waiting:
        each.join()
    answer = next(each for each in answers if each.status == 429)
    assert int(answer.headers["retry-after"]) > 0
    contract.check("get", "/api/v1/status", answer)


def test_a_registry_that_is_gone_is_said_as_the_document_says(shunt):
    master = shunt.master()
    contract = Contract(master.admin)
    moved = master.registry.with_suffix(".moved")
    os.rename(master.registry, moved)
    for path, target in (("/readyz", "/readyz"), ("/api/v1/query", "/api/v1/query?sql=SELECT+1")):
        answer = send(master.admin, "GET", target)
        contract.check("get", path, answer)
        assert (answer.status, answer.json["code"]) == (503, "registry.unavailable")
    os.rename(moved, master.registry)


def test_workers_that_do_not_answer_are_named_and_a_client_that_they_may_have_is_503(shunt):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master})
    worker.wait_metric("shunt_master_connected", 1)
    contract = Contract(master.admin)
    eventually(lambda: send(master.admin, "GET", "/api/v1/conditions").json["workers"], 20, "the worker")
    worker.signal(signal.SIGSTOP)
    try:
        for method, path, status in (
            ("get", "/api/v1/conditions", 200), ("get", "/api/v1/retained", 200), ("get", "/api/v1/refused", 200),
            ("delete", "/api/v1/clients/{client}", 503),
        ):
            answer = send(master.admin, method, path.replace("{client}", "c"))
            contract.check(method, path, answer)
            assert answer.status == status, answer
            if status == 200:
                assert answer.json["missing"] == [worker.exchange]
    finally:
        worker.signal(signal.SIGCONT)
