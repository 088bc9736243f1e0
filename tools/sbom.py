#!/usr/bin/env python3
"""Writes the software bill of materials of the program, in CycloneDX 1.5 (JSON): its
crates with licence and checksum, and what of npm is in its page.

    tools/sbom.py [FILE]        standard output without FILE

From Cargo.lock, `cargo metadata` and web/package-lock.json alone, so that the same commit
gives the same bytes. What is only built with or tested with is not in it.
"""

import base64
import json
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"


def crates():
    """What `nemeses` is linked of: each package once, with what it needs."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(id for id, package in packages.items() if package["name"] == "nemeses" and id in metadata["workspace_members"])
    needs, to_visit = {}, [root]
    while to_visit:
        package = to_visit.pop()
        if package not in needs:
            linked = [need["pkg"] for need in nodes[package]["deps"] if any(kind["kind"] is None for kind in need["dep_kinds"])]
            needs[package] = linked
            to_visit += linked
    return root, {id: packages[id] for id in needs}, needs


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def licences(expression):
    return [{"expression": expression.replace("/", " OR ")}] if expression else []


def crate_component(package, checksum):
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    component = {
        "type": "library", "bom-ref": purl, "name": package["name"], "version": package["version"],
        "licenses": licences(package["license"]), "purl": purl,
    }
    if checksum:
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return component


def npm_components():
    """What the page ships: packages that are not for development only."""
    lock = json.loads((ROOT / "web/package-lock.json").read_text())
    for path, package in lock["packages"].items():
        if not path or package.get("dev"):
            continue
        name = package.get("name", path.rpartition("node_modules/")[2])
        purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        component = {"type": "library", "bom-ref": purl, "name": name, "version": package["version"], "licenses": licences(package.get("license")), "purl": purl}
        algorithm, _, digest = package.get("integrity", "").partition("-")
        if algorithm == "sha512":
            component["hashes"] = [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}]
        yield component


def once(components):
    """In order, each once: npm has the same package in several places."""
    found = {component["bom-ref"]: component for component in components}
    return [found[ref] for ref in sorted(found)]


def bill():
    root, packages, needs = crates()
    sums = checksums()
    component = {id: crate_component(package, sums.get((package["name"], package["version"]))) for id, package in packages.items()}
    ref = {id: one["bom-ref"] for id, one in component.items()}
    page = once(npm_components())
    libraries = once([one for id, one in component.items() if id != root] + page)
    program = {**component[root], "type": "application"}
    depends = {ref[id]: sorted({ref[need] for need in needed}) for id, needed in needs.items()}
    depends[program["bom-ref"]] += [one["bom-ref"] for one in page]
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": program}, "components": libraries,
        "dependencies": [{"ref": one, "dependsOn": depends[one]} for one in sorted(depends)],
    }


def main():
    text = json.dumps(bill(), indent=1) + "\n"
    if sys.argv[1:]:
        path = pathlib.Path(sys.argv[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
