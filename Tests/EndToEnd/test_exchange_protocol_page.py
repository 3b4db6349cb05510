"""docs/exchange-protocol.md: its hex dumps are frames, its conversations happen as they stand there, its numbers are the source's."""

import gzip
import re
import socket

import pytest

from exchange import (
    ACK, ALLOCATION, BALANCE, BINDING, CHAT, GZIP, JSON, NONE, NOTIFY, PING, REGISTER, REGISTERED, SUBSCRIBE, TEXT, UNSUBSCRIBE, Client, encode,
    eventually, registration, subscription)
from processes import PATIENCE, ROOT, run, write_rule

PAGE = (ROOT / "docs/exchange-protocol.md").read_text(encoding="utf-8")
BLOCKS = [(match[1], match[2]) for match in re.finditer(r"^```(\w[^\n]*)\n(.*?)^```$", PAGE, re.M | re.S)]
CONVERSATIONS = [(info.split()[1:] or ["plain"], text) for info, text in BLOCKS if info.split()[0] == "frames"]
DUMPS = [text for info, text in BLOCKS if info == "hex"]
FORMATS = {"TEXT": TEXT, "JSON": JSON}
FIRST, SECOND, MASTER = "127.0.0.1:4091", "127.0.0.1:4092", "127.0.0.1:4088"
RULE = """
local R = { name = "sundays" }
function R.on_message(msg)
  if msg.topic == "rejected" then return route.reject("closed on Sundays") end
  if msg.topic == "dropped" then return route.drop("not needed") end
end
return R
"""
REDIRECT = """
local R = { name = "sundays" }
function R.on_connect() return route.redirect("127.0.0.1:4092") end
return R
"""


def table(heading: str) -> list[list[str]]:
    """The cells of each row of the table below a heading."""
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", PAGE, re.M | re.S)[1]
    rows = [line.strip("|").split("|") for line in section.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


TYPES = {row[0]: int(row[1]) for row in table("Types")}


class Notation:
    """A frame as the page writes it: `TYPE id | format and value | name | key`, or `ACK id | status and text | name`."""

    def __init__(self, text: str):
        head, *parts = text.strip().split(" | ")
        name, self.id = head.split()
        self.type = TYPES[name]
        self.status, self.format, self.value = 200, TEXT, None
        if parts and self.type == ACK:
            status, _, self.value = parts[0].partition(" ")
            self.status = int(status)
        elif parts:
            format, _, self.value = parts[0].partition(" ")
            self.format = FORMATS[format]
        self.name, self.key = (parts[1:] + [None, None])[:2]
        self.is_any_text = self.value == "(a text)"

    def bytes(self, id: int) -> bytes:
        value = self.value.encode() if self.value else None
        return encode(self.type, id, value, self.name, self.key, self.format, NONE, self.status)


class Play:
    """Carries a conversation out."""

    def __init__(self, lines: str, addresses: dict, connect):
        self.addresses, self.connect = addresses, connect
        self.clients: dict[str, Client] = {}
        self.ended = set()
        for line in lines.splitlines():
            self.line(line)
        # What came besides is there when a PING is answered.
        for name, client in self.clients.items():
            if name not in self.ended:
                client.request(PING)
                assert not client.inbox and not client.answers, f"{name} got more than the page says"

    def real(self, text: str) -> str:
        for shown, address in self.addresses.items():
            text = text.replace(shown, address)
        return text

    def line(self, line: str):
        name, mark, rest = line.split(" ", 2)
        rest = self.real(rest)
        if mark == "@":
            self.clients[name] = self.connect(rest)
            return
        if name not in self.clients:
            self.clients[name] = self.connect(self.real(FIRST))
        client = self.clients[name]
        if mark == ">" and rest.startswith("(hex)"):
            client.send(bytes.fromhex(rest.removeprefix("(hex)")))
        elif mark == ">":
            frame = Notation(rest)
            client.send(frame.bytes(int(frame.id)))
        elif rest == "(end)":
            client.wait_closed()
            self.ended.add(name)
        else:
            self.expect(client, line, rest)

    def expect(self, client: Client, line: str, rest: str):
        isSet = rest.endswith(" (in any order)")
        wanted = Notation(rest.removesuffix(" (in any order)"))
        came = client.answer(int(wanted.id)) if wanted.type == ACK else client.receive(1)[0]
        if wanted.is_any_text:
            assert (came.type, came.status) == (wanted.type, wanted.status) and came.text, f"{line}: {came}"
        elif isSet:
            assert sorted(came.text.split(",")) == sorted(wanted.value.split(",")) and came.status == 200, f"{line}: {came}"
        else:
            assert came.raw == wanted.bytes(came.id if wanted.id == "*" else int(wanted.id)), f"{line}: {came}"


def addresses(setup: str, shunt, tmp_path) -> dict:
    """Starts what a conversation needs: the real addresses by those on the page."""
    if setup == "plain":
        return {FIRST: shunt.worker().exchange}
    if setup == "master":
        return {MASTER: shunt.master().master}
    if setup in ("rules", "redirect"):
        folder = write_rule(tmp_path / "plugins", "sundays", RULE if setup == "rules" else REDIRECT)
        return {FIRST: shunt.worker({"rules.directory": folder, "rules.enabled": "[sundays]"}).exchange}
    if setup == "access":
        (tmp_path / "password").write_text("secret-1\n")
        assert run("admin", "passwd", tmp_path / "passwords", "ada", "--password-file", tmp_path / "password").returncode == 0
        (tmp_path / "acl").write_text("user ada\ntopic sensors/#\n")
        sets = {"access.password_file": tmp_path / "passwords", "access.acl_file": tmp_path / "acl"}
        return {FIRST: shunt.worker(sets | {"worker.listeners.exchange.allow_anonymous": "false"}).exchange}
    assert setup == "cluster"
    master = shunt.master()
    workers = [shunt.worker({"worker.masters": f"[{master.master}]"}).exchange for _ in range(2)]
    eventually(lambda: all(master.workers().get(worker, {}).get("state") == "live" for worker in workers), what="two live workers")
    return {MASTER: master.master, FIRST: workers[0], SECOND: workers[1]}


@pytest.mark.parametrize("setup, lines", [(setup[0], lines) for setup, lines in CONVERSATIONS])
def test_conversations_happen_as_they_stand_on_the_page(setup, lines, shunt, connect, tmp_path):
    Play(lines, addresses(setup, shunt, tmp_path), connect)


@pytest.mark.parametrize("dump", DUMPS)
def test_hex_dumps_are_the_frames_above_them(dump):
    head, *lines = dump.splitlines()
    frame = Notation(head)
    digits = "".join(re.match(r"(?:[0-9a-f]{2} ?)+", line)[0] for line in lines)
    assert bytes.fromhex(digits) == frame.bytes(int(frame.id))


def test_the_page_has_conversations_of_each_type_that_clients_send_and_of_each_setup():
    played = "".join(lines for _, lines in CONVERSATIONS)
    for type in ("PING", "NOTIFY", "CHAT", "MESSAGE", "SUBSCRIBE", "UNSUBSCRIBE", "ALLOCATION", "REGISTER", "REGISTERED", "ACK"):
        assert re.search(rf"^\w+ [<>] {type} ", played, re.M), type
    assert {setup[0] for setup, _ in CONVERSATIONS} == {"plain", "master", "cluster", "rules", "redirect", "access"}
    assert len(DUMPS) == 3


# What the page says in words


def test_a_compressed_message_is_passed_on_as_it_came_and_a_compressed_request_is_refused(shunt, connect):
    worker = shunt.worker()
    bob, ada = connect(worker.exchange).subscribe("t"), connect(worker.exchange)
    packed = gzip.compress(b"hello")
    assert ada.message("t", packed, compress=GZIP).status == 200
    came = bob.receive(1)[0]
    assert (came.compress, came.value) == (GZIP, packed)
    for type in (SUBSCRIBE, UNSUBSCRIBE, REGISTER, NOTIFY):
        assert ada.request(type, gzip.compress(b"{}"), format=JSON, compress=GZIP).status == 400


def test_a_group_gets_a_message_once_and_a_connection_of_two_groups_twice(shunt, connect):
    worker = shunt.worker()
    bob, ada = connect(worker.exchange), connect(worker.exchange)
    bob.subscribe("orders/+", "one").subscribe("orders/eu", "one")
    assert ada.message("orders/eu", "1").status == 200
    bob.subscribe("orders/eu", "two")
    assert ada.message("orders/eu", "2").status == 200
    assert [frame.text for frame in bob.receive(3)] == ["1", "2", "2"]
    assert bob.request(PING).status == 200 and not bob.inbox


def test_wildcards_take_no_topic_that_begins_with_a_dollar_sign(shunt, connect):
    worker = shunt.worker()
    bob = connect(worker.exchange).subscribe("#", "all").subscribe("+/x", "some")
    assert bob.message("$own/x", "1").status == 500
    bob.subscribe("$own/#", "own")
    assert bob.message("$own/x", "1").status == 200


def test_what_is_beyond_the_limits_is_refused_and_the_connection_stays(shunt, connect):
    worker = shunt.worker({"limits.subscriptions": 2})
    ada = connect(worker.exchange).subscribe("a").subscribe("b")
    assert ada.request(SUBSCRIBE, subscription("c", "g"), format=JSON).status == 429
    assert ada.message("t" * 1025, "1").status == 400
    assert ada.create("c" * 257).status == 400
    assert ada.request(REGISTER, registration("u", "d" * 257), format=JSON).status == 400
    assert ada.request(REGISTER, registration("u", "d", tags=[str(n) for n in range(33)]), format=JSON).status == 400
    assert ada.notify("x", match_tags=[str(n) for n in range(257)]).status == 400
    assert ada.request(PING).status == 200


def test_a_worker_answers_no_frame_that_is_no_request(shunt, connect):
    ada = connect(shunt.worker().exchange)
    for type in (BALANCE, BINDING, REGISTERED, ACK):
        ada.send(encode(type, 99, b"1"))
    assert ada.request(ALLOCATION).text == "not found server"
    assert ada.request(REGISTER, b'{"token":"anything"}', format=JSON).status == 200
    assert ada.request(PING).status == 200 and not ada.answers and not ada.inbox


def test_all_requests_behind_a_create_are_sent_to_the_chat_s_worker(shunt, connect, tmp_path):
    at = addresses("cluster", shunt, tmp_path)
    connect(at[FIRST]).join("taxi")
    bob = connect(at[SECOND])
    bob.send(encode(CHAT, 1, b"taxi", "taxi", "CREATE") + encode(CHAT, 2, b"hi", "taxi", "SESSION"))
    assert [(answer.status, answer.text) for answer in (bob.answer(1), bob.answer(2))] == [(307, at[FIRST])] * 2


def test_frames_travel_over_sockets_of_the_file_system(shunt, tmp_path):
    shunt.worker({"worker.listeners.exchange.listen": f"unix:{tmp_path}/s"})
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(f"{tmp_path}/s")
        client.sendall(encode(PING, 5))
        assert client.recv(17, socket.MSG_WAITALL) == encode(ACK, 5)


# Numbers


def source(path: str) -> str:
    return (ROOT / "Sources" / path).read_text(encoding="utf-8")


def test_types_have_the_numbers_of_the_source():
    known = {match[1].upper(): int(match[2]) for match in re.finditer(r"case (\w+) = (\d+)", source("ExchangeCodec/Frames/FrameType.swift"))}
    known["ACK"] = known.pop("ACKNOWLEDGEMENT")
    assert TYPES == known


def test_formats_and_compressions_have_the_numbers_of_the_source():
    text = source("ShuntCore/Messages/Message.swift")
    formats, compressions = (re.search(rf"enum {name}.*?case none = 0, ([\w, ]+)", text, re.S)[1].split(", ")
                             for name in ("PayloadFormat", "PayloadCompression"))
    shown = " ".join(PAGE.split())
    assert formats == ["text", "json", "image", "video"] and "1 text, 2 JSON. 0 (none), 3 (image) and 4 (video)" in shown
    assert compressions == ["gzip", "lz4", "snappy"] and "0 none, 1 gzip, 2 LZ4, 3 Snappy" in shown


def test_the_header_is_as_long_as_in_the_source():
    rows = [row for row in table("A frame") if len(row) == 4 and row[0].isdigit()]
    ends = [int(row[0]) + int(row[1]) for row in rows if row[1]]
    text = source("ExchangeCodec/Frames/FrameLayout.swift")
    numbers = {match[1]: match[2] for match in re.finditer(r"let (\w+)(?:: UInt8)? = ([\w<]+(?: << \d+)?)", text)}
    assert [int(row[0]) for row in rows][1:] == ends and ends[-1] == int(numbers["headerSize"])
    assert rows[0][3] == numbers["magic"] and numbers["defaultLimit"] == "10 << 20"
    at = {row[2]: int(row[0]) for row in rows}
    assert (at["type"], at["body length"]) == (int(numbers["typeOffset"]), int(numbers["lengthOffset"]))


def test_statuses_and_their_texts_are_those_of_the_source():
    text = source("ShuntCore/Errors.swift")
    codes = {match[1]: match[2] for match in re.finditer(r'case (\w+) = "([\w.]+)"', text)}
    switch = re.search(r"var status: Int \{(.*?)\n    \}", text, re.S)[1]
    status = {codes[name]: int(match[2]) for match in re.finditer(r"case ((?:\.\w+,?\s+)*\.\w+):\s+(\d+)", switch)
              for name in re.findall(r"\.(\w+)", match[1])}
    texts = {codes[match[1]]: match[2]
             for match in re.finditer(r'case \.(\w+): "([^"]+)"', source("ExchangeCodec/Frames/FrameStatus.swift")) if match[1] in codes}
    told = set()
    for number, words, names, _ in table("Statuses"):
        for name in re.findall(r"`([\w.]+)`", names):
            told.add(name)
            assert status[name] == int(number), name
            assert texts.get(name) == (None if number == "307" else words.strip("`") or None), name
    assert set(texts) <= told


def test_limits_are_the_defaults_of_the_configuration():
    reference = (ROOT / "config/reference.yaml").read_text()
    sizes = {"10MiB": "10 MiB", "1KiB": "1,024 bytes", "256": "256 bytes", "1000": "1,000", "2": "2"}
    for _, value, setting in table("Limits"):
        if setting:
            section, key = setting.strip("`").split(".")
            default = re.search(rf"^{section}:\n(?:(?:  .*)?\n)*?  {key}: (\S+)$", reference, re.M)[1]
            assert sizes[default] == value, setting


def test_limits_of_devices_and_chats_are_those_of_the_source():
    shown = {row[0]: row[1] for row in table("Limits")}
    labels, text, elements = re.search(
        r"init\(labels: Int = (\d+), text: Int = (\d+), filter: Int = (\d+)\)", source("ShuntCore/Devices/DeviceLimits.swift")).groups()
    assert (shown["tags of a device, and aliases"], shown["uid, device, a tag, an alias"], shown["elements of each list of a NOTIFY"]) == (
        f"{labels} each", f"{text} bytes", elements)
    held, kilobytes = re.search(r"heldMessages: Int = (\d+), heldBytes: Int = (\d+) << 10", source("ShuntEngine/Chat/ChatSettings.swift")).groups()
    assert shown["messages held for an absent member of a chat"] == f"{held}, and {kilobytes} KiB"
    assert "registrationsPerSecond = 1000" in source("ShuntEngine/Loop/LoopEngine+Devices.swift")
    assert "perConnection: Int = 1000" in source("ShuntEngine/Chat/ChatSettings.swift")
    assert "longestChat = 256" in source("ShuntEngine/Chat/ChatRequest.swift")
