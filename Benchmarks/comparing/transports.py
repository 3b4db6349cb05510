"""What TLS and WebSocket cost."""

import json
import re
import subprocess
import time

from .costs import of_a_client
from .doors import DoorsWorker, Nginx, OpenSSLServer, TLSMosquitto, WebSocketMosquitto
from .loads import LOAD, in_turn
from .rates import ROOM, fans_of, pairs_of
from .servers import Refused, open_files, processor_seconds, program
from .tables import count, kilobytes, median, median_ratio, rate

# Some servers are slow to take more.
IDLE_CLIENTS = {"tls": 5_000, "websocket": 2_000}
# So many shake hands at a time: a server that waits for a single client spends its time on falling asleep and waking up.
CLIENTS = 8


def is_brief(run):
    return run.messages < 1_000_000


def shaken(port, version, resumed, seconds):
    """So many clients shake hands again and again; returns how often."""
    # s_time reads no tickets of TLS 1.3.
    is_ours = resumed and version == "1.3"
    if is_ours:
        command = [LOAD, "handshakes", "--port", str(port), "--resume", "--seconds", str(seconds), "--json"]
    else:
        command = [program("openssl"), "s_time", "-connect", f"127.0.0.1:{port}", "-time", str(seconds), f"-tls{version.replace('.', '_')}",
                   "-reuse" if resumed else "-new"]
    made = again = 0
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(CLIENTS)]
    words = [client.communicate()[0] for client in clients]
    if any(client.returncode for client in clients):
        raise Refused(f"a client's TLS {version} failed")
    for text in words:
        if is_ours:
            found = json.loads(text)
            made, again = made + found["handshakes"], again + found["resumed"]
        else:
            made += int(re.search(r"(\d+) connections in \d+ real seconds", text)[1])
            again += max(map(len, re.findall("r+", text)))
    if resumed and again < made * 0.99:
        raise Refused(f"only {again} of {made} sessions were resumed")
    return made


def handshakes(run):
    servers = [run.start(DoorsWorker), *filter(None, (run.peer(OpenSSLServer), run.peer(Nginx)))]
    ports = [servers[0].tls.port, *(server.port for server in servers[1:])]
    seconds = 1 if is_brief(run) else 2

    def each(server, port, version, resumed):
        before = processor_seconds(*server.pids)
        made = shaken(port, version, resumed, seconds)
        # The last connections end there as well.
        time.sleep(0.1)
        return made / (processor_seconds(*server.pids) - before)

    run.table.title(f"TLS: handshakes for each second that the server takes of a processor, {CLIENTS} clients at a time, one key, on P-256")
    for resumed in (False, True):
        for version in ("1.3", "1.2"):
            ours, *others = in_turn(run.rounds, *(
                lambda server=server, port=port: each(server, port, version, resumed) for server, port in zip(servers, ports)))
            for peer, theirs in zip(servers[1:], others):
                run.table.row(f"TLS {version}: handshakes" + (", resumed" if resumed else ""), ours, theirs, peer.label, show=count)


def idle(run, kind, peer, door):
    clients = min(IDLE_CLIENTS[door] // (5 if is_brief(run) else 1), open_files())
    run.table.title(f"Idle: resident memory of each of {clients} clients with a subscription of its own")
    starts = {"Shunt": lambda fresh: getattr(fresh.start(kind), door), peer.label: lambda fresh: getattr(fresh.start(peer), door)}
    if door == "tls":
        starts["nginx and Shunt"] = lambda fresh: fresh.start(Nginx, fresh.start(kind)).tls

    def possible(label):
        with run.fresh() as fresh:
            try:
                return bool(starts[label](fresh))
            except Refused as refusal:
                run.table.skip(label, refusal)
                return False

    labels = [label for label in starts if possible(label)]
    ours, *others = in_turn(min(run.rounds, 3), *(lambda label=label: of_a_client(run, starts[label], clients) for label in labels))
    name = f"MQTT over {'TLS' if door == 'tls' else 'WebSocket'}: an idle client"
    for label, theirs in zip(labels[1:], others):
        run.table.row(name, ours, theirs, label, show=kilobytes)


def shares(run, kind, door, name):
    """Rates as a share of plain TCP's, at Shunt and at mosquitto."""
    ours, theirs = run.start(DoorsWorker, ROOM), run.peer(kind)
    columns = [("Shunt", ours, getattr(ours, door))]
    if theirs:
        columns.append(("mosquitto", theirs, getattr(theirs, door)))
    proxy = run.peer(Nginx, ours) if door == "tls" else None
    if proxy:
        columns.append(("nginx, then Shunt", ours, proxy.tls))
    run.table.title(f"MQTT 3.1.1 at QoS 0 over {name}: deliveries of 100 bytes, and what share they are of those over plain TCP",
                    *(word for label, _, _ in columns for word in (label, "of plain")))
    for load, options in {"1 to 1": pairs_of(run.messages)["1 to 1"], "1 to 1000": fans_of(run.messages)["1 to 1000"]}.items():
        cells = []
        for label, plain, other in columns:
            # A rate needs no more messages than take a while.
            wanted = options if plain is ours else {**options, "messages": max(100, options["messages"] // 10)}
            over, under = in_turn(run.rounds, lambda: run.rate(other, **wanted), lambda: run.rate(plain, **wanted))
            cells += [rate(median(over)), f"{median_ratio(over, under):.2f}"]
        run.table.line(f"MQTT over {name}: {load}", *cells)


def tls(run):
    """handshakes beside `openssl s_server` and nginx; an idle client, and rates as a share of plain TCP's, beside mosquitto and nginx"""
    handshakes(run)
    idle(run, DoorsWorker, TLSMosquitto, "tls")
    shares(run, TLSMosquitto, "tls", "TLS")


def websocket(run):
    """an idle client, and rates as a share of plain TCP's, beside mosquitto"""
    idle(run, DoorsWorker, WebSocketMosquitto, "websocket")
    shares(run, WebSocketMosquitto, "websocket", "WebSocket")
