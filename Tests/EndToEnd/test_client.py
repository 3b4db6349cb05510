"""The client of these tests writes and reads what section 19 of the protocol's description gives."""

import gzip as gzip_module

import pytest

import bodies
from exchange import (
    ACK, ALLOCATION, JSON, MESSAGE, PING, SUBSCRIBE, UNSUBSCRIBE, Malformed, decode, encode, lenient_json, subscription,
)

VECTORS = {
    "PING": (encode(PING, 1), "710000000000000001000000c800000000"),
    "ACK": (encode(ACK, 0x0102030405060708), "7101020304050607080d0000c800000000"),
    "ACK 400": (
        encode(ACK, 2, b"Bad Request", status=400), "7100000000000000020d00019000000010010000000b4261642052657175657374"),
    "ALLOCATION all": (encode(ALLOCATION, 5, b"true"), "710000000000000005060000c800000009010000000474727565"),
    "SUBSCRIBE": (
        encode(SUBSCRIBE, 7, subscription("ddx", "my"), format=JSON),
        "710000000000000007040000c800000021020000001c7b2267726f7570223a226d79222c22746f706963223a22646478227d"),
    "UNSUBSCRIBE": (
        encode(UNSUBSCRIBE, 8, subscription("ddx", "my", "k"), format=JSON),
        "710000000000000008050000c80000002b02000000267b2267726f7570223a226d79222c226b6579223a226b222c22746f706963223a22646478227d"),
    "MESSAGE": (
        encode(MESSAGE, 9, b"value_1", "ddx", "key_1"),
        "710000000000000009030000c80000001c010000000776616c75655f3100000003646478000000056b65795f31"),
    "MESSAGE without key": (encode(MESSAGE, 10, b"v", "ddx"), "71000000000000000a030000c80000000d01000000017600000003646478"),
    "MESSAGE, empty": (encode(MESSAGE, 13, b"", "t", "k"), "71000000000000000d030000c800000000"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_frames_are_written_as_the_description_shows(name):
    written, expected = VECTORS[name]
    assert written.hex() == expected
    assert decode(written)[0].raw == written


def test_a_part_beyond_the_frame_is_malformed():
    with pytest.raises(Malformed):
        decode(bytes.fromhex("710000000000000001030000c800000006010000000976"))


def test_json_is_read_as_java_peers_write_it():
    text = "{machine_id:'02:fc',\"server_port\":4091,list:[1,'a'],connection_count:-1}"
    assert lenient_json(text) == {"machine_id": "02:fc", "server_port": 4091, "list": [1, "a"], "connection_count": -1}


def test_compressed_bodies_are_what_their_formats_say():
    assert bodies.crc32c(b"123456789") == 0xE3069283
    assert bodies.xxhash32(b"") == 0x02CC5D05
    assert bodies.xxhash32(b"hello hello hello") == 0x879BCDB1  # the content checksum in section 19
    assert bodies.lz4(b"x")[4:7].hex() == "6470b9"
    assert gzip_module.decompress(bodies.gzip(b"hello")) == b"hello"
