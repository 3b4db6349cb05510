"""The script that types docs/security.md notices where the page is wrong."""

import os
import subprocess

import pytest

from processes import BINARY, ROOT, environment

PAGE = """# A page

## A walk
```yaml
# shunt.yaml
worker:
  masters: []
  listeners: {{ mqtt: {{ protocol: mqtt, listen: 0.0.0.0:8883, allow_anonymous: {anonymous} }} }}
```

```console
$ shunt worker --config shunt.yaml 2> worker.log &
$ {command}
{printed}
```
"""
RIGHT = {"anonymous": "true", "command": "echo one; echo two; echo three", "printed": "one\nth…e"}
WRONG = {
    "other words": {"printed": "four"},
    "another order": {"printed": "three\none"},
    "a failure that the page does not tell": {"command": "echo one; echo three; false"},
    "a success that the page calls an error": {"command": "echo Error: none", "printed": "Error: none"},
    "a worker that does not start": {"anonymous": "perhaps"},
}


def walk(folder, **page) -> subprocess.CompletedProcess:
    (folder / "page.md").write_text(PAGE.format(**RIGHT | page))
    return subprocess.run([ROOT / "examples/security/run", "--page", folder / "page.md"], capture_output=True, text=True, timeout=120,
                          env=environment(SHUNT_BINARY=str(BINARY), TMPDIR=str(folder)))


def test_a_page_that_is_right(tmp_path):
    done = walk(tmp_path)
    assert done.returncode == 0 and "All is as it should be." in done.stdout, done.stdout + done.stderr
    assert os.listdir(tmp_path) == ["page.md"], "the walk leaves nothing behind"


@pytest.mark.parametrize("name", WRONG)
def test_a_page_that_is_wrong(tmp_path, name):
    done = walk(tmp_path, **WRONG[name])
    assert done.returncode == 1 and "WRONG, in a-walk" in done.stderr, done.stdout + done.stderr
