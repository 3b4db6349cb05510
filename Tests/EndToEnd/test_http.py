"""What HTTP/1.1 asks of every server, at each that a process has; and who may not ask them: a web page under a name of its own."""

import json
import socket

import pytest

from exchange import parse_address
from processes import run

NAME = "shunt.example.org"


@pytest.fixture(scope="module")
def servers(shared_shunt):
    """The address of each HTTP server, and the key for its names."""
    dev = shared_shunt.dev({"worker.http.hosts": f"[{NAME}]", "worker.advertise": "advertised.example", "master.admin.hosts": f"[{NAME}]"})
    return {"worker": (dev.listeners["worker.http"], "worker.http.hosts"), "master": (dev.admin, "master.admin.hosts")}


def ask(address: str, head: str, body: bytes = b"") -> tuple[int, dict, bytes]:
    """Sends a request, and the body once that is asked for or the head does not wait; returns status, headers and body of the answer."""
    with socket.create_connection(parse_address(address), timeout=20) as client:
        client.sendall(head.encode() + b"\r\n")
        stream = client.makefile("rb")
        waits = "100-continue" in head
        if not waits:
            client.sendall(body)
        status = int(stream.readline().split()[1])
        if status == 100:
            assert waits and stream.readline() == b"\r\n"
            client.sendall(body)
            status = int(stream.readline().split()[1])
        elif waits:
            assert status >= 400, "answered without having read the body"
        headers = {}
        while line := stream.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, stream.read(int(headers["content-length"]))


@pytest.mark.parametrize("server", ["worker", "master"])
@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST.", "[::1]:4080", NAME, f"{NAME.upper()}:9091", socket.gethostname()])
def test_a_server_is_asked_by_address_or_by_a_name_of_its_own(servers, server, host):
    assert ask(servers[server][0], f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n")[0] == 200


def test_a_worker_is_asked_by_the_host_that_it_advertises(servers):
    assert ask(servers["worker"][0], "GET /healthz HTTP/1.1\r\nHost: advertised.example\r\n")[0] == 200


@pytest.mark.parametrize("server", ["worker", "master"])
@pytest.mark.parametrize("request_line", ["GET /healthz HTTP/1.1", "GET http://evil.example/healthz HTTP/1.1", "DELETE /api/v1/chats/c HTTP/1.1"])
def test_a_page_whose_name_leads_here_is_refused_and_the_key_is_named(servers, server, request_line):
    address, key = servers[server]
    host = "localhost" if "http://" in request_line else "evil.example"
    status, _, body = ask(address, f"{request_line}\r\nHost: {host}\r\n")
    problem = json.loads(body)
    assert (status, problem["code"]) == (421, "host.unknown") and key in problem["help"]


@pytest.mark.parametrize("server", ["worker", "master"])
@pytest.mark.parametrize("fields", ["", "Host: localhost\r\nHost: localhost\r\n", "Host: a b\r\n"])
def test_a_request_without_exactly_one_host_is_refused(servers, server, fields):
    status, headers, _ = ask(servers[server][0], f"GET /healthz HTTP/1.1\r\n{fields}")
    assert status == 400 and headers["connection"] == "close"


@pytest.mark.parametrize("server", ["worker", "master"])
def test_an_older_client_names_no_host(servers, server):
    assert ask(servers[server][0], "GET /healthz HTTP/1.0\r\n")[0] == 200


def test_a_client_that_waits_to_be_told_so_sends_its_body(servers):
    body = json.dumps({"sql": "SELECT 1 AS one"}).encode()
    head = "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    status, _, answer = ask(servers["master"][0], head + f"Content-Length: {len(body)}\r\n", body)
    assert status == 200 and b"one" in answer


def test_a_client_that_waits_to_send_too_much_is_refused_before_it_does(servers):
    head = "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n"
    status, headers, _ = ask(servers["master"][0], head)
    assert status == 413 and headers["connection"] == "close"


def test_a_name_that_a_master_does_not_go_by_is_told_to_the_operator(shunt):
    master = shunt.master({"master.admin.listen": "127.0.0.1:0"})
    port = parse_address(master.admin)[1]
    assert run("admin", "workers", "--master", f"localhost:{port}").returncode == 0
