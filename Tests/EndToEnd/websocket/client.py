"""A client of WebSocket that does as it is told, right or wrong. Written apart from Shunt's own (RFC 6455)."""

import base64
import hashlib
import os
import socket
import struct

from processes import PATIENCE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
CONNACK = 0x20
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"


def connect_packet(id: bytes = b"raw", version: int = 5) -> bytes:
    """MQTT's CONNECT: a clean session without keep alive."""
    body = b"\0\x04MQTT" + bytes([version, 2, 0, 0]) + (b"\0" if version == 5 else b"") + bytes([0, len(id)]) + id
    return bytes([0x10, len(body)]) + body


CONNECT = connect_packet()


def accept_key(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def frame(opcode: int, payload: bytes = b"", last=True, reserved=0, masked=True) -> bytes:
    length = len(payload)
    head = bytes([last << 7 | reserved << 4 | opcode])
    flag = masked << 7
    if length < 126:
        head += bytes([flag | length])
    elif length < 65_536:
        head += bytes([flag | 126]) + struct.pack(">H", length)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = (mask * (length // 4 + 1))[:length]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(length, "big")


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack(">H", code) + reason)


class RawClient:
    """A socket whose bytes the test writes."""

    def __init__(self, address: str, shake=True, protocol="mqtt", path="/mqtt", origin=None, before=b""):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.address = address
        if shake:
            self.send(before + self.request(protocol=protocol, path=path, origin=origin))
            status, headers = self.answer()
            assert status == 101, headers
            assert headers["sec-websocket-accept"] == accept_key(KEY)
            assert headers["sec-websocket-protocol"] == protocol

    def request(self, protocol="mqtt", path="/mqtt", origin=None, version="13") -> bytes:
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.address}", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}",
                 f"Sec-WebSocket-Version: {version}"]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        if origin:
            lines.append(f"Origin: {origin}")
        return "".join(line + "\r\n" for line in [*lines, ""]).encode()

    def send(self, data: bytes):
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the server's answer."""
        status = int(self.file.readline().split()[1])
        lines = iter(self.file.readline, b"\r\n")
        return status, {name.strip().lower(): value.strip() for name, value in (line.decode().split(":", 1) for line in lines)}

    def receive(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame, which has no mask and is a message of its own; nil where the connection ends."""
        try:
            head = self.file.read(2)
        except ConnectionResetError:
            return None
        if len(head) < 2:
            return None
        assert head[0] & 0xF0 == 0x80, "a whole message without reserved bits"
        length = head[1]
        assert length < 128, "servers do not mask"
        if length == 126:
            (length,) = struct.unpack(">H", self.file.read(2))
            assert length > 125
        elif length == 127:
            (length,) = struct.unpack(">Q", self.file.read(8))
            assert length > 65_535
        return head[0] & 15, self.file.read(length)

    def connect(self, version=5):
        """MQTT's CONNECT and its answer."""
        self.send(frame(BINARY, connect_packet(version=version)))
        opcode, payload = self.receive()
        assert opcode == BINARY and payload[0] == CONNACK and payload[3] == 0

    def is_served(self) -> bool:
        """Whether a PINGREQ of MQTT is answered by a PINGRESP next."""
        self.send(frame(BINARY, PINGREQ))
        return self.receive() == (BINARY, PINGRESP)

    def wait_closed(self, code: int | None):
        """A close frame of this code, or an empty one, then the end."""
        expected = b"" if code is None else struct.pack(">H", code)
        assert self.receive() == (CLOSE, expected)
        assert self.receive() is None

    def close(self):
        self.file.close()
        self.socket.close()
