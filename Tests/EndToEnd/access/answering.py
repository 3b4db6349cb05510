"""An HTTP server of a test: what it answers is a function's, and it remembers what it was asked."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from exchange import eventually


class Server(ThreadingHTTPServer):
    request_queue_size = 256


class Answering:
    """`answer` gets the JSON of a POST, or None, and returns a status and a body: an object for JSON, bytes, or FLOOD. With a `context` it
    speaks TLS. With `silence` it keeps a connection until nothing has come for so many seconds."""

    def __init__(self, answer, port: int = 0, context: ssl.SSLContext | None = None, silence: float | None = None):
        self.answer, self.asked, self.connections, self.ended = answer, [], 0, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout, protocol_version = silence, "HTTP/1.1" if silence else "HTTP/1.0"

            def setup(self):
                super().setup()
                outer.connections += 1

            def finish(self):
                super().finish()
                outer.ended += 1

            def do_POST(self):
                self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def do_GET(self):
                self.reply(None)

            def reply(self, question):
                outer.asked.append(question)
                status, body = outer.answer(question)
                if body is FLOOD:
                    return self.flood()
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass

            def flood(self):
                """100 MB, without saying so."""
                try:
                    self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
                    for _ in range(1600):
                        self.wfile.write(b" " * 65_536)
                except OSError:
                    outer.was_cut = True

            def log_message(self, *_):
                pass

        self.was_cut = False
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/answer"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def open(self) -> int:
        """Connections that have not ended."""
        return self.connections - self.ended

    def wait_asked(self, count: int):
        eventually(lambda: len(self.asked) >= count, 20, f"{count} questions")

    def close(self):
        self.server.shutdown()
        self.server.server_close()


FLOOD = object()


def slow(seconds: float, answer):
    def late(question):
        time.sleep(seconds)
        return answer(question)

    return late


def always(status: int, body):
    return lambda _: (status, body)
