"""`shunt admin retained`: what two workers retain, listed and cleared through their master."""

import csv
import io
import json
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing
from urllib.parse import quote

import pytest

from exchange import eventually, parse_address
from processes import PATIENCE, run

SECRET = "payload-that-nobody-lists"


class Cluster:
    """A master and two workers that serve MQTT."""

    def __init__(self, shunt):
        self.master = shunt.master()
        self.workers = [
            shunt.worker({
                "worker.masters": self.master.master, "worker.loops": 2, "worker.listeners.mqtt.protocol": "mqtt",
                "worker.listeners.mqtt.listen": "127.0.0.1:0"})
            for _ in range(2)
        ]
        for worker in self.workers:
            worker.wait_metric("shunt_master_connected", 1)
        self.names = [worker.exchange for worker in self.workers]

    def publish(self, number, *arguments):
        host, port = parse_address(self.workers[number].listeners["worker.mqtt"])
        subprocess.run(["mosquitto_pub", "-h", host, "-p", str(port), "-V", "5", "-q", "1", "-r", *arguments], check=True, timeout=PATIENCE)

    def admin(self, *arguments, code=0):
        done = run("admin", "retained", *arguments, "--master", self.master.admin)
        assert done.returncode == code, done
        return done

    def page(self, *arguments) -> dict:
        return json.loads(self.admin(*arguments, "--output", "json").stdout)

    def topics(self, *arguments) -> list[str]:
        return [each["topic"] for each in self.page(*arguments)["retained"]]

    def api(self, parameters, method="GET"):
        request = urllib.request.Request(f"http://{self.master.admin}/api/v1/retained{parameters}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def cluster(shunt):
    return Cluster(shunt)


def test_what_two_workers_retain_is_one_list_without_payloads(cluster):
    cluster.publish(0, "-t", "sensors/a", "-m", SECRET)
    cluster.publish(1, "-t", "sensors/b/ü, \"x\"", "-m", "22", "-D", "publish", "message-expiry-interval", "600")
    cluster.publish(1, "-t", "other", "-m", "")
    cluster.publish(1, "-t", "other", "-m", "1")
    found = cluster.page()
    assert [each["topic"] for each in found["retained"]] == ["other", "sensors/a", "sensors/b/ü, \"x\""]
    assert (found["total"], found["missing"], found.get("next_after")) == (3, [], None)
    _, first, second = found["retained"]
    assert (first["worker"], first["bytes"], first["qos"]) == (cluster.names[0], len(SECRET), 1) and "expires_at" not in first
    assert abs(first["stored_at"] - time.time()) < PATIENCE
    assert second["worker"] == cluster.names[1] and 500 < second["expires_at"] - time.time() <= 600
    table = cluster.admin("sensors/#")
    assert "TOPIC" in table.stdout and "sensors/a" in table.stdout and "other" not in table.stdout
    rows = list(csv.DictReader(io.StringIO(cluster.admin("sensors/#", "--output", "csv").stdout)))
    assert [row["topic"] for row in rows] == ["sensors/a", "sensors/b/ü, \"x\""]
    # What operators see and what the processes leave has metadata only.
    with closing(sqlite3.connect(cluster.master.registry)) as registry:
        assert SECRET not in "\n".join(registry.iterdump())
    texts = [json.dumps(found), table.stdout, cluster.master.stderr, *(worker.stderr for worker in cluster.workers)]
    assert all(SECRET not in text for text in texts)
    assert cluster.topics("$SYS/#") != [] and cluster.topics("sensors/a") == ["sensors/a"] and cluster.topics("nothing/+") == []


def test_pages_hold_every_message_once(cluster):
    for number in range(12):
        cluster.publish(number % 2, "-t", f"p/{number}", "-m", "x")
    for worker in range(2):
        cluster.publish(worker, "-t", "p/both", "-m", "x")
    found, after = [], []
    while True:
        page = cluster.page("p/+", "--limit", "3", *after)
        assert page["total"] == 14 and 0 < len(page["retained"]) <= 3
        found += [(each["topic"], each["worker"]) for each in page["retained"]]
        if "next_after" not in page:
            break
        after = ["--after", page["next_after"]]
    assert len(found) == len(set(found)) == 14 and found == sorted(found)
    assert "3 of 14 retained messages; go on with --after" in cluster.admin("p/+", "--limit", "3").stderr


def test_what_a_filter_takes_is_cleared_at_all_workers(cluster):
    for number in range(20):
        cluster.publish(number % 2, "-t", f"old/{number}", "-m", "x")
    cluster.publish(0, "-t", "kept", "-m", "x")
    assert cluster.admin("old/#", "--clear").stdout == "cleared 20\n"
    assert cluster.topics() == ["kept"]
    assert cluster.admin("old/#", "--clear", "--output", "csv").stdout.split() == ["cleared", "0"]
    assert json.loads(cluster.admin("kept", "--clear", "--output", "json").stdout) == {"cleared": 1, "missing": []}
    assert cluster.topics() == []
    host, port = parse_address(cluster.workers[0].listeners["worker.mqtt"])
    heard = subprocess.run(
        ["mosquitto_sub", "-h", host, "-p", str(port), "-t", "old/#", "-t", "kept", "-W", "1"], capture_output=True, timeout=PATIENCE)
    assert heard.stdout == b""


def test_a_worker_that_does_not_answer_is_named_within_seconds(cluster):
    for number in range(2):
        cluster.publish(number, "-t", f"t/{number}", "-m", "x")
    cluster.workers[1].signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        found = cluster.page()
        assert 1 < time.monotonic() - began < 10, "two seconds, and what a busy machine adds"
        assert [each["topic"] for each in found["retained"]] == ["t/0"] and found["missing"] == [cluster.names[1]]
        assert f"no answer from {cluster.names[1]}" in cluster.admin().stderr
        cleared = cluster.admin("t/#", "--clear", code=69)
        assert cleared.stdout == "cleared 1\n" and cluster.names[1] in cleared.stderr
    finally:
        cluster.workers[1].signal(signal.SIGCONT)
    # The link holds; what was asked meanwhile is done.
    eventually(lambda: cluster.page()["missing"] == [] and cluster.topics() == [], PATIENCE)


@pytest.mark.parametrize("parameters, method, code", [
    ("?filter=a/%23/b", "GET", "filter.invalid"), ("?filter=", "GET", "filter.invalid"), ("?limit=0", "GET", "request.invalid"),
    ("?limit=501", "GET", "request.invalid"), ("?after=nowhere", "GET", "request.invalid"), ("?offset=1", "GET", "request.invalid"),
    ("", "DELETE", "request.invalid"), ("?filter=a%2Bb", "DELETE", "filter.invalid"), ("?filter=" + quote("a/" * 200), "GET", "filter.invalid"),
    ("", "POST", "method.not_allowed"),
])
def test_wrong_requests_are_problems(shared_master, parameters, method, code):
    status, problem = Cluster.api(shared_master, parameters, method)
    assert status in (400, 405) and problem["code"] == code and problem["detail"]


@pytest.mark.parametrize("arguments, text", [
    (["--clear"], "--clear needs a filter"), (["a/#/b"], "is no topic filter"), (["", "--clear"], "is no topic filter"),
    (["--limit", "501"], "from 1 to 500"), (["--after", "x"], "no place in the list"), (["a", "--clear", "--after", "w x"], "exclude each other"),
])
def test_wrong_arguments_are_refused(arguments, text):
    done = run("admin", "retained", *arguments)
    assert done.returncode == 64 and text in done.stderr


def test_the_registry_alone_has_none(shared_master):
    done = run("admin", "retained", "--registry", shared_master.master.registry)
    assert done.returncode == 65 and "retained messages are with the workers" in done.stderr


@pytest.fixture(scope="module")
def shared_master(shared_shunt):
    class Alone:
        master = shared_shunt.dev()

    return Alone
