"""Workers and their peers, on free ports of loopback."""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHUNT = os.environ.get("SHUNT_BINARY", str(ROOT / ".build" / "release" / "shunt"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"compare: {what} did not happen within {seconds} s")
        time.sleep(0.02)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def resident(pid):
    """Resident bytes: all, and the part that is not the program file."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon"):
            found[name] = int(value.split()[0]) * 1024
    return found["VmRSS"], found["RssAnon"]


def processor_seconds(*pids):
    """What processes have taken of the processors."""
    return sum(int(task.read_text().split()[0]) for pid in pids for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def open_files():
    """Lets this and what it starts have as many connections as the machine allows; returns how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(15_000, hard - 200)


class Refused(Exception):
    """A server ended instead of starting; its last words."""


class Process:
    def __init__(self, folder, command):
        # Without what would configure shunt.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SHUNT_")}
        self.words = pathlib.Path(folder) / f"words-{time.monotonic_ns()}"
        with self.words.open("wb") as words:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, env=environment)
        self.pid = self.process.pid
        # Of all processes that serve its clients.
        self.pids = [self.pid]
        self.started = time.monotonic()

    def wait_until(self, is_ready, what, seconds=60):
        """Until it is; or raises what it said when it ended."""
        def is_over():
            if self.process.poll() is not None:
                raise Refused((self.words.read_text(errors="replace").strip().splitlines() or ["it ended"])[-1])
            return is_ready()
        wait_until(is_over, what, seconds)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Shunt(Process):
    def __init__(self, folder, command, *sets):
        ready = pathlib.Path(folder) / f"ready-{time.monotonic_ns()}.json"
        command = [*command, "--ready-file", str(ready)]
        for key in ("log.level=warning", *sets):
            command += ["--set", key]
        listeners = [key.split(".")[2] for key in sets if key.startswith("worker.listeners.") and ".listen=" in key]
        opened = [f"worker.listeners.{name}.allow_anonymous=true" for name in listeners]
        try:
            super().__init__(folder, command + [word for key in opened for word in ("--set", key)])
            self.wait_until(ready.exists, "Shunt's start")
        except Refused:
            if "allow_anonymous" not in self.words.read_text(errors="replace"):
                raise
            # An older one, whose listeners are always open.
            super().__init__(folder, command)
            self.wait_until(ready.exists, "Shunt's start")
        self.ports = {name: int(address.rsplit(":", 1)[1]) for name, address in json.loads(ready.read_text())["listeners"].items()}


class Worker(Shunt):
    """A worker without a master."""

    label = "Shunt"
    wire = "shunt"

    def __init__(self, folder, *sets, binary=SHUNT, program=None):
        super().__init__(folder, [*(program or [binary]), "worker"], "worker.masters=[]", "worker.listeners.exchange.listen=127.0.0.1:0",
                         "worker.http.listen=127.0.0.1:0", f"rules.directory={ROOT / 'plugins'}", *sets)
        self.port = self.ports["worker.exchange"]


class MQTTWorker(Worker):
    """A worker whose clients speak MQTT."""

    wire = "mqtt"

    def __init__(self, folder, *sets, **options):
        super().__init__(folder, "worker.listeners.mqtt.protocol=mqtt", "worker.listeners.mqtt.listen=127.0.0.1:0", *sets, **options)
        self.port = self.ports["worker.mqtt"]


class Master(Shunt):
    def __init__(self, folder):
        super().__init__(folder, [SHUNT, "master"], "master.exchange.listen=127.0.0.1:0", "master.admin.listen=127.0.0.1:0",
                         f"master.registry.path={folder}/registry-{time.monotonic_ns()}.sqlite")
        self.port = self.ports["master.exchange"]


def program(name):
    """Where Debian puts servers is on no user's path."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not found:
        raise Refused(f"{name} is not installed")
    return found


class Nats(Process):
    label = "nats-server"
    wire = "nats"

    def __init__(self, folder):
        self.port = free_port()
        super().__init__(folder, [program("nats-server"), "-a", "127.0.0.1", "-p", str(self.port)])
        self.wait_until(lambda: listens(self.port), "nats-server's start")


class Mosquitto(Process):
    label = "mosquitto"
    wire = "mqtt"

    def __init__(self, folder, *lines):
        self.port = free_port()
        settings = pathlib.Path(folder) / f"mosquitto-{self.port}.conf"
        # It drops nothing that waits for a client, as its peers do not.
        settings.write_text(
            f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nlog_type none\n"
            + "".join(line + "\n" for line in lines))
        super().__init__(folder, [program("mosquitto"), "-c", str(settings)])
        self.wait_until(lambda: listens(self.port), "mosquitto's start")


class Redis(Process):
    label = "redis"
    wire = "redis"

    def __init__(self, folder):
        self.port = free_port()
        # It keeps nothing on disk, and drops no consumer that is slow.
        super().__init__(folder, [program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                                  "--client-output-buffer-limit", "pubsub 0 0 0", "--dir", str(folder)])
        self.wait_until(lambda: listens(self.port), "redis' start")


class CountedWorker:
    """Makes a worker of `kind` run under callgrind, which counts instructions and calls."""

    def __init__(self, folder, kind, *sets, binary=SHUNT):
        # Without debug information, which valgrind does not read.
        stripped = pathlib.Path(folder) / f"shunt-{abs(hash(binary))}"
        if not stripped.exists():
            subprocess.run(["strip", "-g", "-o", stripped, binary], check=True)
        self.profile = pathlib.Path(folder) / f"callgrind-{time.monotonic_ns()}"
        command = [program("valgrind"), "--tool=callgrind", f"--callgrind-out-file={self.profile}", str(stripped)]
        self.worker = kind(folder, *sets, program=command)

    def counts(self):
        """Ends it; returns instructions, and calls by function."""
        self.worker.stop()
        names, calls, total, callee = {}, {}, 0, None
        for line in self.profile.read_text().splitlines():
            kind, _, rest = line.partition("=")
            if kind in ("fn", "cfn"):
                number, _, name = rest.partition(" ")
                if name:
                    names[number] = name
                callee = number
            elif kind == "calls":
                calls[callee] = calls.get(callee, 0) + int(rest.split()[0])
            elif line.startswith(("totals:", "summary:")):
                total = int(line.split()[1])
        return total, {names[number]: count for number, count in calls.items() if number in names}
