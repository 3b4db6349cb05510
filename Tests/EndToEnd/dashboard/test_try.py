"""The page's own client: it connects to a worker by WebSocket, subscribes, publishes, and says why something is refused."""

import json
import threading

import pytest
from websockets.sync.server import serve

from tls.certificates import Certificates

VIEW = "#view-try"
CONNECTED = bytes([0x20, 3, 0, 0, 0])


@pytest.fixture
def cluster(shunt):
    """A worker with two doors for pages: one for those of its own address, one for all; and one that is none for them."""
    sets = {"worker.loops": 2}
    for name, transport in (("web", "websocket"), ("pages", "websocket"), ("plain", "tcp")):
        sets |= {f"worker.listeners.{name}.{key}": value for key, value in (
            ("protocol", "mqtt"), ("transport", transport), ("listen", "127.0.0.1:0"))}
    return shunt.dev(sets | {"worker.listeners.pages.origins": "*", "worker.listeners.pages.path": "/deep"})


@pytest.fixture
def page(chromium, cluster):
    page = chromium.open(f"http://{cluster.admin}/#try")
    page.wait(f"{options()}.length === 3")
    return page


def options() -> str:
    return f"[...document.querySelectorAll('{VIEW} label')].find((label) => label.innerText.startsWith('Listener')).querySelectorAll('option')"


def control(form: str, label: str) -> str:
    """An expression for what is labelled so in a form."""
    return (f"[...document.querySelectorAll('{VIEW} form[aria-label={form}] label')].find((label) =>"
            f" label.innerText.trim().startsWith({json.dumps(label)})).querySelector('input, select, textarea')")


def fill(page, form: str, **values):
    """The controls by the first word of their labels."""
    for label, value in values.items():
        page.value(f"(() => {{ const control = {control(form, label)}; control.value = {json.dumps(value)};"
                   " for (const name of ['input', 'change']) control.dispatchEvent(new Event(name)); })()")


def press(page, form: str, text: str):
    page.click(f"{VIEW} form[aria-label={form}] button", text)


def said(page, form: str, text: str):
    page.wait_text(f"{VIEW} form[aria-label={form}] :is(.said, .problem)", text)


def connect(page, address=None):
    if address:
        fill(page, "Connect", Address=address)
    press(page, "Connect", "Connect")


def connected(page):
    page.wait_text(f"{VIEW} .state-live", "connected to ws://")


def test_a_message_goes_from_the_page_through_the_worker_to_the_page(cluster, page):
    web, pages = cluster.listeners["worker.web"], cluster.listeners["worker.pages"]
    offered = page.value(f"[...{options()}].map((option) => option.innerText)")
    assert sorted(offered[:2]) == [f"pages, ws://{pages}/deep", f"web, ws://{web}/mqtt"]
    fill(page, "Connect", Listener="web")
    assert page.value(f"{control('Connect', 'Address')}.value") == f"ws://{web}/mqtt"
    page.picture("try-before")
    connect(page)
    connected(page)

    fill(page, "Subscribe", Filter="rooms/#", QoS="1")
    press(page, "Subscribe", "Subscribe")
    said(page, "Subscribe", "rooms/# is subscribed: granted QoS 1 (0x01).")
    fill(page, "Publish", Topic="rooms/1", Payload="<b>Grüße</b>", QoS="1")
    press(page, "Publish", "Publish")
    said(page, "Publish", "Acknowledged: success (0x00).")
    page.wait_text(f"{VIEW} .body .row", "<b>Grüße</b>")

    fill(page, "Publish", Topic="nobody", QoS="1")
    press(page, "Publish", "Publish")
    said(page, "Publish", "nobody has subscribed the topic (0x10)")
    fill(page, "Publish", Topic="rooms/long", Payload="\x01" + "a" * 5000, QoS="0")
    press(page, "Publish", "Publish")
    said(page, "Publish", "QoS 0 has no acknowledgement")
    page.wait_text(f"{VIEW} .body .row", "01 61 61")
    fill(page, "Publish", Topic="rooms/+", QoS="0")
    press(page, "Publish", "Publish")
    said(page, "Publish", "without + and #")

    fill(page, "Subscribe", Filter="twice/#", QoS="2")
    press(page, "Subscribe", "Subscribe")
    said(page, "Subscribe", "twice/# is subscribed: granted QoS 2 (0x02).")
    fill(page, "Publish", Topic="twice/1", Payload="exactly once", QoS="2")
    for _ in range(3):
        press(page, "Publish", "Publish")
        said(page, "Publish", "Acknowledged: success (0x00).")
    rows = f"[...document.querySelectorAll('{VIEW} .body .row')].filter((row) => row.innerText.includes('exactly once'))"
    page.wait(f"{rows}.length === 3 && {rows}.every((row) => row.innerText.split('\\n').includes('2'))")
    fill(page, "Publish", Topic="nobody", QoS="2")
    press(page, "Publish", "Publish")
    said(page, "Publish", "nobody has subscribed the topic (0x10)")
    press(page, "Subscribe", "Unsubscribe")

    for width, height, dark in ((360, 740, False), (360, 740, True), (1280, 800, False), (1280, 800, True)):
        page.look(width, height, dark)
        page.wait("document.documentElement.scrollWidth <= innerWidth")
        page.wait(f"document.querySelector('{VIEW}').scrollWidth <= document.querySelector('{VIEW}').clientWidth")
        page.picture(f"try-connected-{width}-{'dark' if dark else 'light'}")
        page.value(f"document.querySelector('{VIEW}').scrollTo(0, 100000)")
        page.picture(f"try-messages-{width}-{'dark' if dark else 'light'}")
    page.click(f"{VIEW} .body .row", "rooms/long")
    page.wait_text("dialog dd", "5,001 bytes, of which the first 4,096 are shown")
    page.wait_text("dialog dt", "hexadecimal")
    page.press("Escape")

    press(page, "Subscribe", "Unsubscribe")
    page.wait(f"document.querySelectorAll('{VIEW} .filters li').length === 0")
    fill(page, "Publish", Topic="rooms/1", QoS="1")
    press(page, "Publish", "Publish")
    said(page, "Publish", "nobody has subscribed")
    press(page, "Connect", "Disconnect")
    page.wait_text(f"{VIEW} output", "not connected")
    assert page.value("sessionStorage.length + localStorage.length") == 0
    assert page.faults == []


def test_a_page_of_another_origin_is_told_what_to_list(chromium, cluster):
    # The page is of localhost, and the listener of an address.
    origin = f"http://localhost:{cluster.admin.split(':')[1]}"
    page = chromium.open(f"{origin}/#try")
    page.wait(f"{options()}.length === 3")
    connect(page, f"ws://{cluster.listeners['worker.web']}/mqtt")
    assert page.value(f"{control('Connect', 'Listener')}.value") == ""
    said(page, "Connect", f"worker.listeners.NAME.origins must name {origin}")
    page.picture("try-refused")
    connect(page, f"ws://{cluster.listeners['worker.pages']}/deep")
    connected(page)
    assert page.value(f"document.querySelector('{VIEW} form .problem').hidden"), "what went wrong before is still shown"


def test_a_worker_without_such_a_listener_is_told_how_to_get_one(shunt, chromium):
    cluster = shunt.dev({"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"})
    page = chromium.open(f"http://{cluster.admin}/#try")
    page.wait_text(f"{VIEW} .note", "has no listener for MQTT over WebSocket")
    page.wait_text(f"{VIEW} .note", f"http://{cluster.admin} among its origins")
    connect(page, "http://127.0.0.1/")
    said(page, "Connect", "begins with ws:// or wss://")


def test_a_listener_with_tls_is_offered_as_such(shunt, chromium, tmp_path):
    certificates = Certificates(tmp_path)
    certificates.server()
    cluster = shunt.dev({f"worker.listeners.web.{key}": value for key, value in (
        ("protocol", "mqtt"), ("transport", "websocket"), ("listen", "127.0.0.1:0"), ("tls.certificate", certificates["server.pem"]))})
    page = chromium.open(f"http://{cluster.admin}/#try")
    page.wait(f"{options()}.length === 2")
    assert page.value(f"{control('Connect', 'Address')}.value") == f"wss://{cluster.listeners['worker.web']}/mqtt"
    connect(page)
    said(page, "Connect", "this browser does not trust its certificate")


@pytest.fixture
def server():
    """A server that answers CONNECT with the given bytes. It gives its address."""
    servers = []

    def start(*answers: bytes) -> str:
        def handle(socket):
            socket.recv()
            for answer in answers:
                socket.send(answer)
            for _ in socket:
                pass

        servers.append(serve(handle, "127.0.0.1", 0, subprotocols=["mqtt"]))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return "ws://127.0.0.1:%d/" % servers[-1].socket.getsockname()[1]

    yield start
    for server in servers:
        server.shutdown()


REASON = bytes([31, 0, 8]) + b"not here"


@pytest.mark.parametrize(("answers", "sentence"), [
    ([bytes([0x20, 3 + len(REASON), 0, 0x87, len(REASON)]) + REASON], "refused the client: not authorized (0x87); not here"),
    ([CONNECTED[:2], CONNECTED[2:], bytes([0xE0, 1, 0x8B])], "ended the connection: the server shuts down (0x8B)"),
    ([CONNECTED + bytes([0x30, 0xFF, 0xFF, 0xFF, 0x7F])], "this page asked for 262144 at most"),
    ([CONNECTED, bytes([0x30, 0xFF, 0xFF, 0xFF, 0xFF])], "a length has more than four bytes"),
    ([CONNECTED, bytes([0x30, 4, 0, 9, 0x61, 0])], "ends in the middle of a value"),
    ([CONNECTED, bytes([0x30, 4, 0, 1, 0xFF, 0])], "a text is not UTF-8"),
    ([CONNECTED, bytes([0x36, 6, 0, 1, 0x61, 0, 1, 0])], "QoS 3, which there is not"),
    ([CONNECTED, bytes([0x50, 2, 0, 1])], "PUBREC answers what nobody asked"),
    ([CONNECTED, bytes([0x70, 2, 0, 1])], "PUBCOMP answers what nobody asked"),
    ([CONNECTED, bytes([0x60, 2, 0, 1])], "PUBREL has flags that MQTT forbids"),
    ([CONNECTED, b"".join(bytes([0x34, 6, 0, 1, 0x61, 0, number, 0]) for number in range(1, 102))], "more than 100 messages of QoS 2"),
    ([CONNECTED, bytes([0x40, 2, 0, 1])], "PUBACK answers what nobody asked"),
    ([CONNECTED, CONNECTED], "CONNACK came out of order"),
    ([bytes([0x20, 5, 0, 0, 2, 99, 0])], "there is no property 99"),
    (["hello"], "a text came"),
])
def test_what_a_server_refuses_or_gets_wrong_is_a_sentence(shared_try, server, answers, sentence):
    connect(shared_try, server(*answers))
    said(shared_try, "Connect", sentence)
    shared_try.wait_text(f"{VIEW} output", "not connected")


@pytest.fixture(scope="module")
def shared_try(chromium, shared_shunt):
    page = chromium.open(f"http://{shared_shunt.dev().admin}/#try")
    page.wait_text(f"{VIEW} .note", "has no listener for MQTT over WebSocket")
    return page


def test_a_message_of_qos_2_that_comes_again_is_shown_once(shared_try, server):
    message = bytes([0x34, 7, 0, 1, 0x61, 0, 9, 0]) + b"2"
    release = bytes([0x62, 2, 0, 9])
    # What came before, in other tests.
    shared_try.click(f"{VIEW} button", "Clear the list")
    shared_try.wait_text(f"{VIEW} .table .note", "No message has come.")
    connect(shared_try, server(CONNECTED, message, bytes([message[0] | 8]) + message[1:], release, release, message))
    shared_try.wait_text(f"{VIEW} output", "2")
    shared_try.wait(f"document.querySelectorAll('{VIEW} .body .row').length === 2")
    press(shared_try, "Connect", "Disconnect")
    shared_try.click(f"{VIEW} button", "Clear the list")
    shared_try.wait_text(f"{VIEW} .table .note", "No message has come.")


def test_of_many_messages_the_newest_are_kept(shared_try, server):
    flood = b"".join(bytes([0x30, 7, 0, 1, 0x74, 0]) + b"%03d" % number for number in range(500))
    connect(shared_try, server(CONNECTED, flood))
    shared_try.wait_text(f"{VIEW} output", "500, of which the newest 200 are shown")
    shared_try.wait_text(f"{VIEW} .body .row", "499")
    assert shared_try.value(f"document.querySelector('{VIEW} .scroller').getAttribute('aria-rowcount')") == "201"
    press(shared_try, "Connect", "Disconnect")
    shared_try.click(f"{VIEW} button", "Clear the list")
    shared_try.wait_text(f"{VIEW} .table .note", "No message has come.")
