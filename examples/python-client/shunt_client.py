"""A client of the exchange protocol in a hundred lines, made from docs/exchange-protocol.md alone. Python 3.11, standard library."""
import asyncio, contextlib, itertools, json, random, struct
from collections import namedtuple
PING, NOTIFY, CHAT, MESSAGE, SUBSCRIBE, UNSUBSCRIBE, ALLOCATION, BALANCE, BINDING, REGISTER, REGISTERED, _, _, ACK = range(14)
TEXT, JSON, HEADER = 1, 2, struct.Struct(">BqBBhI")
Frame = namedtuple("Frame", "type id status compression format value name key")
class Refused(Exception): """A server's answer other than 200: its status and text."""

def encode(type, id, value=None, name=None, key=None):
    """The bytes of a frame. A dictionary goes as JSON; without a value there is no name, without a name no key."""
    format, value = (JSON, json.dumps(value)) if isinstance(value, dict) else (TEXT, value)
    parts = itertools.takewhile(bool, (part.encode() if isinstance(part, str) else part for part in (value, name, key)))
    body = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return HEADER.pack(0x71, id, type, 0, 200, len(body) + 1 if body else 0) + (bytes([format]) + body if body else b"")

async def read_frame(reader, limit=10 << 20):
    magic, id, type, compression, status, length = HEADER.unpack(await reader.readexactly(HEADER.size))
    if magic != 0x71 or length > limit:
        raise ConnectionError("what comes is no frame")
    body, parts, at = await reader.readexactly(length), [], 1
    while at + 4 <= length:
        parts.append(body[at + 4:at + 4 + struct.unpack_from(">I", body, at)[0]])
        at += 4 + len(parts[-1])
    return Frame(type, id, status, compression, body[0] if body else 0, *(parts + [None] * 3)[:3])

async def connect(address):
    host, port = address.rsplit(":", 1)
    return await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), int(port)), 3)

async def workers(master):
    """The addresses of all live workers, the least loaded first."""
    reader, writer = await connect(master)
    writer.write(encode(ALLOCATION, 1, "true"))
    answer = await asyncio.wait_for(read_frame(reader), 3)
    writer.close()
    return answer.value.decode().split(",") if answer.status == 200 else []

class Client:
    """A connection to a worker, made again where it is lost, with all that was subscribed, registered and joined. Frames come to `received`."""
    def __init__(self, masters=(), worker=None, token=None, received=None, ping_after=60):
        self.masters, self.worker, self.token, self.ping_after = itertools.cycle(masters), worker, token, ping_after
        self.received, self.kept, self.waiting, self.ids = received or asyncio.Queue(), {}, {}, itertools.count(1)
        self.ready, self.goal, self.pause, self.writer, self.task = asyncio.Event(), None, 0.1, None, asyncio.create_task(self._run())
        self.task.add_done_callback(lambda _: (self.ready.set(), self.writer and self.writer.close()))
        self.publish = lambda topic, value, key=None: self.request(MESSAGE, value, topic, key)
        self.subscribe = lambda topic, group, **key: self.request(
            SUBSCRIBE, {"group": group, "topic": topic} | key, keep=(topic, group, *key.values()))
        self.register = lambda uid, device, **more: self.request(REGISTER, {"uid": uid, "device": device} | more, keep="device")
        self.notify = lambda message, **filter: self.request(NOTIFY, {"message": message} | filter)
        self.join = lambda chat: self.request(CHAT, chat, chat, "CREATE", keep=("chat", chat.encode()))
        self.say = lambda chat, text: self.request(CHAT, text, chat, "SESSION")
        self.close = self.task.cancel

    async def request(self, *frame, keep=None, greets=False):
        """Asks, and goes where a redirect leads. A request that is kept is repeated on each later connection, as its greeting."""
        greets or await self.ready.wait()
        if self.task.done() or self.reading.done():
            raise ConnectionError("lost, or closed")
        answer = self.waiting[(id := next(self.ids))] = asyncio.get_running_loop().create_future()
        self.writer.write(encode(frame[0], id, *frame[1:]))
        reply = await answer
        text = (reply.value or b"").decode()
        if reply.status == 307:
            self.goal = text
            self.ready.clear()
            self.writer.close()
            if not greets:
                return await self.request(*frame, keep=keep)
        if reply.status != 200:
            raise ConnectionError("redirected") if reply.status == 307 else Refused(reply.status, text)
        self.pause, self.kept = 0.1, self.kept | ({keep: frame} if keep else {})
        return text

    async def _run(self):
        while True:
            with contextlib.suppress(OSError, EOFError, IndexError):
                self.address, self.goal = self.goal or self.worker or (await workers(next(self.masters)))[0], None
                reader, self.writer = await connect(self.address)
                self.reading = asyncio.create_task(self._read(reader))
                for greeting in [(REGISTER, {"token": self.token})] * bool(self.token) + list(self.kept.values()):
                    await self.request(*greeting, greets=True)
                self.ready.set()
                while not (await asyncio.wait({self.reading}, timeout=self.ping_after))[0]:
                    await asyncio.wait_for(self.request(PING), 15)
            self.writer and self.writer.close()
            await asyncio.sleep(self.pause * random.uniform(0.5, 1))
            self.pause = min(self.pause * 2, 5)

    async def _read(self, reader):
        try:
            while frame := await read_frame(reader):
                if frame.type != ACK:  # Another connection is this device now, or the chat is over: that is not repeated.
                    self.kept.pop({REGISTERED: "device", CHAT: frame.key == b"DESTROY" and ("chat", frame.name)}.get(frame.type), None)
                    self.received.put_nowait(frame)
                elif frame.id in self.waiting and not (answer := self.waiting.pop(frame.id)).done():
                    answer.set_result(frame)
        except Exception:  # The connection is lost.
            self.ready.clear()
            while self.waiting:
                (answer := self.waiting.popitem()[1]).done() or answer.set_exception(ConnectionError("lost before the answer"))
