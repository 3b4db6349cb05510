"""No payload byte reaches a disk: not the registry, a log, a temporary file, a core dump."""

import base64
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import bodies
from exchange import GZIP, JSON, LZ4, MESSAGE, NONE, SNAPPY, SUBSCRIBE, TEXT, encode, eventually, subscription
from processes import BINARY, environment, run, write_rule

RULE = """
local R = { name = "leaky", match = { topic = "#" } }
function R.on_message(msg, ctx)
  if msg.topic == "fail" then error("cannot read " .. msg.payload) end
  if msg.topic == "reject" then return route.reject(msg.payload) end
  if msg.topic == "json" then
    local order = msg:json()
    log.debug("order", { id = order.id, topic = msg.topic })
    return order.missing.field
  end
  if msg.topic == "log" then
    log.info("saw " .. msg.payload, { payload = msg.payload, order = msg:json() })
    return require(msg.payload)
  end
  if msg.topic == "key" then return msg:with { payload = msg.payload .. msg.payload } end
  log.debug("seen", { topic = msg.topic, bytes = #msg.payload })
end
return R
"""


def plain(data):
    return data


FORMATS = {
    "text": (TEXT, NONE, plain), "JSON": (JSON, NONE, lambda mark: b'{"id":1,"card":"' + mark + b'"}'),
    "gzip": (TEXT, GZIP, bodies.gzip), "LZ4": (TEXT, LZ4, bodies.lz4), "Snappy": (TEXT, SNAPPY, bodies.snappy),
    "not the gzip that it says": (TEXT, GZIP, plain), "JSON that is none": (JSON, NONE, lambda mark: b'{"id":' + mark),
}


class Marks:
    """Random texts that stand in payloads, and every form in which they might be written."""

    def __init__(self):
        self.all: list[bytes] = []

    def new(self) -> bytes:
        mark = b"mark" + os.urandom(15).hex().encode()
        self.all.append(mark)
        return mark

    def forms(self) -> set[bytes]:
        forms = set()
        for mark in self.all:
            hexadecimal = mark.hex().encode()
            forms |= {mark, hexadecimal, hexadecimal.upper(), mark.decode().encode("utf-16-le"), bodies.gzip(mark)[10:-8]}
            # Base64 of a text that begins at any place of three.
            for shift in range(3):
                encoded = base64.b64encode(b"\0" * shift + mark)
                forms.add(encoded[4 if shift else 0 : -4])
        return forms


def descriptors(pid: int) -> set[Path]:
    """Files, not sockets and pipes, that a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
            found.add(Path(target.removesuffix(" (deleted)")))
    return found


def recent_files(since: float) -> set[Path]:
    """Files of this user that were written since, where programs put such."""
    found = set()
    for place in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", "/var/crash", "/var/lib/systemd/coredump"}:
        for folder, _, names in os.walk(place):
            for name in names:
                path = Path(folder, name)
                try:
                    status = path.lstat()
                except OSError:
                    continue
                if status.st_mtime >= since and status.st_uid == os.getuid() and path.is_file() and not path.is_symlink():
                    found.add(path)
    return found


def holding(paths, forms) -> list[Path]:
    """Those of the files that hold one of the marks. Each form is found by its first bytes, then compared."""
    heads = {form[:12] for form in forms}
    guilty = []
    for path in paths:
        try:
            content = path.read_bytes() if path.stat().st_size < 256 << 20 else b""
        except OSError:
            continue
        if any(head in content for head in heads) and any(form in content for form in forms):
            guilty.append(path)
    return guilty


def publish_marked(client, marks: Marks):
    for topic in ("plain", "fail", "reject", "json", "log", "key", "nobody"):
        for format, compress, pack in FORMATS.values():
            client.message(topic, pack(marks.new()), key="k", format=format, compress=compress, timeout=20)


def assert_nowhere(marks, folder, opened, began, looked_at):
    """No file that was open, is below `folder`, or was written since holds a mark; these were looked at."""
    everything = {path for path in folder.rglob("*") if path.is_file()} | opened | recent_files(began)
    assert looked_at <= everything
    control = folder / "control"
    control.write_bytes(b"..." + base64.b64encode(b"xx" + marks.all[3] + b"yy") + b"...")
    forms = marks.forms()
    assert holding([control], forms) == [control], "the scan finds what it looks for"
    control.unlink()
    assert not holding(everything - {control}, forms)


def test_what_sessions_retained_messages_and_wills_hold_is_in_no_file(shunt, tmp_path):
    began = time.time() - 1
    marks = Marks()
    worker = shunt.worker(
        {"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "log.level": "trace"},
        env={"TMPDIR": str(tmp_path)})
    address = ["-h", "127.0.0.1", "-p", worker.listeners["worker.mqtt"].rpartition(":")[2], "-V", "mqttv5"]

    def new():
        return marks.new().decode()

    # A session that waits for its client, which has never acknowledged anything.
    subprocess.run(["mosquitto_sub", *address, "-i", "away", "-c", "-x", "600", "-q", "2", "-t", "#", "-E"], check=True, timeout=20)
    mortal = subprocess.Popen(["mosquitto_sub", *address, "-t", "none", "--will-topic", "wills", "--will-payload", new(), "--will-qos", "1"])
    for qos in "012":
        subprocess.run(
            ["mosquitto_pub", *address, "-q", qos, "-r", "-t", f"state/{qos}", "-m", new(), "-D", "publish", "user-property", "mark", new(),
             "-D", "publish", "response-topic", new(), "-D", "publish", "correlation-data", new()], check=True, timeout=20)
    eventually(lambda: worker.metrics()["shunt_mqtt_clients"] == 1, what="the mortal client")
    mortal.kill()
    mortal.wait()
    eventually(lambda: worker.metrics()["shunt_mqtt_wills_total"] == 1, what="its will")
    assert worker.metrics()["shunt_mqtt_queued"] == 3, "two messages and the will wait for the session"
    opened = descriptors(worker.pid)
    worker.kill()
    assert_nowhere(marks, tmp_path, opened, began, {worker.stderr_path})


def test_marked_payloads_are_in_no_file_that_the_processes_could_have_written(shunt, connect, tmp_path):
    began = time.time() - 1
    marks = Marks()
    plugins = write_rule(tmp_path / "plugins", "leaky", RULE)
    master = shunt.master({"log.level": "trace", "master.registry.batch": "5ms"}, env={"TMPDIR": str(tmp_path)})
    worker = shunt.worker(
        {"worker.masters": master.master, "rules.directory": plugins, "rules.enabled": "all", "log.level": "trace",
         "worker.loops": 2, "limits.out_buffer": "64KiB"}, env={"TMPDIR": str(tmp_path)})
    connect(worker.exchange).subscribe("plain").subscribe("fail").subscribe("json").subscribe("key").subscribe("log")
    slow = connect(worker.exchange, receive_buffer=4096, reading=False)
    slow.send(encode(SUBSCRIBE, 1, subscription("plain", "other"), format=JSON))
    client = connect(worker.exchange)
    publish_marked(client, marks)
    # Frames that are not well, and those that the master does not serve.
    connect(master.master).message("plain", marks.new())
    broken = connect(worker.exchange)
    broken.send(encode(MESSAGE, 1, marks.new(), "plain") + b"\x00" + marks.new() * 3)
    broken.wait_closed()
    worker.wait_log("leaky")
    eventually(lambda: any(each["figures"]["requests"] for each in master.workers().values()), what="a heartbeat after the traffic")

    def traffic():
        try:
            while True:
                publish_marked(client, marks)
        except OSError:
            pass

    thread = threading.Thread(target=traffic)
    thread.start()
    before = len(marks.all)
    eventually(lambda: len(marks.all) > before + 20)
    opened = descriptors(worker.pid) | descriptors(master.pid)
    worker.kill()
    master.kill()
    thread.join()

    assert master.registry in opened and worker.stderr_path in opened, "the scan sees what the processes had open"
    assert_nowhere(marks, tmp_path, opened, began, {master.registry, worker.stderr_path, plugins / "leaky/rule.lua"})


@pytest.mark.parametrize("kind", ["dev", "master", "worker"])
def test_core_dumps_are_off(shunt, kind):
    process = shunt.start(kind)
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]


def test_a_crash_leaves_no_core_file_even_where_the_caller_allows_one(shunt, connect, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        worker = shunt.worker()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    connect(worker.exchange).subscribe("t").message("t", "x")
    before = {path for path in tmp_path.rglob("*")}
    worker.was_killed = True
    worker.signal(signal.SIGSEGV)
    assert worker.process.wait(20) == -signal.SIGSEGV
    assert {path for path in tmp_path.rglob("*")} == before


def test_nobody_else_may_read_the_memory_of_a_worker(tmp_path):
    """A process that may not be dumped has files in /proc that belong to root, whoever runs it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    nobody = {}
    if os.geteuid() == 0:
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        os.chown(folder, 65534, 65534)
    try:
        ready = folder / "ready.json"
        arguments = [BINARY, "worker", "--ready-file", ready, "--set", "worker.masters=[]"]
        for key in ("worker.http.listen", "worker.listeners.exchange.listen"):
            arguments += ["--set", f"{key}=127.0.0.1:0"]
        try:
            process = subprocess.Popen(
                arguments, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **nobody)
        except PermissionError:
            pytest.skip("root's checkout, which other users may not read")
        try:
            eventually(lambda: ready.exists() or process.poll() is not None, 20, "the ready file")
            assert os.stat(f"/proc/{os.getpid()}/environ").st_uid == os.geteuid()
            assert os.stat(f"/proc/{process.pid}/environ").st_uid == 0
            if os.geteuid() != 0:
                with pytest.raises(PermissionError):
                    open(f"/proc/{process.pid}/mem", "rb")
        finally:
            process.kill()
            process.communicate()
    finally:
        shutil.rmtree(folder)


def test_the_shell_commands_leave_no_payload_behind(shunt, tmp_path):
    began = time.time() - 1
    marks = Marks()
    dev = shunt.dev()
    folder = tmp_path / "shell"
    folder.mkdir()
    lines = "\n".join(marks.new().decode() for _ in range(50))
    result = run("pub", "t", "-", "--master", dev.master, input=lines, cwd=folder, env={"TMPDIR": str(folder), "HOME": str(folder)})
    assert result.returncode == 65, "nobody subscribes"
    everything = {path for path in tmp_path.rglob("*") if path.is_file()} | recent_files(began)
    assert not holding(everything, marks.forms())
