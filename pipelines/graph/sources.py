"""The code that a stage runs: the files of the checkout that its module is made of, and the packages that they import.

A stage runs again when one of these files changes as Python reads it, or a package has another version, and only then:
an edit to the exporter trains no model again, nor does an edit to a comment or a docstring.
"""

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def trace(module: str) -> tuple[list[str], set[str]]:
    """What `python -m module` (`retrieval.train`) imports, and what that imports in turn, read from the syntax trees.

    Of a package that looks for its modules itself (`iter_modules`) all that lies below it counts.

    Returns the files of the project, relative to ROOT, and the names of all other modules.
    """
    files: set[Path] = set()
    others: set[str] = set()
    waiting = [f"{module}.__main__", module]  # a package is run by its __main__
    while waiting:
        name = waiting.pop()
        path, first = _file(name), name.partition(".")[0]
        if path is None:
            others |= {first} if not (ROOT / first).is_dir() else set()
        elif path not in files:
            files.add(path)
            package = name.rpartition(".")[0]  # importing a module runs its package first
            waiting += [*_read(ROOT / path).imports, *([package] if package else [])]
            if _read(ROOT / path).looks_around:  # such as the readers of datasets, whose layouts are named in strings
                below = (file.relative_to(ROOT) for file in (ROOT / path.parent).rglob("*.py"))
                waiting += [".".join(file.with_suffix("").parts) for file in below]
    return sorted(map(str, files)), others


def code(path: Path) -> str:
    """sha256 of a source file as Python reads it: of its syntax tree, without comments and docstrings."""
    return _read(path).digest


@dataclass(frozen=True)
class _Source:
    digest: str
    imports: tuple[str, ...]
    looks_around: bool  # imports what lies beside it and below, whatever that is


def _read(path: Path) -> _Source:
    status = path.stat()
    return _parse(path, status.st_mtime_ns, status.st_size)


@functools.cache
def _parse(path: Path, changed: int, size: int) -> _Source:
    text = path.read_bytes()
    try:
        tree = ast.parse(text, filename=str(path))
    except SyntaxError:  # half of an edit: a stage that runs it says so itself
        return _Source(hashlib.sha256(text).hexdigest(), (), looks_around=False)
    imports = tuple(_names(tree))
    looks_around = any(isinstance(node, ast.Attribute) and node.attr == "iter_modules" for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return _Source(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports, looks_around)


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Name -> version of the installed packages that these modules belong to, and of all that they require."""
    waiting = [name for module in modules for name in _packages().get(module, ())]
    found: dict[str, str] = {}
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in found:
            found[name], required = _package(name)
            waiting += required
    return {name: version for name, version in sorted(found.items()) if version}


@functools.cache
def _packages() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _package(name: str) -> tuple[str, tuple[str, ...]]:
    # Its version, "" where it is not installed, and the packages that it requires, those of extras left out.
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return "", ()
    required = (re.match(r"[\w.-]+", line) for line in package.requires or () if "extra ==" not in line)
    return package.version, tuple(match.group() for match in required if match)


def _names(tree: ast.Module) -> Iterator[str]:
    # Imports inside functions count too: binaries keep their heavy ones there.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    return None
