"""Small changes to the text of a repos file; comments, order and spelling of all else stay.

A change is made where the marks of PyYAML say that a value stands. They do not tell of anchors and
comments, so what comes out is read again: it must say what was said, with the change and nothing
else. It must not know what keys mean.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.yaml_nodes import Reader, compose
from iac_wrapper.model.repos_keys import SLUG

Way = tuple[str | int, ...]
"""Keys, and places in lists, from the root of a file to a value."""

_PLAIN = re.compile(r"[A-Za-z0-9_/.](?:[A-Za-z0-9_/.@%+=:-]*[A-Za-z0-9_/.@%+=-])?")
_INDENT = 2


class CannotEditError(Exception):
    """The text is written in a way that only a person can change."""


def apps(text: str, *, is_json: bool = False) -> Way:
    """Where the list of entries is."""
    return ("apps",) if isinstance(_root(text, is_json), yaml.MappingNode) else ()


def put(text: str, way: Way, value: str, *, is_json: bool = False) -> str:
    """`text` with the value at `way`; mappings on the way there are made if they are missing, and
    an entry that is a slug alone becomes one.

    Args:
        text: of a file that is valid.
        way: to the value.
        value: as a program gets it.
        is_json: the file is JSON, as its name says.

    Raises:
        CannotEditError: a person has to.
    """
    root = _root(text, is_json)
    edited = _Editor(text, is_json).put(root, way, value)
    return _checked(edited, _with(_data(root), way, value), is_json)


def drop(text: str, way: Way, *, stays: int, is_json: bool = False) -> str:
    """`text` without the key at `way`, and without the mappings that held nothing else.

    Args:
        text: of a file that is valid.
        way: to the value.
        stays: how many steps of `way` lead to a mapping that stays, empty or not.
        is_json: the file is JSON, as its name says.

    Raises:
        CannotEditError: a person has to.
    """
    root = _root(text, is_json)
    while len(way) > stays + 1 and len(_at(root, way[:-1]).value) == 1:
        way = way[:-1]
    edited = _Editor(text, is_json).drop(_at(root, way[:-1]), way)
    return _checked(edited, _without(_data(root), way), is_json)


def _root(text: str, is_json: bool) -> yaml.Node:
    node = compose(text, Reader("the file"), json=is_json)
    assert node is not None  # noqa: S101 - a valid file holds something
    return node


def _checked(text: str, wanted: Any, is_json: bool) -> str:
    try:
        found = _data(_root(text, is_json))
    except ConfigError:
        raise CannotEditError from None
    if found != wanted:
        raise CannotEditError
    return text


class _Editor:
    def __init__(self, text: str, is_json: bool) -> None:
        self._text = text
        self._is_json = is_json
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def put(self, node: yaml.Node, way: Way, value: str) -> str:
        column, in_braces = 0, False
        while way:
            in_braces |= isinstance(node, yaml.CollectionNode) and bool(node.flow_style)
            child = _child(node, way[0])
            if child is None:
                break
            if isinstance(node, yaml.MappingNode):
                column = _column(node) + _INDENT
            node, way = child, way[1:]
        if not way:
            return self._replaced(node, self._scalar(value))
        if isinstance(node, yaml.MappingNode):
            if in_braces:
                return self._into_braces(node, self._braced(way, value)[1:-1])
            return self._insert(self._end_of(node), self._lines(way, value, _column(node)))
        if _data(node) is not None:  # a slug alone
            return self._from_slug(node, way, value, in_braces)
        if in_braces or node.start_mark.index < node.end_mark.index:
            return self._replaced(node, " " * in_braces + self._braced(way, value))
        return self._insert(self._line_end(node.end_mark.index), self._lines(way, value, column))

    def drop(self, mapping: yaml.MappingNode, way: Way) -> str:
        pairs = mapping.value
        at = next(n for n, (key, _) in enumerate(pairs) if key.value == way[-1])
        key, value = pairs[at]
        start, is_last = key.start_mark.index, at == len(pairs) - 1
        if mapping.flow_style:
            end = value.end_mark.index
            if not is_last:
                end = pairs[at + 1][0].start_mark.index
            elif at:
                start = pairs[at - 1][1].end_mark.index
            return self._cut(start, end)
        line = self._line_start(start)
        if not self._text[line:start].strip():
            return self._cut(line, self._end_of_pair(key, value))
        if is_last:
            raise CannotEditError
        following = pairs[at + 1][0].start_mark.index  # it is the first one, behind `- `
        if self._text[self._end_of_pair(key, value) : following].strip():
            raise CannotEditError
        return self._cut(start, following)

    def _cut(self, start: int, end: int) -> str:
        return self._text[:start] + self._text[end:]

    def _replaced(self, node: yaml.Node, new: str) -> str:
        start, end = node.start_mark.index, node.end_mark.index
        below = self._newline * (getattr(node, "style", None) in ("|", ">"))
        return self._text[:start] + new + below + self._text[end:]

    def _insert(self, at: int, lines: list[str]) -> str:
        """`lines` before the line that begins at `at`."""
        before = self._newline * (at > 0 and self._text[at - 1] != "\n")
        new = "".join(line + self._newline for line in lines)
        return self._text[:at] + before + new + self._text[at:]

    def _into_braces(self, node: yaml.MappingNode, pair: str) -> str:
        close = node.end_mark.index - 1
        if self._text[close] != "}":
            raise CannotEditError
        end = len(self._text[:close].rstrip())
        if not node.value:
            return self._text[:end] + pair + self._text[close:]
        last = node.value[-1][0].start_mark.index
        before = self._text[self._line_start(last) : last]
        own_line = not before.strip() and "\n" in self._text[end:close]
        gap = self._newline + before if own_line else " "
        comma = "" if self._text[end - 1] == "," else ","
        return self._text[:end] + comma + gap + pair + self._text[end:]

    def _from_slug(self, node: yaml.Node, way: Way, value: str, in_braces: bool) -> str:
        start, end = node.start_mark.index, node.end_mark.index
        before, slug, after = self._text[:start], self._text[start:end], self._text[end:]
        key = self._scalar(SLUG.name)
        if in_braces:
            return f"{before}{{{key}: {slug}, {self._braced(way, value)[1:]}{after}"
        lines = self._lines(way, value, node.start_mark.column)
        edited = _Editor(f"{before}{key}: {slug}{after}", self._is_json)
        return edited._insert(edited._line_end(end + len(key) + 2), lines)

    def _lines(self, way: Way, value: str, column: int) -> list[str]:
        indents = [" " * (column + _INDENT * depth) for depth in range(len(way))]
        lines = [
            f"{indent}{self._scalar(str(key))}:" for indent, key in zip(indents, way, strict=True)
        ]
        return [*lines[:-1], f"{lines[-1]} {self._scalar(value)}"]

    def _braced(self, way: Way, value: str) -> str:
        text = self._scalar(value)
        for key in reversed(way):
            text = f"{{{self._scalar(str(key))}: {text}}}"
        return text

    def _scalar(self, value: str) -> str:
        """`value` as it is spelt in the file: plain where that reads as this very text."""
        if not self._is_json and _PLAIN.fullmatch(value) and value.lower() != "null":
            return value
        return "".join(map(_printable, json.dumps(value, ensure_ascii=False)))

    def _end_of(self, mapping: yaml.Node) -> int:
        """The start of the line after the last that a block holds: comments below may be of the
        next one."""
        at = min(mapping.end_mark.index, len(self._text))
        if self._text[at:].strip("\0 \r\n"):
            at = self._line_start(at)
        while at:
            start = self._line_start(at - 1)
            line = self._text[start:at].strip()
            if line and not line.startswith("#"):
                break
            at = start
        leaf = mapping
        while leaf.value and not isinstance(leaf, yaml.ScalarNode):
            leaf = leaf.value[-1][1] if isinstance(leaf, yaml.MappingNode) else leaf.value[-1]
        is_inside = mapping.start_mark.index < leaf.start_mark.index < mapping.end_mark.index
        return max(at, leaf.end_mark.index) if is_inside else at

    def _end_of_pair(self, key: yaml.Node, value: yaml.Node) -> int:
        if isinstance(value, yaml.CollectionNode) and not value.flow_style:
            return self._end_of(value)
        if getattr(value, "style", None) in ("|", ">"):
            return value.end_mark.index
        is_alias = value.start_mark.index < key.end_mark.index
        return self._line_end((key if is_alias else value).end_mark.index)

    def _line_start(self, at: int) -> int:
        return self._text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        """The start of the next line."""
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found + 1


def _printable(character: str) -> str:
    if character.isprintable() and character != "\ufeff":
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _column(mapping: yaml.Node) -> int:
    column: int = mapping.value[0][0].start_mark.column if mapping.value else 0
    return column


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode):
        items: list[yaml.Node] = node.value
        return items[int(step)]
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    return None


def _at(node: yaml.Node, way: Way) -> Any:
    for step in way:
        found = _child(node, step)
        assert found is not None  # noqa: S101 - who asks has found it there
        node = found
    return node


def _data(node: yaml.Node | None) -> Any:
    """What a node says, scalars as they are spelt; None for nothing and for an empty mapping."""
    if isinstance(node, yaml.MappingNode):
        return {_data(key): _data(value) for key, value in node.value} or None
    if isinstance(node, yaml.SequenceNode):
        return [_data(each) for each in node.value]
    return None if node is None or node.tag == "tag:yaml.org,2002:null" else node.value


def _with(data: Any, way: Way, value: str) -> Any:
    if not way:
        return value
    if isinstance(data, list):
        return [_with(each, way[1:], value) if n == way[0] else each for n, each in enumerate(data)]
    known = data if isinstance(data, dict) else {SLUG.name: data} if data else {}
    return {**known, way[0]: _with(known.get(way[0]), way[1:], value)}


def _without(data: Any, way: Way) -> Any:
    if isinstance(data, list):
        return [_without(each, way[1:]) if n == way[0] else each for n, each in enumerate(data)]
    if len(way) > 1:
        return {**data, way[0]: _without(data[way[0]], way[1:])}
    return {key: value for key, value in data.items() if key != way[0]} or None
