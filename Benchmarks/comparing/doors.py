"""Doors of servers: TLS and WebSocket, beside plain TCP."""

import dataclasses
import os
import pathlib
import subprocess

from .servers import SHUNT, Mosquitto, MQTTWorker, Process, Refused, free_port, listens, program

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


@dataclasses.dataclass
class Door:
    """A port of a server, and what is spoken there."""

    label: str
    wire: str
    port: int
    pids: list
    started: float

    @classmethod
    def of(cls, server, wire, port, *behind):
        return cls(server.label, wire, port, [*server.pids, *(pid for other in behind for pid in other.pids)], server.started)


def certificate(folder):
    """A certificate that signs itself, and its key, on the curve P-256."""
    found = pathlib.Path(folder) / "server.pem"
    if not found.exists():
        subprocess.run([SHUNT, "cert", "--self-signed", "localhost", "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return str(found), str(found.with_suffix(".key"))


class DoorsWorker(MQTTWorker):
    """A worker whose clients speak MQTT: over TCP as it is, over TLS, and over WebSocket."""

    def __init__(self, folder, *sets):
        names = ("mqtts", "ws")
        super().__init__(folder, *(f"worker.listeners.{name}.protocol=mqtt" for name in names),
                         *(f"worker.listeners.{name}.listen=127.0.0.1:0" for name in names),
                         f"worker.listeners.mqtts.tls.certificate={certificate(folder)[0]}", "worker.listeners.ws.transport=websocket", *sets)
        self.tls = Door.of(self, "mqtts", self.ports["worker.mqtts"])
        self.websocket = Door.of(self, "ws", self.ports["worker.ws"])


class TLSMosquitto(Mosquitto):
    """mosquitto with a second listener, over TLS."""

    def __init__(self, folder):
        pem, key = certificate(folder)
        port = free_port()
        super().__init__(folder, f"listener {port} 127.0.0.1", f"certfile {pem}", f"keyfile {key}")
        self.wait_until(lambda: listens(port), "mosquitto's start")
        self.tls = Door.of(self, "mqtts", port)


class WebSocketMosquitto(Mosquitto):
    """mosquitto with a second listener, over WebSocket."""

    def __init__(self, folder):
        port = free_port()
        super().__init__(folder, f"listener {port} 127.0.0.1", "protocol websockets")
        self.wait_until(lambda: listens(port), "mosquitto's start")
        self.websocket = Door.of(self, "ws", port)


class OpenSSLServer(Process):
    """`openssl s_server`, one connection at a time."""

    label = "s_server"

    def __init__(self, folder):
        pem, key = certificate(folder)
        self.port = free_port()
        # As a server of pages it does not read what a person types.
        super().__init__(folder, [program("openssl"), "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", pem, "-key", key,
                                  "-www", "-quiet"])
        self.wait_until(lambda: listens(self.port), "s_server's start")


class Nginx(Process):
    """nginx, whose streams end TLS: one process. `port` shakes hands, and ends. With a worker, `tls` leads to its plain port."""

    label = "nginx"

    def __init__(self, folder, worker=None):
        if not os.path.exists(STREAM_MODULE):
            raise Refused("its module for streams is not installed")
        pem, key = certificate(folder)
        self.port, proxy = free_port(), free_port()
        settings = pathlib.Path(folder) / f"nginx-{self.port}.conf"
        leading = f"server {{ listen 127.0.0.1:{proxy} ssl; proxy_pass 127.0.0.1:{worker.port}; proxy_timeout 1h; }}" if worker else ""
        settings.write_text(f"""
load_module {STREAM_MODULE};
daemon off;
master_process off;
pid {folder}/nginx-{self.port}.pid;
error_log stderr crit;
events {{ worker_connections 40000; }}
stream {{
    ssl_certificate {pem};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{ listen 127.0.0.1:{self.port} ssl; return ""; }}
    {leading}
}}
""")
        super().__init__(folder, [program("nginx"), "-e", "stderr", "-c", str(settings)])
        self.wait_until(lambda: listens(self.port), "nginx' start")
        if worker:
            self.tls = Door.of(self, "mqtts", proxy, worker)
