"""Texts that a setup.py puts together out of its own constants. Read, never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

_MAX_NODES = 1000
"""How many expressions of a file are looked at: names may stand for sums of names."""

_MAX_TEXT = 10_000
"""Characters; a line of a table of commands has fewer."""

_MAX_DEPTH = 20

_FIELD = re.compile(r"%s|%%|\{\{|\}\}|\{\w*\}")
"""What is filled in as it is: widths and attributes are for other texts."""


class SetupTexts:
    """Asks one setup.py: ``"{0}-api = {0}.web:run".format(NAME)`` and the like."""

    def __init__(self, tree: ast.Module) -> None:
        self._left = _MAX_NODES
        self._named: dict[str, ast.expr] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign):
                names = (target.id for target in node.targets if isinstance(target, ast.Name))
                self._named |= dict.fromkeys(names, node.value)

    def texts(self, node: ast.expr | None) -> list[str]:
        """Those of a list that can be told, or of the one text."""
        if isinstance(node, ast.Name):
            node = self._named.get(node.id)
        nodes = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        return [text for each in nodes if (text := self.text(each)) is not None]

    def text(self, node: ast.expr | None, depth: int = _MAX_DEPTH) -> str | None:
        """What the expression comes to; None where only running the file tells."""
        self._left -= 1
        found = self._text(node, depth - 1) if self._left > 0 and depth > 0 else None
        return found if found is None or len(found) <= _MAX_TEXT else None

    def _text(self, node: ast.expr | None, depth: int) -> str | None:
        found: str | None = None
        match node:
            case ast.Constant(value=str() as constant):
                found = constant
            case ast.Name(id=name):
                found = self.text(self._named.get(name), depth)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                found = self._joined([left, right], depth)
            case ast.JoinedStr(values=parts):
                found = self._joined(parts, depth)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                found = self.text(value, depth)
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                given = right.elts if isinstance(right, ast.Tuple) else [right]
                found = self._filled(left, given, [], depth)
            case ast.Call(func=ast.Attribute(value=left, attr="format"), args=args, keywords=words):
                found = self._filled(left, args, words, depth)
        return found

    def _joined(self, nodes: Iterable[ast.expr], depth: int) -> str | None:
        parts = [self.text(node, depth) for node in nodes]
        return None if None in parts else "".join(map(str, parts))

    def _filled(
        self, left: ast.expr, args: list[ast.expr], words: list[ast.keyword], depth: int
    ) -> str | None:
        """A pattern with what is given to its fields, in order, by number or by name."""
        pattern = self.text(left, depth)
        values = {str(number): self.text(each, depth) for number, each in enumerate(args)}
        values |= {str(word.arg): self.text(word.value, depth) for word in words}
        if pattern is None or set("%{}") & set(_FIELD.sub("", pattern)):
            return None
        fields = [field for field in _FIELD.findall(pattern) if field not in ("%%", "{{", "}}")]
        names = ["" if field == "%s" else field[1:-1] for field in fields]
        texts = [values.get(name or str(number)) for number, name in enumerate(names)]
        if None in texts:
            return None
        waiting = iter(map(str, texts))
        return _FIELD.sub(
            lambda m: m[0][0] if m[0] in ("%%", "{{", "}}") else next(waiting), pattern
        )
