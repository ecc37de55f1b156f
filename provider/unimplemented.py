"""Resource types of the official provider that this one lacks.

Without their schemas Terraform would say that the provider does not support the type, and not
where to get it. So they are served, and everything but the schema is one refusal.
"""

from __future__ import annotations

from .problems import OFFICIAL_STEP, ProviderError
from .resource import ProviderContext, Resource
from .values import Values


def refusal(type_name: str, served: tuple[str, ...], *, what: str = "resource") -> ProviderError:
    """The error for a type that is not here.

    Args:
        type_name: such as ``docker_tag``.
        served: the types that are here.
        what: ``resource`` or ``data source``.
    """
    *most, last = sorted(served)
    return ProviderError(
        f"The embedded Docker provider has {', '.join(most)} and {last}, "
        f"but no {what} {type_name}.",
        f"For the rest, {OFFICIAL_STEP}.",
    )


class UnimplementedResource(Resource):
    """A type that is not here."""

    def __init__(self, type_name: str, served: tuple[str, ...]) -> None:
        self._name, self._served = type_name, served

    def validate(self, config: Values) -> list[ProviderError]:  # noqa: ARG002 - refused whole
        """The refusal, whatever is configured."""
        return [self._refusal()]

    def create(self, context: ProviderContext, planned: Values) -> Values:  # noqa: ARG002
        """Refuse."""
        raise self._refusal()

    def read(self, context: ProviderContext, state: Values) -> Values | None:  # noqa: ARG002
        """Refuse: a state of the official provider may hold one."""
        raise self._refusal()

    def update(
        self,
        context: ProviderContext,  # noqa: ARG002
        prior: Values,  # noqa: ARG002
        planned: Values,  # noqa: ARG002
    ) -> Values:
        """Refuse."""
        raise self._refusal()

    def delete(self, context: ProviderContext, state: Values) -> None:  # noqa: ARG002
        """Refuse: it would stay behind."""
        raise self._refusal()

    def adopt(self, context: ProviderContext, identifier: str) -> Values:  # noqa: ARG002
        """Refuse."""
        raise self._refusal()

    def _refusal(self) -> ProviderError:
        return refusal(self._name, self._served)
