"""Modules that were compiled ahead of their function: made by make, in a process that runs nothing of the function and ends
after it, and used after keep, in the process that becomes the function. What does not fit is compiled as if there were
none."""

import ast
import importlib.machinery
import marshal
import os
import sys

FILES_MAX = 2000
FILE_MAX = 4 << 20  # bytes of one source
TOTAL_MAX = 16 << 20  # bytes of what is made

kept = {}  # path -> bytes, until it is loaded


def keep(root, files, data):
    at = 0
    for f in files:
        kept[os.path.join(root, f["path"])] = data[at : at + f["bytes"]]
        at += f["bytes"]
    loader = importlib.machinery.SourceFileLoader
    compiled = loader.get_code

    def get_code(self, fullname):
        code = kept.pop(self.path, None)
        if code is not None:
            try:
                return marshal.loads(code)
            except (EOFError, ValueError, TypeError):
                pass
        return compiled(self, fullname)

    loader.get_code = get_code


def make(root, module, emit):
    """Compiles what a module leads to, without running any of it, and hands each result to emit."""
    todo, seen, total = [module], set(), 0
    while todo and len(seen) < FILES_MAX and total < TOTAL_MAX:
        name = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        parent = name.rpartition(".")[0]
        if parent:
            todo.append(parent)
        path, package = find(root, name)
        if path is None:
            continue
        try:
            if os.path.getsize(path) > FILE_MAX:
                continue
            with open(path, "rb") as f:
                source = f.read()
            tree = ast.parse(source, path)
            code = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # whoever loads it will say what is wrong with it
        total += len(code)
        emit(os.path.relpath(path, root), code)
        todo.extend(imports(tree, name if package else parent))


def find(root, name):
    """Where a module's source is below root, and whether it is a package's."""
    base = os.path.join(root, *name.split("."))
    for path, package in ((os.path.join(base, "__init__.py"), True), (base + ".py", False)):
        if os.path.isfile(path):
            return path, package
    return None, False


def imports(tree, package):
    """The names that a module may import, as far as its text tells."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".") if package else []
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join(parts + ([base] if base else []))
            if base:
                yield base
            for alias in node.names:
                if alias.name != "*":
                    yield base + "." + alias.name if base else alias.name
