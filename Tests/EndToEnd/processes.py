"""Real `shunt` processes, each in a folder of its own, on ports that the system picks."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from exchange import eventually, parse_address

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SHUNT_BINARY", ROOT / ".build/release/shunt")).absolute()

# A machine may be busy with other things: what should take milliseconds gets seconds.
PATIENCE = 20.0


def environment(**more) -> dict:
    """The caller's, without what would configure shunt."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SHUNT_")} | more


def run(*arguments, input=None, cwd=None, timeout=30, env=None) -> subprocess.CompletedProcess:
    """A `shunt` command from start to end."""
    return subprocess.run(
        [BINARY, *map(str, arguments)], input=input, capture_output=True, text=True, cwd=cwd, timeout=timeout,
        env=environment(**(env or {})), stdin=subprocess.DEVNULL if input is None else None,
    )


class Process:
    """`shunt dev`, `master` or `worker`, started and ready."""

    def __init__(self, kind: str, folder: Path, sets: dict, config: Path | None, env: dict, ready=True, descriptors: int | None = None,
                 within: list[str] | None = None):
        self.kind, self.folder = kind, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.stderr_path = folder / "stderr"
        self.ready_path = folder / "ready.json"
        self.ready_path.unlink(missing_ok=True)
        self.was_killed = False
        arguments = [BINARY, kind, "--ready-file", self.ready_path]
        if config:
            arguments += ["--config", config]
        sets = self.defaults(kind, config) | sets
        for key, value in (sets | self.opened(sets, config)).items():
            arguments += ["--set", f"{key}={value}"]
        limit = None if descriptors is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        with open(self.stderr_path, "ab") as stderr, open(folder / "stdout", "ab") as stdout:
            self.process = subprocess.Popen(
                [*(within or []), *arguments], cwd=folder, env=environment(**env), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                preexec_fn=limit)
        if ready:
            self.wait_ready()

    @staticmethod
    def opened(sets: dict, config: Path | None) -> dict:
        """Listeners let everybody in, unless the test says who may come."""
        text = config.read_text() if config and config.exists() else ""
        if "worker.listeners" in sets:
            text = f"worker: {{ listeners: {sets['worker.listeners']} }}"
        if "access" in text or "allow_anonymous" in text or any("access" in key or "allow_anonymous" in key for key in sets):
            return {}
        names = set() if "worker.listeners" in sets else {match[1] for key in sets if (match := re.match(r"worker\.listeners\.([\w-]+)\.", key))}
        try:
            names |= set((yaml.safe_load(text) or {}).get("worker", {}).get("listeners", {}))
        except (AttributeError, TypeError, yaml.YAMLError):
            pass
        return {f"worker.listeners.{name}.allow_anonymous": "true" for name in sorted(names)}

    @staticmethod
    def defaults(kind: str, config) -> dict:
        free = "127.0.0.1:0"
        sets = {}
        if kind in ("dev", "master"):
            sets |= {"master.exchange.listen": free, "master.admin.listen": free, "master.registry.path": "registry.sqlite"}
        if kind in ("dev", "worker"):
            sets |= {"worker.http.listen": free, "worker.heartbeat.every": "100ms"}
            if not config:
                sets |= {"worker.listeners.exchange.listen": free}
        if kind == "worker":
            sets |= {"worker.masters": "[]"}
        return sets

    def wait_ready(self):
        eventually(lambda: self.ready_path.exists() or self.process.poll() is not None, PATIENCE, "the ready file")
        assert self.ready_path.exists(), f"shunt {self.kind} ended with {self.process.returncode}: {self.stderr}"
        self.ready = json.loads(self.ready_path.read_text())
        self.listeners = self.ready["listeners"]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    @property
    def exchange(self) -> str:
        """Where clients connect."""
        return self.listeners["worker.exchange"]

    @property
    def master(self) -> str:
        return self.listeners["master.exchange"]

    @property
    def admin(self) -> str:
        return self.listeners["master.admin"]

    @property
    def registry(self) -> Path:
        return self.folder / "registry.sqlite"

    # Looking

    def metrics(self) -> dict[str, float]:
        """Value by name and labels, as they stand in the text: `shunt_rule_calls_total{rule="x",hook="on_message"}`."""
        text = get(f"http://{self.listeners['worker.http']}/metrics")
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def metric(self, name: str) -> float:
        return self.metrics().get(name, 0.0)

    def wait_metric(self, name: str, value: float):
        """The figures are put together several times a second, not at each question."""
        found = None

        def reached():
            nonlocal found
            found = self.metric(name)
            return found == value

        try:
            eventually(reached, PATIENCE)
        except AssertionError:
            raise AssertionError(f"{name} is {found}, not {value}") from None

    def workers(self) -> dict[str, dict]:
        """What the admin API says of each worker, by name."""
        return {worker["name"]: worker for worker in json.loads(get(f"http://{self.admin}/api/v1/workers"))["workers"]}

    def descriptors(self) -> int:
        """How many are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def processor_seconds(self) -> float:
        """What the process has computed since it began."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Bytes of memory in use."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def peak(self) -> int:
        """The most bytes of memory that were ever in use."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def wait_log(self, text: str, after: int = 0):
        eventually(lambda: text in self.stderr[after:], PATIENCE, f"'{text}' in the log of {self.kind}")

    # Steering

    def signal(self, number: int):
        self.process.send_signal(number)

    def reload(self) -> str:
        """SIGHUP; returns what the process logged about it, once it has."""
        before = len(self.stderr)
        self.signal(signal.SIGHUP)
        done = ("read the configuration again", "the configuration stays as it was")
        eventually(lambda: any(text in self.stderr[before:] for text in done), PATIENCE, "the end of the reload")
        return self.stderr[before:]

    def kill(self):
        self.was_killed = True
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the process must end by itself, and well."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"shunt {self.kind} did not end within {PATIENCE} s of SIGTERM") from None
        assert self.was_killed or self.process.returncode == 0, f"shunt {self.kind} ended with {self.process.returncode}"


class Processes:
    """Starts processes, and ends those that still run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.all: list[Process] = []
        self.opened = []

    def start(
        self, kind: str, sets: dict | None = None, config: str | Path | None = None, env=None, folder=None, descriptors=None,
        within=None,
    ) -> Process:
        """`config` is a path, or the text of a configuration; `descriptors` is how many the process may have open; `within` is a command that
        runs it elsewhere."""
        folder = folder or self.folder / f"{kind}-{len(self.all)}"
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(config, str):
            (folder / "config.yaml").write_text(config)
            config = folder / "config.yaml"
        process = Process(kind, folder, sets or {}, config, env or {}, ready=False, descriptors=descriptors, within=within)
        self.all.append(process)
        process.wait_ready()
        return process

    def dev(self, sets=None, **more) -> Process:
        return self.start("dev", sets, **more)

    def master(self, sets=None, **more) -> Process:
        return self.start("master", sets, **more)

    def worker(self, sets=None, **more) -> Process:
        return self.start("worker", sets, **more)

    def closing(self, thing):
        """Closes it at the end of the test."""
        self.opened.append(thing)
        return thing

    def end(self):
        for thing in reversed(self.opened):
            thing.close()
        for process in self.all:
            process.process.send_signal(signal.SIGCONT) if process.process.poll() is None else None
        failures = []
        for process in reversed(self.all):
            try:
                process.stop()
            except AssertionError as failure:
                failures.append(str(failure))
        assert not failures, failures


class Door:
    """An address that stays while the process behind it comes and goes."""

    def __init__(self, target: str | None = None):
        self.target = target
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.target is None:
                    raise ConnectionRefusedError
                outer = socket.create_connection(parse_address(self.target), timeout=5)
                outer.settimeout(None)
            except OSError:
                inner.close()
                continue
            self._pairs += [inner, outer]
            for pair in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends the connections that there are. New ones find the target, if there is one."""
        pairs, self._pairs = self._pairs, []
        for end in pairs:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._listener.close()
        for end in self._pairs:
            end.close()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def write_whole(path: Path, text: str):
    """Replaces a file at once, as a signal that is still under way may have it read at any moment."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.replace(path)


def copy_plugins(folder: Path, *names: str) -> Path:
    """The plugins that come with shunt, in a folder that a test may change."""
    for name in names:
        shutil.copytree(ROOT / "plugins" / name, folder / name)
    return folder


def write_rule(folder: Path, name: str, source: str) -> Path:
    """A plugin of one file; returns the folder of plugins."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "rule.lua").write_text(source)
    return folder
