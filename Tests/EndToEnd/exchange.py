"""message-channel's exchange protocol, written from its description alone: nothing here is shared with the product."""

import itertools
import json
import re
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass

PING, NOTIFY, CHAT, MESSAGE, SUBSCRIBE, UNSUBSCRIBE, ALLOCATION, BALANCE, BINDING, REGISTER, REGISTERED = range(11)
ACK = 13
NONE, GZIP, LZ4, SNAPPY = range(4)
TEXT, JSON = 1, 2

HEADER = struct.Struct(">BqBBhI")
MAGIC = 0x71


class Malformed(Exception):
    """What came over the wire is no frame."""


@dataclass(frozen=True)
class Frame:
    """A frame; `raw` is how it came or goes over the wire."""

    type: int
    id: int
    status: int = 200
    compress: int = NONE
    format: int = TEXT
    value: bytes | None = None
    name: bytes | None = None
    key: bytes | None = None
    raw: bytes = b""

    @property
    def text(self) -> str:
        return (self.value or b"").decode()

    @property
    def topic(self) -> str:
        return (self.name or b"").decode()


def encode(type, id, value=None, name=None, key=None, format=TEXT, compress=NONE, status=200) -> bytes:
    """The bytes of a frame, as section 3 asks of an encoder: no value, no body; no name, no key."""
    body = b""
    if value:
        body = struct.pack(">BI", format, len(value)) + value
        for part in (name, key if name else None):
            if part:
                part = part.encode() if isinstance(part, str) else part
                body += struct.pack(">I", len(part)) + part
    return HEADER.pack(MAGIC, id, type, compress, status, len(body)) + body


def decode(buffer, offset=0):
    """The frame at an offset and where it ends; None where it is not complete."""
    if len(buffer) - offset < HEADER.size:
        return None
    magic, id, type, compress, status, length = HEADER.unpack_from(buffer, offset)
    end = offset + HEADER.size + length
    if len(buffer) < end:
        return None
    if magic != MAGIC:
        raise Malformed(f"magic {magic:#x}")
    raw = bytes(buffer[offset:end])
    format, parts = (raw[HEADER.size], _parts(raw)) if length else (TEXT, [])
    value, name, key = (parts + [None, None, None])[:3]
    return Frame(type, id, status, compress, format, value, name, key, raw), end


def _parts(raw: bytes) -> list:
    parts, at = [], HEADER.size + 1
    while at < len(raw) and len(parts) < 3:
        (length,) = struct.unpack_from(">i", raw, at)
        if length < 0 or at + 4 + length > len(raw):
            raise Malformed(f"a part of {length} bytes in a frame of {len(raw)}")
        parts.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return parts


def subscription(topic, group, key=None) -> bytes:
    """The body of SUBSCRIBE as Java clients write it: keys in alphabetical order, nulls left out, no spaces."""
    key_part = f'"key":"{key}",' if key is not None else ""
    return f'{{"group":"{group}",{key_part}"topic":"{topic}"}}'.encode()


def registration(uid, device, tags=None, alias=None) -> bytes:
    """The body of REGISTER as Java clients write it."""
    return _java_json(
        alias=alias, created_time=int(time.time() * 1000), device=device, tags=tags, uid=uid, workerAddress="null:0", worker_port=0)


def broadcast(message=None, **filter) -> bytes:
    """The body of NOTIFY as Java clients write it: `uid`, `device`, `match_tags`, `match_alias`, `filter_tags`, `filter_alias`."""
    return _java_json(allEmpty=not any(filter.values()), message=message, **filter)


def _java_json(**members) -> bytes:
    """Keys in alphabetical order, nulls left out, no spaces."""
    present = {key: value for key, value in members.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<mark>[{}\[\]:,]))"""
)


def lenient_json(text: str):
    """An object with keys quoted or not, strings in either quotes (section 8)."""
    tokens = [(match.lastgroup, match[match.lastgroup]) for match in _TOKEN.finditer(text)]
    value, rest = _value(tokens)
    if rest:
        raise Malformed(f"after the value: {rest[:3]}")
    return value


def _value(tokens):
    kind, token = tokens[0]
    rest = tokens[1:]
    if kind == "text":
        return token[1:-1].replace("\\", ""), rest
    if kind == "number":
        return (float(token) if "." in token else int(token)), rest
    if kind == "word":
        return {"true": True, "false": False, "null": None}[token], rest
    closing = {"{": "}", "[": "]"}[token]
    items = []
    while rest[0][1] != closing:
        if rest[0][1] == ",":
            rest = rest[1:]
        elif closing == "}":
            key = rest[0][1].strip("'\"")
            if rest[1][1] != ":":
                raise Malformed(f"no colon after {key}")
            value, rest = _value(rest[2:])
            items.append((key, value))
        else:
            value, rest = _value(rest)
            items.append(value)
    return (dict(items) if closing == "}" else items), rest[1:]


def eventually(check, timeout=10.0, what=None):
    """Waits for a condition; returns what it gave. The one place that looks again and again."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come within {timeout} s: {what or check}")
        pause.wait(0.01)


def parse_address(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host, int(port)


class Client:
    """One connection. A thread reads: answers go to whoever asked for them, all else waits in `inbox`."""

    def __init__(self, address: str, receive_buffer: int | None = None, reading: bool = True, source: str | None = None):
        self.socket = socket.socket()
        if source:
            self.socket.bind((source, 0))
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(parse_address(address))
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inbox: deque[Frame] = deque()
        self.answers: deque[Frame] = deque()
        self.closed = False
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        if reading:
            self._reader.start()

    # Sending

    def next_id(self) -> int:
        return next(self._ids)

    def send(self, data: bytes):
        self.socket.sendall(data)

    def publish(self, topic, value, key=None, format=TEXT, compress=NONE) -> int:
        """Sends a message without waiting for its answer."""
        id = self.next_id()
        value = value.encode() if isinstance(value, str) else value
        self.send(encode(MESSAGE, id, value, topic, key, format, compress))
        return id

    def request(self, type, value=None, name=None, key=None, timeout=10.0, **more) -> Frame:
        """Sends, and waits for the answer with the same id."""
        id = self.next_id()
        self.send(encode(type, id, value, name, key, **more))
        return self.answer(id, timeout)

    def message(self, topic, value, key=None, **more) -> Frame:
        value = value.encode() if isinstance(value, str) else value
        return self.request(MESSAGE, value, topic, key, **more)

    def subscribe(self, topic, group="group", key=None) -> "Client":
        answer = self.request(SUBSCRIBE, subscription(topic, group, key), format=JSON)
        assert answer.status == 200, answer
        return self

    def register(self, uid, device="phone", tags=None, alias=None) -> "Client":
        answer = self.request(REGISTER, registration(uid, device, tags, alias), format=JSON)
        assert (answer.status, answer.value) == (200, None), answer
        return self

    def notify(self, message=None, **filter) -> Frame:
        return self.request(NOTIFY, broadcast(message, **filter), format=JSON)

    def create(self, chat: str, timeout=10.0) -> Frame:
        """Creates a chat, or joins it."""
        return self.request(CHAT, chat.encode(), chat, "CREATE", timeout)

    def join(self, chat: str) -> "Client":
        answer = self.create(chat)
        assert answer.status == 200, answer
        return self

    def say(self, chat: str, text: str) -> Frame:
        return self.request(CHAT, text.encode(), chat, "SESSION")

    def destroy(self, chat: str) -> Frame:
        return self.request(CHAT, chat.encode(), chat, "DESTROY")

    # Receiving

    def start_reading(self):
        self._reader.start()

    def answer(self, id: int, timeout=10.0) -> Frame:
        def take():
            for frame in self.answers:
                if frame.id == id:
                    self.answers.remove(frame)
                    return frame
            return None

        return self._wait(take, timeout, f"the answer to {id}")

    def take_answers(self, count: int, timeout=30.0) -> list[Frame]:
        return self._wait(lambda: self._pop(self.answers, count), timeout, f"{count} answers, {len(self.answers)} came")

    def receive(self, count: int, timeout=30.0) -> list[Frame]:
        """The next messages, exactly so many."""
        return self._wait(lambda: self._pop(self.inbox, count), timeout, f"{count} messages, {len(self.inbox)} came")

    def wait_closed(self, timeout=10.0):
        self._wait(lambda: self.closed, timeout, "the connection's end", even_if_closed=True)

    @staticmethod
    def _pop(queue, count):
        return [queue.popleft() for _ in range(count)] if len(queue) >= count else None

    def _wait(self, take, timeout, what, even_if_closed=False):
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                result = take()
                if result is not None and result is not False:
                    return result
                if self.closed and not even_if_closed:
                    raise ConnectionError(f"closed while waiting for {what}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{what}, within {timeout} s")
                self._changed.wait(left)

    def _read(self):
        buffer, offset = bytearray(), 0
        try:
            while data := self.socket.recv(1 << 18):
                buffer += data
                frames = []
                while found := decode(buffer, offset):
                    frame, offset = found
                    frames.append(frame)
                del buffer[:offset]
                offset = 0
                if frames:
                    with self._changed:
                        for frame in frames:
                            (self.answers if frame.type == ACK else self.inbox).append(frame)
                        self._changed.notify_all()
        except OSError:
            pass
        finally:
            with self._changed:
                self.closed = True
                self._changed.notify_all()

    # Ending

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
