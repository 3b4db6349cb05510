"""examples/swift-client: the program that the main package builds with its tests, or `make swift-client` by itself."""

import os
import subprocess
from pathlib import Path

import pytest

from exchange import eventually
from processes import PATIENCE, ROOT, environment

PROGRAM = Path(os.environ.get("SWIFT_CLIENT", ROOT / ".build/debug/swift-client")).absolute()


@pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not built: swift build, or make swift-client")
def test_it_publishes_ten_orders_and_prints_what_its_consumer_gets(shunt):
    master = shunt.master()
    worker = shunt.worker({"worker.masters": f"[{master.master}]"})
    eventually(lambda: master.workers().get(worker.exchange, {}).get("state") == "live", what="a live worker")
    done = subprocess.run([PROGRAM, master.master], env=environment(), capture_output=True, text=True, timeout=3 * PATIENCE)
    assert done.returncode == 0, done
    assert done.stdout.splitlines() == [f'orders/eu eu-{number % 2}: {{"id":{number}}}' for number in range(1, 11)]


def test_its_source_imports_nothing_but_the_library():
    folder = ROOT / "examples/swift-client"
    imports = [line for path in (folder / "Package.swift", *folder.glob("Sources/*/*.swift")) for line in path.read_text().splitlines()
               if line.startswith(("import ", "@testable ", "@_"))]
    assert sorted(imports) == ["import PackageDescription", "import ShuntClient"]
