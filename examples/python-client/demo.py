#!/usr/bin/env python3
"""Two workers and a master, and what shunt_client.py does with them; then checks all of it."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from shunt_client import CHAT, MESSAGE, NOTIFY, Client, Refused, workers

SHUNT = Path(os.environ.get("SHUNT_BINARY", Path(__file__).resolve().parents[2] / ".build/release/shunt")).absolute()
PATIENCE = 60.0


async def main():
    if not SHUNT.exists():
        sys.exit(f"{SHUNT} is not there: build it with 'make build', or name it with SHUNT_BINARY")
    with tempfile.TemporaryDirectory(prefix="python-client-") as folder, ExitStack() as stack:
        master = Server(stack, Path(folder), "master")
        first, second = (Server(stack, Path(folder), f"worker-{n}", master.address) for n in (1, 2))
        await until("the master names both workers", lambda: has(master.address, first.address, second.address))
        await groups(master.address)
        await devices(first.address)
        await redirects(first.address, second.address)
        await coming_back(stack, master.address, first)
    print("\nAll is as it should be.")


async def consume(masters, topic, group, received):
    """Subscribes at each worker that a master lists, and at new ones as they come."""
    clients = {}
    try:
        while True:
            listed = await workers(masters[0])
            for address in clients.keys() - set(listed):
                clients.pop(address).close()
            for address in set(listed) - clients.keys():
                clients[address] = Client(worker=address, received=received)
                await clients[address].subscribe(topic, group)
            await asyncio.sleep(1)
    finally:
        for client in clients.values():
            client.close()


async def groups(master: str):
    """Two consumers of one group share the messages, and one of another group gets all."""
    inboxes = [asyncio.Queue() for _ in range(3)]
    tasks = [asyncio.create_task(consume([master], "orders/#", group, inbox)) for group, inbox in zip(("billing", "billing", "audit"), inboxes)]
    producer = Client(masters=[master])
    await until("a message finds each of them", lambda: reaches(producer, "orders/first", inboxes))
    answers = await asyncio.gather(*(producer.publish("orders/eu", str(number)) for number in range(100)))
    check(answers == [""] * 100, "100 messages are acknowledged")
    numbers = await collect(inboxes, 200)
    check(numbers[2] == list(range(100)), "the consumer of the other group gets all of them, in order")
    check(sorted(numbers[0] + numbers[1]) == numbers[2] and all(numbers), f"the group shares them: {len(numbers[0])} and {len(numbers[1])}")
    producer.close()
    for task in tasks:
        task.cancel()


async def reaches(producer: Client, topic: str, inboxes: list[asyncio.Queue]) -> bool:
    """Publishes once more; whether each inbox has something already."""
    try:
        await producer.publish(topic, "first")
    except Refused:
        pass  # Nobody has subscribed it yet.
    return not any(inbox.empty() for inbox in inboxes)


async def collect(inboxes: list[asyncio.Queue], count: int) -> list[list[int]]:
    """So many numbers that come to the inboxes, all together."""
    found = [[] for _ in inboxes]

    async def read(inbox, numbers):
        while sum(map(len, found)) < count:
            frame = await inbox.get()
            if frame.type == MESSAGE and frame.value != b"first":
                numbers.append(int(frame.value))

    tasks = [asyncio.create_task(read(*pair)) for pair in zip(inboxes, found)]
    await asyncio.wait_for(asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED), PATIENCE)
    for task in tasks:
        task.cancel()
    return found


async def devices(worker: str):
    phone, ada = Client(worker=worker), Client(worker=worker, ping_after=0.05)
    await phone.register("tom", "phone", tags=["driver"])
    answer = await ada.notify("go home", match_tags=["driver"])
    frame = await asyncio.wait_for(phone.received.get(), PATIENCE)
    check((frame.type, json.loads(frame.value)["message"]) == (NOTIFY, "go home"), f"a broadcast reaches the device: {answer}")
    try:
        await ada.notify("go home", uid="eve")
        check(False, "a broadcast without a device is refused")
    except Refused as refused:
        check(refused.args[0] == 500, f"a broadcast without a device is refused: {refused.args}")
    phone.close()
    ada.close()


async def redirects(first: str, second: str):
    ada, bob = Client(worker=first), Client(worker=second)
    await ada.join("taxi-7")
    await bob.join("taxi-7")
    check(bob.address == first, "who joins a chat at the wrong worker is redirected, and follows")
    await bob.say("taxi-7", "where are you?")
    frame = await asyncio.wait_for(ada.received.get(), PATIENCE)
    check((frame.type, frame.name, frame.value) == (CHAT, b"taxi-7", b"where are you?"), "they talk")
    ada.close()
    bob.close()


async def coming_back(stack: ExitStack, master: str, server: "Server"):
    """The worker is killed and started again on its port: the client comes back by itself, subscribed."""
    client, producer = Client(worker=server.address), Client(worker=server.address)
    await client.subscribe("news", "all")
    server.restart()
    await until("a client is back, and subscribed again, after its worker was killed", lambda: is_back(producer))
    frame = await asyncio.wait_for(client.received.get(), PATIENCE)
    check(frame.value == b"back", "messages come again")
    client.close()
    producer.close()


async def is_back(producer: Client) -> bool:
    try:
        await asyncio.wait_for(producer.publish("news", "back"), PATIENCE)
        return True
    except (Refused, ConnectionError):
        return False


# The small things


class Server:
    """A master, or a worker of a master, on ports that the system picks. It ends with this script at the latest."""

    def __init__(self, stack: ExitStack, folder: Path, name: str, master: str | None = None):
        self.stack, self.folder, self.name, self.master, self.address = stack, folder, name, master, "127.0.0.1:0"
        self.start()

    def start(self):
        ready = self.folder / f"{self.name}.json"
        sets = {"master.exchange.listen": self.address, "master.admin.listen": "127.0.0.1:0", "master.registry.path": self.folder / "registry"}
        if self.master:
            sets = {"worker.masters": f"[{self.master}]", "worker.listeners.exchange.listen": self.address, "worker.http.listen": "127.0.0.1:0",
                    "worker.listeners.exchange.allow_anonymous": "true", "worker.heartbeat.every": "200ms"}
        settings = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        log = self.stack.enter_context(open(self.folder / f"{self.name}.log", "ab"))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SHUNT_")}
        self.process = subprocess.Popen(
            [SHUNT, "worker" if self.master else "master", "--ready-file", ready, *settings], cwd=self.folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.stack.callback(self.kill)
        while not ready.exists():
            time.sleep(0.02)
            if self.process.poll() is not None:
                sys.exit(f"WRONG: {self.name} ended with {self.process.returncode}\n{(self.folder / f'{self.name}.log').read_text()}")
        listeners = json.loads(ready.read_text())["listeners"]
        self.address = listeners["worker.exchange" if self.master else "master.exchange"]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        self.kill()
        (self.folder / f"{self.name}.json").unlink(missing_ok=True)
        self.start()


async def has(master: str, *addresses: str) -> bool:
    return set(addresses) == set(await workers(master))


async def until(what: str, question):
    async with asyncio.timeout(PATIENCE):
        while not await question():
            await asyncio.sleep(0.05)
    print(f"- {what}", flush=True)


def check(is_right: bool, what: str):
    if not is_right:
        sys.exit(f"WRONG: {what}")
    print(f"- {what}", flush=True)


asyncio.run(main())
