"""Random conversations of several clients with a broker, each from a seed.

A conversation is a list of steps, each of which stands for itself: one whose client is not connected is passed over, so that any part of a
conversation is one too.
"""

import random
from dataclasses import dataclass, field

from mqtt.packets import V3, V5, options

CLIENTS = ("a", "b", "c", "d")
TOPICS = ("x", "y", "x/1", "x/2", "x/1/deep", "y/1", "")
FILTERS = ("x", "y", "x/1", "x/+", "y/+", "x/#", "+/1", "#", "+", "x/1/#", "+/+/deep")
# A subscription that is replaced keeps no local and retain as published in mosquitto: so a filter has them always or never.
NO_LOCAL = ("y", "x/1/#")
AS_PUBLISHED = ("x", "#", "y/+")
# Not a second CONNECT: mosquitto forgets the session with it.
INVALID = ("QoS 3", "identifier 0", "cut topic", "cut identifier", "wildcard topic", "ill-formed topic", "no filter", "filter cut",
           "options 3", "PUBREL flags", "SUBSCRIBE flags", "UNSUBSCRIBE flags", "CONNACK", "kind 0", "five bytes of length",
           "alias 0", "alias beyond", "property twice", "property unknown", "property length", "AUTH")
INVALID_IN_5 = INVALID[-6:]


@dataclass(frozen=True)
class Step:
    """What a client does, with what."""

    client: str
    what: str
    more: dict = field(default_factory=dict, hash=False)

    def __str__(self):
        return f"{self.client}: {self.what} " + ", ".join(f"{key}={value!r}" for key, value in self.more.items() if value not in (None, [], False))


def make(seed: int, length: int) -> list[Step]:
    chance = random.Random(seed)
    steps = [connect(chance, each) for each in CLIENTS[:chance.randint(2, 4)]]
    while len(steps) < length:
        client = chance.choice(CLIENTS)
        make_one = chance.choices(
            (publish, subscribe, unsubscribe, connect, leave, mute, partial, invalid), (40, 18, 5, 14, 8, 6, 5, 2))[0]
        steps.append(make_one(chance, client))
    return steps


def connect(chance, client) -> Step:
    """Also of a client that is connected: it takes over."""
    version = chance.choice((V3, V5))
    will = None
    if chance.random() < 0.4:
        will = {"topic": chance.choice(TOPICS), "payload": f"will{chance.randrange(1000)}" if chance.random() < 0.9 else "",
                "qos": chance.randrange(3), "retain": chance.random() < 0.3}
    more = {"version": version, "clean": chance.random() < 0.4, "will": will}
    if version == V5:
        more["expiry"] = chance.choice((None, 1000, 1000))
        more["window"] = chance.choice((None, None, None, 1))
        more["aliases"] = chance.choice((None, 5))
    return Step(client, "connect", more)


def leave(chance, client) -> Step:
    return Step(client, chance.choice(("disconnect", "disconnect", "vanish")), {"reason": chance.choice((None, None, 0, 4))})


def subscribe(chance, client) -> Step:
    filters = []
    for name in chance.sample(FILTERS, chance.choice((1, 1, 1, 2, 3))):
        made = options(chance.randrange(3), name in NO_LOCAL, name in AS_PUBLISHED, chance.choice((0, 0, 0, 1, 2)))
        filters.append((name, made))
    identifier = chance.choice((None, None, 1, 200, 268_435_455))
    share = chance.random() < 0.1
    return Step(client, "subscribe", {"filters": filters, "identifier": identifier, "share": share})


def unsubscribe(chance, client) -> Step:
    return Step(client, "unsubscribe", {"filters": chance.sample(FILTERS, chance.choice((1, 1, 2)))})


def publish(chance, client) -> Step:
    more = []
    if chance.random() < 0.4:
        if chance.random() < 0.5:
            more.append(("payload_format", 1))
        if chance.random() < 0.3:
            more.append(("message_expiry", 5000))
        if chance.random() < 0.5:
            more.append(("content_type", "text/x"))
        if chance.random() < 0.3:
            more += [("response_topic", "re/ply"), ("correlation_data", b"\0c")]
        more += [("user", (chance.choice("kl"), str(number))) for number in range(chance.choice((0, 0, 1, 3)))]
    payload = f"p{chance.randrange(100_000)}" if chance.random() < 0.9 else ""
    return Step(client, "publish", {
        "topic": chance.choice(TOPICS), "payload": payload, "qos": chance.choice((0, 1, 1, 2, 2)), "retain": chance.random() < 0.2,
        "properties": more, "alias": chance.choice((None, None, None, 1, 2, 5)), "times": chance.choice((1, 1, 1, 1, 5))})


def mute(chance, client) -> Step:
    """A mute client acknowledges nothing of what it gets until it is no longer mute."""
    return Step(client, chance.choice(("mute", "speak", "speak")))


def partial(chance, client) -> Step:
    """Half a handshake of QoS 2, of a topic of its own: brokers differ in when they deliver it."""
    return Step(client, chance.choice(("begin", "begin again", "release")), {"number": chance.randrange(3)})


def invalid(chance, client) -> Step:
    return Step(client, "invalid", {"kind": chance.choice(INVALID)})


# What a conversation may do without: a part's name, and what becomes of the contents of a step.
PARTS = {
    "wills": lambda step: {"will": None} if step.what == "connect" else {},
    "expiry 0": lambda step: {"expiry": 1000} if step.what == "connect" else {},
    "changes of version": lambda step: {"version": V5 if step.client in "ac" else V3} if step.what == "connect" else {},
    "no local": lambda step: {"filters": [(name, made & ~4) for name, made in step.more["filters"]]} if step.what == "subscribe" else {},
    "retained": lambda step: {"retain": False} if step.what == "publish" else {},
    "shares": lambda step: {"share": False} if step.what == "subscribe" else {},
}


def without(parts, steps: list[Step]) -> list[Step]:
    """While a difference is known and not mended, the rest can be looked at."""
    for part in parts:
        steps = [Step(step.client, step.what, step.more | PARTS[part](step)) for step in steps]
    return steps
