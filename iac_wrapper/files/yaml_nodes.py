"""YAML as nodes with line numbers: the reader of files that people write.

It works on nodes, not on values, because a value has lost its line, its duplicate keys and its
spelling (``yes``, ``1.10``). It must not know what the file is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

import yaml

from iac_wrapper.errors import ConfigError

MAX_NODES = 50_000
"""Nodes visited in one file, aliases counted each time: a bound for alias bombs."""

_NULL = "tag:yaml.org,2002:null"


class Noted(ConfigError):  # noqa: N818 - they are errors; this one stands for them
    """Stands for errors that a `Reader` has noted."""


class Reader:
    """Typed access to nodes of one file; every error carries ``file:line``.

    Nodes know their file, so what it says of nodes holds for those of other files as well.

    Args:
        file: its name.
        noted: gets every error, and the rest is read all the same; None: the first one is raised.
    """

    def __init__(self, file: str, noted: list[ConfigError] | None = None) -> None:
        self._file = file
        self._visited = 0
        self._noted = noted

    def where(self, node: yaml.Node | None) -> str:
        """``file:line`` of a node, the file alone if there is none."""
        return f"{node.start_mark.name}:{node.start_mark.line + 1}" if node else self._file

    def error(
        self,
        node: yaml.Node | None,
        message: str,
        *,
        found: str | None = None,
        expected: str | None = None,
        next_step: str = "",
    ) -> ConfigError:
        """An error about `node`; without a `next_step`, that is to correct it there."""
        where = self.where(node)
        error = ConfigError(
            message,
            where=where,
            found=found,
            expected=expected,
            next_step=next_step or _correct(where),
        )
        error.column = node.start_mark.column + 1 if node else None
        return error

    def not_a_mapping(self, node: yaml.Node, what: str, expected: str) -> ConfigError:
        """An error about `node`, which should be a mapping."""
        found = self.show(node)
        return self.error(node, f"{what} is not a mapping", found=found, expected=expected)

    @contextmanager
    def at(self, node: yaml.Node) -> Iterator[None]:
        """Give errors that know no place the place of `node`."""
        try:
            yield
        except ConfigError as error:
            if not error.where:
                error.where, error.column = self.where(node), node.start_mark.column + 1
            error.next_step = error.next_step or _correct(error.where)
            raise

    @contextmanager
    def part(self) -> Iterator[None]:
        """One of several things: where errors are noted, its own does not keep from the others."""
        try:
            yield
        except ConfigError as error:
            if self._noted is None or self._visited > MAX_NODES:  # the rest may be endless
                raise
            if not isinstance(error, Noted):
                self._noted.append(error)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What is made of parts, and cannot be made if one of them is wrong.

        Raises:
            Noted: one is.
        """
        known = len(self._noted or ())
        yield
        if len(self._noted or ()) > known:
            raise Noted("what is wrong was noted", next_step=_correct(self._file))

    def is_null(self, node: yaml.Node) -> bool:
        """True for an absent value (``key:``)."""
        return isinstance(node, yaml.ScalarNode) and node.tag == _NULL

    def show(self, node: yaml.Node) -> str:
        """What a node is, in a few words."""
        if isinstance(node, yaml.MappingNode):
            return "a mapping"
        if isinstance(node, yaml.SequenceNode):
            return "a list"
        return "nothing" if self.is_null(node) else repr(node.value)

    def text(self, node: yaml.Node, key: str, *, expected: str = "text") -> str:
        """A scalar as it is spelt in the file (``yes`` stays ``yes``)."""
        self._count(node)
        if not isinstance(node, yaml.ScalarNode) or self.is_null(node):
            raise self.error(node, f"bad value of {key}", found=self.show(node), expected=expected)
        value: str = node.value
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self.error(
                node, f"bad value of {key}", found=ascii(value), expected="valid Unicode"
            ) from None
        return value

    def mapping(
        self, node: yaml.MappingNode, keys: Sequence[str] | None, what: str
    ) -> dict[str, yaml.Node]:
        """The value nodes of a mapping by key; only `keys` are allowed (None: any)."""
        self._count(node)
        found: dict[str, yaml.Node] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            with self.part():
                key = self.text(key_node, f"a key in {what}")
                if keys is not None and key not in keys:
                    raise self._unknown(key_node, key, keys, what)
                if key in found:
                    raise self.error(
                        key_node,
                        f"{key!r} is given twice",
                        found=f"line {lines[key]} and line {key_node.start_mark.line + 1}",
                        expected="each key once",
                    )
                found[key] = value_node
                lines[key] = key_node.start_mark.line + 1
        return found

    def glued_comment(self, node: yaml.Node) -> str | None:
        """``#word`` after a plain scalar and a blank: YAML drops it without a word."""
        if not isinstance(node, yaml.ScalarNode) or node.style is not None:
            return None
        mark = node.end_mark
        rest = str(mark.buffer)[mark.pointer :].partition("\n")[0].rstrip("\0")  # PyYAML's own end
        match = re.fullmatch(r"[ \t]+(#[\w./:-]+)\s*", rest)
        return match[1] if match else None

    def _unknown(self, node: yaml.Node, key: str, keys: Sequence[str], what: str) -> ConfigError:
        near = get_close_matches(key.lower(), keys, n=1, cutoff=0.6)
        return self.error(
            node,
            f"unknown key in {what}",
            found=repr(key),
            expected=repr(near[0]) if near else ", ".join(keys),
        )

    def _count(self, node: yaml.Node) -> None:
        self._visited += 1
        if self._visited > MAX_NODES:
            raise self.error(
                node,
                "the file is too large when its aliases are expanded",
                expected=f"at most {MAX_NODES} values",
            )


def compose(text: str, reader: Reader, *, json: bool = False) -> yaml.Node | None:
    """Parse one YAML (or JSON) document; None if there is none.

    Raises:
        ConfigError: the text is not YAML.
    """
    if json:
        # JSON may be indented with tabs, YAML may not; inside JSON strings a tab is always \t.
        text = text.replace("\t", " ")
    try:
        loader = yaml.SafeLoader(text)
        loader.name = reader.where(None)  # the marks of its nodes say it
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}" if mark else ""
        wrong = ConfigError(
            "not valid JSON" if json else "not valid YAML",
            where=reader.where(None) + place,
            found=error.problem or str(error),
            next_step=(
                _BELOW_A_SCALAR
                if "mapping values are not allowed" in (error.problem or "")
                else "check indentation, quotes and tabs on this line and the one before"
            ),
        )
        wrong.column = mark.column + 1 if mark else None
        raise wrong from None
    except (yaml.YAMLError, RecursionError) as error:
        found = "nested too deep" if isinstance(error, RecursionError) else str(error)
        where = reader.where(None)
        raise ConfigError(
            "not valid YAML", where=where, found=found, next_step=_correct(where)
        ) from None
    return node


_BELOW_A_SCALAR = (
    "to give an entry keys, write it as `- slug: …` and the keys below it, indented as `slug` is;"
    " or quote a value that holds `: `"
)


def _correct(where: str) -> str:
    return f"correct {where}"
