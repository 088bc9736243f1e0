"""Finds circles of imports between the modules of a crate.

A module imports another by `use`, or by a path that begins with `crate`, `super`, `self` or a
child's name. A name that a module hands on (`pub use`) counts as its own module's. A module
and those below it are one family: what they import of each other is no circle.
"""

import re

USE = re.compile(r"^[ \t]*(#\[cfg\(test\)\]\s*)?(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", re.M)
PATH = re.compile(r"(?<![\w:])([a-z_]\w*(?:::\w+)+)")


def flat(tree):
    """The paths of a use tree, each with the name that it brings."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        path, _, alias = tree.partition(" as ")
        steps = [step.strip() for step in path.split("::") if step.strip()]
        return [(steps, alias.strip() or steps[-1])] if steps else []
    before = [step.strip() for step in tree[:brace].split("::") if step.strip()]
    parts, depth = [""], 0
    for char in tree[brace + 1 : tree.rindex("}")]:
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [(before + steps, name) for part in parts for steps, name in flat(part)]


class Crate:
    """The modules of one crate, by their paths as tuples of names."""

    def __init__(self, texts):
        self.texts = texts
        self.paths = {}
        self.names = {}
        for module, text in texts.items():
            self.paths[module] = []
            self.names[module] = {}
            for test, public, tree in USE.findall(text):
                for steps, name in [] if test else flat(tree):
                    at = self.start(module, steps)
                    if at is None:
                        continue
                    self.names[module].setdefault(name, at)
                    if not public:
                        self.paths[module].append(at)
            for path in PATH.findall(USE.sub("", text)):
                at = self.start(module, path.split("::"))
                if at is not None:
                    self.paths[module].append(at)

    def start(self, module, steps):
        """Where a path begins, and what is left of it; `None` outside the crate."""
        steps = list(steps)
        if steps[0] == "crate":
            return (), steps[1:]
        if steps[0] == "self":
            return module, steps[1:]
        if steps[0] == "super":
            while steps and steps[0] == "super":
                module, steps = module[:-1], steps[1:]
            return module, steps
        return (module, steps) if (*module, steps[0]) in self.texts else None

    def resolve(self, module, steps, left=8):
        """The module in which a path ends."""
        steps = list(steps)
        while steps and (*module, steps[0]) in self.texts:
            module, steps = (*module, steps[0]), steps[1:]
        known = self.names.get(module, {}).get(steps[0]) if steps else None
        if known is None or left == 0 or known == (module, steps):
            return module
        return self.resolve(known[0], [*known[1], *steps[1:]], left - 1)

    def imports(self, module):
        found = {self.resolve(*at) for at in self.paths[module]} & set(self.texts)
        family = {other for other in found if other == module[: len(other)] or module == other[: len(module)]}
        return found - family

    def circles(self):
        """Each set of modules that import each other, in order of name."""
        edges = {module: self.imports(module) for module in self.texts}
        reached = {module: reach(edges, module) for module in edges}
        found = []
        for module in sorted(edges):
            circle = sorted(other for other in reached[module] if module in reached[other])
            if circle and circle not in found:
                found.append(circle)
        return found


def reach(edges, module):
    """What a module imports, and what that imports, and so on."""
    found, waiting = set(), list(edges[module])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(edges[other])
    return found


def crates(files, is_test):
    """The crates of these files, without tests: by the folder of their sources."""
    found = {}
    for path, text in files.items():
        folder, inside, rest = path.partition("/src/")
        if not inside or is_test(path):
            continue
        module = rest.removesuffix(".rs").split("/")
        if module[-1] in {"mod", "lib", "main"}:
            module.pop()
        text = re.sub(r"//[^\n]*", "", text.split("\nmod tests {")[0])
        found.setdefault(folder, {})[tuple(module)] = text
    return {folder: Crate(texts) for folder, texts in sorted(found.items())}
