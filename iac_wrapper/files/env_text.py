"""The text of a `.env` file -> variables. It must not know which file it was, nor what they mean.

Quotes mean what they mean to a shell, because people also source the file: nothing inside of single
quotes has a meaning, and quoted parts that touch are one value (``'it'\\''s'``). Otherwise the file
is what `.env` files are elsewhere: a value without quotes goes to the end of its line or to a blank
and ``#``; double quotes know ``\\n`` and its like; ``${NAME}`` and ``${NAME:-default}`` outside of
single quotes stand for an earlier line or the environment. A carriage return is part of a quoted
value, and otherwise of the end of the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_GAP = re.compile(r"(?:\s+|#[^\n]*)*")
_NAME = re.compile(r"(?:export[ \t]+)?([^\s=#'\"]+)[ \t]*(?:(=)|(?=\r?\n|\Z))")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:\\.|[^"\\])*)"', re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_BARE = re.compile(r"[^\s'\"\\]+")
_LINE = re.compile(r"[^\n]*")
_LINE_END = re.compile(r"[ \t\r]*(?:(?<=\s)#[^\n]*)?(?:\n|\Z)")
_COMMENT = re.compile(r"\s+#.*", re.S)
_REFERENCE = r"\$\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?\}"
_IN_DOUBLE = re.compile(rf"\\(?P<escape>[abfnrtv\\'\"$`])|{_REFERENCE}")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class EnvTextError(ValueError):
    """`line` (from 1) is no assignment; the text of the error never holds a value."""

    def __init__(self, line: int, found: str) -> None:
        super().__init__(found)
        self.line = line


def parse(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that `text` sets, the last of a name; a name without ``=`` sets nothing.

    Args:
        text: of the whole file.
        environ: for references to what no earlier line sets.

    Raises:
        EnvTextError: something is neither ``NAME=value`` nor a comment.
    """
    reader = _EnvParser(text.removeprefix("\ufeff"), environ)
    while reader.more():
        reader.assignment()
    return reader.values


class _EnvParser:
    def __init__(self, text: str, environ: Mapping[str, str]) -> None:
        self._text = text
        self._at = 0
        self._environ = environ
        self.values: dict[str, str] = {}

    def more(self) -> bool:
        self._take(_GAP)
        return self._at < len(self._text)

    def assignment(self) -> None:
        start = self._at
        name = self._take(_NAME)
        if name is None:
            raise self._error("neither NAME=value nor a comment", start)
        if not name[2]:
            return
        self._take(re.compile(r"[ \t]*(?=['\"])"))
        quoted = self._text[self._at : self._at + 1] in {"'", '"'}
        value = self._word(start) if quoted else self._bare_line()
        if "\0" in value:
            raise self._error(f"a NUL character in {name[1]}", start)
        self.values[name[1]] = value

    def _word(self, start: int) -> str:
        """Quoted and bare parts that touch, and nothing but a comment after them."""
        parts = []
        while (part := self._part()) is not None:
            parts.append(part)
        if self._take(_LINE_END) is None:
            open_quote = self._text[self._at : self._at + 1] in {"'", '"'}
            found = "a quote that is not closed" if open_quote else "text after the closing quote"
            raise self._error(found, start)
        return "".join(parts)

    def _part(self) -> str | None:
        if found := self._take(_SINGLE):
            return found[1]
        if found := self._take(_DOUBLE):
            return _IN_DOUBLE.sub(self._expand, found[1])
        if found := self._take(_ESCAPED):
            return found[1]
        if found := self._take(_BARE):
            return self._references(found[0])
        return None

    def _bare_line(self) -> str:
        found = self._take(_LINE)
        text = _COMMENT.sub("", found[0] if found else "").strip()
        return self._references(text)

    def _references(self, text: str) -> str:
        return re.sub(_REFERENCE, self._lookup, text)

    def _expand(self, found: re.Match[str]) -> str:
        escape = found["escape"]
        return _ESCAPES.get(escape, escape) if escape else self._lookup(found)

    def _lookup(self, found: re.Match[str]) -> str:
        name, default = found["name"], found["default"] or ""
        return self.values.get(name, self._environ.get(name, default))

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def _error(self, found: str, at: int) -> EnvTextError:
        return EnvTextError(self._text.count("\n", 0, at) + 1, found)
