"""`repos.schema.json`: what an editor needs to complete and check a repos file. Values, no I/O.

It takes what the parser takes, as far as a schema of values can say it; what it cannot is listed in
docs/decisions/0027-repos-file-schema.md. Draft 7, which editors' YAML support knows best.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from iac_wrapper.model import processes
from iac_wrapper.model.environment import ENVIRONMENT
from iac_wrapper.model.key import JsonSchema, Key
from iac_wrapper.model.limits import MAX_ENTRIES, MAX_ENVIRONMENTS
from iac_wrapper.model.repos_keys import (
    BUILD,
    IDLE,
    IMAGE,
    KEYS,
    NAME,
    OF_A_SLUG,
    OF_OUR_IMAGE,
    SLUG,
    SOURCES,
)

_BOUNDS = ("enum", "minimum", "maximum", "maxLength")


def json_schema() -> dict[str, Any]:
    """The schema, JSON-ready."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:karstkit:schema:repos",
        "title": "repos.yaml of KarstKit",
        "description": "What `iac deploy` deploys: a list of slugs and entries, or a mapping.",
        "anyOf": [
            _ref("apps"),
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    "apps": _ref("apps"),
                    "defaults": _ref("defaults"),
                    "environments": _ref("environments"),
                },
            },
        ],
        "definitions": {
            **{f"key-{key.name}": _described(key) for key in KEYS.values()},
            "name": NAME,
            "idle": _idle(),
            "kept": _kept(),
            "source": _source(),
            "apps": {
                "description": "The services: slugs, or mappings with a slug or an image.",
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ENTRIES,
                "items": {"anyOf": [_ref("key-slug"), _ref("entry")]},
            },
            "entry": {
                **_mapping(KEYS.values()),
                "anyOf": [{"required": [name]} for name in (*SOURCES, "name")],
            },
            "defaults": {
                "description": "What holds for every service that does not say it itself; `env`,"
                " `tmpfs` and `volumes` are merged by name.",
                **_mapping(key for key in KEYS.values() if not key.no_default),
            },
            "environments": _environments(),
            "process": processes.schema(KEYS),
            "service": _mapping(key for key in KEYS.values() if key.name != "name"),
            "names": {"type": "array", "minItems": 1, "items": _ref("name")},
        },
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def _described(key: Key) -> dict[str, Any]:
    words = key.meaning + (f". Default: {key.default}" if key.default else "")
    return {
        "description": re.sub(r"\[(.+?)\]\(.+?\)", r"\1", words),
        "examples": [yaml.safe_load(key.example)],
        **key.form.schema,
    }


def _mapping(keys: Iterable[Key]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _ref(f"key-{key.name}") for key in keys},
        "allOf": [_ref("idle"), _ref("kept"), _ref("source")],
    }


def _idle() -> dict[str, Any]:
    """`contradiction`, as a schema."""
    return {
        "if": {"required": ["run"], "properties": {"run": {"enum": list(IDLE)}}},
        "then": {
            "properties": {
                key.name: {"const": key.only_web_but} if key.only_web_but else False
                for key in KEYS.values()
                if key.only_web
            }
        },
    }


def _kept() -> dict[str, Any]:
    """`contradiction` of `volumes` and `rollout`, as a schema."""
    said = {"type": "object", "minProperties": 1}
    return {
        "if": {"required": ["volumes"], "properties": {"volumes": said}},
        "then": {"properties": {"rollout": {"not": {"const": "beside"}}}},
    }


def _source() -> dict[str, Any]:
    """`misplaced`, as a schema."""
    excluded = {IMAGE.name: (SLUG.name, *OF_A_SLUG), BUILD.name: OF_OUR_IMAGE}
    return {
        "allOf": [
            {"if": {"required": [one]}, "then": {"properties": dict.fromkeys(others, False)}}
            for one, others in excluded.items()
        ]
    }


def _environments() -> dict[str, Any]:
    return {
        "description": "What differs in each environment. Each is a project of its own,"
        " <project>-<environment>; `--env` names one.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": MAX_ENVIRONMENTS,
        "propertyNames": ENVIRONMENT.schema,
        "additionalProperties": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "not": {"type": "object", "required": ["only", "except"]},
            "properties": {
                "defaults": _ref("defaults"),
                "services": {
                    "description": "Keys of single services, by name.",
                    "type": "object",
                    "propertyNames": _ref("name"),
                    "additionalProperties": _ref("service"),
                },
                "only": {"description": "Leave out all services but these.", **_ref("names")},
                "except": {"description": "Leave these services out.", **_ref("names")},
            },
        },
    }


def dump() -> str:
    """The schema as the text of `repos.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def readme_table() -> str:
    """The table of all keys, in Markdown."""
    rows = ["| key | meaning | default | example |", "|---|---|---|---|"]
    for key in KEYS.values():
        default = f" {key.default} " if key.default else " "
        rows.append(f"| `{key.name}` | {key.meaning} |{default}| `{key.example}` |")
    return "\n".join(rows)


def api_properties() -> str:
    """The keys as the admin API's document shows them, in YAML, one a line: types, no patterns."""
    return "\n".join(f"{key.name}: {_flow(_coarse(key.form.schema))}" for key in KEYS.values())


def _flow(value: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return text.strip()


def _coarse(schema: JsonSchema) -> dict[str, Any]:
    """What a document for people says of a value: its type and bounds."""
    found: dict[str, Any] = {}
    types: list[str] = []
    for part in (schema, *schema.get("anyOf", ())):
        kind = part.get("type", [])
        types += [kind] if isinstance(kind, str) else kind
        found |= {name: part[name] for name in _BOUNDS if name in part}
    if "anyOf" in schema and "object" in types:
        return {"type": types}  # blocks: what is in them is the parser's to say
    if types == ["object"]:
        found |= {
            "maxProperties": 500,
            "additionalProperties": _coarse(schema["additionalProperties"]),
        }
    if types == ["string"]:
        found.setdefault("maxLength", 1024)
    if "array" in types:
        mixed = "anyOf" in schema.get("items", {})  # names, some with values of their own
        kinds = ["string", "object"] if mixed else "string"
        found |= {"maxItems": 500, "items": {"type": kinds, "maxLength": 1024}}
    named = {"type": types if len(types) > 1 else types[0]} if types else {}
    return named | found
