"""How long things take."""

import itertools
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading

from .loads import LOAD, in_turn, measure
from .rates import ROOM
from .servers import Mosquitto, Master, MQTTWorker, Nats, Refused, Worker, open_files
from .tables import median, microseconds, milliseconds


def latency(run):
    """a message to a consumer at 1,000 a second: exchange, MQTT, nats-server and mosquitto in one run"""
    servers = {"exchange": run.start(Worker), "nats-server": run.start(Nats)}
    if run.serves_mqtt():
        servers["MQTT"] = run.start(MQTTWorker)
        try:
            servers["mosquitto"] = run.start(Mosquitto)
        except Refused as refusal:
            run.table.skip("mosquitto", refusal)
    run.table.title("Latency: from just before a message of 100 bytes is written until its consumer has read it, at 1,000 a second")
    found = dict(zip(servers, in_turn(run.rounds, *(lambda server=server: measure("latency", server) for server in servers.values()))))
    for wire in ("exchange", "MQTT"):
        for peer in ("nats-server",) if wire == "exchange" else ("nats-server", "mosquitto"):
            if wire not in found or peer not in found:
                continue
            for share in ("p50", "p99"):
                ours, theirs = ([each[share] for each in found[name]] for name in (wire, peer))
                run.table.row(f"{wire}: latency, {share}", ours, theirs, peer, show=microseconds)


def broadcast(run):
    """a broadcast to 15,000 devices, beside nats-server"""
    count = open_files()
    run.table.title(f"Broadcast: 100 bytes to {count} devices; until the last has read it, and until the sender is answered")
    worker, nats = run.start(Worker), run.start(Nats)
    ours, theirs = in_turn(run.rounds, *(
        lambda server=server: measure("broadcast", server, devices=count, rounds=20) for server in (worker, nats)))
    for share in ("p50", "max"):
        run.table.row(f"a broadcast read by all, {share}", *([each["read"][share] for each in side] for side in (ours, theirs)), nats.label,
                      show=milliseconds)
    for share in ("p50", "max"):
        run.table.row(f"a broadcast answered, {share}", [each["answered"][share] for each in ours], show=milliseconds)
    run.table.row("a broadcast answered, each device", [each["answered"]["p50"] / count for each in ours], show="{:.2f} µs".format)


def roundtrip(run):
    """a chat message there and back, beside a topic message and nats-server"""
    run.table.title("Round trip: 100 bytes to another client and back, one at a time")
    worker, nats = run.start(Worker), run.start(Nats)
    chat, topic, theirs = in_turn(
        run.rounds, lambda: measure("roundtrip", worker, kind="chat"), lambda: measure("roundtrip", worker, kind="topic"),
        lambda: measure("roundtrip", nats, kind="topic"))
    for share in ("p50", "p99"):
        chats, topics, peers = ([each[share] for each in side] for side in (chat, topic, theirs))
        run.table.row(f"chat message there and back, {share}", chats, topics, "topic message", show=microseconds)
        run.table.row(f"topic message there and back, {share}", topics, peers, nats.label, show=microseconds)


def storm(run):
    """allocation while 100,000 devices come back to a master"""
    run.table.title("Reconnect storm: 100,000 devices of a worker come back at once; allocation meanwhile")
    results = []
    for _ in range(run.rounds):
        with run.fresh() as fresh:
            command = [LOAD, "storm", "--json", "--port", str(fresh.start(Master).port)]
            results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    for share in ("p50", "p99", "max"):
        during, before = ([each[part][share] for each in results] for part in ("storm", "quiet"))
        run.table.row(f"allocation meanwhile, {share}", during, before, "before", show=milliseconds)
    run.table.row("all told to the master", [median([each["seconds"] for each in results])], show="{:.2f} s".format)


RELOADED_RULE = """local version = {version}
return {{ match = {{ topic = "bench/#" }}, on_message = function(msg) if msg.topic == "none" then return route.drop() end end }}
"""
RELOADED_TEST = "return { passes = function(t) t:eq(t:message { topic = 'bench/x', payload = 'y' }.verdict, 'pass') end }"


def reload(run):
    """a message at 200,000 a second while five rules are reloaded four times a second, beside none that are"""
    run.table.title("Reload: latency of messages of 100 bytes at 200,000 a second; five rules are reloaded, with their tests, four times a second")
    folder = pathlib.Path(tempfile.mkdtemp(dir=run.folder))

    def write(version):
        for place in range(5):
            plugin = folder / f"r{place}"
            plugin.mkdir(exist_ok=True)
            for name, text in (("rule.lua", RELOADED_RULE.format(version=version)), ("rule_test.lua", RELOADED_TEST)):
                # Never half a file.
                (plugin / (name + ".new")).write_text(text)
                (plugin / (name + ".new")).rename(plugin / name)

    write(0)
    worker = run.start(Worker, ROOM, f"rules.directory={folder}", "rules.enabled=all", "rules.guard.window=0s")
    done, versions = threading.Event(), itertools.count(1)

    def reload_until_done():
        while not done.wait(0.25):
            write(next(versions))
            os.kill(worker.pid, signal.SIGHUP)

    def disturbed():
        done.clear()
        thread = threading.Thread(target=reload_until_done)
        thread.start()
        try:
            return measure("latency", worker, rate=200_000, seconds=2)
        finally:
            done.set()
            thread.join()

    found, quiet = in_turn(run.rounds, disturbed, lambda: measure("latency", worker, rate=200_000, seconds=2))
    for share in ("p50", "p99", "max"):
        ours, theirs = ([each[share] for each in side] for side in (found, quiet))
        run.table.row(f"reload: latency meanwhile, {share}", ours, theirs, "no reload", show=microseconds)
    run.table.line("rules reloaded", f"{next(versions) - 1} times", "no message was lost or came twice")
