"""The token of the cluster: master and worker prove it to each other, by real processes and by hand."""

import hashlib
import hmac
import json
import os
import urllib.error

import pytest

from exchange import BINDING, Client, eventually
from processes import get, run

TOKEN = "the-token-of-the-cluster-0123456789"


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


def worker_of(shunt, master, sets=None, **more):
    return shunt.worker({"worker.masters": f"[{master.master}]"} | (sets or {}), **more)


def ready(worker) -> str:
    """What /readyz says, whether the worker is ready or not."""
    try:
        return get(f"http://{worker.listeners['worker.http']}/readyz")
    except urllib.error.HTTPError as error:
        return error.read().decode()


def proof(role: str, worker: bytes, master: bytes, token=TOKEN) -> str:
    return hmac.new(token.encode(), f"shunt link 1 {role}\0".encode() + worker + master, hashlib.sha256).hexdigest()


def step(client: Client, key: str, text: str):
    return client.request(BINDING, text.encode(), "link", key)


def link_events(master) -> list:
    events = json.loads(get(f"http://{master.admin}/api/v1/events?kind=link.refused"))["events"]
    return [event["detail"] for event in events]


def test_a_master_and_a_worker_with_the_same_token_come_together(shunt, token):
    master = shunt.master({"cluster.token_file": token})
    worker = worker_of(shunt, master, {"cluster.token_file": token})
    eventually(lambda: worker.exchange in master.workers(), 20, "the worker")
    other = worker_of(shunt, master, env={"SHUNT_CLUSTER_TOKEN": TOKEN})
    eventually(lambda: other.exchange in master.workers(), 20, "the worker whose token is in the environment")
    assert ready(worker) == ready(other) == "ready\n"
    for process in (master, worker, other):
        assert TOKEN not in process.stderr and TOKEN not in open(f"/proc/{process.pid}/cmdline").read()


def test_dev_proves_it_to_itself(shunt, token):
    dev = shunt.dev({"cluster.token_file": token})
    eventually(lambda: dev.exchange in dev.workers(), 20, "the worker")


@pytest.mark.parametrize("other, said", [(None, "prove the cluster's token"), ("another-token-of-a-cluster", "the proof is wrong")])
def test_a_worker_without_it_is_refused_and_both_say_so(shunt, token, tmp_path, other, said):
    master = shunt.master({"cluster.token_file": token})
    sets = {}
    if other:
        (tmp_path / "other").write_text(other)
        sets = {"cluster.token_file": tmp_path / "other"}
    worker = worker_of(shunt, master, sets)
    worker.wait_log(said)
    eventually(lambda: said in ready(worker), 20, "the note of /readyz")
    eventually(lambda: link_events(master), 20, "the event")
    master.wait_log("was refused")
    assert master.workers() == {}
    assert other is None or other not in master.stderr + worker.stderr


def test_a_worker_leaves_a_master_that_does_not_prove_it(shunt, token):
    master = shunt.master()
    worker = worker_of(shunt, master, {"cluster.token_file": token})
    worker.wait_log("does not prove the cluster's token")
    eventually(lambda: "does not prove" in ready(worker), 20, "the note of /readyz")
    assert master.workers() == {}


def test_a_recorded_proof_counts_once(shunt, token, connect):
    master = shunt.master({"cluster.token_file": token})
    nonce = os.urandom(32)

    def hello(client):
        return bytes.fromhex(step(client, "HELLO", nonce.hex()).text)

    client = connect(master.master)
    theirs = hello(client)
    recorded = proof("worker", nonce, theirs)
    answer = step(client, "PROVE", recorded)
    assert answer.status == 200 and answer.text == proof("master", nonce, theirs)
    again = connect(master.master)
    assert hello(again) != theirs
    assert step(again, "PROVE", recorded).status == 401
    eventually(lambda: link_events(master), 20, "the event")


def test_what_a_master_would_say_is_no_workers_proof(shunt, token, connect):
    """Reflection: all bytes but the role are right."""
    master = shunt.master({"cluster.token_file": token})
    client = connect(master.master)
    nonce = os.urandom(32)
    theirs = bytes.fromhex(step(client, "HELLO", nonce.hex()).text)
    assert step(client, "PROVE", proof("master", nonce, theirs)).status == 401
    client.wait_closed()


def test_clients_need_no_token(shunt, token):
    dev = shunt.dev({"cluster.token_file": token})
    eventually(lambda: dev.exchange in dev.workers(), 20, "the worker")
    done = run("pub", "t", "x", "--master", dev.master)
    assert "topic.no_subscriber" in done.stderr, done


def test_message_channels_workers_come_from_their_addresses(shunt, token):
    for allowed, comes in (("127.0.0.0/8", True), ("10.9.0.0/16", False)):
        master = shunt.master({"cluster.token_file": token, "cluster.allow_java": "true", "cluster.java_from": f"[{allowed}]"})
        # A worker that has no token stands for one that can't have any.
        worker = worker_of(shunt, master)
        if comes:
            eventually(lambda: worker.exchange in master.workers(), 20, "the worker")
        else:
            worker.wait_log("prove the cluster's token")
            assert master.workers() == {}


@pytest.mark.parametrize("text, code", [("", "config.missing"), ("short", "config.range"), (None, "config.missing")])
def test_a_wrong_token_keeps_it_from_starting(tmp_path, text, code):
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text)
    (tmp_path / "config.yaml").write_text(f"cluster:\n  token_file: {file}\n")
    for kind in ("master", "worker", "dev"):
        done = run(kind, "--check", "--config", tmp_path / "config.yaml", cwd=tmp_path)
        assert done.returncode == 78 and code in done.stderr and "config.yaml:2" in done.stderr, done


def test_what_stands_open_is_told(tmp_path, token):
    def said(*sets):
        done = run("master", "--check", *sum((["--set", one] for one in sets), []), cwd=tmp_path)
        assert done.returncode == 0, done
        return done.stderr

    opened = "master.exchange.listen=0.0.0.0:0"
    assert "may say that it is a worker" in said(opened)
    assert "may say that it is a worker" not in said(opened, f"cluster.token_file={token}")
    assert "changes nothing" in said("cluster.allow_java=true", f"cluster.token_file={token}")
