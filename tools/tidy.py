#!/usr/bin/env python3
"""Checks the house rules that no compiler knows: which crate may use which and where
products are named. Also that the documents name code that exists, and that links between
them lead somewhere. Who may start a task, read the clock or make a queue is clippy's, by
`disallowed-methods` in clippy.toml.

Reads the sources as text; a rule's exceptions stand beside it with their reasons. An
exception that nothing needs any more is reported too. `--self-test` checks the checker.
"""

import os
import pathlib
import re
import sys

import circles

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Each of them can be run without the others; the binary and the end-to-end tests join them.
STATIONS = {"broker", "parser", "dbexport", "alarms", "api"}
# Values in, values out: of our crates they know each other alone, and neither tasks nor stores.
PURE = {"protocol": set(), "telemetry": {"protocol"}, "reports": {"protocol"}, "export": {"protocol", "reports"}, "series": set(), "rules": {"protocol"}}
# What a pure crate leaves to others.
IMPURE = {"axum", "hyper", "redis", "reqwest", "sqlx", "tokio"}
# Where all stations meet.
JOINERS = {"cli", "e2e", "bench"}

# Circles of imports that stay for now: a crate's folder and a module of the circle, with the reason.
CIRCLES = {
    ("crates/series", "error"): "an error names the bounds of the modules that return it",
    ("crates/telemetry", "json"): "plain and SenML payloads share what reads JSON",
    ("cli", "args"): "the arguments name the commands, which check settings, which name arguments",
}

MAX_LINES = 500

# A word that needs explaining costs every reader; more than these are too many.
MAX_GLOSSARY = 30


class Rule:
    """A pattern that may stand only in some files: path prefixes with their reasons."""

    def __init__(self, name, pattern, advice, allowed, tests=True, within=""):
        self.name = name
        self.pattern = re.compile(pattern)
        self.advice = advice
        self.allowed = allowed
        # Whether test code may do it anyhow.
        self.tests = tests
        # Only these paths are looked at.
        self.within = re.compile(within)
        self.used = set()

    def check(self, path, number, line):
        if not self.within.search(path) or not self.pattern.search(line):
            return None
        for prefix in self.allowed:
            if path.startswith(prefix):
                self.used.add(prefix)
                return None
        return f"{path}:{number}: {self.name}: {self.advice}"

    def stale(self):
        return [
            f"tools/tidy.py: {self.name}: nothing in {prefix} needs its exception any more: remove it"
            for prefix in sorted(set(self.allowed) - self.used)
        ]


def rules():
    return [
        Rule(
            "sqlx outside the databases' files",
            r"\bsqlx::|\buse sqlx\b",
            "go through store's history instead",
            {
                "crates/store/src/history/mysql": "MySQL and MariaDB",
                "crates/store/src/history/sqlite": "SQLite",
                "crates/store/src/history/engine/": "statements that both databases share",
            },
        ),
        Rule(
            "redis outside the live store's files",
            r"\bredis::|\buse redis\b",
            "go through store's live store instead",
            {
                "crates/store/src/live/redis": "the live store in Redis",
                "crates/store/src/live/mod.rs": "names its own module",
                "crates/store/src/relay.rs": "replies and commands between nodes",
            },
        ),
        Rule(
            "rumqttd outside its file",
            r"\brumqttd::|\buse rumqttd\b",
            "the router is replaceable as long as one file knows it",
            {"broker/src/rumqttd_router.rs": "the router"},
        ),
        Rule(
            "argon2 outside its file",
            r"\bargon2::|\buse argon2\b",
            "hash by api::auth::passwords, which bounds memory and threads",
            {"api/src/auth/argon.rs": "argon"},
        ),
        Rule(
            "hash map in an answer",
            r"\bHash(Map|Set)\b",
            "its order is another in each process: take a BTreeMap or a Vec",
            {},
            within=r"^(api/src/output|crates/export/src)/",
        ),
        Rule(
            "unwritten code",
            r"#\[ignore",
            "write it, or leave it out",
            {},
            tests=False,
        ),
    ]


def crate_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "crates" else parts[0]


def is_test(path):
    parts = path.split("/")
    return (
        crate_of(path) in {"e2e", "bench"}
        or bool({"tests", "examples", "benches", "fuzz"} & set(parts))
        or parts[-1] in {"tests.rs", "testing.rs"}
        or parts[-1].endswith("_tests.rs")
    )


def code_lines(text):
    """Lines with their numbers, up to the tests at the file's end, without comments."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("mod tests {"):
            return
        bare = line.strip()
        if not bare.startswith("//"):
            yield number, line


def station_problem(path, number, line):
    crate = crate_of(path)
    used = re.search(r"\bnemeses_(\w+?)(::|;| as\b)", line)
    if not used or used[1] not in STATIONS or used[1] == crate or crate in JOINERS:
        return None
    return (
        f"{path}:{number}: {crate} uses {used[1]}: stations never import each other; "
        "what they must agree on belongs in protocol, what they share in store or runtime"
    )


def pure_problem(path, number, line):
    crate = crate_of(path)
    if crate not in PURE or not path.startswith("crates/"):
        return None
    ours = re.search(r"\bnemeses_(\w+?)(::|;| as\b)", line)
    theirs = re.search(r"\b(\w+)::", line)
    if ours and ours[1] not in PURE[crate] | {crate}:
        return f"{path}:{number}: {crate} is pure and uses {ours[1]}"
    if theirs and theirs[1] in IMPURE:
        return f"{path}:{number}: {crate} is pure and uses {theirs[1]}"
    return None


def circle_problems(files):
    found, allowed = [], set(CIRCLES)
    for folder, crate in circles.crates(files, is_test).items():
        for circle in crate.circles():
            names = ["::".join(module) or "the root" for module in circle]
            used = {(folder, name) for name in names} & set(CIRCLES)
            allowed -= used
            if not used:
                found.append(f"{folder}: {', '.join(names)} import each other: move what they share")
    return found + [f"tools/tidy.py: there is no circle at {name} of {folder} any more" for folder, name in allowed]


def problems(files, checked):
    found = []
    for path, text in sorted(files.items()):
        length = text.count("\n")
        if length > MAX_LINES and not is_test(path):
            found.append(f"{path}: {length} lines: split it by what a reader looks for")
        for rule in checked:
            if is_test(path) and rule.tests:
                continue
            for number, line in code_lines(text) if rule.tests else enumerate(text.splitlines(), 1):
                problem = rule.check(path, number, line)
                if problem:
                    found.append(problem)
        if not is_test(path):
            for number, line in code_lines(text):
                for problem in (station_problem(path, number, line), pure_problem(path, number, line)):
                    if problem:
                        found.append(problem)
    return found + [stale for rule in checked for stale in rule.stale()]


def anchor_of(heading):
    """The anchor that a heading gets, as code hosts and viewers of Markdown make it."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def without_code_blocks(text):
    return re.sub(r"^(```.*?^```|(?: {4}|\t).*?$)", "", text, flags=re.M | re.S)


def document_problems(documents, files, others):
    """Links that lead nowhere, functions that do not exist, a glossary that is too long."""
    found = []
    anchors = {
        path: {anchor_of(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}
        for path, text in documents.items()
    }
    for path, text in sorted(documents.items()):
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code_blocks(text)):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            file = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            if file not in documents and file not in others:
                found.append(f"{path}: the link to {target} leads nowhere")
            elif anchor and file in anchors and anchor not in anchors[file]:
                found.append(f"{path}: {file} has no heading for #{anchor}")
        for file, name in re.findall(r"`([\w./-]+\.rs)::(\w+)`", text):
            source = files.get(file)
            # A test may be made by a macro of its suite.
            if source is None or not re.search(rf"\bfn {name}\b|\b{name}$", source, re.M):
                found.append(f"{path}: there is no {name} in {file}")
    entries = len(re.findall(r"^\| ", documents.get("docs/glossary.md", ""), re.M)) - 1
    if entries > MAX_GLOSSARY:
        found.append(f"docs/glossary.md: {entries} entries: say the field's word for some of them")
    return found


def documents():
    texts = {}
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md"):
        for path in ROOT.glob(pattern):
            texts[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    return texts


class Tree:
    """Whether a file or folder is in the repository."""

    def __contains__(self, path):
        return (ROOT / path).exists()


def sources():
    skipped = {"target", "node_modules"}
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in ROOT.rglob("*.rs")
        if not skipped & set(path.relative_to(ROOT).parts)
    }


def self_test():
    def expect(what, files, *fragments):
        found = [p for p in problems(files, rules()) if not p.startswith("tools/tidy.py")]
        assert len(found) == len(fragments), f"{what}: {found}"
        for problem, fragment in zip(found, fragments):
            assert fragment in problem, f"{what}: {fragment!r} not in {problem!r}"

    expect("sqlx", {"api/src/a.rs": "fn f() {\n    sqlx::query();\n}\n"}, "a.rs:2")
    expect("a comment", {"api/src/a.rs": "// sqlx::query()\n"})
    expect("a test module", {"api/src/a.rs": "mod tests {\n    sqlx::query();\n}\n"})
    expect("a test", {"api/tests/a.rs": "use sqlx::MySql;\n"})
    expect("its file", {"crates/store/src/history/mysql/a.rs": "use sqlx::MySql;\n"})
    expect("an answer", {"api/src/output/a.rs": "use std::collections::HashMap;\n"}, "another in each")
    expect("no answer", {"api/src/a.rs": "use std::collections::HashMap;\n"})
    expect("two stations", {"parser/src/a.rs": "use nemeses_broker::Door;\n"}, "stations never")
    expect("the binary", {"cli/src/a.rs": "use nemeses_broker::Door;\n"})
    expect("itself", {"broker/src/a.rs": "use nemeses_broker::Door;\n"})
    expect("a pure crate", {"crates/export/src/a.rs": "use nemeses_reports::Zone;\n"})
    expect("a store in one", {"crates/reports/src/a.rs": "use nemeses_store::live::Live;\n"}, "pure")
    expect("a web server in one", {"crates/export/src/a.rs": "use axum::body::Body;\n"}, "pure")
    expect("an ignored test", {"api/tests/a.rs": "#[ignore]\nfn f() {}\n"}, "unwritten")
    expect("a long file", {"api/src/a.rs": "\n" * 501}, "501 lines")
    circle = {"a/src/lib.rs": "mod b;\nmod c;\npub use c::C;\n", "a/src/b.rs": "use crate::C;\n",
              "a/src/c.rs": "use super::{b::{B as X}, D};\n", "a/src/c/d.rs": "use super::E;\n"}
    found = [problem for problem in circle_problems(circle) if problem.startswith("a:")]
    assert found == ["a: b, c import each other: move what they share"], found
    assert not [p for p in circle_problems({**circle, "a/src/b.rs": "// crate::C\n"}) if p.startswith("a:")]
    page = "# A\n## It's `here` [now](b.md)\n[x](#its-here-now) [y](b.md#c) [z](gone.md) `a.rs::f` `a.rs::g`\n    [no](link)\n"
    found = document_problems({"docs/a.md": page, "docs/b.md": "# B\n"}, {"a.rs": "pub fn f<T>() {}\n"}, set())
    assert [problem.split(": ", 1)[1] for problem in found] == [
        "docs/b.md has no heading for #c", "the link to gone.md leads nowhere", "there is no g in a.rs"
    ], found
    words = "| word | meaning |\n|---|---|\n" + "| a | b |\n" * (MAX_GLOSSARY + 1)
    assert len(document_problems({"docs/glossary.md": words}, {}, set())) == 1
    stale = problems({"api/src/a.rs": ""}, rules())
    assert any("broker/src/rumqttd_router.rs" in problem for problem in stale), stale
    print("tidy: the checker's own tests passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        sys.exit("usage: tools/tidy.py [--self-test]")
    files = sources()
    found = problems(files, rules()) + circle_problems(files)
    found += document_problems(documents(), files, Tree())
    for problem in found:
        print(f"tidy: {problem}", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"tidy: {len(files)} files keep the house rules")
    return None


if __name__ == "__main__":
    main()
