#!/usr/bin/env python3
"""Checks the dependencies: licences, banned crates, one version of each crate.

Reads `cargo metadata --locked` and the rules in deps.toml. Needs Python 3.11
and nothing else. `--self-test` checks the checker.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
RULES = ROOT / "deps.toml"


class Graph:
    """The packages that are built for one platform, and who needs whom."""

    def __init__(self, metadata):
        nodes = metadata["resolve"]["nodes"]
        used = {node["id"] for node in nodes}
        self.packages = {p["id"]: p for p in metadata["packages"] if p["id"] in used}
        self.members = set(metadata["workspace_members"])
        self.needed_by = {package: set() for package in used}
        for node in nodes:
            for needed in node["dependencies"]:
                self.needed_by[needed].add(node["id"])

    def name(self, package):
        return self.packages[package]["name"]

    def label(self, package):
        return f"{self.name(package)} {self.packages[package]['version']}"

    def reached(self, package, without):
        """Whether a member needs the package on a way around the crates in `without`."""
        seen, to_visit = set(), [package]
        while to_visit:
            current = to_visit.pop()
            if current in seen or self.name(current) in without:
                continue
            if current in self.members:
                return True
            seen.add(current)
            to_visit.extend(self.needed_by[current])
        return False

    def way_to(self, package):
        """The shortest way from one of our crates to the package, for the message."""
        to_visit, came_from = [package], {package: None}
        for current in to_visit:
            if current in self.members:
                steps = []
                while current is not None:
                    steps.append(self.label(current))
                    current = came_from[current]
                return " > ".join(steps)
            for needer in sorted(self.needed_by[current]):
                if needer not in came_from:
                    came_from[needer] = current
                    to_visit.append(needer)
        return self.label(package)


def satisfied(expression, allowed):
    """Whether an SPDX expression can be satisfied by the allowed licences."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def alternatives():
        result = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            result = conjunction() or result
        return result

    def conjunction():
        result = single()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = single() and result
        return result

    def single():
        if not tokens:
            raise ValueError(f"licence expression cannot be read: {expression!r}")
        token = tokens.pop(0)
        if token == "(":
            result = alternatives()
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(f"licence expression cannot be read: {expression!r}")
            return result
        if tokens[:1] == ["WITH"]:
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in allowed

    result = alternatives()
    if tokens:
        raise ValueError(f"licence expression cannot be read: {expression!r}")
    return result


def licence_problems(graph, rules):
    for package in sorted(graph.packages, key=graph.label):
        if package in graph.members:
            continue
        expression = graph.packages[package]["license"]
        if not expression:
            yield (
                f"{graph.label(package)} names no licence ({graph.way_to(package)}): "
                "choose another crate"
            )
        elif not satisfied(expression, set(rules["licences"])):
            yield (
                f"{graph.label(package)} is licensed under {expression} ({graph.way_to(package)}): "
                "choose another crate, or add the licence to deps.toml if we can live with it"
            )


def banned_problems(graph, rules):
    for rule in rules.get("banned", []):
        for package in sorted(graph.packages, key=graph.label):
            if graph.name(package) == rule["crate"]:
                yield f"{graph.label(package)} is banned ({graph.way_to(package)}): {rule['reason']}"


def release_line(version):
    """What cargo treats as compatible: 1 of 1.4.2, 0.9 of 0.9.3."""
    parts = version.split("-")[0].split("+")[0].split(".")
    return parts[0] if parts[0] != "0" else f"0.{parts[1]}"


def duplicate_problems(graph, rules):
    """Crates with two versions outside the allowed trees and single versions."""
    trees = {rule["crate"] for rule in rules.get("trees", [])}
    singles = {(rule["crate"], rule["version"]) for rule in rules.get("versions", [])}
    by_name = {}
    for package in graph.packages:
        by_name.setdefault(graph.name(package), []).append(package)
    for name, packages in sorted(by_name.items()):
        if len(packages) == 1:
            continue
        ours = [
            package
            for package in packages
            if (name, release_line(graph.packages[package]["version"])) not in singles
            and graph.reached(package, without=trees)
        ]
        if len(ours) > 1:
            ways = "\n    ".join(graph.way_to(package) for package in sorted(ours, key=graph.label))
            yield (
                f"{name} comes in {len(ours)} versions:\n    {ways}\n"
                "    move one of them, or add a [[trees]] or [[versions]] rule with its reason to deps.toml"
            )


def stale_rules(graphs, rules):
    """Rules that allow what is not there any more."""
    names = {graph.name(package) for graph in graphs for package in graph.packages}
    versions = {}
    for graph in graphs:
        for package in graph.packages:
            lines = versions.setdefault(graph.name(package), set())
            lines.add(release_line(graph.packages[package]["version"]))
    for rule in rules.get("trees", []):
        if rule["crate"] not in names:
            yield f"deps.toml: nothing needs {rule['crate']} any more: remove its [[trees]] rule"
    for rule in rules.get("versions", []):
        lines = versions.get(rule["crate"], set())
        if rule["version"] not in lines or len(lines) == 1:
            yield (
                f"deps.toml: {rule['crate']} {rule['version']} is not a further version any more: "
                "remove its [[versions]] rule"
            )


def problems(graphs, rules):
    found = []
    for graph in graphs:
        for check in (licence_problems, banned_problems, duplicate_problems):
            found += [problem for problem in check(graph, rules) if problem not in found]
    return found + list(stale_rules(graphs, rules))


def read_graph(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"check-deps: '{' '.join(command)}' failed (is Cargo.lock up to date?)")
    return Graph(json.loads(done.stdout))


def self_test():
    def graph(edges, licences=()):
        """Edges 'a@1 b@2': a needs b. `app` is the workspace."""
        ids = {identity for edge in edges for identity in edge.split()}
        return Graph(
            {
                "workspace_members": ["app@1.0.0"],
                "packages": [
                    {
                        "id": identity,
                        "name": identity.split("@")[0],
                        "version": identity.split("@")[1],
                        "license": dict(licences).get(identity, "MIT"),
                    }
                    for identity in ids
                ],
                "resolve": {
                    "nodes": [
                        {
                            "id": identity,
                            "dependencies": [
                                edge.split()[1] for edge in edges if edge.split()[0] == identity
                            ],
                        }
                        for identity in ids
                    ]
                },
            }
        )

    def expect(what, graph, rules, *fragments):
        found = problems([graph], {"licences": ["MIT", "Apache-2.0"], **rules})
        assert len(found) == len(fragments), f"{what}: {found}"
        for problem, fragment in zip(found, fragments):
            assert fragment in problem, f"{what}: {fragment!r} not in {problem!r}"

    two = ["app@1.0.0 old@1.0.0", "old@1.0.0 x@0.1.2", "app@1.0.0 x@0.2.0"]
    tree = {"crate": "old", "reason": "r"}
    single = {"crate": "x", "version": "0.1", "reason": "r"}
    expect("clean", graph(["app@1.0.0 x@0.2.0"]), {})
    expect("two versions", graph(two), {}, "x comes in 2 versions")
    expect("the way is named", graph(two), {}, "app 1.0.0 > old 1.0.0 > x 0.1.2")
    expect("allowed below a tree", graph(two), {"trees": [tree]})
    expect("allowed alone", graph(two), {"versions": [single]})
    expect(
        "a tree does not excuse another way in",
        graph([*two, "app@1.0.0 mid@1.0.0", "mid@1.0.0 x@0.1.2"]),
        {"trees": [tree]},
        "x comes in 2 versions",
    )
    expect("stale tree", graph(["app@1.0.0 x@0.2.0"]), {"trees": [tree]}, "nothing needs old")
    expect("stale version", graph(["app@1.0.0 x@0.1.2"]), {"versions": [single]}, "x 0.1 is not")
    expect(
        "banned",
        graph(["app@1.0.0 openssl@0.10.0"]),
        {"banned": [{"crate": "openssl", "reason": "one TLS stack"}]},
        "one TLS stack",
    )
    expect(
        "licence",
        graph(["app@1.0.0 x@1.0.0"], {"x@1.0.0": "GPL-3.0"}),
        {},
        "x 1.0.0 is licensed under GPL-3.0",
    )
    expect("no licence", graph(["app@1.0.0 x@1.0.0"], {"x@1.0.0": None}), {}, "names no licence")

    allowed = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-3-Clause"}
    for expression, wanted in [
        ("MIT", True),
        ("GPL-3.0", False),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0 OR MIT", True),
        ("MIT AND GPL-3.0", False),
        ("(MIT OR GPL-3.0) AND BSD-3-Clause", True),
        ("(GPL-3.0 OR ISC) AND MIT", False),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", True),
        ("Apache-2.0 WITH Other-exception", False),
    ]:
        assert satisfied(expression, allowed) == wanted, expression
    for version, line in [("1.4.2", "1"), ("0.9.3", "0.9"), ("0.10.0-rc.20", "0.10")]:
        assert release_line(version) == line, version
    print("check-deps: the checker's own tests passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        sys.exit("usage: tools/check-deps.py [--self-test]")
    rules = tomllib.loads(RULES.read_text(encoding="utf-8"))
    graphs = [read_graph(target) for target in rules["targets"]]
    found = problems(graphs, rules)
    for problem in found:
        print(f"check-deps: {problem}", file=sys.stderr)
    if found:
        sys.exit(1)
    count = len({package for graph in graphs for package in graph.packages})
    print(f"check-deps: {count} packages, licences, bans and versions are as deps.toml wants them")
    return None


if __name__ == "__main__":
    main()
