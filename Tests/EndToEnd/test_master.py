"""Workers and their master: registration, loss and return, allocation, and a master that is killed at any moment."""

import json
import random
import signal
import sqlite3
import subprocess
import threading
import time

from exchange import ALLOCATION, MESSAGE, Client, encode, eventually
from java_peers import JavaWorker
from processes import BINARY, PATIENCE, Door, environment, get, run


def allocation(client) -> list[str]:
    answer = client.request(ALLOCATION, b"true")
    return answer.text.split(",") if answer.status == 200 else []


def state(master, worker) -> str | None:
    return master.workers().get(worker.exchange, {}).get("state")


def test_a_worker_that_stops_reporting_is_lost_and_live_again_when_it_returns(shunt, connect):
    master = shunt.master({"master.heartbeat.live_for": "1s"})
    worker, other = [shunt.worker({"worker.masters": master.master}) for _ in range(2)]
    asking = connect(master.master)
    eventually(lambda: set(allocation(asking)) == {worker.exchange, other.exchange})
    worker.signal(signal.SIGSTOP)
    eventually(lambda: allocation(asking) == [other.exchange], what="the silent worker's loss")
    eventually(lambda: state(master, worker) == "lost")
    worker.signal(signal.SIGCONT)
    eventually(lambda: len(allocation(asking)) == 2, what="its return")
    eventually(lambda: state(master, worker) == "live")


def test_a_worker_that_was_killed_is_lost_after_its_time(shunt, connect):
    master = shunt.master({"master.heartbeat.live_for": "1s"})
    worker = shunt.worker({"worker.masters": master.master})
    asking = connect(master.master)
    eventually(lambda: allocation(asking) == [worker.exchange])
    worker.kill()
    eventually(lambda: allocation(asking) == [])
    eventually(lambda: state(master, worker) == "lost")


def test_the_least_loaded_worker_is_allocated_first(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": master.master}) for _ in range(3)]
    asking = connect(master.master)
    eventually(lambda: len(allocation(asking)) == 3)
    for worker, count in zip(workers, (5, 0, 2)):
        for _ in range(count):
            connect(worker.exchange)
    expected = [workers[place].exchange for place in (1, 2, 0)]
    eventually(lambda: allocation(asking) == expected, what="the order by connections")
    assert asking.request(ALLOCATION).text == expected[0]


def test_clients_that_ask_together_are_spread(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": master.master}) for _ in range(2)]
    eventually(lambda: len(master.workers()) == 2)
    asking = [connect(master.master) for _ in range(10)]
    chosen = [client.request(ALLOCATION, b"true").text.split(",")[0] for client in asking]
    # A worker's heartbeat may come in between, and forgets nobody who was sent there just before.
    assert {worker.exchange: chosen.count(worker.exchange) for worker in workers} == {worker.exchange: 5 for worker in workers}


def test_real_producers_that_start_together_are_spread_over_the_workers(shunt):
    """Each finds its worker by itself, and stays there while its input is open."""
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": master.master}) for _ in range(2)]
    eventually(lambda: len(master.workers()) == 2)
    for worker in workers:
        shunt.closing(Client(worker.exchange)).subscribe("t", "g")
    producers = [
        subprocess.Popen(
            [BINARY, "pub", "t", "-", "--master", master.master], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment())
        for _ in range(10)]
    try:
        for producer in producers:
            producer.stdin.write(b"hello\n")
            producer.stdin.flush()
        eventually(lambda: sum(worker.metric("shunt_connections") for worker in workers) == 12, PATIENCE)
        spread = [int(worker.metric("shunt_connections")) - 1 for worker in workers]
        assert max(spread) - min(spread) <= 4, spread
        for producer in producers:
            producer.stdin.close()
        assert [producer.wait(PATIENCE) for producer in producers] == [0] * 10
    finally:
        for producer in producers:
            producer.kill()
            producer.wait()


def test_a_master_that_was_stopped_for_a_while_takes_no_workers_clock_for_wrong(shunt):
    """The heartbeats that it reads when it goes on have waited for it."""
    master = shunt.master({"master.heartbeat.live_for": "2s"})
    workers = [shunt.worker({"worker.masters": master.master}) for _ in range(2)]
    eventually(lambda: all(state(master, worker) == "live" for worker in workers))
    # Longer than a quarter of `live_for`, and than the 2 s that are allowed anyway.
    master.signal(signal.SIGSTOP)
    threading.Event().wait(3.5)
    resumed = time.time()
    master.signal(signal.SIGCONT)
    eventually(lambda: all(state(master, worker) == "live" for worker in workers), PATIENCE)
    # All that waited has been read, and newer ones after it.
    for worker in workers:
        eventually(lambda: master.workers()[worker.exchange]["heartbeat_at"] > resumed + 2, PATIENCE)
    kinds = {event["kind"] for event in json.loads(get(f"http://{master.admin}/api/v1/events"))["events"]}
    assert "worker.skewed" not in kinds, kinds


def test_a_worker_that_advertises_an_ipv6_address_is_found_there(shunt, connect):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master, "worker.advertise": "::1"})
    asking = connect(master.master)
    port = worker.exchange.rsplit(":", 1)[1]
    eventually(lambda: allocation(asking) == [f"[::1]:{port}"], what="the worker's address")


def test_a_worker_routes_without_a_master_and_joins_it_when_it_comes(shunt, connect):
    door = shunt.closing(Door())
    worker = shunt.worker({"worker.masters": door.address})
    client = connect(worker.exchange).subscribe("t")
    assert client.message("t", "alone").status == 200
    worker.wait_metric("shunt_master_connected", 0)
    master = shunt.master()
    door.target = master.master
    eventually(lambda: state(master, worker) == "live", 20)
    worker.wait_metric("shunt_master_connected", 1)
    master.kill()
    worker.wait_metric("shunt_master_connected", 0)
    assert client.message("t", "alone again").status == 200
    assert [frame.text for frame in client.receive(2)] == ["alone", "alone again"]


def test_a_worker_goes_to_the_next_master_of_its_list(shunt):
    door, first, second = shunt.closing(Door()), shunt.master(), shunt.master()
    door.target = first.master
    worker = shunt.worker({"worker.masters": f"{door.address},{second.master}"})
    eventually(lambda: state(first, worker) == "live")
    first.kill()
    eventually(lambda: state(second, worker) == "live", 20, "the worker at the second master")


def test_a_worker_returns_to_the_first_master_of_its_list(shunt):
    door, first, second = shunt.closing(Door()), shunt.master(), shunt.master()
    worker = shunt.worker({"worker.masters": f"{door.address},{second.master}", "worker.heartbeat.every": "200ms"})
    eventually(lambda: state(second, worker) == "live", 20, "the worker at the second master")
    door.target = first.master
    eventually(lambda: state(first, worker) == "live", 20, "its return")
    worker.wait_metric("shunt_master_connected", 1)


def registry(path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def test_a_master_killed_at_any_moment_starts_again_with_a_sound_registry(shunt):
    """Ten times, while a worker and four Java workers report as fast as they can."""
    door = shunt.closing(Door())
    worker = shunt.worker({"worker.masters": door.address, "worker.heartbeat.every": "20ms"})
    chance = random.Random(4088)
    folder = shunt.folder / "master"
    known = set()
    for round in range(10):
        master = shunt.master({"master.registry.batch": "5ms"}, folder=folder)
        door.target = master.master
        ended = threading.Event()
        beating = [threading.Thread(target=beat, args=(master.master, 5000 + 10 * round + each, ended)) for each in range(4)]
        for thread in beating:
            thread.start()
        eventually(lambda: state(master, worker) == "live", 20, "the worker's return")
        assert known <= set(master.workers()), "what was read before must be there after a kill"
        known = set(master.workers())
        threading.Event().wait(chance.random() * 0.15)
        master.kill()
        ended.set()
        for thread in beating:
            thread.join()
        with registry(master.registry) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert known <= {name for (name,) in database.execute("SELECT name FROM workers")}
        database.close()
    assert len(known) > 10


def beat(master: str, port: int, ended: threading.Event):
    try:
        worker = JavaWorker(master, port)
        while not ended.is_set():
            worker.beat()
    except (OSError, TimeoutError):
        ended.wait(20)


def test_the_registry_holds_what_the_master_knows_and_its_events(shunt, connect):
    master = shunt.master({"master.heartbeat.live_for": "1s"})
    worker = shunt.worker({"worker.masters": master.master})
    client = connect(worker.exchange).subscribe("t")
    for number in range(10):
        client.message("t", str(number))

    def delivered() -> int:
        return master.workers().get(worker.exchange, {}).get("figures", {}).get("deliveries", 0)

    eventually(lambda: delivered() == 10, what="the worker's figures")
    worker.signal(signal.SIGSTOP)
    eventually(lambda: state(master, worker) == "lost")
    worker.signal(signal.SIGCONT)
    eventually(lambda: state(master, worker) == "live")
    master.stop()
    with registry(master.registry) as database:
        # A process that stood still may send a heartbeat with an old time first.
        query = "SELECT kind FROM events WHERE kind != 'worker.skewed' ORDER BY id"
        kinds = [kind for (kind,) in database.execute(query)]
        assert kinds == ["master.started", "worker.joined", "worker.lost", "worker.returned", "master.stopped"]
        name, deliveries = database.execute("SELECT name, deliveries FROM workers").fetchone()
        assert (name, deliveries) == (worker.exchange, 10)
        tables = {table for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    database.close()
    assert {"workers", "events", "meta"} <= tables


def test_others_read_the_registry_while_the_master_writes(shunt, connect):
    master = shunt.master({"master.registry.batch": "5ms"})
    worker = shunt.worker({"worker.masters": master.master, "worker.heartbeat.every": "10ms"})
    database = shunt.closing(registry(master.registry))
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def last() -> float:
        row = database.execute("SELECT heartbeat_at FROM workers WHERE name = ?", [worker.exchange]).fetchone()
        return row[0] if row else 0

    first = eventually(last)
    eventually(lambda: last() > first, what="the next heartbeat in the registry")


def test_a_client_that_talks_nonsense_to_the_master_is_closed_alone(shunt, connect):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": master.master})
    asking = connect(master.master)
    eventually(lambda: allocation(asking) == [worker.exchange])
    magic, type = "700000000000000001030000c800000000", "7100000000000000010b0000c800000000"
    for nonsense in (magic, type, "710000000000000001030000c8ffffffff"):
        client = connect(master.master)
        client.send(bytes.fromhex(nonsense))
        client.wait_closed()
        # Where it may be a frame of this protocol, the answer says what is wrong with it, as a worker's does.
        assert [answer.id for answer in client.answers] == ([] if nonsense is magic else [1])
    assert allocation(asking) == [worker.exchange]


def test_a_worker_is_found_by_its_name_with_what_it_measures(shunt, connect):
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": master.master, "worker.name": name}) for name in ("edge-a", "edge-b", "edge-b")]
    eventually(lambda: all(worker.exchange in master.workers() for worker in workers))

    def admin(*arguments):
        return run("admin", *arguments, "--master", master.admin)

    client = connect(workers[0].exchange)
    for _ in range(20):
        client.send(b"".join(encode(MESSAGE, number, b"x", name="t") for number in range(500)))
        client.take_answers(500)

    def found() -> dict:
        return json.loads(admin("worker", "edge-a", "--output", "json").stdout)

    eventually(lambda: found()["figures"]["response_milliseconds"] > 0)
    assert (found()["name"], found()["configured_name"]) == (workers[0].exchange, "edge-a")
    assert "edge-a" in admin("workers").stdout
    both = admin("worker", "edge-b")
    assert both.returncode == 65
    assert all(worker.exchange in both.stderr for worker in workers[1:])
