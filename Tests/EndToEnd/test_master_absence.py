"""Workers that are away, leave and return, and what the master's port takes from whom."""

import json
import signal
import urllib.error
import urllib.request

from exchange import ALLOCATION, CHAT, JSON, REGISTER, eventually
from java_peers import JavaWorker
from processes import run


def api(master, path: str, method: str = "GET") -> tuple[int, dict]:
    request = urllib.request.Request(f"http://{master.admin}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def online(master) -> list[str]:
    return sorted(each["uid"] for each in api(master, "/api/v1/devices?online=true")[1]["devices"])


def state(master, worker) -> str | None:
    return master.workers().get(worker.exchange, {}).get("state")


def listed(client) -> list[str]:
    answer = client.request(ALLOCATION, b"true")
    return answer.text.split(",") if answer.status == 200 else []


def test_a_worker_that_stood_still_tells_its_devices_and_chats_again(shunt, connect):
    master = shunt.master({"master.heartbeat.live_for": "1s"})
    worker = shunt.worker({"worker.masters": master.master})
    eventually(lambda: state(master, worker) == "live")
    ann = connect(worker.exchange).register("ann").join("room")
    eventually(lambda: online(master) == ["ann"])
    worker.signal(signal.SIGSTOP)
    eventually(lambda: online(master) == [] and api(master, "/api/v1/chats/room")[0] == 404)
    worker.signal(signal.SIGCONT)
    eventually(lambda: online(master) == ["ann"], what="the device's return")
    eventually(lambda: api(master, "/api/v1/chats/room")[0] == 200, what="the chat's return")
    assert worker.stderr.count("joined a master") == 1
    assert ann.say("room", "still here").status == 200
    for text in ("a worker joined", "a worker is lost", "a worker returned"):
        assert text in master.stderr


def test_a_worker_that_ends_signs_off(shunt, connect):
    master = shunt.master()
    worker, other = [shunt.worker({"worker.masters": master.master}) for _ in range(2)]
    asking = connect(master.master)
    eventually(lambda: len(listed(asking)) == 2)
    connect(worker.exchange).register("ann").join("room")
    client = connect(other.exchange)
    assert client.create("room").text == worker.exchange
    eventually(lambda: online(master) == ["ann"])
    worker.stop()
    assert listed(asking) == [other.exchange]
    assert client.create("room").status == 200
    eventually(lambda: online(master) == [])
    assert state(master, worker) == "left"
    kinds = [event["kind"] for event in api(master, "/api/v1/events")[1]["events"] if event["subject"] == worker.exchange]
    assert kinds == ["worker.joined", "worker.left"]


def test_a_worker_ends_soon_though_its_master_does_not_answer(shunt):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master})
    eventually(lambda: state(master, worker) == "live")
    master.signal(signal.SIGSTOP)
    worker.process.terminate()
    worker.process.wait(5)


def test_a_worker_with_more_to_tell_than_one_connection_holds_keeps_its_link(shunt, connect):
    """21 MB of devices, told to a master that starts anew."""
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master, "worker.loops": 1})
    eventually(lambda: state(master, worker) == "live")
    address, count = master.master, 1300
    labels = ["%03d" % number + "x" * 250 for number in range(32)]
    for number in range(count):
        connect(worker.exchange).register(f"u{number}", tags=labels, alias=labels)
    master.stop()
    master = shunt.master({"master.exchange.listen": address})
    eventually(lambda: api(master, "/api/v1/devices?online=true&limit=1")[1]["total"] == count, 60, "all devices at the new master")
    assert worker.stderr.count("lost the master") == 1


def test_the_masters_port_keeps_the_limits(shunt, connect):
    master = shunt.master({"limits.frame": "4KiB", "limits.frame_time": "1s", "limits.connections": 3})
    large, slow = connect(master.master), connect(master.master)
    large.send(bytes.fromhex("710000000000000001060000c8") + (5000).to_bytes(4, "big"))
    large.wait_closed()
    slow.send(bytes.fromhex("710000000000000001060000c8"))
    slow.wait_closed()
    first, *others = [connect(master.master) for _ in range(3)]
    for client in (first, *others):
        assert client.request(ALLOCATION, b"true").status == 500
    # One more takes the place of the one that came first: a worker must find its way in.
    assert connect(master.master).request(ALLOCATION, b"true").status == 500
    first.wait_closed()
    assert all(client.request(ALLOCATION, b"true").status == 500 for client in others)


def test_what_strangers_tell_is_not_kept(shunt, connect):
    master = shunt.master()
    client = connect(master.master)
    before = master.resident()
    for number in range(40):
        host = json.dumps({"host": f"{number}" + "x" * 1_000_000, "port": 1, "first": True}).encode()
        assert client.request(REGISTER, host, "batch", format=JSON).status == 404
        assert client.request(CHAT, host, f"c{number}", "CREATE", format=JSON).status == 404
    assert master.resident() - before < 40_000_000
    for host in ("a,b", "a:1", "a b", "x" * 256):
        assert JavaWorker(master.master, 4091, host).beat().status == 400
    assert master.workers() == {}


def test_closing_a_chat_tells_why_it_cannot(shunt, connect):
    master = shunt.master({"master.heartbeat.live_for": "60s"})
    java = JavaWorker(master.master, 4091)
    java.beat()
    assert java.chat("java", "CREATE").status == 200
    worker = shunt.worker({"worker.masters": master.master, "worker.heartbeat.every": "10s"})
    eventually(lambda: state(master, worker) == "live")
    connect(worker.exchange).join("room")
    eventually(lambda: api(master, "/api/v1/chats/room")[0] == 200)
    status, problem = api(master, "/api/v1/chats/java", "DELETE")
    assert (status, problem["code"]) == (400, "request.unsupported")
    refused = run("admin", "close-chat", "java", "--master", master.admin)
    assert refused.returncode != 0 and "message-channel" in refused.stderr and "closed java" not in refused.stdout
    worker.kill()
    # The chat is there until its worker has been silent for two heartbeats, and can't be closed.
    eventually(lambda: api(master, "/api/v1/chats/room", "DELETE")[1].get("code") == "connection.lost")
    assert api(master, "/api/v1/chats/room")[0] == 200
