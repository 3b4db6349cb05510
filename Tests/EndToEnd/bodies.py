"""Compressed bodies as section 5 describes them. LZ4 and Snappy store the bytes as they are, which their formats allow."""

import gzip as gzip_module
import struct


def gzip(data: bytes) -> bytes:
    return gzip_module.compress(data, mtime=0)


def lz4(data: bytes) -> bytes:
    """An LZ4 frame: independent blocks of up to 4 MiB, content checksum, stored blocks."""
    descriptor = bytes([0x64, 0x70])
    blocks = b""
    for start in range(0, len(data), 4 << 20):
        block = data[start : start + (4 << 20)]
        blocks += struct.pack("<I", len(block) | 0x8000_0000) + block
    check = (xxhash32(descriptor) >> 8) & 0xFF
    return b"\x04\x22\x4d\x18" + descriptor + bytes([check]) + blocks + bytes(4) + struct.pack("<I", xxhash32(data))


def snappy(data: bytes) -> bytes:
    """The Snappy framing format, with chunks of type 0 that hold literals."""
    out = b"\xff\x06\x00\x00sNaPpY"
    for start in range(0, len(data), 65_536):
        chunk = data[start : start + 65_536]
        block = _varint(len(chunk)) + b"\xf4" + struct.pack("<H", len(chunk) - 1) + chunk
        crc = crc32c(chunk)
        masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFF_FFFF
        out += b"\x00" + (len(block) + 4).to_bytes(3, "little") + struct.pack("<I", masked) + block
    return out


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF_FFFF


def xxhash32(data: bytes) -> int:
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask = 0xFFFF_FFFF

    def rotate(value, bits):
        value &= mask
        return (value << bits | value >> (32 - bits)) & mask

    at = 0
    if len(data) >= 16:
        lanes = [(p1 + p2) & mask, p2, 0, -p1 & mask]
        while at + 16 <= len(data):
            words = struct.unpack_from("<4I", data, at)
            lanes = [rotate(lane + word * p2, 13) * p1 & mask for lane, word in zip(lanes, words)]
            at += 16
        hash = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & mask
    else:
        hash = p5
    hash = (hash + len(data)) & mask
    while at + 4 <= len(data):
        hash = rotate(hash + struct.unpack_from("<I", data, at)[0] * p3, 17) * p4 & mask
        at += 4
    for byte in data[at:]:
        hash = rotate(hash + byte * p5, 11) * p1 & mask
    for bits, prime in ((15, p2), (13, p3)):
        hash = (hash ^ hash >> bits) * prime & mask
    return hash ^ hash >> 16


COMPRESSIONS = {1: gzip, 2: lz4, 3: snappy}
