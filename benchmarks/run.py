"""All benchmarks, or those named, one after the other: `python benchmarks/run.py [TOPIC ..] [--sizes 1k,10k,50k]`.

Each topic is a script that writes its own part of RESULTS.md, and may be run alone; one that fails does not stop the
next. Prints the summary of all bounds, and exits 1 when a script failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import results

HERE = Path(__file__).parent

TOPICS = {
    "start": [],
    "catalog": ["--sizes"],
    "check": [],
    "static": [],
    "replay": [],
    "reports": [],
}
"""Script -> its options that are passed on, in the order they are run."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(TOPICS))
    parser.add_argument("--sizes", help="tables: 1k,10k,50k")
    given = parser.parse_args()
    if unknown := set(given.topics) - TOPICS.keys():
        parser.error(f"no such topic: {', '.join(sorted(unknown))}; there are {', '.join(TOPICS)}")
    failed = []
    for topic in given.topics or TOPICS:
        began = time.perf_counter()
        passed = [
            part for name in TOPICS[topic] if (value := getattr(given, name[2:])) for part in (name, value)
        ]
        done = subprocess.run([sys.executable, HERE / f"{topic}.py", *passed], check=False)
        print(f"{topic}: {time.perf_counter() - began:.0f} s", flush=True)
        if done.returncode:
            failed.append(topic)
    print(f"\n## summary\n\n{results.summary()}")
    for topic in failed:
        print(f"{topic} failed", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
