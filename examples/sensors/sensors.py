"""200 MQTT sensors through a worker with a rule, a group that stores their readings, alarms, a dashboard, and wills; then checks all of it."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

HERE = Path(__file__).resolve().parent
SHUNT = Path(os.environ.get("SHUNT_BINARY", HERE.parents[1] / ".build/release/shunt")).absolute()
PATIENCE = 60.0
SENSORS, FLEETS, READINGS = 200, 4, 10
SITES, KINDS, LIMITS = ("north", "south", "east"), ("temperature", "pressure", "humidity"), {"temperature": 80, "pressure": 7}


def main():
    if not SHUNT.exists():
        sys.exit(f"{SHUNT} is not there: build it with 'make build', or name it with SHUNT_BINARY")
    subprocess.run([SHUNT, "rule", "test", HERE / "plugins"], env=environment(), check=True)
    with tempfile.TemporaryDirectory(prefix="sensors-") as folder, ExitStack() as stack:
        folder = Path(folder)
        stack.push(partial(show_log, folder / "worker.log"))
        worker, listeners = start_worker(folder, stack)
        exchange, mqtt = listeners["worker.exchange"], listeners["worker.mqtt"]
        store = [Listener(folder / f"store-{n}", stack, sub(exchange, "sites/#", "--group", "store")) for n in (1, 2)]
        alarms = Listener(folder / "alarms", stack, sub(exchange, "alarms/#"))

        fleets = [Fleet(number, mqtt, stack) for number in range(FLEETS)]
        for fleet in fleets:
            fleet.expect("online")
        say(f"{SENSORS} sensors are online")
        dashboard = Listener(folder / "dashboard", stack, dashboard_command(mqtt))
        wait("the dashboard has the state of every sensor", lambda: dashboard.count() >= SENSORS)

        for fleet in fleets:
            fleet.tell("publish")
        for fleet in fleets:
            fleet.expect("published")
        say(f"{SENSORS * READINGS} readings are acknowledged")
        expected = [reading for sensor in range(SENSORS) for reading in readings(sensor)]
        wait("the store has as many", lambda: sum(each.count() for each in store) >= len(expected))

        fleets[0].process.kill()
        wait("the dashboard sees sensors go", lambda: dashboard.count() >= SENSORS + SENSORS // FLEETS)
        for fleet in fleets[1:]:
            fleet.tell("leave")
            check(fleet.process.wait(PATIENCE) == 0, f"fleet {fleet.number} has left", fleet.process.returncode)
        for each in (*store, alarms, dashboard):
            each.stop()
        stop(worker)

        check_store(store, expected)
        check_alarms(alarms, expected)
        check_dashboard(dashboard)
    print("\nAll is as it should be.")


def readings(sensor: int) -> list[dict]:
    """What a sensor publishes, the same in every run."""
    chance = random.Random(sensor)
    return [{"site": SITES[sensor % 3], "kind": (kind := chance.choice(KINDS)), "number": number, "sensor": f"s{sensor}",
             "value": round(chance.uniform(0, {"temperature": 100, "pressure": 8, "humidity": 100}[kind]), 2)} for number in range(READINGS)]


# A fleet: a process with its sensors


class Fleet:
    """Sensors in a process of their own, that can be killed."""

    def __init__(self, number: int, mqtt: str, stack: ExitStack):
        self.number = number
        self.process = start(stack, [sys.executable, __file__, "fleet", number, mqtt], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        limit = threading.Timer(PATIENCE, self.process.kill)
        limit.start()
        stack.callback(limit.cancel)

    def tell(self, word: str):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def expect(self, word: str):
        line = self.process.stdout.readline().strip()
        check(line == word, f"fleet {self.number} is {word}", line)


def fleet(number: int, mqtt: str):
    """The life of a fleet: online, publishes when told, leaves when told."""
    ours = range(number * SENSORS // FLEETS, (number + 1) * SENSORS // FLEETS)
    clients = {sensor: connect(sensor, mqtt) for sensor in ours}
    acknowledged([client.publish(f"state/s{sensor}", "online", 1, retain=True) for sensor, client in clients.items()])
    print("online", flush=True)
    assert sys.stdin.readline() == "publish\n"
    acknowledged([clients[sensor].publish(f"telemetry/s{sensor}", json.dumps(each), 1) for sensor in ours for each in readings(sensor)])
    print("published", flush=True)
    assert sys.stdin.readline() == "leave\n"
    for client in clients.values():
        client.disconnect()
        client.loop_stop()


def connect(sensor: int, mqtt: str) -> paho.Client:
    version = MQTTProtocolVersion.MQTTv5 if sensor % 2 else MQTTProtocolVersion.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, f"s{sensor}", protocol=version)
    client.will_set(f"state/s{sensor}", "offline", 1, retain=True)
    host, port = mqtt.rsplit(":", 1)
    client.connect(host, int(port))
    client.loop_start()
    return client


def acknowledged(published: list):
    for each in published:
        each.wait_for_publish(PATIENCE)
        assert each.is_published()


# The others


def start_worker(folder: Path, stack: ExitStack):
    ready = folder / "ready.json"
    worker = start(
        stack, [SHUNT, "worker", "--config", HERE / "config.yaml", "--set", f"rules.directory={HERE / 'plugins'}", "--ready-file", ready],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=stack.enter_context(open(folder / "worker.log", "wb")))
    wait("the worker is ready", lambda: ready.exists() or fail_if_ended(worker, folder / "worker.log"))
    return worker, json.loads(ready.read_text())["listeners"]


def sub(worker: str, *arguments) -> list:
    return [SHUNT, "sub", *arguments, "--output", "json", "--worker", worker]


def dashboard_command(mqtt: str) -> list:
    host, port = mqtt.rsplit(":", 1)
    return ["stdbuf", "-oL", "mosquitto_sub", "-h", host, "-p", port, "-q", "1", "-t", "state/#", "-F", '{"topic":"%t","retained":%r,"payload":"%p"}']


class Listener:
    """A command that writes what it gets to a file, a line of JSON each."""

    def __init__(self, path: Path, stack: ExitStack, command: list):
        self.path, self.log = path, path.with_suffix(".log")
        self.process = start(
            stack, command, stdout=stack.enter_context(open(path, "wb")), stderr=stack.enter_context(open(self.log, "wb")))
        if command[0] == SHUNT:
            wait(f"{path.name} has subscribed", lambda: b"subscribed" in self.log.read_bytes() or fail_if_ended(self.process, self.log))

    def count(self) -> int:
        return self.path.read_bytes().count(b"\n")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


# What is checked


def check_store(store: list[Listener], expected: list[dict]):
    shares = [[(line["topic"], json.loads(line["payload"])) for line in each.lines()] for each in store]
    got = [reading for share in shares for _, reading in share]
    key = lambda reading: (int(reading["sensor"][1:]), reading["number"])
    check(sorted(got, key=key) == expected, f"the store has every reading, whole, once: {len(got)}", len(expected))
    check(all(topic == f"sites/{reading['site']}/{reading['sensor']}" for share in shares for topic, reading in share),
          "each on the topic that the rule gives it", "")
    for share in shares:
        check(all(numbers == sorted(numbers) for numbers in (
            [reading["number"] for _, reading in share if reading["sensor"] == f"s{sensor}"] for sensor in range(SENSORS))),
            f"each sensor's in its order, in a share of {len(share)}", "")
    check(all(shares), "the group shared the work", [len(share) for share in shares])


def check_alarms(alarms: Listener, expected: list[dict]):
    wanted = sorted((f"alarms/{each['site']}/{each['sensor']}", each["value"]) for each in expected if each["value"] > LIMITS.get(each["kind"], 1e9))
    got = sorted((line["topic"], json.loads(line["payload"])["value"]) for line in alarms.lines())
    check(got == wanted and wanted, f"every alarm came, once: {len(got)}", len(wanted))


def check_dashboard(dashboard: Listener):
    lines = [(line["topic"], line["retained"], line["payload"]) for line in dashboard.lines()]
    online = sorted((f"state/s{sensor}", 1, "online") for sensor in range(SENSORS))
    gone = sorted((f"state/s{sensor}", 0, "offline") for sensor in range(SENSORS // FLEETS))
    check(sorted(lines[:SENSORS]) == online, f"the dashboard got {SENSORS} retained states, once each", lines[:5])
    check(sorted(lines[SENSORS:]) == gone, f"then the wills of the {len(gone)} that were killed, and of no other", lines[SENSORS:][:5])


# Tools


def environment() -> dict:
    """The caller's, without what would configure shunt."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SHUNT_")}


def start(stack: ExitStack, arguments: list, **more) -> subprocess.Popen:
    """It ends with this script at the latest."""
    process = subprocess.Popen(list(map(str, arguments)), env=environment(), **more)
    stack.callback(lambda: process.poll() is None and (process.kill(), process.wait()))
    return process


def stop(process: subprocess.Popen):
    process.terminate()
    check(process.wait(PATIENCE) == 0, "the worker has ended, with exit code 0", process.returncode)


def fail_if_ended(process: subprocess.Popen, log: Path):
    if process.poll() is not None:
        sys.exit(f"WRONG: it ended with {process.returncode}:\n{log.read_text()}")


def show_log(path: Path, kind, *_):
    """What the worker has said, where the example has failed."""
    if kind and path.exists():
        print(path.read_text(), file=sys.stderr)


def say(text: str):
    print(f"- {text}", flush=True)


def check(holds: bool, text: str, found):
    if not holds:
        sys.exit(f"WRONG: {text}: {found}")
    say(text)


def wait(text: str, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"WRONG: not within {PATIENCE:.0f} s: {text}")
        time.sleep(0.02)
    say(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fleet"]:
        fleet(int(sys.argv[2]), sys.argv[3])
    else:
        main()
