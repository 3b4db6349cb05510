"""`/api/v1/events/stream`: real followers, slow ones, ones that come back, and ones whose token is taken away."""

import json
import signal
import socket
import subprocess
import threading
import time

import pytest

from admin_api.contract import Contract, send
from exchange import eventually, parse_address
from processes import PATIENCE

FOLLOWERS = 128
TOKEN, OTHER = "readers-token-0123456789", "operators-token-0123456789"


class Follower:
    """A program that follows events; a thread reads, unless it is to be slow."""

    def __init__(self, address: str, query="", fields="", receive_buffer=None, reads=True):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(parse_address(address))
        # HTTP/1.0: the answer is not in chunks.
        self.socket.sendall(f"GET /api/v1/events/stream{query} HTTP/1.0\r\nHost: localhost\r\n{fields}\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.frames, self.heartbeats, self.is_over = [], 0, False
        self.thread = threading.Thread(target=self.read, daemon=True)
        if reads:
            self.thread.start()

    def read(self):
        """Frames until the end: id, name and data."""
        frame = {}
        try:
            while line := self.file.readline():
                text = line.decode().rstrip("\n")
                if text == ":":
                    self.heartbeats += 1
                elif text:
                    name, _, value = text.partition(": ")
                    frame[name] = value
                elif "data" in frame:
                    self.frames.append((frame.get("id"), frame.get("event"), json.loads(frame["data"])))
                    frame = {}
        except OSError:
            pass
        self.is_over = True

    def named(self, name) -> list:
        return [data for _, each, data in self.frames if each == name]

    @property
    def events(self) -> list:
        return self.named(None)

    def wait(self, count: int):
        eventually(lambda: len(self.events) >= count, PATIENCE, f"{count} events")

    def close(self):
        try:
            # The thread reads until then.
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.file.close()
        self.socket.close()


@pytest.fixture
def master(shunt):
    master = shunt.master()
    eventually(lambda: send(master.admin, "GET", "/api/v1/events").json["events"], PATIENCE, "its start is written")
    return master


@pytest.fixture
def follow(shunt):
    return lambda process, *arguments, **more: shunt.closing(Follower(process.admin, *arguments, **more))


def act(address: str, count=1, headers=None):
    """Each command is an event, also one that is refused."""
    for _ in range(count):
        send(address, "DELETE", "/api/v1/chats/nothing", headers=headers)


def storm(address: str, count: int):
    """As `act`, over one connection."""
    request = f"DELETE /api/v1/chats/{'x' * 150} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.create_connection(parse_address(address), timeout=60) as client:
        file = client.makefile("rb")
        for _ in range(count // 50):
            client.sendall(request * 50)
            for _ in range(50):
                length = 0
                while line := file.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                file.read(length)


def test_events_come_as_they_happen_each_once_and_in_order(master, follow):
    follower = follow(master)
    assert (follower.status, follower.headers["content-type"]) == (200, "text/event-stream")
    eventually(lambda: follower.named("open"), PATIENCE, "the beginning")
    act(master.admin, 20)
    follower.wait(20)
    assert [event["kind"] for event in follower.events] == ["command"] * 20
    ids = [event["id"] for event in follower.events]
    assert ids == list(range(ids[0], ids[0] + 20))
    registry = follower.named("open")[0]["registry"]
    assert [id for id, name, _ in follower.frames if name is None] == [f"{registry}:{id}" for id in ids]
    page = json.loads(send(master.admin, "GET", f"/api/v1/events?after={ids[0] - 1}").body)
    assert page["events"] == follower.events


def test_curl_follows_and_comes_back_where_it_left_off(master, follow, tmp_path):
    out = tmp_path / "stream"
    with out.open("w") as file:
        curl = subprocess.Popen(["curl", "-sN", f"http://{master.admin}/api/v1/events/stream?after=0"], stdout=file)
    act(master.admin, 3)
    eventually(lambda: out.read_text().count('"kind":"command"') == 3, PATIENCE, out.read_text)
    curl.terminate()
    curl.wait(PATIENCE)
    last = [line.removeprefix("id: ") for line in out.read_text().splitlines() if line.startswith("id: ")][-1]
    act(master.admin, 2)
    again = follow(master, fields=f"Last-Event-ID: {last}\r\n")
    again.wait(2)
    assert [event["id"] for event in again.events] == [int(last.split(":")[1]) + step for step in (1, 2)]
    assert not again.named("gap") and not again.named("reset")


def test_a_kind_is_followed_alone(master, follow):
    follower = follow(master, "?after=0&kind=master.started")
    follower.wait(1)
    act(master.admin, 3)
    everything = follow(master, "?after=0")
    everything.wait(4)
    assert [event["kind"] for event in follower.events] == ["master.started"]


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?kind=nothing", "?before=1"])
def test_a_wrong_place_is_refused_as_the_document_says(master, query):
    answer = send(master.admin, "GET", f"/api/v1/events/stream{query}")
    assert (answer.status, answer.json["code"]) == (400, "request.invalid")
    Contract(master.admin).check("get", "/api/v1/events/stream", answer)


@pytest.mark.parametrize("place", ["9223372036854775807", "1000000000000"])
def test_a_place_that_no_event_has_yet_is_a_reset_for_that_follower_alone(master, follow, place):
    """As after an older copy of the registry was brought back."""
    early = follow(master, f"?after={place}")
    early.wait(1)
    assert early.named("reset") and early.events[0]["kind"] == "master.started"
    late = follow(master, "?after=0")
    late.wait(1)
    act(master.admin, 3)
    for follower in (early, late):
        follower.wait(4)
    assert send(master.admin, "GET", f"/api/v1/events?after={place}").json["events"] == []


def test_events_that_are_kept_no_longer_are_a_gap(shunt, follow):
    master = shunt.master({"master.registry.events_keep": 100})
    storm(master.admin, 300)
    eventually(lambda: send(master.admin, "GET", "/api/v1/events?limit=1").json["oldest"] > 100, PATIENCE, "the first are gone")
    page = send(master.admin, "GET", "/api/v1/events?limit=1").json
    follower = follow(master, "?after=3")
    follower.wait(page["next_after"] - page["oldest"])
    gap = follower.named("gap")[0]
    assert gap["from"] == 4 and follower.events[0]["id"] == gap["to"] + 1


def test_another_registry_is_told_and_begins_anew(shunt, follow):
    master = shunt.master()
    follower = follow(master, "?after=0")
    follower.wait(1)
    place = follower.frames[-1][0]
    master.stop()
    for file in master.folder.glob("registry.sqlite*"):
        file.unlink()
    another = shunt.master(folder=master.folder)
    again = follow(another, fields=f"Last-Event-ID: {place}\r\n")
    again.wait(1)
    assert again.named("reset")[0]["registry"] == again.named("open")[0]["registry"] != place.split(":")[0]
    assert again.events[0]["kind"] == "master.started"


def test_a_slow_follower_is_told_what_it_has_missed_and_goes_on(master, follow):
    slow = follow(master, receive_buffer=4096, reads=False)
    storm(master.admin, 8_000)
    before = send(master.admin, "GET", "/api/v1/events?limit=1").json["next_after"]
    slow.thread.start()
    # The last ones may be among those that it has missed.
    eventually(lambda: max([0] + [one["id"] for one in slow.events[-1:]] + [gap["to"] for gap in slow.named("gap")]) >= before, 60, "the end")
    act(master.admin)
    eventually(lambda: slow.events[-1]["id"] > before, PATIENCE, "the event after")
    gaps = slow.named("gap")
    assert gaps, "the follower has never fallen behind"
    # What was sent and what was missed is all there was, each once.
    seen = {event["id"] for event in slow.events}
    missed = {id for gap in gaps for id in range(gap["from"], gap["to"] + 1)}
    assert not seen & missed and len(seen) == len(slow.events)
    first = slow.named("open")[0]["next_after"] + 1
    assert seen | missed == set(range(first, max(seen) + 1))
    assert master.resident() < 300 << 20


def test_no_more_follow_than_may_and_others_are_answered_meanwhile(master, follow):
    followers = [follow(master) for _ in range(200)]
    served = [each for each in followers if each.status == 200]
    refused = [each for each in followers if each.status == 503]
    assert (len(served), len(refused)) == (FOLLOWERS, 200 - FOLLOWERS)
    answer = send(master.admin, "GET", "/api/v1/events/stream")
    assert (answer.status, answer.json["code"]) == (503, "limit.followers")
    Contract(master.admin).check("get", "/api/v1/events/stream", answer)
    assert send(master.admin, "GET", "/healthz").status == 200
    act(master.admin, 5)
    for each in served:
        each.wait(5)
    # Where one goes, another finds room.
    served[0].socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: send(master.admin, "GET", "/api/v1/events/stream").status == 200, PATIENCE, "room for another")


def test_followers_end_with_the_master(master, follow):
    followers = [follow(master) for _ in range(20)]
    began = time.monotonic()
    master.stop()
    assert time.monotonic() - began < 5
    for each in followers:
        eventually(lambda: each.is_over, 5, "the end")
        assert each.named("closed")[0]["code"] == "connection.lost"


def test_a_follower_is_kept_open_while_nothing_happens(master, follow):
    follower = follow(master)
    eventually(lambda: follower.heartbeats >= 4, 60, "heartbeats for longer than a silent connection lives")
    assert not follower.is_over
    act(master.admin)
    follower.wait(1)


def test_a_token_that_is_taken_away_ends_its_follower_and_no_other(shunt, follow, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read:dash:{TOKEN}\noperate:ops:{OTHER}\n")
    tokens.chmod(0o600)
    master = shunt.master({"master.admin.tokens_file": tokens})
    assert follow(master).status == 401
    one, other = (follow(master, fields=f"Authorization: Bearer {token}\r\n") for token in (TOKEN, OTHER))
    tokens.write_text(f"operate:ops:{OTHER}\n")
    master.reload()
    eventually(lambda: one.is_over, 5, "the end of the follower")
    assert one.named("closed")[0]["code"] == "access.credentials"
    act(master.admin, headers={"Authorization": f"Bearer {OTHER}"})
    eventually(lambda: any(event["subject"] == "ops" for event in other.events), PATIENCE, "the other's event")
    assert not other.is_over


def test_the_stream_ends_by_sigterm_even_where_a_follower_reads_nothing(master, follow):
    follow(master, receive_buffer=4096, reads=False)
    storm(master.admin, 2_000)
    master.signal(signal.SIGTERM)
    eventually(lambda: master.process.poll() is not None, PATIENCE, "the end of the master")
