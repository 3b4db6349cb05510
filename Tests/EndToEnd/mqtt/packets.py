"""MQTT's packets in both versions, written from the specifications alone: nothing here is shared with the product.

Writing allows whatever a test wants to send. Reading is strict: what a broker may not send raises Malformed.
"""

import struct
from dataclasses import dataclass, field

V3, V5 = 4, 5

(CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT,
 AUTH) = range(1, 16)
NAMES = ("RESERVED CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT "
         "AUTH").split()

WILL = 0  # The place of a will's properties, which is no packet.
PROPERTIES = {
    "payload_format": (1, "byte", {PUBLISH, WILL}),
    "message_expiry": (2, "four", {PUBLISH, WILL}),
    "content_type": (3, "text", {PUBLISH, WILL}),
    "response_topic": (8, "text", {PUBLISH, WILL}),
    "correlation_data": (9, "data", {PUBLISH, WILL}),
    "subscription_identifier": (11, "length", {PUBLISH, SUBSCRIBE}),
    "session_expiry": (17, "four", {CONNECT, CONNACK, DISCONNECT}),
    "assigned_client_identifier": (18, "text", {CONNACK}),
    "server_keep_alive": (19, "two", {CONNACK}),
    "authentication_method": (21, "text", {CONNECT, CONNACK, AUTH}),
    "authentication_data": (22, "data", {CONNECT, CONNACK, AUTH}),
    "request_problem_information": (23, "byte", {CONNECT}),
    "will_delay": (24, "four", {WILL}),
    "request_response_information": (25, "byte", {CONNECT}),
    "response_information": (26, "text", {CONNACK}),
    "server_reference": (28, "text", {CONNACK, DISCONNECT}),
    "reason_string": (31, "text", {CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH}),
    "receive_maximum": (33, "two", {CONNECT, CONNACK}),
    "topic_alias_maximum": (34, "two", {CONNECT, CONNACK}),
    "topic_alias": (35, "two", {PUBLISH}),
    "maximum_qos": (36, "byte", {CONNACK}),
    "retain_available": (37, "byte", {CONNACK}),
    "user": (38, "pair", {CONNECT, CONNACK, PUBLISH, WILL, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK,
                          DISCONNECT, AUTH}),
    "maximum_packet_size": (39, "four", {CONNECT, CONNACK}),
    "wildcard_available": (40, "byte", {CONNACK}),
    "subscription_identifiers_available": (41, "byte", {CONNACK}),
    "shared_available": (42, "byte", {CONNACK}),
}
BY_NUMBER = {number: (name, kind, places) for name, (number, kind, places) in PROPERTIES.items()}

REASONS = {
    CONNACK: {0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D,
              0x9F},
    PUBACK: {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREC: {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREL: {0, 0x92},
    PUBCOMP: {0, 0x92},
    SUBACK: {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    # Of those a server may send.
    DISCONNECT: {0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B,
                 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2},
    AUTH: {0, 0x18, 0x19},
}


class Malformed(Exception):
    """What a broker sent is no packet that it may send."""


# Writing


def encoded_length(value: int) -> bytes:
    """A variable byte integer, as short as it can be."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def data(value) -> bytes:
    """Two bytes of length, and the bytes; a text as UTF-8."""
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def property_bytes(name, value) -> bytes:
    """One property; `name` may be a number, then `value` is what follows it."""
    if isinstance(name, int):
        return bytes([name]) + value
    number, kind, _ = PROPERTIES[name]
    match kind:
        case "byte": body = bytes([value])
        case "two": body = struct.pack(">H", value)
        case "four": body = struct.pack(">I", value)
        case "length": body = encoded_length(value)
        case "pair": body = data(value[0]) + data(value[1])
        case _: body = data(value)
    return bytes([number]) + body


def properties(pairs) -> bytes:
    """Length and properties of a table or a list of pairs; bytes are taken as they are, length included."""
    if isinstance(pairs, bytes):
        return pairs
    pairs = pairs.items() if isinstance(pairs, dict) else pairs or ()
    body = b"".join(property_bytes(name, value) for name, value in pairs)
    return encoded_length(len(body)) + body


def packet(kind: int, body: bytes = b"", flags: int | None = None) -> bytes:
    """A packet with the flags that its kind has to have, unless others are wanted."""
    if flags is None:
        flags = 2 if kind in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0
    return bytes([kind << 4 | flags]) + encoded_length(len(body)) + body


@dataclass
class Will:
    """A will; `properties` count in 5.0 alone."""

    topic: str | bytes
    payload: str | bytes = b""
    qos: int = 0
    retain: bool = False
    properties: object = None


def connect(version, client_id="", clean=True, keep_alive=0, will: Will | None = None, user=None, password=None, more=None, name="MQTT",
            level=None, flags=None) -> bytes:
    """CONNECT; `more` are its properties, `flags` takes the place of those that follow from the rest."""
    made = 0x02 if clean else 0
    payload = data(client_id)
    if will is not None:
        made |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        payload += (properties(will.properties) if version == V5 else b"") + data(will.topic) + data(will.payload)
    if user is not None:
        made |= 0x80
        payload += data(user)
    if password is not None:
        made |= 0x40
        payload += data(password)
    head = data(name) + bytes([version if level is None else level, made if flags is None else flags]) + struct.pack(">H", keep_alive)
    return packet(CONNECT, head + (properties(more) if version == V5 else b"") + payload)


def publish(version, topic, payload=b"", qos=0, retain=False, dup=False, id=None, more=None) -> bytes:
    """PUBLISH; the identifier is written where there is one, whatever the QoS."""
    body = data(topic) + (struct.pack(">H", id) if id is not None else b"")
    body += (properties(more) if version == V5 else b"") + (payload.encode() if isinstance(payload, str) else payload)
    return packet(PUBLISH, body, flags=(8 if dup else 0) | qos << 1 | (1 if retain else 0))


def answer(version, kind, id, reason=None, more=None, flags=None) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP; reason and properties are left out where they are None."""
    body = struct.pack(">H", id)
    if version == V5 and reason is not None:
        body += bytes([reason]) + (properties(more) if more is not None else b"")
    return packet(kind, body, flags)


def options(qos=0, no_local=False, as_published=False, handling=0) -> int:
    """The options byte of a filter in SUBSCRIBE."""
    return qos | (4 if no_local else 0) | (8 if as_published else 0) | handling << 4


def subscribe(version, id, filters, more=None, flags=None) -> bytes:
    """SUBSCRIBE of pairs of a filter and its options."""
    body = struct.pack(">H", id) + (properties(more) if version == V5 else b"")
    return packet(SUBSCRIBE, body + b"".join(data(each) + bytes([opts]) for each, opts in filters), flags)


def unsubscribe(version, id, filters, more=None, flags=None) -> bytes:
    body = struct.pack(">H", id) + (properties(more) if version == V5 else b"")
    return packet(UNSUBSCRIBE, body + b"".join(map(data, filters)), flags)


def disconnect(version, reason=None, more=None, flags=None) -> bytes:
    """DISCONNECT; without a reason it has no body."""
    body = b"" if version == V3 or reason is None else bytes([reason]) + (properties(more) if more is not None else b"")
    return packet(DISCONNECT, body, flags)


def auth(reason=None, more=None, flags=None) -> bytes:
    return packet(AUTH, b"" if reason is None else bytes([reason]) + properties(more), flags)


PING = packet(PINGREQ)


# Reading


@dataclass
class Packet:
    """A packet that a broker has sent; `raw` is how it came."""

    kind: int
    flags: int
    raw: bytes
    id: int = 0
    reason: int = 0
    reasons: list = field(default_factory=list)
    session_present: bool = False
    topic: str = ""
    payload: bytes = b""
    properties: list = field(default_factory=list)

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)

    @property
    def dup(self) -> bool:
        return bool(self.flags & 8)

    def all(self, name) -> list:
        """The values of a property, in order."""
        return [value for each, value in self.properties if each == name]

    def get(self, name, default=None):
        """The value of a property that comes once."""
        return next(iter(self.all(name)), default)

    def __str__(self):
        more = "".join(f" {name}={value!r}" for name, value in self.properties)
        return f"{NAMES[self.kind]} flags={self.flags} id={self.id} reason={self.reason:#x} {self.reasons} {self.topic} {self.payload[:40]!r}{more}"


class Reader:
    """Takes fields off the front of a packet's body."""

    def __init__(self, body: bytes):
        self.body, self.at = body, 0

    @property
    def left(self) -> int:
        return len(self.body) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise Malformed(f"a field of {count} bytes where {self.left} are left: {self.body!r}")
        self.at += count
        return self.body[self.at - count:self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def two(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def four(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def length(self) -> int:
        value = 0
        for place in range(4):
            digit = self.byte()
            value |= (digit & 0x7F) << 7 * place
            if not digit & 0x80:
                if place and not digit:
                    raise Malformed("a variable byte integer that is longer than it has to be")
                return value
        raise Malformed("a variable byte integer of more than four bytes")

    def data(self) -> bytes:
        return self.take(self.two())

    def text(self) -> str:
        try:
            text = self.data().decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"a text that is no UTF-8: {error}") from None
        if "\0" in text:
            raise Malformed("a text with U+0000 in it")
        return text

    def pair(self):
        return self.text(), self.text()

    def properties(self, place: int) -> list:
        end = self.length()
        part = Reader(self.take(end))
        found, seen = [], set()
        while part.left:
            number = part.length()
            if number not in BY_NUMBER:
                raise Malformed(f"a property {number}")
            name, kind, places = BY_NUMBER[number]
            if place not in places:
                raise Malformed(f"{name} in {NAMES[place]}")
            if name in seen and name != "user" and (name, place) != ("subscription_identifier", PUBLISH):
                raise Malformed(f"{name} twice")
            seen.add(name)
            value = getattr(part, kind)()
            if kind == "byte" and value > 1 or name in ("receive_maximum", "subscription_identifier", "topic_alias") and not value:
                raise Malformed(f"{name} is {value}")
            found.append((name, value))
        return found


def decode(version: int, first: int, body: bytes, raw: bytes) -> Packet:
    """A broker's packet, from its first byte and what follows its length."""
    kind, reader = first >> 4, Reader(body)
    made = Packet(kind, first & 15, raw)
    if kind != PUBLISH and made.flags != (2 if kind == PUBREL else 0):
        raise Malformed(f"flags {made.flags} of {NAMES[kind]}")
    if kind == CONNACK:
        flags = reader.byte()
        made.session_present, made.reason = bool(flags & 1), reader.byte()
        if flags > 1 or made.session_present and made.reason:
            raise Malformed(f"acknowledge flags {flags} of CONNACK with {made.reason:#x}")
        if version == V3 and made.reason > 5:
            raise Malformed(f"return code {made.reason} of CONNACK")
        made.properties = reader.properties(CONNACK) if version == V5 else []
    elif kind == PUBLISH:
        decode_publish(version, made, reader)
    elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        made.id = reader.two()
        if version == V5 and reader.left:
            made.reason = reader.byte()
            made.properties = reader.properties(kind) if reader.left else []
    elif kind in (SUBACK, UNSUBACK):
        made.id = reader.two()
        made.properties = reader.properties(kind) if version == V5 else []
        made.reasons = list(reader.take(reader.left)) if version == V5 or kind == SUBACK else []
        if kind == SUBACK and version == V3 and not set(made.reasons) <= {0, 1, 2, 0x80}:
            raise Malformed(f"return codes {made.reasons} of SUBACK")
    elif kind in (DISCONNECT, AUTH) and version == V5:
        made.reason = reader.byte() if reader.left else 0
        made.properties = reader.properties(kind) if reader.left else []
        if made.get("session_expiry") is not None:
            raise Malformed("a session expiry in a server's DISCONNECT")
    elif kind != PINGRESP:
        raise Malformed(f"{NAMES[kind]} from a server: {raw!r}")
    if reader.left:
        raise Malformed(f"{reader.left} bytes too many in {NAMES[kind]}: {raw!r}")
    if kind in (PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK) and not made.id and (kind != PUBLISH or made.qos):
        raise Malformed(f"packet identifier 0 in {NAMES[kind]}")
    if version == V5 and kind in REASONS and not set(made.reasons or [made.reason]) <= REASONS[kind]:
        raise Malformed(f"reason of {made}")
    return made


def decode_publish(version, made: Packet, reader: Reader):
    if made.qos == 3 or made.dup and not made.qos:
        raise Malformed(f"flags {made.flags} of PUBLISH")
    made.topic = reader.text()
    if "+" in made.topic or "#" in made.topic:
        raise Malformed(f"a topic with wildcards: {made.topic}")
    made.id = reader.two() if made.qos else 0
    made.properties = reader.properties(PUBLISH) if version == V5 else []
    if not made.topic and made.get("topic_alias") is None:
        raise Malformed("an empty topic without an alias")
    made.payload = reader.take(reader.left)
