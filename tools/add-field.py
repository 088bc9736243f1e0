#!/usr/bin/env python3
"""Adds an optional field to positions in a copy of the sources, as CONTRIBUTING.md tells
it, says which files that takes (at most 10), and runs the suites that concern it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
COPY = TARGET / "add-field"
TABLE = "crates/protocol/src/optional.rs"
CHANGELOG = "CHANGELOG.md"
MOST_FILES = 10
ENTRY = """    /// Litres of fuel in the tank.
    Fuel = {number}, "fuel_dl" as "fuel_l", TENTHS, 0..=100_000, since {since};
"""
REFERENCES = (
    "package(nemeses-protocol) & binary(reference) | package(nemeses-api) & test(reference)"
)
SUITES = (
    "package(nemeses-protocol) | package(nemeses-store) & (test(sqlite) | test(optional)"
    " | test(journal) | test(bulk) | test(all_cases)) | package(nemeses-api)"
    " | package(nemeses) & test(replay)"
)


def sources():
    """Every file of the work tree that git does not ignore."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    return [name for name in names.decode().split("\0") if name and (ROOT / name).is_file()]


def copy(names):
    shutil.rmtree(COPY, ignore_errors=True)
    for name in names:
        (COPY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, COPY / name)


def add_field():
    """An entry behind the last, with the next number and the next version of /DB."""
    path = COPY / TABLE
    text = path.read_text()
    entries = re.findall(r"^    \w+ = (\d+), .* since (\d+);$", text, re.MULTILINE)
    number = max(int(number) for number, _ in entries) + 1
    since = max(int(since) for _, since in entries) + 1
    last = text.rindex(f" since {entries[-1][1]};\n") + len(f" since {entries[-1][1]};\n")
    entry = ENTRY.format(number=number, since=since)
    path.write_text(text[:last] + entry + text[last:])
    changelog = COPY / CHANGELOG
    changelog.write_text(changelog.read_text() + "\n- Positions have `fuel_l`.\n")


def nextest(filters, **variables):
    command = ["cargo", "nextest", "run", "--workspace", "-E", filters]
    environment = os.environ | variables | {"CARGO_TARGET_DIR": str(TARGET)}
    subprocess.run(command, cwd=COPY, check=True, env=environment)


def touched(names):
    changed = [name for name in names if (ROOT / name).read_bytes() != (COPY / name).read_bytes()]
    known = set(names) | {"target"}
    for path in COPY.rglob("*"):
        name = str(path.relative_to(COPY))
        if path.is_file() and name not in known and "node_modules" not in name:
            changed.append(name)
    return changed


def main():
    names = sources()
    copy(names)
    add_field()
    nextest(REFERENCES, NEMESES_WRITE_REFERENCE="1")
    changed = touched(names)
    print(f"{len(changed)} files for a field:", *changed, sep="\n  ")
    if len(changed) > MOST_FILES:
        sys.exit(f"more than {MOST_FILES}")
    nextest(SUITES)
    shutil.rmtree(COPY)


if __name__ == "__main__":
    main()
