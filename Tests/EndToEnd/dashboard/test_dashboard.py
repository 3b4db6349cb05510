"""The operators' page in headless Chromium: what it shows of a cluster, what it does, and that no text of a client becomes markup."""

import json
import sqlite3
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from exchange import eventually, parse_address
from processes import PATIENCE, write_rule

MARKUP = "<img src=x onerror=alert(1)>"
VIEWS = ["overview", "workers", "clients", "devices", "chats", "rules", "events", "retained", "refused", "bans", "query", "try", "topics",
         "subscriptions"]
FAILING = """return { priority = 5, on_message = function(msg)
  if msg.topic == "bad" then error("no such thing") end
end }"""


@pytest.fixture
def cluster(shunt, tmp_path):
    """A master with a worker that runs a rule; the worker's door is open."""
    plugins = write_rule(tmp_path / "plugins", "tag", FAILING)
    return shunt.dev({"rules.directory": plugins, "rules.enabled": "all", "rules.guard.window": "0s", "worker.loops": 2})


@pytest.fixture
def page(chromium, cluster):
    return chromium.open(f"http://{cluster.admin}/")


def registered(cluster, count: int):
    """Waits until the registry has so many devices."""
    def number():
        with sqlite3.connect(f"file:{cluster.registry}?mode=ro", uri=True) as registry:
            return registry.execute("SELECT count(*) FROM devices").fetchone()[0]
    eventually(lambda: number() == count, PATIENCE, f"{count} devices")


def test_every_view_comes_by_its_key_asks_only_the_master_and_fits_the_screen(chromium, cluster, page):
    page.wait_text("#view-overview .tile", "Workers\n1")
    for number, view in enumerate(VIEWS):
        page.press("1234567890stbu"[number])
        page.wait(f"location.hash === '#{view}' && !document.getElementById('view-{view}').hidden")
        page.wait("document.querySelectorAll('.view:not([hidden])').length === 1")
    assert page.faults == []
    assert {url.split("/")[2] for url in page.requests if url.startswith("http")} == {cluster.admin}
    for width, height, dark in ((360, 740, False), (360, 740, True), (1280, 800, True), (3840, 2160, False)):
        page.look(width, height, dark)
        for view in VIEWS:
            page.value(f"location.hash = '{view}'")
            page.wait(f"!document.getElementById('view-{view}').hidden")
            page.wait("document.documentElement.scrollWidth <= innerWidth")
            page.picture(f"{view}-{width}-{'dark' if dark else 'light'}")


def remember(cluster, worker: str):
    """Gives the registry an hour of history: requests that grow, and ten minutes in the middle of which nothing is known."""
    with sqlite3.connect(cluster.registry, timeout=30) as registry:
        columns = [row[1] for row in registry.execute("PRAGMA table_info(worker_history)")]
        now = int(time.time()) // 10 * 10
        for at in range(now - 3_590, now - 30, 10):
            if not 1_500 <= now - at < 2_100:
                known = {
                    "step": 10, "at": at, "worker": worker, "workers": 1, "heartbeats": 3, "seconds": 10, "connections": 7,
                    "requests": 1000 + (at - now + 3_590), "responses": 100, "response_milliseconds": 250}
                for table, own in (("worker_history", "worker"), ("cluster_history", "workers")):
                    names = [own if name == "worker" else name for name in columns]
                    registry.execute(
                        f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                        [known.get(name, 0) for name in names])


def test_lines_and_charts_begin_before_the_page_was_opened(chromium, cluster):
    eventually(lambda: len(cluster.workers()) == 1)
    [worker] = cluster.workers()
    remember(cluster, worker)
    page = chromium.open(f"http://{cluster.admin}/")
    line = "document.querySelector('#view-overview .tile .spark path').getAttribute('d')"
    page.wait(f"{line}.split('L').length > 40")
    requests = "[...document.querySelectorAll('#view-overview .chart')].find((chart) => chart.innerText.startsWith('Requests'))"
    # The gap is none of the line.
    page.wait(f"{requests}.querySelector('path').getAttribute('d').split('M').length >= 3")
    page.wait(f"/highest 4\\d\\d\\/s/.test({requests}.querySelector('svg').getAttribute('aria-label'))")
    page.wait_text("#view-overview .chart", "Time to answer\n2.5 ms")
    for width, height, dark in ((360, 740, False), (1280, 800, True), (3840, 2160, False)):
        page.look(width, height, dark)
        page.wait("document.documentElement.scrollWidth <= innerWidth")
        page.value(f"{requests}.scrollIntoView()")
        page.picture(f"charts-{width}-{'dark' if dark else 'light'}")
    # Where the pointer is, is when, and how much it was then.
    page.look(1280, 800, False)
    page.value(f"{requests}.scrollIntoView()")
    place = page.value(f"(() => {{ const box = {requests}.querySelector('svg').getBoundingClientRect();"
                       " return [box.left + box.width / 2, box.top + 20]; })()")
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    page.wait(f"{requests}.querySelector('strong').innerText === '–'")
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)
    page.wait(f"{requests}.querySelector('small').innerText.startsWith('mean')")
    page.value("(() => { const span = document.querySelector('.history select'); span.value = 'month';"
               " span.dispatchEvent(new Event('change')); })()")
    page.wait(f"{requests}.querySelector('small').innerText === 'nothing is known yet'")

    page.value("location.hash = 'workers'")
    page.wait("document.querySelector('#view-workers .spark path').getAttribute('d').split('L').length > 40")
    page.picture("workers-lines")
    page.click("#view-workers .body .row", "live")
    page.wait("document.querySelector('dialog .chart path')?.getAttribute('d')?.includes('L')")
    page.picture("worker-charts")
    assert page.faults == []


def test_a_name_that_is_markup_is_shown_as_it_is(cluster, connect, page):
    connect(cluster.exchange).register(MARKUP, "phone")
    registered(cluster, 1)
    page.value("location.hash = 'devices'")
    page.wait_text("#view-devices .body .row", MARKUP)
    page.click("#view-devices .body .row", MARKUP)
    page.wait_text("dialog h2", MARKUP)
    assert page.value("document.querySelectorAll('main img, dialog img').length") == 0
    page.press("Escape")
    page.wait("!document.querySelector('dialog')")
    page.type("#view-devices input", "nobody")
    page.wait_text("#view-devices .table .note", "No such device")
    assert page.faults == []


@pytest.fixture
def devices_of_mqtt(shunt):
    """A worker with MQTT, its master, and three clients: two of names that contain one another, and one that is away."""
    cluster = shunt.dev({"worker.loops": 2, "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"})
    clients = {}
    for name in ("meter-1", "Meter-12", "gone"):
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 1000
        client = clients[name] = paho.Client(paho.CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5, reconnect_on_failure=False)
        host, port = parse_address(cluster.listeners["worker.mqtt"])
        client.connect(host, port, properties=properties)
        client.loop_start()
        eventually(client.is_connected, PATIENCE, name)
    clients["meter-1"].subscribe("meters/1/#", 1)
    clients["gone"].disconnect()
    yield cluster
    for client in clients.values():
        client.disconnect()
        client.loop_stop()


def test_the_header_says_from_the_first_second_how_long_the_master_runs(page):
    page.wait(r"/ up for \d+ (s|min \d+ s|h \d+ min)$/.test(document.getElementById('state').innerText)")
    for seconds, words in ((0, "0 s"), (0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h")):
        assert page.value(f"import('./dashboard/elements.js').then(({{ duration }}) => duration({seconds}))") == words


def test_topics_are_listed_by_what_they_carry(chromium, devices_of_mqtt):
    publisher = paho.Client(paho.CallbackAPIVersion.VERSION2, "publisher", protocol=paho.MQTTv5)
    publisher.connect(*parse_address(devices_of_mqtt.listeners["worker.mqtt"]))
    for number in range(50):
        publisher.publish("dashboard/busy", b"x")
        if number % 10 == 0:
            publisher.publish("dashboard/large", b"x" * 10_000)
    publisher.loop_start()
    page = chromium.open(f"http://{devices_of_mqtt.admin}/#topics")
    page.wait_text("#view-topics .body .row", "dashboard/busy")
    page.wait("document.querySelector('#view-topics .body .row').innerText.startsWith('dashboard/busy')")
    page.picture("topics")
    page.click("#view-topics .body .row", "dashboard/busy")
    page.wait_text("dialog dd", "50 in all")
    page.press("Escape")
    page.value("(() => { const [by, over] = document.querySelectorAll('#view-topics select'); by.value = 'bytes'; over.value = 'total';"
               " over.dispatchEvent(new Event('change', { bubbles: true })); })()")
    page.wait("document.querySelector('#view-topics .body .row').innerText.startsWith('dashboard/large')")
    assert page.faults == []
    publisher.disconnect()
    publisher.loop_stop()


def test_clients_are_searched_looked_at_and_kicked(chromium, devices_of_mqtt):
    page = chromium.open(f"http://{devices_of_mqtt.admin}/#clients")
    page.wait_text("#view-clients .count", "3 in all")
    page.type("#view-clients input", "METER-1")
    page.wait_text("#view-clients .count", "2 in all")
    page.picture("clients-found")
    page.click("#view-clients .body .row", "meter-1")
    page.wait_text("dialog dd", "meters/1/# QoS 1")
    page.wait_text("dialog dd", "0 of 1,000")
    page.picture("client")
    page.click("dialog .command", "Kick")
    page.click("dialog .danger")
    page.wait_text("dialog .said", "Its connection is closed.")
    page.press("Escape")
    page.wait("!document.querySelector('dialog')")
    rows = "[...document.querySelectorAll('#view-clients .body .row')]"
    page.wait(rows + ".some((row) => row.innerText.startsWith('meter-1') && row.innerText.includes('away'))")
    page.click("#view-clients .body .row", "meter-1")
    page.click("dialog .command", "End the session")
    page.click("dialog .danger")
    page.wait_text("dialog .said", "Its session has ended.")
    page.press("Escape")
    page.wait_text("#view-clients .count", "1 in all")
    assert page.faults == []


def test_chats_are_closed_and_bans_made_and_lifted(cluster, connect, page):
    connect(cluster.exchange).join("room 1")
    page.value("location.hash = 'chats'")
    page.wait_text("#view-chats .body .row", "room 1")
    page.click("#view-chats .body .row", "room 1")
    page.click("dialog .command", "Close the chat")
    page.click("dialog .danger")
    page.wait_text("dialog .said", "room 1 is closed.")
    page.press("Escape")
    page.value("location.hash = 'bans'")
    page.click("#view-bans button", "Ban somebody")
    page.type("dialog input", "nonsense")
    page.wait_text("dialog .said", "cannot be banned")
    page.value("document.querySelector('dialog input').value = ''")
    page.type("dialog input", "client:c1")
    page.wait_text("dialog .said", "client:c1 is banned until")
    page.press("Escape")
    page.click("#view-bans .body .row", "client:c1")
    page.click("dialog .command", "Lift the ban")
    page.wait_text("dialog .said", "client:c1 may come in again.")
    assert [fault for fault in page.faults if "400" not in json.dumps(fault)] == []


def test_what_is_subscribed_and_which_groups_there_are_is_listed_with_the_workers_name(shunt, chromium):
    cluster = shunt.dev({
        "worker.name": "edge-1", "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"})
    subscriber = paho.Client(paho.CallbackAPIVersion.VERSION2, "meter")
    subscriber.connect(*parse_address(cluster.listeners["worker.mqtt"]))
    subscriber.loop_start()
    for filter in ("orders/#", "$share/team/orders/+"):
        subscriber.subscribe(filter)
    page = chromium.open(f"http://{cluster.admin}/#subscriptions")
    try:
        page.wait_text("#view-subscriptions", "orders/#")
        page.wait_text("#view-subscriptions", "edge-1")
        page.value("(() => { const kind = document.querySelector('#view-subscriptions select'); kind.value = 'groups';"
                   " kind.dispatchEvent(new Event('change', { bubbles: true })); })()")
        page.wait_text("#view-subscriptions", "team")
        page.wait("!document.querySelector('#view-subscriptions').innerText.includes('orders/#')")
    finally:
        subscriber.loop_stop()
    assert page.faults == []


def test_rules_show_failures_and_are_reloaded_and_rolled_back(cluster, connect, page):
    connect(cluster.exchange).message("bad", "x")
    page.value("location.hash = 'rules'")
    page.click("#view-rules .body .row", "tag")
    page.wait_text("dialog .grid", "no such thing")
    page.press("Escape")
    page.click("#view-rules .command", "Roll back")
    page.click("#view-rules .danger")
    # There is no version before: the worker's own sentence.
    page.wait_text("#view-rules .said", "0 of 1 workers have done it")
    page.click("#view-rules .command", "Reload the rules")
    page.click("#view-rules .danger")
    page.wait_text("#view-rules .said", "1 of 1 workers have done it")


def test_events_come_by_themselves_and_sql_is_answered(cluster, connect, page):
    page.value("location.hash = 'events'")
    page.wait_text("#view-events .body .row", "worker.joined")
    page.value("location.hash = 'query'")
    page.wait("!document.getElementById('view-query').hidden")
    page.value("document.querySelector('textarea').value = 'SELECT 1 AS one, NULL AS missing'")
    page.click("#view-query button", "Run")
    page.wait_text("#view-query .head", "missing")
    page.wait_text("#view-query .body .row", "null")
    page.value("document.querySelector('textarea').value = 'DELETE FROM events'")
    page.click("#view-query button", "Run")
    page.wait_text("#view-query .problem", "registry.read_only")


def test_a_hundred_thousand_devices_are_few_elements(shunt, chromium, tmp_path):
    folder = tmp_path / "master"
    shunt.master(folder=folder).stop()
    rows = ((f"u{number:06}", "phone", "[]", "[]", "10.0.0.1:4091", "10.9.0.1:5", 0, time.time(), time.time()) for number in range(100_000))
    with sqlite3.connect(folder / "registry.sqlite") as registry:
        registry.executemany("INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    registry.close()
    page = chromium.open(f"http://{shunt.master(folder=folder).admin}/#devices")
    page.wait_text("#view-devices .count", "100,000 in all")
    page.value("document.querySelector('#view-devices .scroller').focus()")
    page.press("End")
    page.wait_text("#view-devices .body .row.active", "u099999")
    # From end to end in 200 steps: nine frames of ten come in time, and the rows stay few.
    slow = page.value("""new Promise((done) => {
        const scroller = document.querySelector('#view-devices .scroller');
        const times = [];
        let before = performance.now(), step = 0;
        requestAnimationFrame(function next(now) {
            times.push(now - before);
            before = now;
            scroller.scrollTop = (scroller.scrollHeight / 200) * step;
            if (step++ < 200) requestAnimationFrame(next);
            else done(times.sort((a, b) => a - b)[Math.floor(times.length * 0.9)]);
        });
    })""")
    assert slow < 100, f"a frame took {slow} ms"
    assert page.value("document.querySelectorAll('#view-devices .body .row').length") < 100
    page.wait_text("#view-devices .body .row", "u099999")
    assert sum("/devices" in url for url in page.requests) < 60, "rows that fly past are asked for"
    assert page.faults == []


def test_a_master_with_tokens_is_asked_with_one(shunt, chromium, tmp_path):
    reader = "readers-token-0123456789"
    file = tmp_path / "tokens"
    file.write_text(f"read:dash:{reader}\n")
    file.chmod(0o600)
    cluster = shunt.dev({"master.admin.tokens_file": file})
    page = chromium.open(f"http://{cluster.admin}/#rules")
    page.wait("!document.getElementById('door').hidden")
    assert page.value("document.getElementById('refusal').hidden")
    page.type("#token", "wrong-token-0123456789")
    page.wait_text("#refusal", "access.credentials")
    page.type("#token", reader)
    page.wait("document.getElementById('door').hidden && !document.getElementById('main').hidden")
    page.click("#view-rules .command", "Reload the rules")
    page.click("#view-rules .danger")
    page.wait_text("#view-rules .said", "access.denied")
    assert page.value("localStorage.length") == 0 and reader not in page.value("document.cookie + location.href")
    page.click("#leave")
    page.wait("!document.getElementById('door').hidden && sessionStorage.length === 0")
