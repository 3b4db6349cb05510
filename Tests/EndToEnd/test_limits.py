"""Clients that go to the bounds of a worker and a master, and one step further: each is told so, and nobody else notices."""

import socket

import pytest

from exchange import JSON, PING, SUBSCRIBE, UNSUBSCRIBE, eventually, parse_address, subscription
from processes import PATIENCE, get


def test_a_client_is_told_which_limit_its_subscription_breaks_and_goes_on(shunt, connect):
    worker = shunt.worker({"limits.subscriptions": 3, "limits.topic": 8, "limits.group": 4, "worker.loops": 2})
    client = connect(worker.exchange)
    for number in range(3):
        client.subscribe(f"t{number}", "g")
    for topic, group, status, limit in (
            ("t3", "g", 429, "limits.subscriptions"), ("123456789", "g", 400, "limits.topic"), ("t", "ggggg", 400, "limits.group")):
        answer = client.request(SUBSCRIBE, subscription(topic, group), format=JSON)
        assert answer.status == status and limit in answer.text, answer
    assert client.message("123456789", "x").status == 400
    assert client.request(UNSUBSCRIBE, subscription("t0", "g"), format=JSON).status == 200
    client.subscribe("12345678", "gggg")
    assert client.message("12345678", "x").status == 200
    assert client.receive(1)[0].text == "x"
    assert connect(worker.exchange).subscribe("t0", "g").request(PING).status == 200


@pytest.mark.parametrize("listener", ["worker.http", "master.admin"])
def test_half_requests_beyond_the_bound_make_room_and_cost_nobody_an_answer(shunt, listener):
    dev = shunt.dev()
    address = dev.listeners[listener]
    crowd = []
    for _ in range(200):
        client = shunt.closing(socket.create_connection(parse_address(address), timeout=PATIENCE))
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        crowd.append(client)
    assert get(f"http://{address}/healthz") == "ok\n"

    def closed() -> int:
        count = 0
        for client in crowd:
            client.setblocking(False)
            try:
                count += client.recv(1) == b""
            except BlockingIOError:
                pass
            except ConnectionError:
                count += 1
        return count

    # 128 stay at most; all are closed once their first request has not come for 5 s.
    eventually(lambda: 73 <= closed(), PATIENCE)
    eventually(lambda: closed() == 200, PATIENCE)


def test_a_body_beyond_a_mebibyte_is_refused(shunt):
    master = shunt.master()
    with socket.create_connection(parse_address(master.admin), timeout=PATIENCE) as client:
        client.sendall(b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").readline().split()[1] == b"413"
    assert get(f"http://{master.admin}/healthz") == "ok\n"
