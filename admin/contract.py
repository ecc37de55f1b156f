"""The OpenAPI document as the one source of paths, access rules and request shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any, Literal, NoReturn

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match
from werkzeug.datastructures import Headers, MultiDict

from admin import strict_json
from admin.problem import Problem

Access = Literal["public", "read", "deploy", "destroy", "by-kind", "signature"]

MAX_ERRORS = 20
"""How many misfits of one request are listed."""

NEXT_STEP = "GET /openapi.json describes every request"


@dataclass(frozen=True)
class Operation:
    """One path and method of the document; `path` has its variables in braces."""

    id: str
    method: str
    path: str
    access: Access
    parameters: tuple[Mapping[str, Any], ...]
    body: Draft202012Validator | None = field(repr=False)

    @property
    def mutating(self) -> bool:
        """Whether it can change anything."""
        return self.method in ("POST", "DELETE")

    def read_parameters(
        self, path: Mapping[str, str], query: MultiDict[str, str], headers: Headers
    ) -> dict[str, Any]:
        """The values of all parameters by name, with defaults, in their types.

        Raises:
            Problem: 400; one is unknown, given twice, or does not fit.
        """
        sources: dict[str, Any] = {"path": path, "query": query, "header": headers}
        known = {p["name"] for p in self.parameters if p["in"] == "query"}
        errors = [_misfit(name, "unknown parameter") for name in query if name not in known]
        found = {}
        for parameter in self.parameters:
            name, schema = parameter["name"], parameter["schema"]
            written = sources[parameter["in"]].get(name)
            if len(query.getlist(name)) > 1 and parameter["in"] == "query":
                errors.append(_misfit(name, "given more than once"))
            elif written is None:
                found[name] = schema.get("default")
            else:
                found[name] = _typed(written, schema)
                errors += [_misfit(name, _words(e)) for e in _validator(schema, found[name])]
        if errors:
            _refuse(errors)
        return found

    def read_body(self, data: bytes) -> Any:
        """The JSON body; None if the operation has none.

        Raises:
            Problem: 400; not JSON, or not of the shape that the document says.
        """
        if self.body is None:
            return None
        try:
            value = strict_json.parse_json(data)
            found = islice(self.body.iter_errors(value), MAX_ERRORS)
            errors = [_explained(error) for error in found]
        except RecursionError:
            raise Problem(400, "bad-request", "the body is nested too deep") from None
        except ValueError as error:
            raise Problem(
                400, "bad-request", "the body is not JSON", found=str(error), next_step=NEXT_STEP
            ) from None
        if errors:
            _refuse(errors)
        return value


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    text = resources.files("admin").joinpath("openapi.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def operations() -> Iterator[Operation]:
    """Every operation of the document."""
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            yield Operation(
                id=operation["operationId"],
                method=method.upper(),
                path=path,
                access=operation["x-access"],
                parameters=tuple(map(_resolved, operation.get("parameters", ()))),
                body=_with_components(body["schema"]) if body else None,
            )


def _resolved(item: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter without references."""
    return {key: _resolved(value) if key == "schema" else value for key, value in _at(item).items()}


def _at(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = item
    while "$ref" in found:
        reference, found = found["$ref"], document()
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    return found  # type: ignore[no-any-return]


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """As ECMA-262 has it: ``$`` is the end of the text, not also before a last line feed."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError("no match")


_Validator: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern}
)


def _with_components(schema: Mapping[str, Any]) -> Draft202012Validator:
    return _Validator({**schema, "components": document()["components"]})


def _validator(schema: Mapping[str, Any], value: Any) -> Iterator[Any]:
    return _Validator(schema).iter_errors(value)


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    """The value that `text` spells; the text itself if it spells none of the type."""
    match schema["type"]:
        case "integer" if re.fullmatch(r"-?[0-9]{1,18}", text):
            return int(text)
        case "number" if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?(e-?[0-9]{1,2})?", text):
            return float(text)
        case "boolean" if text in ("true", "false"):
            return text == "true"
    return text


def _misfit(pointer: str, message: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": _cut(message, 300)}


def _words(error: ValidationError) -> str:
    """What is wrong, without Python in it and without repeating what is large."""
    limit: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "type":
            kinds = limit if isinstance(limit, str) else " or ".join(limit)
            return f"{_shown(value)} is not of type {kinds}"
        case "pattern":
            return f"{_shown(value)} does not match {limit}"
        case "enum":
            return f"{_shown(value)} is none of {', '.join(map(str, limit))}"
        case "maxItems":
            return f"{len(value)} items, at most {limit} are allowed"
        case "maxLength":
            return f"{len(value)} characters, at most {limit} are allowed"
    return error.message


def _shown(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, default=str), 100)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _explained(error: ValidationError) -> dict[str, str]:
    """What is wrong, at the deepest place that tells, in the document's own words if it has any."""
    deepest = best_match([error]) or error
    words = None
    if deepest.validator == "oneOf" and isinstance(deepest.schema, Mapping):
        words = deepest.schema.get("x-message")
    pointer = "".join(f"/{part}" for part in deepest.absolute_path)
    return _misfit(pointer, words or _words(deepest))


def _refuse(errors: list[dict[str, str]]) -> NoReturn:
    first = f"{errors[0]['pointer'] or 'the body'}: {errors[0]['detail']}"
    raise Problem(
        400,
        "bad-request",
        f"the request does not fit the API: {first}",
        errors=errors[:MAX_ERRORS],
        next_step=NEXT_STEP,
    )
