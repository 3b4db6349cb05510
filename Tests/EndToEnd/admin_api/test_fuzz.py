"""schemathesis over the master's OpenAPI document: requests that the document allows, and requests that it does not."""

import os
import subprocess
import sys
from pathlib import Path

from exchange import eventually

# More for a longer run: `make fuzz-api EXAMPLES=200 SEED=7`.
EXAMPLES, SEED = os.environ.get("EXAMPLES", "4"), os.environ.get("SEED", "1")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance", "response_headers_conformance",
    "negative_data_rejection", "unsupported_method", "allow_header_conformance")


def test_schemathesis_finds_no_server_error_and_no_answer_that_is_not_documented(shunt, tmp_path):
    master = shunt.master()
    shunt.worker({"worker.masters": master.master}).wait_metric("shunt_master_connected", 1)
    eventually(lambda: len(master.workers()) == 1, 20, "the worker")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run", f"http://{master.admin}/api/v1/openapi.json", "--checks", ",".join(CHECKS),
            # A stream has no end: test_stream.py follows it.
            "--exclude-path", "/api/v1/events/stream", "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED,
            "--generation-database", "none", "--request-timeout", "30", "--continue-on-failure", "--no-color", "--workers", "2",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=max(240, 30 * int(EXAMPLES)))
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    # It has reached the master, and not a few times.
    assert "✅ Fuzzing" in done.stdout and "✅ Coverage" in done.stdout, done.stdout
    assert "panic" not in master.stderr and "A request failed" not in master.stderr
