"""However many clients come, a process keeps the descriptors that it needs to be seen, to be found and to route."""

import json
import resource
import socket
import subprocess
import threading
import time

import pytest

from exchange import ALLOCATION, PING, eventually, parse_address
from processes import BINARY, PATIENCE, Door, Process, environment, get

FEW = 100
MANY = 300


def crowd(shunt, address: str, count: int = MANY) -> list[socket.socket]:
    """Clients that connect and say nothing. Those that are turned away are closed by the other side."""
    return [shunt.closing(socket.create_connection(parse_address(address), timeout=PATIENCE)) for _ in range(count)]


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_a_worker_without_descriptors_for_more_clients_is_seen_and_finds_its_master_again(shunt, connect):
    master = shunt.master()
    door = shunt.closing(Door(master.master))
    worker = shunt.worker({"worker.masters": f"[{door.address}]", "worker.loops": 2}, descriptors=FEW)
    eventually(master.workers, PATIENCE)
    first = connect(worker.exchange).subscribe("t", "g")
    clients = crowd(shunt, worker.exchange)

    refused = 'shunt_connections_refused_total{limit="descriptors"}'
    eventually(lambda: worker.metric(refused) + worker.metric("shunt_connections") == MANY + 1, PATIENCE)
    assert worker.metric(refused) > 0 and worker.metric("process_max_fds") == FEW
    assert worker.descriptors() < FEW
    for path in ("healthz", "readyz", "metrics"):
        assert get(f"http://{worker.listeners['worker.http']}/{path}")
    worker.wait_log("clients were turned away")
    assert f"{FEW} file descriptors" in worker.stderr and "LimitNOFILE" in worker.stderr
    # Those that were turned away hear of it at once, and the others are served.
    eventually(lambda: sum(map(is_open, clients)) == worker.metric("shunt_connections") - 1, PATIENCE)
    assert first.message("t", "x").status == 200

    # The master goes, and is found again.
    door.target, target = None, door.target
    master.kill()
    eventually(lambda: worker.metric("shunt_master_connected") == 0, PATIENCE)
    again = shunt.master(folder=master.folder)
    door.target = again.master
    eventually(lambda: worker.metric("shunt_master_connected") == 1, PATIENCE)
    eventually(lambda: any(one["state"] == "live" for one in again.workers().values()), PATIENCE)


def test_what_the_system_allows_is_said_at_the_start(shunt):
    worker = shunt.worker(descriptors=FEW)
    worker.wait_log("the system allows fewer clients than limits.connections")
    line = next(line for line in worker.stderr.splitlines() if "fewer clients" in line)
    said = json.loads(line)
    assert said["level"] == "warning" and 0 < int(said["metadata"]["clients"]) < FEW


@pytest.mark.parametrize("kind", ["worker", "dev"])
@pytest.mark.parametrize("limit", [16, 47, 48, 60])
def test_a_process_that_has_no_descriptor_for_a_client_does_not_start(tmp_path, kind, limit):
    sets = [word for key, value in Process.defaults(kind, None).items() for word in ("--set", f"{key}={value}")]
    result = subprocess.run(
        [BINARY, kind, *sets, "--set", "worker.loops=8"], cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    assert result.returncode == 69 and "limit.descriptors" in result.stderr and "ulimit" in result.stderr, result.stderr


def test_clients_that_stay_at_a_master_make_room_for_workers(shunt, connect):
    master = shunt.master(descriptors=FEW)
    joined = shunt.worker({"worker.masters": f"[{master.master}]"})
    eventually(master.workers, PATIENCE)
    clients = crowd(shunt, master.master)
    master.wait_log("clients were closed to make room for others")
    assert "LimitNOFILE" in master.stderr
    assert get(f"http://{master.admin}/readyz")

    shunt.worker({"worker.masters": f"[{master.master}]"})
    eventually(lambda: sum(one["state"] == "live" for one in master.workers().values()) == 2, PATIENCE)
    assert connect(master.master).request(ALLOCATION).status == 200
    assert joined.metric("shunt_master_connected") == 1 and "lost the master" not in joined.stderr
    # The latest are those that stay.
    assert is_open(clients[-1]) and not is_open(clients[0])
    assert master.descriptors() < FEW


def test_clients_at_a_masters_limit_of_connections_make_room_for_workers(shunt):
    master = shunt.master({"limits.connections": 10})
    crowd(shunt, master.master, 50)
    shunt.worker({"worker.masters": f"[{master.master}]"})
    eventually(lambda: any(one["state"] == "live" for one in master.workers().values()), PATIENCE)
    master.wait_log("limits.connections")


def test_a_listener_without_a_descriptor_waits_and_does_not_spin(shunt, connect):
    """The limit is set below what is open already, as another library's use of descriptors may do."""
    worker = shunt.worker()
    client = connect(worker.exchange)
    assert client.request(PING).status == 200, "it has been accepted"
    before = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    answers = []
    request = threading.Thread(target=lambda: answers.append(get(f"http://{worker.listeners['worker.http']}/healthz")))
    waiting = socket.create_connection(parse_address(worker.exchange), timeout=PATIENCE)
    request.start()
    worker.wait_log("HTTP clients wait")
    worker.wait_log("clients wait: the system has no descriptor for them")
    start, computed = time.monotonic(), worker.processor_seconds()
    # A second of waiting says enough: a thread that spins takes all of it.
    threading.Event().wait(1)
    spent, took = worker.processor_seconds() - computed, time.monotonic() - start
    assert client.request(PING).status == 200
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, before)
    request.join(PATIENCE)
    assert answers == ["ok\n"]
    waiting.close()
    assert spent < took / 2, f"{spent:.2f} s of processor in {took:.2f} s"
