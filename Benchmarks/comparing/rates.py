"""Messages delivered a second."""

import pathlib
import shutil
import tempfile

from .loads import in_turn
from .servers import ROOT, Mosquitto, MQTTWorker, Nats, Redis, Refused, Worker

# Not so little that a consumer which waits for a processor loses messages.
ROOM = "limits.out_buffer=128MiB"
BENCH_RULES = f"rules.directory={ROOT / 'Benchmarks' / 'plugins'}"
ROUTER = ("rules.enabled=[topic-router]", "rules.settings={topic-router: {routes: [{topic: bench/orders, to: bench/routed}]}}")
PASSES = ("rules.enabled=[passes]", BENCH_RULES)
READS = ("rules.enabled=[reads]", BENCH_RULES)
SENDS = ("rules.enabled=[sends]", BENCH_RULES)


def pairs_of(messages):
    return {"1 to 1": {"messages": messages}, "ten pairs": {"messages": messages, "pairs": 10, "window": 4096}}


def fans_of(messages):
    return {"1 to 10": {"messages": messages // 5, "fanout": 10, "window": 1024},
            "1 to 1000": {"messages": messages // 400, "fanout": 1000, "window": 256}}


def exchange(run, loads):
    ours, theirs = run.pair(Worker, Nats)
    for name, options in loads.items():
        figures = in_turn(run.rounds, lambda: run.rate(ours, **options), lambda: run.rate(theirs, **options))
        run.table.row(f"exchange: {name}", *figures, theirs.label)


def throughput(run):
    """one pair and ten pairs, 100 bytes, beside nats-server"""
    run.table.title("Messages of 100 bytes delivered, pipelined; Shunt acknowledges each besides, nats-server none")
    exchange(run, pairs_of(run.messages))


def fanout(run):
    """1 to 10 and 1 to 1000 consumers, beside nats-server"""
    run.table.title("Fan-out: deliveries of 100 bytes, each consumer in a group of its own")
    exchange(run, fans_of(run.messages))


def sizes(run):
    """1 KB and 8 KB, beside nats-server"""
    run.table.title("Larger messages, pipelined: deliveries")
    exchange(run, {
        f"1 to {width}, {size} bytes": {"payload": size, "fanout": width, "messages": run.messages // share // (width // 2 or 1)}
        for size, share in ((1024, 5), (8192, 20)) for width in (1, 10)})


def mqtt(run):
    """MQTT at QoS 0: pairs, fan-out and a rule, beside nats-server's own protocol, mosquitto and redis"""
    if not run.serves_mqtt():
        return
    ours, theirs = run.pair(MQTTWorker, Nats, ROOM)
    others = []
    for kind in () if run.beside else (Mosquitto, Redis):
        try:
            others.append(run.start(kind))
        except Refused as refusal:
            run.table.skip(kind.label, refusal)
    run.table.title("MQTT 3.1.1 at QoS 0: messages of 100 bytes delivered, pipelined; none is acknowledged")
    pairs = pairs_of(run.messages)
    for name, options in {**pairs, **fans_of(run.messages)}.items():
        # A rate needs no more messages than take a while. The load reads redis' answers where one client gets a message.
        peers = [peer for peer in others if name in pairs or peer.wire != "redis"]
        fewer = {**options, "messages": max(100, options["messages"] // 10)}
        figures = in_turn(run.rounds, lambda: run.rate(ours, **options), lambda: run.rate(theirs, **options),
                          *(lambda peer=peer: run.rate(peer, **fewer) for peer in peers))
        for place, peer in enumerate([theirs, *peers], 1):
            run.table.row(f"MQTT: {name}", figures[0], figures[place], peer.label)
    ruled = run.start(MQTTWorker, ROOM, *READS)
    beside = run.other(MQTTWorker, ROOM, *READS) if run.beside else theirs
    figures = in_turn(run.rounds, lambda: run.rate(ruled, messages=run.messages), lambda: run.rate(beside, messages=run.messages))
    run.table.row("MQTT: 1 to 1, a rule in Lua reads each topic", *figures, beside.label)


def rules(run):
    """what rules cost, beside a worker without"""
    run.table.title("Rules: 1 to 1, messages of 100 bytes delivered, each acknowledged; four pairs keep all loops busy")
    plain = None if run.beside else run.start(Worker, ROOM)

    def five(plugin):
        folder = pathlib.Path(tempfile.mkdtemp(dir=run.folder))
        for place in range(5):
            shutil.copytree(ROOT / "Benchmarks" / "plugins" / plugin, folder / f"{plugin}-{place}")
        return ("rules.enabled=all", f"rules.directory={folder}")

    redact = ("rules.enabled=[redact]", "rules.settings={redact: {redactions: [{topic: secret/#, remove: [card]}]}}")
    for name, sets, topic, all_loops in (("a rule whose match fails", redact, None, False),
                                         ("`route.always`: Lua is not entered each time", ROUTER, "bench/routed", False),
                                         ("rule in Lua: passes", PASSES, None, True),
                                         ("rule in Lua: reads each topic", READS, None, True),
                                         ("five rules in Lua, each passes", five("passes"), None, True),
                                         ("five rules in Lua, each reads the topic", five("reads"), None, True),
                                         ("rule in Lua: returns `route.to`", SENDS, "bench/routed", False)):
        ruled = run.start(Worker, ROOM, *sets)
        beside = run.other(Worker, ROOM, *sets) if run.beside else plain
        for pairs in (1, 4) if all_loops else (1,):
            load = {"messages": run.messages, "pairs": pairs}
            consumed = {"consume": topic} if topic else {}
            figures = in_turn(run.rounds, lambda: run.rate(ruled, **load, **consumed),
                              lambda: run.rate(beside, **load, **(consumed if run.beside else {})))
            run.table.row(name + (", four pairs" if pairs > 1 else ""), *figures, "beside" if run.beside else "no rule")


def topics(run):
    """many topics and a consumer with a pattern, on one loop: new ones, in turn, while patterns come and go"""
    run.table.title("Topics: messages of 100 bytes, acknowledged, to one loop, for a consumer of site/+/sensor/+/temp")
    one_loop = ("worker.loops=1", ROOM)

    def new_topics():
        """The rates of both at topics that servers have not seen, each once."""
        with run.fresh() as fresh:
            sides = fresh.pair(Worker, Nats, *one_loop)
            for side in sides:
                run.rate(side, messages=100_000)
            return [run.rate(side, "topics", topics=60_000) for side in sides], sides[1].label

    found = [new_topics() for _ in range(run.rounds)]
    run.table.row("60,000 new topics, each once", [rates[0] for rates, _ in found], [rates[1] for rates, _ in found], found[0][1])
    ours, theirs = run.pair(Worker, Nats, *one_loop)
    many = {"topics": 300_000, "rounds": 4}
    run.table.row("300,000 topics in turn", *in_turn(run.rounds, *(lambda side=side: run.rate(side, "topics", **many) for side in (ours, theirs))),
                  theirs.label)
    for name, options in (("60,000", {"topics": 60_000, "rounds": 20}), ("300,000", many)):
        figures = in_turn(run.rounds, lambda: run.rate(ours, "topics", **options, churn=400), lambda: run.rate(ours, "topics", **options))
        run.table.row(f"{name} topics while patterns come and go", *figures, "none does")
