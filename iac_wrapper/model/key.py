"""A key of repos.yaml as it is declared: its form, its meaning, its default. Values, no I/O.

From the declarations come the parser and its messages, README's table, `repos.schema.json` and the
entry of the admin API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JsonSchema = Mapping[str, Any]
"""A JSON Schema, draft 7."""


BOOLEAN: JsonSchema = {
    "type": ["boolean", "string"],
    "pattern": "^(?:[tT]rue|TRUE|[fF]alse|FALSE)$",
}
"""A switch, by its value or by its spelling."""

MAX_BLOCKS = 100
"""Mappings in the list of one key."""


def boolean(text: str) -> bool | None:
    """The value of a switch as YAML 1.2 spells it; None for another text."""
    words = {"true": True, "True": True, "TRUE": True}
    words |= {"false": False, "False": False, "FALSE": False}
    return words.get(text)


class Misfit(ValueError):  # noqa: N818 - becomes a ConfigError where file, line and key are known
    """A text is not of the form that it should have."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected


@dataclass(frozen=True)
class Text:
    """The form of a single value, read as it is spelt.

    Args:
        parse: the value of a text; None if it is not of this form. It may raise a ConfigError that
            says more than `expected`.
        expected: the form in words.
        schema: what an editor checks.
        write: the text of a value, with units as people write them.
        listed: the text that a list of texts stands for; None: no list is taken.
    """

    parse: Callable[[str], Any]
    expected: str
    schema: JsonSchema
    write: Callable[[Any], str] = str
    listed: Callable[[Sequence[str]], str | None] | None = None

    def read(self, text: str) -> Any:
        """The value of `text`.

        Raises:
            Misfit, ConfigError: it is not of this form.
        """
        value = self.parse(text)
        if value is None:
            raise Misfit(text, self.expected)
        return value


@dataclass(frozen=True)
class ByName:
    """The form of a mapping. Where two say something of one service, they are merged by name.

    Args:
        read: name and value from their texts; raises Misfit or a ConfigError.
        expected: the form in words.
        expected_value: that of a value; ``{name}`` in it is replaced.
        schema: what an editor checks.
        write: the text of a value, as people write it.
    """

    read: Callable[[str, str], tuple[str, Any]]
    expected: str
    expected_value: str
    schema: JsonSchema
    write: Callable[[Mapping[str, Any]], str] = str


@dataclass(frozen=True)
class Listed:
    """The form of a list of values, which are kept as a tuple; a stronger list takes its place.

    Args:
        item: the form of one.
        expected: the form in words.
    """

    item: Text
    expected: str

    @property
    def schema(self) -> JsonSchema:
        """What an editor checks."""
        return {"type": "array", "minItems": 1, "items": self.item.schema}

    def write(self, values: Sequence[Any]) -> str:
        """The text of a value, as people write it."""
        return f"[{', '.join(map(self.item.write, values))}]"


@dataclass(frozen=True)
class ListsByName:
    """The form of a list of names, some with a list of their own: ``[web, {worker: [/api/*]}]``.

    The value maps each name to its values, none where the name stands alone. An empty list is a
    value, too; a stronger list takes its place.

    Args:
        name: the form of a name.
        item: the form of one value of a name.
        most: how many values a name has at most.
        expected: the form in words.
        write: the text of a value, as people write it.
    """

    name: Text
    item: Text
    most: int
    expected: str
    write: Callable[[Mapping[str, Sequence[str]]], str]

    @property
    def schema(self) -> JsonSchema:
        """What an editor checks."""
        values = {
            "type": "array",
            "minItems": 1,
            "maxItems": self.most,
            "uniqueItems": True,
            "items": self.item.schema,
        }
        named = {
            "type": "object",
            "minProperties": 1,
            "propertyNames": self.name.schema,
            "additionalProperties": values,
        }
        return {"type": "array", "items": {"anyOf": [self.name.schema, named]}}


@dataclass(frozen=True)
class ByProcess:
    """The form of `processes`: a command, or keys of its own, for each.

    Args:
        expected: the form in words.
        schema: what an editor checks.
    """

    expected: str
    schema: JsonSchema

    def write(self, value: Mapping[str, Any]) -> str:
        """The names, as people write them."""
        return f"[{', '.join(value)}]"


@dataclass(frozen=True)
class Blocks:
    """The form of ``true``, ``false``, a mapping, or a list of mappings.

    Args:
        fields: the keys of a mapping, each of a `Text`.
        make: the value, of the mappings or of what stands for them; raises Misfit or a ConfigError.
        expected: the form in words.
        rules: what an editor checks of a mapping besides its keys.
        write: the text of a value, as people write it.
    """

    fields: tuple[Key, ...]
    make: Callable[[bool | Sequence[Mapping[str, Any]]], Any]
    expected: str
    rules: Sequence[JsonSchema] = ()
    write: Callable[[Any], str] = str

    @property
    def schema(self) -> JsonSchema:
        """What an editor checks."""
        one = {
            "type": "object",
            "additionalProperties": False,
            "properties": {key.name: key.form.schema for key in self.fields},
            "allOf": list(self.rules),
        }
        some = {"type": "array", "minItems": 1, "maxItems": MAX_BLOCKS, "items": one}
        return {"anyOf": [BOOLEAN, one, some]}


Form = Text | ByName | Listed | ListsByName | ByProcess | Blocks


@dataclass(frozen=True)
class Key:
    """A key of an entry.

    Args:
        name: as it is written.
        form: what its value may be.
        meaning: what it is for, in Markdown; links are relative to README.md.
        default: what holds where nothing is written, in Markdown; empty if it must be written.
        example: a value, as it is written in YAML.
        no_default: why ``defaults:`` cannot hold it; empty if it can.
        only_web: why it has no meaning beside ``run: worker`` and ``run: job`` (``{run}`` is
            replaced); empty if it has one.
        only_web_but: the value that has a meaning there all the same.
        only_image: whether it has a meaning for images only: `image:` or `build:`.
    """

    name: str
    form: Form
    meaning: str
    default: str
    example: str
    no_default: str = ""
    only_web: str = ""
    only_web_but: str = ""
    only_image: bool = False
