"""Which files of the checkout a module is made of: its imports, and theirs, read from the syntax tree.

A stage is run again when one of these changes, and only then: an edit to the exporter does not train a model again.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def imported_files(module: str, root: Path = ROOT) -> list[str]:
    """Paths, relative to `root`, of `module` (`retrieval.train`) and everything of the project that it imports."""
    found: set[str] = set()
    waiting = [module, f"{module}.__main__"]  # the second where a program is a package
    while waiting:
        name = waiting.pop()
        path = _file(name, root)
        if path is None or str(path) in found:
            continue
        waiting.append(name.rpartition(".")[0])  # importing a module runs its package first
        found.add(str(path))
        waiting.extend(_names(ast.parse((root / path).read_text(encoding="utf-8"), filename=str(path))))
    return sorted(found)


def _names(tree: ast.Module) -> Iterator[str]:
    # Imports inside functions count too: binaries keep their heavy ones there.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str, root: Path) -> Path | None:
    if not module:
        return None
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (root / candidate).is_file():
            return candidate
    return None
