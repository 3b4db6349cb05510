"""A client of MQTT that does only what a test asks it to."""

import itertools
import os
import socket
import struct
from collections import deque

from exchange import parse_address
from mqtt import packets
from mqtt.packets import (CONNACK, DISCONNECT, NAMES, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, Packet)

# A machine may be busy with other things: what should take milliseconds gets seconds.
PATIENCE = float(os.environ.get("MQTT_PATIENCE", 20))


class Ended(Exception):
    """The broker has closed the connection."""


class Client:
    """One connection. Packets that a call does not wait for are kept, in order, for a later one."""

    def __init__(self, address: str, version: int, patience: float = PATIENCE, receive_buffer: int | None = None):
        """A receive buffer in bytes is for clients that do not read: the kernel's own may take tens of megabytes."""
        self.version = version
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        self.socket.connect(parse_address(address))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.kept: deque[Packet] = deque()
        self.aliases: dict[int, str] = {}
        self.ids = itertools.cycle(range(1, 65_536))
        self.connack: Packet | None = None
        self.farewell: Packet | None = None

    # Bytes

    def send(self, *parts: bytes):
        """What a broker that has closed the connection no longer takes is not worth a word: reading tells."""
        try:
            self.socket.sendall(b"".join(parts))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def fill(self):
        try:
            piece = self.socket.recv(65_536)
        except ConnectionResetError:
            piece = b""
        except TimeoutError:
            raise AssertionError(f"nothing came; kept: {[str(each) for each in self.kept]}, {bytes(self.buffer[:40])!r}") from None
        if not piece:
            if self.buffer:
                raise AssertionError(f"the connection ended within a packet: {bytes(self.buffer[:40])!r}")
            raise Ended
        self.buffer += piece

    def read(self) -> Packet:
        """The next packet off the wire."""
        while True:
            made = self.cut()
            if made is not None:
                return made
            self.fill()

    def cut(self) -> Packet | None:
        """A packet off the front of the buffer, if it is whole."""
        value, at = 0, 1
        while True:
            if at >= len(self.buffer):
                return None
            digit = self.buffer[at]
            value |= (digit & 0x7F) << 7 * (at - 1)
            at += 1
            if not digit & 0x80:
                break
            if at > 4:
                raise packets.Malformed(f"a remaining length of more than four bytes: {bytes(self.buffer[:8])!r}")
        if at > 2 and self.buffer[at - 1] == 0:
            raise packets.Malformed("a remaining length that is longer than it has to be")
        if len(self.buffer) < at + value:
            return None
        raw = bytes(self.buffer[:at + value])
        del self.buffer[:at + value]
        made = packets.decode(self.version, raw[0], raw[at:], raw)
        if made.kind == PUBLISH:
            self.resolve(made)
        return made

    def resolve(self, made: Packet):
        """Puts in the topic that a broker's alias stands for."""
        alias = made.get("topic_alias")
        if alias is None:
            return
        if made.topic:
            self.aliases[alias] = made.topic
        elif alias not in self.aliases:
            raise packets.Malformed(f"an alias {alias} that stands for nothing")
        else:
            made.topic = self.aliases[alias]

    # Packets

    def next(self) -> Packet:
        """The next packet, of whatever kind."""
        return self.kept.popleft() if self.kept else self.read()

    def next_or_end(self) -> Packet | None:
        """The next packet; None where the broker closes."""
        try:
            return self.next()
        except Ended:
            return None

    def wait(self, kind: int, id: int | None = None) -> Packet:
        """The next packet of a kind, perhaps of an identifier; others are kept."""
        for made in self.kept:
            if made.kind == kind and id in (None, made.id):
                self.kept.remove(made)
                return made
        while True:
            try:
                made = self.read()
            except Ended:
                raise AssertionError(f"closed instead of {NAMES[kind]}; kept: {[str(each) for each in self.kept]}") from None
            if made.kind == kind and id in (None, made.id):
                return made
            assert made.kind != DISCONNECT, f"{made} instead of {NAMES[kind]}"
            self.kept.append(made)

    def ended(self) -> int | None:
        """Reads until the broker closes; the reason that it gave by DISCONNECT or CONNACK, None without one.

        After either of them, nothing may come.
        """
        reason, is_last = None, False
        while True:
            try:
                made = self.next()
            except Ended:
                return reason
            assert not is_last, f"{made} after a DISCONNECT or a refusal"
            if made.kind == DISCONNECT or made.kind == CONNACK and made.reason:
                self.farewell, reason, is_last = made, made.reason, True

    # Conversations

    def connect(self, client_id="", *, refused=False, **more) -> Packet:
        """CONNECT and its CONNACK, which has to be good unless `refused`."""
        self.send(packets.connect(self.version, client_id, **more))
        self.connack = self.wait(CONNACK)
        assert refused or self.connack.reason == 0, f"refused: {self.connack}"
        return self.connack

    def subscribe(self, *filters, qos=0, id=None, more=None, **opts) -> list[int]:
        """Subscribes filters, each a text or a pair with an options byte; the codes of SUBACK."""
        id = id or next(self.ids)
        pairs = [each if isinstance(each, tuple) else (each, packets.options(qos, **opts)) for each in filters]
        self.send(packets.subscribe(self.version, id, pairs, more))
        return self.wait(SUBACK, id).reasons

    def unsubscribe(self, *filters, id=None, more=None) -> list[int]:
        id = id or next(self.ids)
        self.send(packets.unsubscribe(self.version, id, filters, more))
        return self.wait(UNSUBACK, id).reasons

    def publish(self, topic, payload=b"", qos=0, id=None, **more) -> int | None:
        """Publishes, and goes through the handshake of the QoS; the reason of PUBACK or PUBREC."""
        id = (id or next(self.ids)) if qos else None
        self.send(packets.publish(self.version, topic, payload, qos, id=id, **more))
        if qos == 1:
            return self.wait(PUBACK, id).reason
        if qos == 2:
            received = self.wait(PUBREC, id)
            if received.reason < 0x80:
                self.send(packets.answer(self.version, PUBREL, id))
                self.wait(PUBCOMP, id)
            return received.reason
        return None

    def acknowledge(self, message: Packet):
        """Goes through the handshake of a message that came."""
        if message.qos == 1:
            self.answer(PUBACK, message.id)
        elif message.qos == 2:
            self.answer(PUBREC, message.id)
            self.wait(PUBREL, message.id)
            self.answer(PUBCOMP, message.id)

    def answer(self, kind, id, reason=None, more=None):
        self.send(packets.answer(self.version, kind, id, reason, more))

    def message(self, ack=True) -> Packet:
        """The next message, acknowledged unless a test does that."""
        made = self.wait(PUBLISH)
        if ack:
            self.acknowledge(made)
        return made

    def messages(self, count: int, ack=True) -> list[Packet]:
        return [self.message(ack) for _ in range(count)]

    def ping(self):
        self.send(packets.PING)
        self.wait(PINGRESP)

    def settle(self, publisher: "Client", topic: str, qos: int = 0) -> list[Packet]:
        """The messages that have come by the time that one more, from `publisher`, arrives: acknowledged, without that one."""
        self.subscribe(topic, qos=qos)
        publisher.publish(topic, b"settled", qos)
        found = []
        while (made := self.message()).topic != topic:
            found.append(made)
        self.unsubscribe(topic)
        return found

    def leave(self, reason=None, more=None):
        """DISCONNECT, and the broker's close."""
        self.send(packets.disconnect(self.version, reason, more))
        self.ended()
        self.close()

    def vanish(self):
        """Ends the connection without a DISCONNECT, by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.socket.close()
