"""Memory and instructions."""

import subprocess
import time

from .loads import LOAD, in_turn
from .rates import ROOM, ROUTER
from .servers import CountedWorker, Mosquitto, MQTTWorker, Nats, Refused, SHUNT, Worker, open_files, resident
from .tables import kilobytes


def start(run):
    """resident memory of a worker that has no client"""
    run.table.title("Start of `shunt worker`: resident memory once it listens", "all", "not the file")
    found = []
    for _ in range(run.rounds):
        with run.fresh() as fresh:
            worker = fresh.start(Worker)
            time.sleep(0.5)
            found.append(resident(worker.pid))
    run.table.line("shunt worker", *(f"{sorted(column)[len(column) // 2] / 1e6:.1f} MB" for column in zip(*found)))


def of_a_client(run, start, count):
    """
    Resident bytes of each of so many clients that do nothing.

    start: gives a server that it starts in a run.
    """
    def hold(server, connections):
        command = [LOAD, "idle", "--peer", server.wire, "--port", str(server.port), "--connections", str(connections)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def taken(server):
        return sum(resident(pid)[0] for pid in server.pids)

    with run.fresh() as fresh:
        server = start(fresh)
        # The code that serves clients comes into memory with the first of them, not with each. What these give back counts for later ones.
        hold(server, count // 30).communicate()
        # Pages that were given back at the start come back within a second.
        time.sleep(max(0.5, server.started + 2 - time.monotonic()))
        before = taken(server)
        clients = hold(server, count)
        try:
            if not clients.stdout.readline():
                raise Refused(f"{server.label} did not take {count} clients")
            time.sleep(0.5)
            return (taken(server) - before) / count
        finally:
            clients.communicate()


def idle(run):
    """memory of an idle client with one subscription: exchange, MQTT, nats-server, mosquitto"""
    count = open_files()
    run.table.title(f"Idle: resident memory of each of {count} clients with a subscription of its own")

    def each(kind, **options):
        return of_a_client(run, lambda fresh: fresh.start(kind, **options), count)

    def sides(kind, *peers):
        if run.beside:
            return {"": lambda: each(kind), "beside": lambda: each(kind, binary=run.beside)}
        return {"": lambda: each(kind), **{peer.label: lambda peer=peer: each(peer) for peer in peers}}

    for name, kind in (("exchange", Worker), ("MQTT", MQTTWorker)):
        if kind is MQTTWorker and not run.serves_mqtt():
            continue
        wanted = sides(kind, Nats, Mosquitto)
        ours, *others = in_turn(min(run.rounds, 3), *wanted.values())
        for label, theirs in zip(list(wanted)[1:], others):
            run.table.row(f"{name}: an idle client", ours, theirs, label, show=kilobytes)


def cost(run):
    """instructions and allocations of a message, counted by callgrind"""
    few, many = 20_000, 120_000

    def counted(binary, kind, sets, load):
        found = []
        for messages in (few, many):
            counted = CountedWorker(run.folder, kind, *sets, binary=binary)
            run.rate(counted.worker, messages=messages, **load)
            found.append(counted.counts())
        (base, before), (total, after) = found

        def calls(*functions):
            return sum(after.get(name, 0) - before.get(name, 0) for name in functions) / (many - few)

        return (total - base) / (many - few), calls("malloc", "calloc", "posix_memalign"), calls("swift_retain", "swift_release")

    pair, ten = {"consume": "bench/orders"}, {"fanout": 10, "window": 1024}
    kinds = [("exchange, acknowledged", Worker, (), pair), ("exchange, topic-router", Worker, ROUTER, {"consume": "bench/routed"}),
             ("exchange, 1 to 10", Worker, (), ten)]
    if run.serves_mqtt():
        kinds += [("MQTT, QoS 0", MQTTWorker, (), pair), ("MQTT, QoS 0, 1 to 10", MQTTWorker, (), ten)]
    columns = ("instructions", "malloc", "retain+release", *(("beside: instructions", "ratio") if run.beside else ()))
    run.table.title("Cost of a message from one loop's client to another's: counted by callgrind, the start not included", *columns)
    for name, kind, sets, load in kinds:
        instructions, allocations, retains = counted(SHUNT, kind, (ROOM, *sets), load)
        cells = [f"{instructions:.0f}", f"{allocations:.2f}", f"{retains:.1f}"]
        if run.beside:
            other = counted(run.beside, kind, (ROOM, *sets), load)[0]
            cells += [f"{other:.0f}", f"{instructions / other:.2f}"]
        run.table.line(name, *cells)
