"""Peers that behave as message-channel's own Java programs do, as far as sections 9 to 13 tell it."""

import itertools
import socket
import threading
import time

from exchange import (
    ACK, ALLOCATION, BALANCE, CHAT, JSON, PING, REGISTER, SUBSCRIBE, TEXT, Client, Frame, decode, encode, eventually, lenient_json,
    subscription,
)

HEARTBEAT_KEYS = (
    "machine_id", "server_name", "server_port", "connection_count", "max_connection_count", "connection_error_count",
    "discard_connection_ount", "request_total_count", "request_total_bytes", "response_total_count",
    "response_total_succeed_count", "response_total_failed_count", "response_total_time_ms", "response_total_bytes",
    "subscriber_count", "subscriber_message_count", "created_time",
)


def milliseconds() -> int:
    return int(time.time() * 1000)


def java_hash_order(texts: list[str]) -> list[str]:
    """How a java.util.HashSet of a few strings is gone through: by hash, in a table of 16 or more."""

    def hash_code(text: str) -> int:
        value = 0
        for character in text:
            value = (31 * value + ord(character)) & 0xFFFF_FFFF
        return value ^ value >> 16

    size = 16
    while len(texts) > size * 0.75:
        size *= 2
    return sorted(texts, key=lambda text: hash_code(text) & (size - 1))


class JavaWorker:
    """A worker's heartbeat connection (section 9.1). `round` sends the three PINGs of one."""

    def __init__(self, master: str, port: int, name: str = "", connections: int = 0):
        self.client = Client(master)
        self.port, self.name, self.connections, self.requests = port, name, connections, 0

    def heartbeat(self, created: int | None = None) -> bytes:
        values = dict.fromkeys(HEARTBEAT_KEYS, 0) | {
            "machine_id": "'02:fc:00:ff:fe:00:00:01'", "server_name": f"'{self.name}'", "server_port": self.port,
            "connection_count": self.connections, "max_connection_count": self.connections,
            "request_total_count": self.requests, "created_time": milliseconds() if created is None else created,
        }
        return ("{" + ",".join(f"{key}:{value}" for key, value in values.items()) + "}").encode()

    def beat(self, created: int | None = None):
        # Ids are epoch milliseconds, so two may be the same; they are answered one after the other.
        id = milliseconds()
        self.client.send(encode(PING, id, self.heartbeat(created), "heartbeat", format=JSON))
        return self.client.answer(id, timeout=3)

    def round(self, created: int | None = None) -> list:
        return [self.beat(created) for _ in range(3)]

    def register(self, device: str) -> "Frame":
        """Passes a device's registration on, as a worker does (section 9.4)."""
        value = (
            f'{{"address":"127.0.0.1:50000","alias":[],"created_time":{milliseconds()},"device":"{device}","tags":["driver"],'
            f'"uid":"u1","workerAddress":"null:{self.port}","worker_port":{self.port}}}'
        )
        return self.client.request(REGISTER, value.encode(), format=JSON)

    def chat(self, chat: str, key: str):
        return self.client.request(CHAT, f"{{host:null, port:{self.port}}}".encode(), chat, key, format=JSON)

    def chat_twice(self, chat: str, key: str) -> list:
        """Asks as a Java worker does with each chat frame: twice, with one id (Q3)."""
        id = self.client.next_id()
        frame = encode(CHAT, id, f"{{host:null, port:{self.port}}}".encode(), chat, key, format=JSON)
        self.client.send(frame + frame)
        return [self.client.answer(id) for _ in range(2)]

    def close(self):
        self.client.close()


class JavaMaster:
    """Acknowledges, keeps what it was told, answers ALLOCATION and, twice each, CHAT; sends a BALANCE after each heartbeat."""

    def __init__(self, balance: int | None = None, answers_chats: bool = True, redirects: bool = True):
        self.balance = balance
        # Otherwise it says 200 with the address of the owner, whoever asks.
        self.redirects = redirects
        self.answers_chats = answers_chats
        self.registrations: list[Frame] = []
        self.chats: list[Frame] = []
        # The workers of the two parties of each chat (section 11.4).
        self.sessions: dict[str, list[str | None]] = {}
        self.heartbeats: list[dict] = []
        self.heartbeat_texts: list[str] = []
        self.connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._ids = itertools.count(1)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def workers(self) -> list[str]:
        live = {}
        for beat in list(self.heartbeats):
            live[f"{beat['server_name'] or '127.0.0.1'}:{beat['server_port']}"] = beat
        order = ("connection_count", "request_total_count", "request_total_bytes")
        return sorted(live, key=lambda name: [live[name][key] for key in order])

    def wait_for(self, count: int):
        return eventually(lambda: len(self.heartbeats) >= count, 20, f"{count} heartbeats")

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        buffer = bytearray()
        try:
            while data := connection.recv(65_536):
                buffer += data
                while found := decode(buffer):
                    frame, end = found
                    del buffer[:end]
                    connection.sendall(self._answer(frame))
        except OSError:
            pass

    def _answer(self, frame) -> bytes:
        if frame.type == PING and frame.value:
            self.heartbeat_texts.append(frame.text)
            self.heartbeats.append(lenient_json(frame.text))
            acknowledgement = encode(ACK, frame.id)
            if self.balance is None:
                return acknowledgement
            return acknowledgement + encode(BALANCE, next(self._ids), str(self.balance).encode())
        if frame.type == ALLOCATION:
            workers = self.workers
            if workers and frame.text.lower() == "true":
                return encode(ACK, frame.id, ",".join(workers).encode())
            return encode(ACK, frame.id, b"not found server", status=500)
        if frame.type == REGISTER:
            self.registrations.append(frame)
            return encode(ACK, frame.id)
        if frame.type == CHAT:
            self.chats.append(frame)
            # The second one, without a body, is what the missing end of a branch makes of it.
            return self._chat(frame) + encode(ACK, frame.id) if self.answers_chats else b""
        return encode(ACK, frame.id, b"Bad Request", status=400)

    def _chat(self, frame) -> bytes:
        asking = lenient_json(frame.text)
        worker = f"{asking['host'] or '127.0.0.1'}:{asking['port']}"
        session = self.sessions.get(frame.topic)
        if session is None:
            session = self.sessions[frame.topic] = [worker, None]
        elif session[0] != session[1]:
            session[1] = worker
        elsewhere = self.redirects and session[1] not in (None, session[0])
        return encode(ACK, frame.id, session[0].encode(), status=307 if elsewhere else 200)

    def drop_connections(self):
        for connection in self.connections:
            connection.close()

    def close(self):
        self._listener.close()
        self.drop_connections()


class JavaProducer:
    """SimpleProducer (section 13.1): the first worker in hash order; no idle timers."""

    def __init__(self, master: str):
        with Client(master) as asking:
            answer = asking.request(ALLOCATION, b"true", timeout=3)
        assert answer.status == 200, answer
        self.listed = answer.text.split(",")
        self.worker = java_hash_order(self.listed)[0]
        self.client = Client(self.worker)

    def send(self, topic: str, text: str, key: str | None = None, format=TEXT):
        return self.client.message(topic, text, key, format=format)

    def close(self):
        self.client.close()


class JavaConsumer:
    """SimpleConsumer (section 13.2): subscribes at all workers, asks for new ones again and again."""

    def __init__(self, master: str, period: float = 0.2):
        self.master = Client(master)
        self.period = period
        self.workers: dict[str, Client] = {}
        self.subscribed: bytes | None = None
        self._stopped = threading.Event()
        self._allocate()
        threading.Thread(target=self._again, daemon=True).start()

    def subscribe(self, topic: str, group: str, key: str | None = None):
        self.subscribed = subscription(topic, group, key)
        for worker in list(self.workers.values()):
            self._subscribe(worker)

    def received(self) -> list:
        return [frame for worker in list(self.workers.values()) for frame in list(worker.inbox)]

    def _subscribe(self, worker: Client):
        answer = worker.request(SUBSCRIBE, self.subscribed, format=JSON, timeout=6)
        assert answer.status == 200, answer

    def _allocate(self):
        answer = self.master.request(ALLOCATION, b"true", timeout=3)
        if answer.status != 200:
            return
        for address in answer.text.split(","):
            if address in self.workers and not self.workers[address].closed:
                continue
            try:
                worker = Client(address)
            except OSError:
                continue
            if self.subscribed:
                self._subscribe(worker)
            self.workers[address] = worker

    def _again(self):
        while not self._stopped.wait(self.period):
            try:
                self._allocate()
            except (OSError, TimeoutError):
                continue

    def close(self):
        self._stopped.set()
        self.master.close()
        for worker in list(self.workers.values()):
            worker.close()
