"""The history of workers' figures: kept by the master, asked by the API, the command line, the file and SQL."""

import json
import sqlite3
import time

from exchange import Client, eventually
from processes import PATIENCE, get, run


def history(master, path="history", **parameters):
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return json.loads(get(f"http://{master.admin}/api/v1/{path}?{query}"))


def known(document, figure) -> list[tuple[int, float]]:
    """The steps of which something is known, and what."""
    values = document["series"][figure]
    assert len(values) == document["count"]
    return [(document["start"] + at * document["step"], value) for at, value in enumerate(values) if value is not None]


def cluster(shunt, **sets):
    master = shunt.master(sets)
    workers = [
        shunt.worker({
            "worker.masters": master.master, "worker.loops": 1, "worker.name": name, "worker.heartbeat.every": "200ms"})
        for name in ("east", "west")]
    for worker in workers:
        worker.wait_metric("shunt_master_connected", 1)
    eventually(lambda: len(master.workers()) == 2)
    return master, *workers


def send(client, seconds: float, pause=0.02) -> int:
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        client.message("t", b"x")
        count += 1
        time.sleep(pause)
    return count


def test_what_a_worker_does_is_kept_and_asked_in_every_way(shunt):
    master, east, west = cluster(shunt)
    begun = time.time()
    client = Client(east.exchange)
    sent = send(client, 11)
    eventually(lambda: known(history(master, "workers/east/history"), "requests"), PATIENCE, "a step of ten seconds")

    own = history(master, "workers/east/history", since=int(begun) - 10)
    rates = known(own, "requests")
    assert all(0 < rate <= 60 for _, rate in rates[:1]), rates
    assert own["step"] == 10 and own["worker"] == east.exchange
    assert max(value for _, value in known(own, "connections")) >= 1
    idle = history(master, "workers/west/history", since=int(begun) - 10)
    assert all(rate == 0 for _, rate in known(idle, "requests"))
    total = history(master, since=int(begun) - 10, figures="requests,workers")
    assert set(total["series"]) == {"requests", "workers"} and "worker" not in total
    assert max(value for _, value in known(total, "workers")) == 2

    for source in (["--master", master.admin], ["--registry", str(master.registry)]):
        done = run("admin", "history", "east", "--since", "2m", "--output", "csv", "--figure", "requests", *source)
        assert done.returncode == 0 and done.stdout.startswith("at,requests\n"), done
        assert any(line.split(",")[1] not in ("", "0") for line in done.stdout.splitlines()[1:]), done.stdout
        chart = run("admin", "history", "east", "--since", "2m", "--plot", *source)
        assert chart.returncode == 0 and "requests a second" in chart.stdout and "█" in chart.stdout, chart
    master.stop()

    # What was not over when the master ended is there too: all that was sent but what the first heartbeats and the last had.
    with sqlite3.connect(f"file:{master.registry}?mode=ro", uri=True) as registry:
        for table, worker in (("worker_history", " AND worker = ?"), ("cluster_history", "")):
            for step in (10, 60, 3600):
                rows = registry.execute(
                    f"SELECT sum(requests), sum(seconds) FROM {table} WHERE step = ?{worker}", (step, east.exchange) if worker else (step,))
                requests, seconds = rows.fetchone()
                assert 0.8 * sent <= requests <= sent + 60, (table, step, requests, sent)
                assert 9 <= seconds <= time.time() - begun + 5


def test_a_master_that_starts_goes_on_with_what_is_not_over(shunt):
    master, east, west = cluster(shunt)
    client = Client(east.exchange)
    first = send(client, 2)
    eventually(lambda: master.workers()[east.exchange]["figures"]["requests"] >= first)
    master.stop()

    def hour(registry):
        with sqlite3.connect(f"file:{registry}?mode=ro", uri=True) as database:
            return database.execute(
                "SELECT sum(requests), sum(heartbeats) FROM worker_history WHERE step = 3600 AND worker = ?", (east.exchange,)).fetchone()

    before = hour(master.registry)
    assert before[0] > 0
    again = shunt.master({"master.exchange.listen": master.master}, folder=master.folder)
    east.wait_metric("shunt_master_connected", 1)
    second = send(client, 2)
    eventually(lambda: again.workers()[east.exchange]["figures"]["requests"] >= first + second)
    again.stop()
    after = hour(again.registry)
    assert after[0] > before[0] and after[1] > before[1], (before, after)
    # What was counted while no master was there is in no step.
    assert after[0] <= first + second


def test_a_lost_worker_is_a_gap(shunt):
    master, east, west = cluster(shunt, **{"master.heartbeat.live_for": "2s"})
    east.kill()
    eventually(lambda: master.workers()[east.exchange]["state"] == "lost", PATIENCE)
    told = eventually(lambda: known(history(master, "workers/east/history"), "connections"), PATIENCE, "its last steps")
    last = told[-1][0]
    eventually(lambda: known(history(master, "workers/west/history"), "connections")[-1:] > [(last + 10, 0)], 60, "the other goes on")
    assert known(history(master, "workers/east/history"), "connections")[-1][0] == last


def test_without_history_nothing_is_kept(shunt):
    master, east, west = cluster(shunt, **{"master.registry.history": "off"})
    send(Client(east.exchange), 1)
    master.stop()
    with sqlite3.connect(f"file:{master.registry}?mode=ro", uri=True) as registry:
        assert registry.execute("SELECT count(*) FROM worker_history").fetchone() == (0,)
    done = run("admin", "history", "--registry", str(master.registry))
    assert done.returncode == 0 and "nothing is known of this time" in done.stderr
