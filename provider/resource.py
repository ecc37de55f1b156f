"""What a resource must offer, and the context it works in."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from .configuration import Configuration
from .engine import EngineApi
from .planning import Rules
from .problems import ProviderError
from .values import Values


@dataclass(frozen=True)
class ProviderContext:
    """The engine, how it was found, and the event that says Terraform wants to stop."""

    engine: EngineApi
    configuration: Configuration = field(default_factory=Configuration)
    stop: threading.Event = field(default_factory=threading.Event)


class Resource(ABC):
    """One resource type: translation between its values and Docker's API.

    Every method gets and returns whole values; the caller fills defaults, compares and settles.
    """

    rules: Rules = Rules()

    def validate(self, config: Values) -> list[ProviderError]:  # noqa: ARG002 - a default
        """Everything wrong with a configuration (values may be unknown) beyond the schema."""
        return []

    @abstractmethod
    def create(self, context: ProviderContext, planned: Values) -> Values:
        """Make the object; raises ProviderError, with `state` if something exists all the same."""

    @abstractmethod
    def read(self, context: ProviderContext, state: Values) -> Values | None:
        """The object as it is now, or None if it is gone."""

    def update(
        self,
        context: ProviderContext,  # noqa: ARG002
        prior: Values,  # noqa: ARG002
        planned: Values,
    ) -> Values:
        """Change the object in place; by default only what Terraform alone knows changes."""
        return planned

    @abstractmethod
    def delete(self, context: ProviderContext, state: Values) -> None:
        """Remove the object; one that is gone already is a success."""

    @abstractmethod
    def adopt(self, context: ProviderContext, identifier: str) -> Values:
        """The state of an existing object (`terraform import`)."""
