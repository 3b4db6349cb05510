"""What a rule's own work costs: in the Lua host alone beside plain Lua, and seen from outside a worker."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig
import tempfile

from .loads import in_turn, measure
from .rates import ROOM
from .servers import ROOT, Refused, Worker, processor_seconds
from .tables import median, nanoseconds

# An order as a service sends it, 190 bytes.
ORDER = json.dumps({
    "id": 184467, "region": "eu", "customer": {"uid": "c-1029", "name": "Ada Byron", "tags": ["gold", "beta"]},
    "items": [{"sku": "A-1", "qty": 2, "price": 19.99}, {"sku": "B-7", "qty": 1, "price": 5.5}], "paid": True, "note": None,
}, separators=(",", ":"))

HOST_LINE = re.compile(r"^(.+?)  +.*?([0-9.]+) ns$", re.MULTILINE)


def host(run):
    """hooks in the Lua host alone, budgets armed, beside plain Lua 5.4 and lua-cjson"""
    interpreter, compiler = shutil.which("lua5.4"), shutil.which("clang")
    if not interpreter or not compiler:
        raise Refused("it needs lua5.4, lua-cjson and clang")
    program = pathlib.Path(run.folder) / "rules-host"
    subprocess.run([ROOT / "Benchmarks" / "rules-host" / "build", program], check=True)
    libraries = {**os.environ, "LIBRARIES": sysconfig.get_config_var("MULTIARCH")}

    def found(*command):
        done = subprocess.run(command, capture_output=True, text=True, env=libraries)
        if done.returncode:
            raise Refused((done.stderr.strip().splitlines() or [f"{command[0]} failed"])[-1])
        return {name: float(time) for name, time in HOST_LINE.findall(done.stdout)}

    ours, theirs = in_turn(run.rounds, lambda: found(program), lambda: found(interpreter, ROOT / "Benchmarks" / "rules-host" / "plain.lua", ORDER))
    run.table.title("Hooks in the Lua host alone, budgets armed; beside it the same in plain Lua 5.4 with lua-cjson, without budgets")
    for name in ours[0]:
        peers = [each[name] for each in theirs] if name in theirs[0] else None
        run.table.row(f"host: {name}", [each[name] for each in ours], peers, "plain Lua", show=nanoseconds)


OUTSIDE = {
    "empty hook": "on_message = function(msg) end",
    "plain find in 190 bytes": "on_message = function(msg) if msg.payload:find('nowhere', 1, true) then return route.drop() end end",
    "a JSON field": "on_message = function(msg) local o = msg:json() if o.region == 'us' then return route.drop() end end",
    "decode and encode": "on_message = function(msg) local o = msg:json() o.note = 1 local t = json.encode(o) end",
    "kv.incr": "on_message = function(msg) kv.incr('c-1029') end",
    "on_deliver": "on_deliver = function(msg, conn) if conn.uid == 'b' then return route.drop() end end",
}


def outside(run):
    """what a rule adds to a message on one loop, from the processor time of the whole worker"""
    folder = pathlib.Path(tempfile.mkdtemp(dir=run.folder))
    workers = {"no rule": run.start(Worker, ROOM, "worker.loops=1")}
    for place, (name, hook) in enumerate(OUTSIDE.items()):
        plugin = folder / str(place) / "r"
        plugin.mkdir(parents=True)
        (plugin / "rule.lua").write_text("return { match = { topic = 'bench/#' }, " + hook + " }\n")
        workers[name] = run.start(Worker, ROOM, "worker.loops=1", f"rules.directory={plugin.parent}", "rules.enabled=all")

    def of_a_message(worker):
        before = processor_seconds(worker.pid)
        result = measure("throughput", worker, messages=run.messages // 4, text=ORDER)
        return (processor_seconds(worker.pid) - before) / result["deliveries"] * 1e9

    run.table.title("Seen from outside: what a rule adds to a message of 190 bytes, of the processor time of a worker with one loop",
                    "added", "without a rule", "", "target")
    found = dict(zip(workers, in_turn(run.rounds, *(lambda worker=worker: of_a_message(worker) for worker in workers.values()))))
    bare = found.pop("no rule")
    for name, times in found.items():
        added = [one - other for one, other in zip(times, bare)]
        run.table.line(f"outside: {name}", nanoseconds(median(added)), nanoseconds(median(bare)), "",
                       run.table.verdict(f"outside: {name}", "", None, median(added)))
