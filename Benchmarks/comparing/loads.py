"""Runs `shunt-bench` and takes turns."""

import contextlib
import json
import os
import subprocess
import sys

from .servers import ROOT, MQTTWorker, Refused, processor_seconds

LOAD = os.environ.get("SHUNT_BENCH_BINARY", str(ROOT / ".build" / "release" / "shunt-bench"))


def measure(what, server, **options):
    """What `shunt-bench` finds at a server."""
    command = [LOAD, what, "--json", "--peer", server.wire, "--port", str(server.port)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"compare: {' '.join(command[1:])} ended with {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def in_turn(rounds, *runs):
    """Calls each, A B A B; gives the figures of each."""
    figures = [[] for _ in runs]
    for _ in range(rounds):
        for place, run in enumerate(runs):
            figures[place].append(run())
    return figures


class Run:
    """What one part of `compare` measures with; all servers that it starts end with it."""

    def __init__(self, arguments, folder, table):
        self.arguments, self.folder, self.table = arguments, folder, table
        self.rounds, self.messages, self.beside = arguments.rounds, arguments.messages, arguments.beside

    def __enter__(self):
        self.servers = contextlib.ExitStack()
        return self

    def __exit__(self, *_):
        self.servers.close()

    def fresh(self):
        """The same, whose servers end sooner: to be used by `with`."""
        return Run(self.arguments, self.folder, self.table)

    def start(self, kind, *sets, **options):
        server = kind(self.folder, *sets, **options)
        self.servers.callback(server.stop)
        return server

    def peer(self, kind, *sets):
        """One that others may stand in for; None, and a word about it, where it is not installed."""
        try:
            return self.start(kind, *sets)
        except Refused as refusal:
            self.table.skip(kind.label, refusal)
            return None

    def other(self, kind, *sets):
        """The worker of `--beside`."""
        server = self.start(kind, *sets, binary=self.beside)
        server.label = "beside"
        return server

    def serves_mqtt(self):
        """Whether the worker does, and the one beside it where there is one; says so if not."""
        try:
            for binary in (None, self.beside):
                MQTTWorker(self.folder, **({"binary": binary} if binary else {})).stop()
        except Refused as refusal:
            self.table.skip("MQTT", f"the worker refuses `protocol: mqtt`: {refusal}")
            return False
        return True

    def rate(self, server, what="throughput", **options):
        """Deliveries a second; with `--processor`, a second that the server takes of the processors."""
        before = processor_seconds(*server.pids)
        result = measure(what, server, **options)
        if result["lost"]:
            print(f"  ({result['lost']} of {result['lost'] + result['deliveries']} messages were lost at {server.label})")
        if self.arguments.processor:
            return result["deliveries"] / (processor_seconds(*server.pids) - before)
        return result["per_second"]

    def pair(self, kind, peer, *sets):
        """A worker, and what it is measured beside: another binary with the same settings, else `peer`."""
        return self.start(kind, *sets), self.other(kind, *sets) if self.beside else self.start(peer)
