"""An HTTP service on one thread that holds as many requests as come: what it answers, and after how many seconds, is a function's."""

import asyncio
import threading

SILENCE, FLOOD, HALF, HANG_UP = "silence", "flood", "half", "hang up"


class Backend:
    """`answer` gets a method, a target and a body, and returns seconds, a status and a body; or one of the faults above in place of all three."""

    def __init__(self, answer):
        self.answer, self.asked, self.under_way, self.most = answer, [], 0, 0
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(started,), daemon=True)
        self.thread.start()
        started.wait(10)
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"

    def run(self, started):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked.append((method, target, body, headers))
                self.under_way += 1
                self.most = max(self.most, self.under_way)
                try:
                    if not await self.reply(writer, self.answer(method, target, body)):
                        break
                finally:
                    self.under_way -= 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def reply(self, writer, answer) -> bool:
        if answer == SILENCE:
            await asyncio.sleep(600)
        if answer == FLOOD:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(16384):
                writer.write(b" " * 65536)
                await writer.drain()
            return False
        if answer == HALF:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            await writer.drain()
            return False
        if answer == HANG_UP:
            return False
        seconds, status, body, *more = answer
        if seconds:
            await asyncio.sleep(seconds)
        extra = "".join(f"{name}: {value}\r\n" for name, value in (more[0] if more else {}).items())
        writer.write(f"HTTP/1.1 {status} X\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    def close(self):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def end(self):
        tasks = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
