"""examples/python-client: its client does what its page says, against real workers; and stays as small as it says."""

import asyncio
import json
import subprocess
import sys

import pytest

from processes import BINARY, ROOT, Door, environment, run

FOLDER = ROOT / "examples/python-client"
sys.path.insert(0, str(FOLDER))
import shunt_client  # noqa: E402
from shunt_client import CHAT, MESSAGE, NOTIFY, REGISTERED, Client, Refused  # noqa: E402


def test_it_has_at_most_a_hundred_lines():
    assert len((FOLDER / "shunt_client.py").read_text().splitlines()) <= 100


def test_the_example_shows_it_working():
    done = subprocess.run([FOLDER / "run"], env=environment(SHUNT_BINARY=str(BINARY)), capture_output=True, text=True, timeout=180)
    assert done.returncode == 0 and done.stdout.endswith("All is as it should be.\n"), done


def run_with(coroutine):
    async def bounded():
        async with asyncio.timeout(60):
            await coroutine

    asyncio.run(bounded())


async def received(client: Client, type: int):
    frame = await client.received.get()
    assert frame.type == type, frame
    return frame


def test_lost_connections_come_back_with_subscriptions_device_and_chat(shunt, connect):
    worker = shunt.worker()
    door = shunt.closing(Door(worker.exchange))

    async def play():
        client = Client(worker=door.address)
        await client.register("tom", "phone", tags=["driver"])
        await client.subscribe("orders/#", "billing", key="eu-1")
        await client.join("taxi")
        door.cut()
        await client.reading
        ada = Client(worker=worker.exchange)
        await client.publish("orders/eu", "42", "eu-1")
        assert (await received(client, MESSAGE)).value == b"42"
        with pytest.raises(Refused):
            await client.publish("orders/eu", "42", "eu-2")
        assert await ada.notify("hi", match_tags=["driver"]) == "1 matched, 1 sent, 0 not sent"
        assert json.loads((await received(client, NOTIFY)).value)["message"] == "hi"
        await ada.join("taxi")
        await ada.say("taxi", "there?")
        assert (await received(client, CHAT)).value == b"there?"
        client.close()
        ada.close()

    run_with(play())


def test_a_request_without_an_answer_raises_when_the_connection_is_lost(shunt):
    worker = shunt.worker()
    door = shunt.closing(Door(worker.exchange))

    async def play():
        client = Client(worker=door.address)
        await client.subscribe("t", "g")
        worker.kill()
        with pytest.raises(ConnectionError):
            await client.publish("t", "1")
        client.close()

    run_with(play())


def test_a_device_that_was_replaced_and_a_chat_that_is_over_are_not_taken_back(shunt, connect):
    worker = shunt.worker()
    door = shunt.closing(Door(worker.exchange))

    async def play():
        client = Client(worker=door.address)
        await client.register("tom", "phone")
        await client.join("taxi")
        other, eve = connect(worker.exchange).register("tom", "phone"), connect(worker.exchange).join("taxi")
        await received(client, REGISTERED)
        assert eve.destroy("taxi").status == 200
        assert (await received(client, CHAT)).key == b"DESTROY"
        door.cut()
        await client.reading
        with pytest.raises(Refused):
            await client.say("taxi", "still there?")
        assert eve.notify("hi", uid="tom").status == 200 and not other.closed
        assert other.receive(1)[0].type == NOTIFY
        client.close()

    run_with(play())


def test_a_token_is_shown_first_and_a_wrong_one_ends_the_client(shunt, tmp_path):
    (tmp_path / "password").write_text("secret-1\n")
    assert run("admin", "passwd", tmp_path / "passwords", "ada", "--password-file", tmp_path / "password").returncode == 0
    worker = shunt.worker({"access.password_file": tmp_path / "passwords", "worker.listeners.exchange.allow_anonymous": "false"})

    async def play():
        ada = Client(worker=worker.exchange, token="ada:secret-1")
        await ada.subscribe("t", "g")
        eve = Client(worker=worker.exchange, token="ada:wrong")
        with pytest.raises(ConnectionError):
            await eve.publish("t", "1")
        assert isinstance(eve.task.exception(), Refused) and eve.task.exception().args[0] == 401
        ada.close()

    run_with(play())


def test_pings_are_sent_and_a_silent_server_is_given_up(shunt, monkeypatch):
    async def play():
        asked, came = [], asyncio.Queue()

        async def serve(reader, writer):
            while frame := await shunt_client.read_frame(reader):
                asked.append(frame.type)
                await came.put(frame)
                # The first connection answers nothing.
                if connections.index(writer) > 0:
                    writer.write(shunt_client.encode(shunt_client.ACK, frame.id))

        connections = []

        async def accept(reader, writer):
            connections.append(writer)
            try:
                await serve(reader, writer)
            except (OSError, EOFError):
                pass

        wait_for = asyncio.wait_for
        monkeypatch.setattr(shunt_client.asyncio, "wait_for", lambda what, seconds: wait_for(what, min(seconds, 0.2)))
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        client = Client(worker="127.0.0.1:%d" % server.sockets[0].getsockname()[1], ping_after=0.01)
        for _ in range(3):
            assert (await came.get()).type == shunt_client.PING
        assert len(connections) == 2
        client.close()
        server.close()

    run_with(play())


@pytest.mark.parametrize("frame", [b"\x70" + bytes(16), b"\x71" + bytes(12) + b"\xff\xff\xff\xff", b"\x71" + bytes(12) + b"\0\0\0\5\1\0\0"])
def test_a_server_that_sends_no_frames_is_left(frame):
    async def play():
        connections = asyncio.Queue()

        async def accept(reader, writer):
            writer.write(frame)
            writer.write_eof()
            await connections.put(writer)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        client = Client(worker="127.0.0.1:%d" % server.sockets[0].getsockname()[1])
        for _ in range(2):
            (await connections.get()).close()
        client.close()
        server.close()

    run_with(play())
