"""Texts that a setup.py puts together out of its own constants. Read, never run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

_MAX_STEPS = 20
"""How deep expressions and names may lie in one another."""


class SetupTexts:
    """Asks one setup.py: ``"{0}-api = {0}.web:run".format(NAME)`` and the like."""

    def __init__(self, tree: ast.Module) -> None:
        self._named: dict[str, ast.expr] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign):
                names = (target.id for target in node.targets if isinstance(target, ast.Name))
                self._named |= dict.fromkeys(names, node.value)

    def text(self, node: ast.expr | None, steps: int = _MAX_STEPS) -> str | None:
        """What the expression comes to; None where only running the file tells."""
        match node if steps else None:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name):
                return self.text(self._named.get(name), steps - 1)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([left, right], steps)
            case ast.JoinedStr(values=parts):
                return self._joined(parts, steps)
            case ast.FormattedValue(value=value, format_spec=None):
                return self.text(value, steps - 1)
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                given = self._texts(right.elts if isinstance(right, ast.Tuple) else [right], steps)
                return _filled(lambda pattern: pattern % given, self.text(left, steps - 1), given)
            case ast.Call(func=ast.Attribute(value=left, attr="format"), args=args, keywords=words):
                given = self._texts(args, steps)
                named = self._texts([word.value for word in words], steps)
                names = dict(zip((str(word.arg) for word in words), named, strict=True))
                pattern = self.text(left, steps - 1)
                return _filled(lambda text: text.format(*given, **names), pattern, given + named)
        return None

    def texts(self, node: ast.expr | None, steps: int = _MAX_STEPS) -> list[str]:
        """Those of a list that can be told, or of the one text."""
        match node if steps else None:
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [text for text in self._texts(parts, steps) if text is not None]
            case ast.Name(id=name):
                return self.texts(self._named.get(name), steps - 1)
        text = self.text(node)
        return [] if text is None else [text]

    def _texts(self, nodes: Iterable[ast.expr], steps: int) -> tuple[str | None, ...]:
        return tuple(self.text(node, steps - 1) for node in nodes)

    def _joined(self, nodes: Iterable[ast.expr], steps: int) -> str | None:
        parts = self._texts(nodes, steps)
        return None if None in parts else "".join(map(str, parts))


def _filled(
    fill: Callable[[str], str], pattern: str | None, given: Sequence[str | None]
) -> str | None:
    if pattern is None or None in given:
        return None
    try:
        return fill(pattern)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
