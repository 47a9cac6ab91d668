"""Walks through a YAML file and says, where something in it is wrong, on which line.

All scalars are text, as they are written: `no` is the word no. A key stands once.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import yaml

from data.raw.names import meant
from runtime.errors import UsageError


class Nodes:
    """The nodes of one file."""

    def __init__(self, path: Path) -> None:
        """Errors: UsageError for a file that is no YAML."""
        self.path = path
        try:
            self.root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except UnicodeDecodeError:
            raise UsageError(f"{path}: not UTF-8 text; write it again as UTF-8") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}: " if mark else ""
            raise UsageError(f"{path}: {where}no YAML: {getattr(error, 'problem', None) or error}") from None
        except RecursionError:
            raise UsageError(f"{path}: no YAML: too deep") from None

    def fail(self, node: yaml.Node | None, why: str) -> NoReturn:
        """Raises the UsageError for what stands there."""
        where = f"line {node.start_mark.line + 1}: " if node is not None else ""
        raise UsageError(f"{self.path}: {where}{why}")

    def mapping(self, node: yaml.Node | None, known: Iterable[str], what: str) -> dict[str, yaml.Node]:
        """Key -> node of a mapping of these keys; {} where nothing stands there."""
        if node is None or self._is_nothing(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} is a list of `name: value`")
        known = list(known)
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self.text(key, "a name")
            if name in found:
                self.fail(key, f"'{name}' stands there more than once; keep one of them")
            if name not in known:
                guess = meant(name, known) or next(iter(difflib.get_close_matches(name, known, n=1)), None)
                hint = f"did you mean {guess}?" if guess else f"there are {', '.join(known)}"
                self.fail(value, f"{what} knows no '{name}'; {hint}")
            found[name] = value
        return found

    def text(self, node: yaml.Node, what: str) -> str:
        """What stands there, as it is written."""
        if not isinstance(node, yaml.ScalarNode) or self._is_nothing(node):
            self.fail(node, f"{what} is one word or text")
        return node.value

    def texts(self, node: yaml.Node, what: str) -> list[str]:
        """One text, or a list of them."""
        return [self.text(one, what) for one in self.several(node)]

    def several(self, node: yaml.Node) -> list[yaml.Node]:
        """The nodes of a list; of anything else the node itself."""
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def is_mapping(self, node: yaml.Node) -> bool:
        """Whether it is one."""
        return isinstance(node, yaml.MappingNode)

    def _is_nothing(self, node: yaml.Node) -> bool:
        return isinstance(node, yaml.ScalarNode) and not node.value and node.style is None
