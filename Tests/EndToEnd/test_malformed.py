"""Section 6: what is no frame closes the connection that sent it, and nothing else."""

import socket

import pytest

from exchange import ACK, JSON, MESSAGE, PING, SUBSCRIBE, decode, encode, parse_address

MIB = 1 << 20

CLOSING = {
    "wrong magic": "700000000000000001030000c800000000",
    "unassigned type": "7100000000000000010b0000c800000000",
    "type 255": "710000000000000001ff0000c800000000",
    "unassigned compression": "710000000000000001030700c800000000",
    "negative status": "7100000000000000010300ffff00000000",
    "negative body length": "710000000000000001030000c8ffffffff",
    "body length over 125 MiB": "710000000000000001030000c807d00000",
    "body of one byte": "710000000000000001030000c80000000101",
    "value beyond the body": "710000000000000001030000c800000006010000000976",
    "name beyond the body": "710000000000000001030000c80000000b010000000176000000096e",
    "key beyond the body": "710000000000000001030000c800000010010000000176000000016e0000000f6b",
    "negative value length": "710000000000000001030000c80000000601ffffffff76",
    "negative name length": "710000000000000001030000c80000000b010000000176ffffffff6e",
    "value length 0": "710000000000000001030000c8000000050100000000",
    "value length 0, name": "710000000000000001030000c80000000a0100000000000000016e",
    "format 0": "710000000000000001030000c800000006000000000176",
    "format 3": "710000000000000001030000c800000006030000000176",
    "format 9": "710000000000000001030000c800000006090000000176",
    "error frame with a newline": "710000000000000001030001f4000000070100000002610a",
    "error frame, value length 0": "710000000000000001030001f4000000050100000000",
    "error frame, format 9": "710000000000000001030001f400000006090000000161",
}

FOREIGN = {
    "http": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 400 "),
    "mqtt": (bytes.fromhex("100c00044d5154540402003c0000"), bytes.fromhex("20020001")),
    "tls": (bytes.fromhex("160301020001000001fc0303"), bytes.fromhex("15030100020228")),
}

WAITING = {
    "half a header": "71000000000000",
    "body that was not sent": "710000000000000001030000c800000005",
    "wrong magic, body that was not sent": "700000000000000001030000c800000005",
}


@pytest.fixture(scope="module")
def worker(shared_shunt):
    """One for the tests that only pass messages through."""
    return shared_shunt.worker({"worker.loops": 1})


def exchange_until_closed(address: str, data: bytes) -> bytes:
    """Sends bytes, and returns all that comes back until the other side closes."""
    with socket.create_connection(parse_address(address), timeout=10) as raw:
        raw.sendall(data)
        answer = b""
        try:
            while part := raw.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def is_error_or_nothing(answer: bytes) -> bool:
    if not answer:
        return True
    frame, end = decode(answer)
    return end == len(answer) and frame.type == ACK and frame.status >= 400 and not set(b"\r\n") & set(frame.value or b"")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_client_of_another_protocol_is_told_in_it_and_the_log_says_which(worker, name):
    data, answer = FOREIGN[name]
    assert exchange_until_closed(worker.exchange, data).startswith(answer)
    worker.wait_log(f"protocol.{name}")


@pytest.fixture(scope="module")
def master(shared_shunt):
    return shared_shunt.master()


@pytest.mark.parametrize("name", FOREIGN)
def test_a_client_of_another_protocol_at_a_masters_port_is_told_in_it_and_the_log_says_which(master, name):
    data, answer = FOREIGN[name]
    assert exchange_until_closed(master.master, data).startswith(answer)
    master.wait_log(f"protocol.{name}")


@pytest.mark.parametrize("name", CLOSING)
def test_a_master_answers_a_malformed_frame_as_a_worker_does(worker, master, name):
    """What is behind it is not read."""
    data = bytes.fromhex(CLOSING[name]) + encode(PING, 2)
    assert exchange_until_closed(master.master, data) == exchange_until_closed(worker.exchange, data)


@pytest.mark.parametrize("name", CLOSING)
def test_a_malformed_frame_closes_its_connection_alone(worker, connect, name):
    consumer, producer = connect(worker.exchange).subscribe("t", name), connect(worker.exchange)
    answer = exchange_until_closed(worker.exchange, bytes.fromhex(CLOSING[name]) + encode(MESSAGE, 2, b"after", "t"))
    assert is_error_or_nothing(answer), answer
    assert producer.message("t", "still here").status == 200
    assert [frame.text for frame in consumer.receive(1)] == ["still here"], "something of a malformed frame was relayed"


@pytest.mark.parametrize("name", CLOSING)
def test_good_frames_before_a_malformed_one_are_served(worker, name):
    answer = exchange_until_closed(worker.exchange, encode(PING, 9) + bytes.fromhex(CLOSING[name]))
    first, end = decode(answer)
    assert (first.type, first.id, first.status) == (ACK, 9, 200)
    assert is_error_or_nothing(answer[end:])


def test_the_log_says_who_was_closed_and_why(shunt):
    worker = shunt.worker({"log.level": "debug"})
    with socket.create_connection(parse_address(worker.exchange), timeout=10) as raw:
        raw.sendall(bytes.fromhex(CLOSING["unassigned type"]))
        while raw.recv(1000):
            pass
        address = "127.0.0.1:%d" % raw.getsockname()[1]
    worker.wait_log(address)
    assert "frame.malformed" in worker.stderr


@pytest.mark.parametrize("name", WAITING)
def test_a_frame_that_is_not_complete_is_waited_for_while_others_are_served(worker, connect, name):
    with socket.create_connection(parse_address(worker.exchange), timeout=10) as raw:
        raw.sendall(bytes.fromhex(WAITING[name]))
        client = connect(worker.exchange).subscribe("t", name)
        assert client.message("t", "x").status == 200
        raw.setblocking(False)
        with pytest.raises(BlockingIOError):
            raw.recv(1)


def test_a_frame_that_never_ends_is_given_up(shunt):
    worker = shunt.worker({"limits.frame_time": "200ms"})
    assert is_error_or_nothing(exchange_until_closed(worker.exchange, encode(MESSAGE, 1, b"value", "t")[:-3]))


def test_malformed_frames_are_counted(shunt):
    worker = shunt.worker()
    for _ in range(3):
        exchange_until_closed(worker.exchange, bytes.fromhex(CLOSING["unassigned type"]))
    worker.wait_metric("shunt_frames_malformed_total", 3)


NO_SUBSCRIPTIONS = {
    "not JSON": encode(SUBSCRIBE, 1, b"certainly not", format=JSON), "a list": encode(SUBSCRIBE, 1, b"[1]", format=JSON),
    "cut off": encode(SUBSCRIBE, 1, b'{"topic":"t","gro', format=JSON),
    "no topic": encode(SUBSCRIBE, 1, b'{"group":"g"}', format=JSON),
    "no group": encode(SUBSCRIBE, 1, b'{"topic":"t"}', format=JSON), "no body": encode(SUBSCRIBE, 1),
    "compressed": encode(SUBSCRIBE, 1, b'{"group":"g","topic":"t"}', format=JSON, compress=1),
    "nested deeply": encode(SUBSCRIBE, 1, b'{"a":' * 100_000, format=JSON),
}


@pytest.mark.parametrize("name", NO_SUBSCRIPTIONS)
def test_a_subscription_that_says_nothing_is_refused(worker, connect, name):
    """Message-channel closes the connection; an answer with an error, without closing, is as good."""
    with socket.create_connection(parse_address(worker.exchange), timeout=10) as raw:
        raw.sendall(NO_SUBSCRIPTIONS[name])
        answer = b""
        while (part := raw.recv(65_536)) and not decode(answer := answer + part):
            pass
        assert is_error_or_nothing(answer)
    assert connect(worker.exchange).request(PING).status == 200


def test_bytes_that_come_one_by_one_make_frames(worker, connect):
    consumer, producer = connect(worker.exchange).subscribe("t", "slowly"), connect(worker.exchange)
    frames = encode(MESSAGE, 1, b"first", "t", "k") + encode(MESSAGE, 2, b"second", "t")
    for byte in frames:
        producer.send(bytes([byte]))
    assert [answer.id for answer in producer.take_answers(2)] == [1, 2]
    assert b"".join(frame.raw for frame in consumer.receive(2)) == frames


def test_a_frame_of_ten_mebibytes_is_relayed_and_one_byte_more_is_refused(shunt, connect):
    worker = shunt.worker({"limits.out_buffer": "64MiB"})
    consumer, producer = connect(worker.exchange).subscribe("t"), connect(worker.exchange)
    overhead = len(encode(MESSAGE, 1, b"x", "t")) - 1
    largest = encode(MESSAGE, 1, b"v" * (10 * MIB - overhead), "t")
    assert len(largest) == 10 * MIB
    producer.send(largest)
    assert producer.answer(1).status == 200
    assert consumer.receive(1)[0].raw == largest
    # The head is enough to refuse it.
    answer = exchange_until_closed(worker.exchange, encode(MESSAGE, 1, b"v" * (10 * MIB - overhead + 1), "t")[:17])
    assert is_error_or_nothing(answer)
    assert answer and decode(answer)[0].status == 413
    assert producer.request(PING).status == 200


def test_announced_lengths_take_no_memory(shunt, connect):
    """Five hundred clients that each announce 10 MiB, and send a few bytes."""
    worker = shunt.worker()
    sockets = [shunt.closing(socket.create_connection(parse_address(worker.exchange))) for _ in range(500)]
    worker.wait_metric("shunt_connections", 500)
    before = worker.resident()
    for raw in sockets:
        raw.sendall(encode(MESSAGE, 1)[:-4] + (10 * MIB - 17).to_bytes(4, "big") + b"\x01\x00\x9f\xff\xe0" + b"v" * 100)
    assert connect(worker.exchange).request(PING).status == 200
    assert worker.resident() - before < 20 * MIB
