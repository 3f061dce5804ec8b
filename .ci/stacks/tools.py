"""Runs the cargo-lambda commands of docs/deploy.md, "With other tools". The first two keep running, and the last must print 202."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Where the broker and cargo-lambda listen.
PORTS = [8080, 9000]
PATIENCE = 300


def commands():
    """The commands of the section's first block."""
    _, section = (ROOT / "docs/deploy.md").read_text().split("\n## With other tools\n")
    block = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL).group(1)
    lines = block.splitlines()
    assert len(lines) == 4 and "watch" in lines[1] and "invoke" in lines[3], lines
    return lines


def listens(port):
    for host in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), 1).close()
            return True
        except OSError:
            pass
    return False


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} is not up after {PATIENCE} s"
        time.sleep(0.2)


def typed(folder):
    """Runs the commands in the repository; the files that they write go into the folder."""
    running = []
    lines = [line.replace("/tmp/", f"{folder}/").replace("event.json", f"{folder}/event.json") for line in commands()]
    try:
        for line, port in zip(lines, PORTS):
            assert not listens(port), f"something listens on port {port} already"
            log = open(f"{folder}/{port}.log", "w")
            running.append(subprocess.Popen(["bash", "-c", line], cwd=ROOT, stdout=log, stderr=log, start_new_session=True))
            until(lambda: listens(port), line)
        for line in lines[2:]:
            ended = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
            assert ended.returncode == 0, f"{line}: {ended.stderr}"
        answer = json.loads(ended.stdout)
        assert answer["statusCode"] == 202, answer
        print(f"cargo lambda invoke: {answer['statusCode']} {answer['body']}")
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def main():
    with tempfile.TemporaryDirectory() as folder:
        typed(folder)


if __name__ == "__main__":
    main()
