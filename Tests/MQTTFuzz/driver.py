"""Holds a conversation with one broker, and tells what each connection has seen of it."""

import itertools
import time
from dataclasses import dataclass, field

from mqtt import packets
from mqtt.client import Client, Ended
from mqtt.packets import (CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, V5, Will, data, packet)

from conversation import AS_PUBLISHED, INVALID_IN_5, NO_LOCAL, Step

PREFIXES = itertools.count(1)


@dataclass
class Seen:
    """What one connection of a client has seen. Topics are without the conversation's own first level."""

    client: str
    version: int
    connack: tuple = ()
    answers: list = field(default_factory=list)
    messages: list = field(default_factory=list)
    is_closed: bool = False
    # It has resumed a session that 3.1.1 has had.
    resumes_old: bool = False
    # Payloads of wills that brokers may publish or not: shared by all connections of a conversation.
    free_wills: set = field(default_factory=set)


class Peer:
    """A client of the conversation while it is connected."""

    def __init__(self, connection: Client, seen: Seen, will: dict | None = None):
        self.connection, self.seen, self.will = connection, seen, will
        self.ids = itertools.count(100)
        self.is_mute = False
        self.owed: list[tuple[int, int]] = []
        self.aliases: dict[int, str] = {}

    def answer(self, kind, id):
        if self.is_mute:
            self.owed.append((kind, id))
        else:
            self.connection.answer(kind, id)


class Conversation:
    """A conversation with one broker; `pace` is how long each step waits besides, in seconds."""

    def __init__(self, address: str, pace: float = 0):
        self.address, self.pace = address, pace
        self.prefix = f"f{next(PREFIXES)}-{time.monotonic_ns() % 1_000_000_007}"
        self.peers: dict[str, Peer] = {}
        self.seen: list[Seen] = []
        self.filters: dict[str, set] = {}
        self.retained: set[str] = set()
        self.begun: dict[tuple[str, int], str] = {}
        self.free_wills: set[bytes] = set()
        self.handshakes = itertools.count()

    def hold(self, steps: list[Step]) -> list[Seen]:
        try:
            for step in steps:
                if step.what == "connect":
                    self.connect(step.client, **step.more)
                elif step.client in self.peers:
                    getattr(self, step.what.split()[0])(self.peers[step.client], step)
                self.settle(step.what in ("vanish", "connect", "invalid"))
        finally:
            self.clean_up()
        return self.seen

    # Waiting

    def settle(self, is_end: bool):
        """All clients are asked for a PINGRESP again and again, until nothing else comes before it.

        A broker that has closed a connection may take a moment more to see to its will.
        """
        for pause in (0.005, 0.01) if is_end else (0,):
            time.sleep(self.pace + pause)
            self.come_to_rest()

    def come_to_rest(self):
        quiet = 0
        for _ in range(30):
            quiet = 0 if any([self.pump(name) for name in list(self.peers)]) else quiet + 1
            if quiet == 3:
                return
        raise AssertionError("the broker does not come to rest")

    def pump(self, name: str) -> bool:
        """Whether anything came besides a PINGRESP."""
        peer = self.peers[name]
        peer.connection.send(packets.PING)
        has_come = False
        while True:
            try:
                made = peer.connection.next()
            except Ended:
                return self.end(name)
            if made.kind == PINGRESP:
                return has_come
            has_come = True
            if made.kind == DISCONNECT:
                return self.end(name)
            self.take(peer, made)

    def end(self, name):
        peer = self.peers.pop(name)
        peer.seen.is_closed = True
        peer.connection.close()
        return True

    def take(self, peer: Peer, made):
        if made.kind == PUBLISH:
            more = [pair for pair in made.properties if pair[0] not in ("topic_alias", "message_expiry")]
            more += [("expires", 1)] if made.get("message_expiry") else []
            topic = made.topic.removeprefix(self.prefix + "/")
            peer.seen.messages.append({
                "topic": topic, "payload": made.payload, "qos": made.qos, "retain": made.retain, "dup": made.dup, "properties": more,
                "matches": sum(matches(each, topic) for each in self.filters.get(peer.seen.client, ()))})
            if made.qos:
                peer.answer(PUBACK if made.qos == 1 else PUBREC, made.id)
        elif made.kind == PUBREL:
            peer.answer(PUBCOMP, made.id)
        elif made.kind == PUBREC and made.id >= 100 and made.reason < 0x80:
            peer.connection.answer(PUBREL, made.id)
        if made.kind in (PUBACK, PUBREC, PUBCOMP):
            peer.seen.answers.append((made.kind, made.id, made.reason >= 0x80))
        elif made.kind in (SUBACK, UNSUBACK):
            peer.seen.answers.append((made.kind, made.id, tuple(made.reasons)))

    # Steps

    def connect(self, name, version, clean, will, expiry=None, window=None, aliases=None):
        if name in self.peers and not clean:
            self.free_will(self.peers[name])
        seen = Seen(name, version, free_wills=self.free_wills)
        self.seen.append(seen)
        connection = Client(self.address, version)
        more = [(key, value) for key, value in (("session_expiry", expiry), ("receive_maximum", window), ("topic_alias_maximum", aliases)) if value]
        made = will and Will(self.topic(will["topic"]), will["payload"], will["qos"], will["retain"])
        if will and will["retain"]:
            self.retained.add(self.topic(will["topic"]))
        connection.send(packets.connect(version, self.prefix + name, clean, will=made, **({"more": more} if version == V5 else {})))
        answer = connection.wait(CONNACK)
        seen.connack = (answer.reason >= 0x80 if version == V5 else bool(answer.reason), answer.session_present)
        seen.resumes_old = answer.session_present and any(each.client == name and each.version != V5 for each in self.seen)
        if not answer.session_present:
            self.filters[name] = set()
            self.begun = {key: value for key, value in self.begun.items() if key[0] != name}
        if name in self.peers:
            # It is told, and closed.
            old = self.peers.pop(name)
            for _ in range(100):
                try:
                    packet_before = old.connection.next()
                except Ended:
                    break
                if packet_before.kind not in (PINGRESP, DISCONNECT):
                    old.is_mute = True
                    self.take(old, packet_before)
            old.seen.is_closed = True
            old.connection.close()
        self.peers[name] = Peer(connection, seen, will)

    def free_will(self, peer: Peer):
        """A client is to be taken over by one that resumes its session: mosquitto does not publish its will then, though its delay of 0 is over.

        A will that would stay, or that cannot be told from others, is taken out of the way by a DISCONNECT.
        """
        if peer.will and (peer.will["retain"] or not peer.will["payload"]):
            peer.connection.send(packets.disconnect(peer.connection.version))
            self.drop(peer)
            self.settle(True)
        elif peer.will:
            self.free_wills.add(peer.will["payload"].encode())

    def topic(self, name) -> str:
        return f"{self.prefix}/{name}"

    def disconnect(self, peer, step):
        connection = peer.connection
        connection.send(packets.disconnect(connection.version, step.more["reason"]))
        self.drop(peer)

    def vanish(self, peer, step):
        self.drop(peer)

    def drop(self, peer):
        # An end of the bytes, not a reset: what was sent before it counts.
        del self.peers[peer.seen.client]
        peer.connection.close()

    def subscribe(self, peer, step):
        connection, more = peer.connection, step.more
        is_new = connection.version == V5
        pairs = []
        for name, made in more["filters"]:
            # Which mosquitto goes on with where a session that has them from 5.0 is resumed by 3.1.1.
            if not is_new and peer.seen.connack[1] and name in NO_LOCAL + AS_PUBLISHED:
                continue
            if is_new and more["share"]:
                # A group of its own; no retained messages, which mosquitto sends to shares.
                pairs.append((f"$share/{self.prefix}{peer.seen.client}/{self.topic(name)}", made & 0x0B | 0x20))
            else:
                pairs.append((self.topic(name), made if is_new else made & 3))
            self.filters[peer.seen.client].add(("$" if is_new and more["share"] else "") + name)
        if not pairs:
            return
        identifier = {"subscription_identifier": more["identifier"]} if is_new and more["identifier"] else None
        connection.send(packets.subscribe(connection.version, next(peer.ids), pairs, identifier))

    def unsubscribe(self, peer, step):
        connection = peer.connection
        connection.send(packets.unsubscribe(connection.version, next(peer.ids), [self.topic(name) for name in step.more["filters"]]))
        self.filters[peer.seen.client] -= set(step.more["filters"])

    def publish(self, peer, step):
        connection, more = peer.connection, step.more
        topic, properties = self.topic(more["topic"]), list(more["properties"])
        alias = more["alias"]
        if more["retain"]:
            self.retained.add(topic)
        for number in range(more["times"]):
            written = topic
            if connection.version == V5 and alias:
                if peer.aliases.get(alias) == topic:
                    written = ""
                peer.aliases[alias] = topic
                properties = [pair for pair in properties if pair[0] != "topic_alias"] + [("topic_alias", alias)]
            id = next(peer.ids) if more["qos"] else None
            payload = f"{more['payload']}.{number}" if more["payload"] else ""
            connection.send(packets.publish(connection.version, written, payload, more["qos"], more["retain"], id=id,
                                            **({"more": properties} if connection.version == V5 else {})))

    def mute(self, peer, step):
        peer.is_mute = True

    def speak(self, peer, step):
        peer.is_mute = False
        for kind, id in peer.owed:
            peer.connection.answer(kind, id)
        peer.owed.clear()

    def begin(self, peer, step):
        """A handshake that is begun, or the PUBLISH of one that is begun already again."""
        key, number = (peer.seen.client, step.more["number"]), step.more["number"]
        is_again = key in self.begun
        if is_again != (step.what == "begin again"):
            return
        if not is_again:
            self.begun[key] = f"half {next(self.handshakes)}"
        peer.connection.send(packets.publish(
            peer.connection.version, self.topic(f"half/{peer.seen.client}{number}"), self.begun[key], 2, id=1 + number, dup=is_again))

    def release(self, peer, step):
        if self.begun.pop((peer.seen.client, step.more["number"]), None):
            peer.connection.answer(PUBREL, 1 + step.more["number"])

    def invalid(self, peer, step):
        kind, version = step.more["kind"], peer.connection.version
        if version == V5 or kind not in INVALID_IN_5:
            peer.connection.send(invalid_packet(kind, version, self.prefix))

    # The end

    def clean_up(self):
        """Nothing of the conversation stays with the broker."""
        for peer in self.peers.values():
            peer.connection.close()
        for name in {each.client for each in self.seen}:
            last = Client(self.address, V5)
            last.connect(self.prefix + name)
            for topic in self.retained:
                last.publish(topic, b"", 1, retain=True)
            last.leave()


def matches(filter: str, topic: str) -> bool:
    filter, topic = filter.removeprefix("$").split("/"), topic.split("/")
    for at, level in enumerate(filter):
        if level == "#":
            return True
        if at >= len(topic) or level not in ("+", topic[at]):
            return False
    return len(filter) == len(topic)


def invalid_packet(kind: str, version: int, prefix: str) -> bytes:
    none = b"\0" if version == V5 else b""
    topic = data(prefix + "/x")
    return {
        "QoS 3": packet(PUBLISH, topic + b"\0\1" + none, 6), "identifier 0": packet(PUBLISH, topic + b"\0\0" + none, 2),
        "cut topic": packet(PUBLISH, b"\0\x09abc"), "cut identifier": packet(PUBLISH, topic + b"\0", 2),
        "wildcard topic": packet(PUBLISH, data(prefix + "/+") + none), "ill-formed topic": packet(PUBLISH, data(b"\xed\xa0\x80") + none),
        "no filter": packet(packets.SUBSCRIBE, b"\0\1" + none), "filter cut": packet(packets.SUBSCRIBE, b"\0\1" + none + b"\0\x09abc"),
        "options 3": packets.subscribe(version, 1, [(prefix, 3)]),
        "PUBREL flags": packet(PUBREL, b"\0\1", 0), "SUBSCRIBE flags": packets.subscribe(version, 1, [(prefix, 0)], flags=0),
        "UNSUBSCRIBE flags": packets.unsubscribe(version, 1, [prefix], flags=0), "CONNACK": packet(CONNACK, b"\0\0" + none),
        "kind 0": b"\0\0", "five bytes of length": b"\xc0\x80\x80\x80\x80\x01",
        "alias 0": packet(PUBLISH, topic + packets.properties({"topic_alias": 0})),
        "alias beyond": packet(PUBLISH, topic + packets.properties({"topic_alias": 65_535})),
        "property twice": packet(PUBLISH, topic + packets.properties([("content_type", "a")] * 2)),
        "property unknown": packet(PUBLISH, topic + packets.properties([(0x7F, b"x")])),
        "property length": packet(PUBLISH, topic + b"\x7f"), "AUTH": packets.auth(0x18, {"authentication_method": "m"})}[kind]
