"""What a service manager is told: datagrams to NOTIFY_SOCKET, as sd_notify(3) describes them."""

import itertools
import os
import signal
import socket
import time

import pytest

from processes import PATIENCE, run, write_whole

NUMBERS = itertools.count()


class Manager:
    """The end of the service manager."""

    def __init__(self, name: str):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self.socket.settimeout(PATIENCE)

    def told(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())

    def is_told_nothing(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    def close(self):
        self.socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, shunt, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@shunt-test-{os.getpid()}-{next(NUMBERS)}"
    return shunt.closing(Manager(name))


@pytest.mark.parametrize("kind", ["master", "worker", "dev"])
def test_ready_reloading_and_stopping(shunt, manager, kind):
    process = shunt.start(kind, env={"NOTIFY_SOCKET": manager.name})
    assert manager.told() == {"READY": "1", "STATUS": "serving"}
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    process.signal(signal.SIGHUP)
    reloading = manager.told()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.told() == {"READY": "1", "STATUS": "serving"}
    process.stop()
    assert manager.told()["STOPPING"] == "1"
    assert manager.is_told_nothing()


def test_ready_is_said_when_clients_are_answered(shunt, manager, connect):
    process = shunt.worker(env={"NOTIFY_SOCKET": manager.name})
    manager.told()
    assert connect(process.exchange).message("t", "x").status == 500


def test_a_wrong_configuration_is_told_and_the_process_is_ready_again(shunt, manager, tmp_path):
    path = tmp_path / "worker.yaml"
    write_whole(path, "limits: { frame: 1MiB }\n")
    process = shunt.worker(config=path, env={"NOTIFY_SOCKET": manager.name})
    manager.told()
    write_whole(path, "limits: { frame: 1 banana }\n")
    process.signal(signal.SIGHUP)
    assert manager.told()["RELOADING"] == "1"
    told = manager.told()
    assert told["READY"] == "1" and "not taken" in told["STATUS"]


def test_a_check_and_a_failed_start_are_not_ready(manager, tmp_path):
    environment = {"NOTIFY_SOCKET": manager.name}
    assert run("worker", "--check", env=environment).returncode == 0
    assert run("worker", "--set", "worker.loops=banana", env=environment).returncode == 78
    assert run("master", "--set", f"master.registry.path={tmp_path}", env=environment).returncode != 0
    assert manager.is_told_nothing()


@pytest.mark.parametrize("name, why", [
    ("/nowhere/at/all", "No such file or directory"),
    ("relative", "neither an absolute path nor an abstract name"),
    ("/" + "x" * 108, "longer than 107 bytes"),
])
def test_a_manager_that_is_not_there_stops_nothing(shunt, name, why):
    process = shunt.worker(env={"NOTIFY_SOCKET": name})
    process.wait_log(why)
