"""What `helm test` runs: every operator is ready, exactly one leads, and the trial MLflow server answers."""

import os
import re
import socket
import sys
import time
import urllib.request

DEADLINE_SECONDS = 120.0
LEADER = re.compile(r"^leader_election_master_status\{[^}]*\} (\S+)$", re.MULTILINE)


def fault() -> str:
    """What is wrong; empty: nothing."""
    host, _, port = os.environ["OPERATORS"].rpartition(":")
    try:
        found = socket.getaddrinfo(host, int(port), proto=socket.IPPROTO_TCP)
        addresses = sorted({str(it[4][0]) for it in found})
        wanted = int(os.environ["REPLICAS"])
        if len(addresses) != wanted:
            return f"{len(addresses)} of {wanted} operators are ready"
        pages = [page(f"http://{literal(it)}:{port}/metrics") for it in addresses]
        leaders = sum(float(value) for text in pages for value in LEADER.findall(text))
        if leaders != 1:
            return f"{leaders:g} operators lead; one should"
        if uri := os.environ.get("MLFLOW"):
            page(f"{uri}/api/2.0/mlflow/experiments/search?max_results=1")
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def literal(address: str) -> str:
    """As a URL has it."""
    return f"[{address}]" if ":" in address else address


def page(url: str) -> str:
    """Raises OSError, which names the URL."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError as error:
        raise OSError(f"{url}: {error}") from None


def main() -> int:
    """Waits for what may still be coming up."""
    deadline = time.monotonic() + float(os.environ.get("SECONDS", DEADLINE_SECONDS))
    while (wrong := fault()) and time.monotonic() < deadline:
        time.sleep(1)
    sys.stdout.write(f"{wrong or 'Every operator is ready, and one leads.'}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
