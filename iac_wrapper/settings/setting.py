"""What one setting is, and the error that a wrong value of it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, overload

from iac_wrapper.errors import ConfigError

T = TypeVar("T")

Form = Callable[[str, str], T]
"""From a value as text and the setting's name (for errors) to the value that code reads."""


class Written(Protocol):
    """Holds the settings' values as text."""

    def written(self, name: str) -> str:
        """The value of the setting `name`, its default if it is not set."""
        ...


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One setting: an attribute of `Settings` that reads as its value in the form that code needs.

    `name` is its variable, `default` the text that stands for it where it is not set, `help` the
    comment in `.env.example`. What is `secret` is shown nowhere.
    """

    name: str
    default: str
    form: Form[T]
    help: str
    secret: bool = False

    @overload
    def __get__(self, holder: None, owner: type) -> Setting[T]: ...

    @overload
    def __get__(self, holder: Written, owner: type) -> T: ...

    def __get__(self, holder: Written | None, owner: type) -> Any:
        """The value.

        Raises:
            ConfigError: it has not the form.
        """
        return self if holder is None else self.form(holder.written(self.name), self.name)


def bad_setting(text: str, name: str, expected: str) -> ConfigError:
    """The error for the value `text` of the setting `name`."""
    return ConfigError(
        "bad setting",
        where=name,
        found=repr(text),
        expected=expected,
        next_step=f"set {name} in .env or the environment",
    )
