"""Rows as README shows them, and what each is to reach."""

import statistics


class AtLeast:
    def __init__(self, bound):
        self.bound = bound

    def __str__(self):
        return f"≥ {self.bound}"

    def is_met(self, value):
        return value >= self.bound


class AtMost(AtLeast):
    def __str__(self):
        return f"≤ {self.bound}"

    def is_met(self, value):
        return value <= self.bound


# Of a row's ratio, or of Shunt's own figure where the unit is given.
TARGETS = {
    "exchange: 1 to 1": AtLeast(3),
    "exchange: ten pairs": AtLeast(3),
    "exchange: 1 to 10": AtLeast(4),
    "exchange: 1 to 1000": AtLeast(3),
    "exchange: 1 to 1, 1024 bytes": AtLeast(1),
    "exchange: 1 to 10, 1024 bytes": AtLeast(1),
    "exchange: 1 to 1, 8192 bytes": AtLeast(1),
    "exchange: 1 to 10, 8192 bytes": AtLeast(1),
    "MQTT: 1 to 1": AtLeast(2),
    "MQTT: ten pairs": AtLeast(1.5),
    "MQTT: 1 to 10": AtLeast(2),
    "MQTT: 1 to 1000": AtLeast(2),
    "MQTT: 1 to 1, a rule in Lua reads each topic": AtLeast(1.5),
    "MQTT: QoS 1: 1 to 1": AtLeast(10),
    "MQTT: QoS 1: ten pairs": AtLeast(10),
    "MQTT: QoS 1: 1 to 10": AtLeast(10),
    "MQTT: 500 a second to 100, p50": AtMost(1),
    "MQTT: 500 a second to 100, p99": AtMost(1),
    "MQTT: greeting, p50": AtMost(1),
    "rule in Lua: passes": AtLeast(0.75),
    "rule in Lua: passes, four pairs": AtLeast(0.75),
    "rule in Lua: reads each topic": AtLeast(0.75),
    "rule in Lua: reads each topic, four pairs": AtLeast(0.75),
    "rule in Lua: returns `route.to`": AtLeast(0.65),
    "60,000 new topics, each once": AtLeast(1.5),
    "300,000 topics in turn": AtLeast(1.5),
    "60,000 topics while patterns come and go": AtLeast(0.7),
    "300,000 topics while patterns come and go": AtLeast(0.7),
    "exchange: latency, p50": AtMost(1),
    "exchange: latency, p99": AtMost(1),
    "MQTT: latency, p50": AtMost(1),
    "MQTT: latency, p99": AtMost(1),
    "exchange: an idle client": (AtMost(0.75), "KB"),
    "MQTT: an idle client": (AtMost(0.8), "KB"),
    "TLS 1.3: handshakes": AtLeast(0.9),
    "TLS 1.2: handshakes": AtLeast(0.9),
    "TLS 1.3: handshakes, resumed": AtLeast(0.9),
    "TLS 1.2: handshakes, resumed": AtLeast(0.9),
    "MQTT over TLS: an idle client": (AtMost(20), "KB"),
    "host: empty hook": (AtMost(0.06), "µs"),
    "host: topic comparison": (AtMost(0.1), "µs"),
    "host: pattern match of the topic": (AtMost(0.18), "µs"),
    "host: JSON field": (AtMost(1), "µs"),
    "outside: empty hook": (AtMost(0.08), "µs"),
    "outside: plain find in 190 bytes": (AtMost(0.25), "µs"),
    "outside: a JSON field": (AtMost(1.2), "µs"),
    "outside: decode and encode": (AtMost(2.5), "µs"),
    "outside: kv.incr": (AtMost(0.2), "µs"),
    "outside: on_deliver": (AtMost(0.4), "µs"),
    "a rule whose match fails": AtLeast(0.97),
    "five rules in Lua, each passes": AtLeast(0.5),
    "five rules in Lua, each passes, four pairs": AtLeast(0.5),
    "five rules in Lua, each reads the topic": AtLeast(0.5),
    "five rules in Lua, each reads the topic, four pairs": AtLeast(0.5),
    "reload: latency meanwhile, p99": (AtMost(20), "ms"),
}


# Of rows with several peers, the one that the target is for.
HELD_AGAINST = {
    **dict.fromkeys(("MQTT: 1 to 1", "MQTT: ten pairs", "MQTT: 1 to 10", "MQTT: 1 to 1000"), "nats-server"),
    **dict.fromkeys((name for name in TARGETS if ": handshakes" in name), "s_server"),
}


def median(values):
    return statistics.median(values)


def median_ratio(ours, theirs):
    return median([one / two for one, two in zip(ours, theirs)])


def rate(per_second):
    return f"{per_second / 1e6:.2f} M/s"


def count(per_second):
    return f"{per_second:,.0f} /s"


def kilobytes(size):
    return f"{size / 1e3:.2f} KB"


def milliseconds(micros):
    return f"{micros / 1000:.1f} ms"


def microseconds(micros):
    return f"{micros:.0f} µs"


def nanoseconds(nanos):
    return f"{nanos:,.0f} ns"


class Table:
    """Prints rows of what was measured in each round, and keeps the names of those that miss their target."""

    def __init__(self, has_targets=True):
        self.has_targets = has_targets
        self.missed = []

    def title(self, text, *columns):
        print(f"\n{text}\n")
        self.line("", *(columns or ("Shunt", "beside it", "ratio", "target")))
        self.line(*["---"] * (len(columns or range(4)) + 1))

    def line(self, name, *cells):
        print(f"| {name:<46} |" + "|".join(f" {cell:<24} " if place == 1 else f" {cell:<12} " for place, cell in enumerate(cells)) + "|",
              flush=True)

    def skip(self, name, why):
        print(f"\n({name} left out: {why})", flush=True)

    def row(self, name, ours, theirs=None, label="", show=rate):
        """
        ours, theirs: a figure of each round; a round's two belong together.
        show: how a figure is written.
        """
        ratio = median_ratio(ours, theirs) if theirs else None
        cells = [show(median(ours)), f"{show(median(theirs))} ({label})" if theirs else "", "" if ratio is None else f"{ratio:.2f}"]
        self.line(name, *cells, self.verdict(name, label, ratio, median(ours)))

    def verdict(self, name, label, ratio, own):
        target = TARGETS.get(name) if self.has_targets else None
        if target is None or HELD_AGAINST.get(name, label) != label:
            return ""
        value, unit = (own / 1e3, f" {target[1]}") if isinstance(target, tuple) else (ratio, "")
        target = target[0] if isinstance(target, tuple) else target
        if target.is_met(value):
            return f"{target}{unit}"
        self.missed.append(name)
        return f"{target}{unit} **missed**"
