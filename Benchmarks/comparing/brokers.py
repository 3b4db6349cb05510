"""MQTT at QoS 1 and 2, greetings and latencies, as `shunt bench` measures any broker."""

import json
import subprocess
import sys

from .loads import in_turn
from .servers import SHUNT, Mosquitto, MQTTWorker
from .tables import microseconds

# Until the clients of one row keep the brokers busy.
FULL = {"QoS 1: 1 to 1": ("p2p-1-1-1-1", 1), "QoS 1: ten pairs": ("p2p-10-10-10-10", 1), "QoS 1: 1 to 10": ("fanout-1-10-1-10", 1),
        "QoS 1: five share": ("sharedsub-10-5-10-10", 1), "QoS 2: 1 to 1": ("p2p-1-1-1-1", 2)}


def bench(server, *arguments):
    """What `shunt bench` finds at a broker."""
    command = [SHUNT, "bench", *arguments, "--host", f"127.0.0.1:{server.port}", "--json", "--quiet"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"compare: {' '.join(command[1:])} ended with {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def full(server, scenario, qos):
    """Messages that subscribers got a second, as fast as it goes."""
    found = bench(server, "run", scenario, "--rate", "max", "--qos", str(qos), "--inflight", "500", "--duration", "4", "--warm-up", "1")
    return found["messages"]["received_per_second"]


def qos(run):
    """MQTT 5.0 at QoS 1 and 2, beside mosquitto"""
    if not run.serves_mqtt():
        return
    ours, theirs = run.pair(MQTTWorker, Mosquitto)
    run.table.title("MQTT 5.0 at QoS 1 and 2: messages of 100 bytes delivered and acknowledged both ways, 500 on their way for each publisher")
    for name, (scenario, level) in FULL.items():
        figures = in_turn(run.rounds, lambda: full(ours, scenario, level), lambda: full(theirs, scenario, level))
        run.table.row(f"MQTT: {name}", *figures, theirs.label)


def paced(run):
    """MQTT at an even pace, beside mosquitto: latency of 500 messages a second to 100 subscribers, and greetings"""
    if not run.serves_mqtt():
        return
    ours, theirs = run.start(MQTTWorker), run.start(Mosquitto)
    run.table.title("MQTT at an even pace: latency, and the time from CONNECT to CONNACK")
    runs = [lambda server=server: bench(server, "run", "fanout-1-100-500-50K", "--duration", "5", "--warm-up", "1") for server in (ours, theirs)]
    found = in_turn(run.rounds, *runs)
    for share in ("p50", "p99"):
        run.table.row(f"MQTT: 500 a second to 100, {share}", *([each["messages"]["latency"][share] for each in side] for side in found),
                      theirs.label, show=microseconds)
    greetings = in_turn(run.rounds, *(lambda server=server: bench(server, "connect", "2000", "--rate", "1K", "--hold", "1")
                                      for server in (ours, theirs)))
    for share in ("p50", "p99"):
        run.table.row(f"MQTT: greeting, {share}", *([each["connections"]["connack"][share] for each in side] for side in greetings),
                      theirs.label, show=microseconds)
