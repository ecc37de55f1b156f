"""Terraform's plugin protocol 6 over the resources: messages to values and back, errors to
diagnostics. It must not know what a resource does.

Plan and apply answers carry `legacy_type_system`, as those of the official provider do: Terraform
then tolerates null becoming "" and the like.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from . import configuration
from .engine import EngineApi
from .grpc_pb import tfplugin6_pb2 as pb
from .planning import plan_create, plan_update
from .problems import Path, ProviderError, as_problem
from .redact import redact
from .resource import ProviderContext, Resource
from .schema import Block, Schema, Schemas
from .unimplemented import UnimplementedResource, refusal
from .values import Values, decode, encode, settle

_NESTING = {"single": 1, "list": 2, "set": 3}

Handler = Callable[[Any, Any, Any], Any]


def _guarded(answer: Callable[[], Any]) -> Callable[[Handler], Handler]:
    """Turn every exception of a handler into a diagnostic of the `answer` message it owes."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def guarded(self: Any, request: Any, call: Any) -> Any:
            try:
                return handler(self, request, call)
            except Exception as error:
                return answer()(diagnostics=[diagnostic(as_problem(error))])

        return guarded

    return decorate


def diagnostic(problem: ProviderError) -> Any:
    """The protocol's form of a problem."""
    made = pb.Diagnostic(
        severity=pb.Diagnostic.ERROR,
        summary=redact(problem.summary),
        detail=redact(problem.next_step),
    )
    if problem.path:
        made.attribute.CopyFrom(attribute_path(problem.path))
    return made


def attribute_path(path: Path) -> Any:
    """The protocol's form of a path."""
    step = pb.AttributePath.Step
    return pb.AttributePath(
        steps=[
            step(element_key_int=part) if isinstance(part, int) else step(attribute_name=part)
            for part in path
        ]
    )


class Servicer:
    """Answers Terraform's calls; one instance serves all of its parallel threads.

    Args:
        schemas: what is served.
        resources: the implementations by type name; what is only known by name is refused.
    """

    def __init__(self, schemas: Schemas, resources: Mapping[str, Resource]) -> None:
        self._schemas = schemas
        self._served = tuple(schemas.resources)
        self._known = {**schemas.resources, **schemas.missing}
        missing = {name: UnimplementedResource(name, self._served) for name in schemas.missing}
        self._resources = {**resources, **missing}
        self._stop = threading.Event()
        self._context = ProviderContext(EngineApi(configuration.DEFAULT_HOST), stop=self._stop)

    def stop(self) -> None:
        """Kill running builds and pulls; other calls run to their end, so that state is kept."""
        self._stop.set()

    @_guarded(lambda: pb.GetMetadata.Response)
    def GetMetadata(self, _request: Any, _call: Any) -> Any:  # noqa: N802, D102 - the protocol's
        return pb.GetMetadata.Response(
            server_capabilities=_capabilities(),
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in self._known],
            data_sources=[
                pb.GetMetadata.DataSourceMetadata(type_name=name)
                for name in self._schemas.data_sources
            ],
        )

    @_guarded(lambda: pb.GetProviderSchema.Response)
    def GetProviderSchema(self, _request: Any, _call: Any) -> Any:  # noqa: N802, D102
        return pb.GetProviderSchema.Response(
            server_capabilities=_capabilities(),
            provider=_schema(self._schemas.provider),
            resource_schemas={name: _schema(schema) for name, schema in self._known.items()},
            data_source_schemas={
                name: _schema(schema) for name, schema in self._schemas.data_sources.items()
            },
        )

    @_guarded(lambda: pb.ValidateProviderConfig.Response)
    def ValidateProviderConfig(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        problems = configuration.validate(_read(request.config) or {})
        return pb.ValidateProviderConfig.Response(diagnostics=map(diagnostic, problems))

    @_guarded(lambda: pb.ValidateResourceConfig.Response)
    def ValidateResourceConfig(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        problems = self._resources[request.type_name].validate(_read(request.config))
        return pb.ValidateResourceConfig.Response(diagnostics=map(diagnostic, problems))

    @_guarded(lambda: pb.ConfigureProvider.Response)
    def ConfigureProvider(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        chosen = configuration.resolve(_read(request.config) or {})
        problems = configuration.validate({"host": chosen.host})
        if problems:
            raise problems[0]
        engine = EngineApi(chosen.host, chosen.certificates)
        self._context = ProviderContext(engine, chosen, self._stop)
        if chosen.ping:
            engine.ping()
        return pb.ConfigureProvider.Response()

    @_guarded(lambda: pb.UpgradeResourceState.Response)
    def UpgradeResourceState(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        schema = self._known[request.type_name]
        if request.version != schema.version:
            raise ProviderError(
                f"The state of {request.type_name} has schema version {request.version}, "
                f"this provider has {schema.version}.",
                "Bring the state up to date with kreuzwerker/docker 3.6.2 first.",
            )
        raw = json.loads(request.raw_state.json)
        return pb.UpgradeResourceState.Response(upgraded_state=_write(_conform(schema.block, raw)))

    @_guarded(lambda: pb.ReadResource.Response)
    def ReadResource(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        state = _read(request.current_state)
        resource, block = self._resource(request.type_name)
        found = resource.read(self._context, state)
        return pb.ReadResource.Response(
            new_state=_write(settle(block, found) if found is not None else None),
            private=request.private,
        )

    @_guarded(lambda: pb.PlanResourceChange.Response)
    def PlanResourceChange(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        prior, desired = _read(request.prior_state), _read(request.proposed_new_state)
        resource, block = self._resource(request.type_name)
        private = request.prior_private or _private(self._known[request.type_name])
        if desired is None:
            return pb.PlanResourceChange.Response(
                planned_state=_write(None), planned_private=private, legacy_type_system=True
            )
        if prior is None:
            plan = plan_create(block, desired)
        else:
            plan = plan_update(block, prior, desired, resource.rules)
        return pb.PlanResourceChange.Response(
            planned_state=_write(plan.planned),
            requires_replace=[attribute_path((name,)) for name in plan.replace],
            planned_private=private,
            legacy_type_system=True,
        )

    @_guarded(lambda: pb.ApplyResourceChange.Response)
    def ApplyResourceChange(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        prior, planned = _read(request.prior_state), _read(request.planned_state)
        resource, block = self._resource(request.type_name)
        diagnostics = []
        try:
            state = _apply(resource, self._context, prior, planned)
        except Exception as error:
            problem = as_problem(error)
            diagnostics.append(diagnostic(problem))
            state = problem.state if problem.state is not None else prior
        return pb.ApplyResourceChange.Response(
            new_state=_write(settle(block, state) if state is not None else None),
            private=request.planned_private,
            diagnostics=diagnostics,
            legacy_type_system=True,
        )

    @_guarded(lambda: pb.ImportResourceState.Response)
    def ImportResourceState(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        resource, block = self._resource(request.type_name)
        state = resource.adopt(self._context, request.id)
        for name, attribute in block.attributes.items():
            if state.get(name) is None:
                state[name] = attribute.default
        imported = pb.ImportResourceState.ImportedResource(
            type_name=request.type_name, state=_write(settle(block, state))
        )
        return pb.ImportResourceState.Response(imported_resources=[imported])

    @_guarded(lambda: pb.MoveResourceState.Response)
    def MoveResourceState(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        raise ProviderError(f"{request.target_type_name} cannot take over another type's state.")

    @_guarded(lambda: pb.ValidateDataResourceConfig.Response)
    def ValidateDataResourceConfig(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        raise refusal(request.type_name, self._served, what="data source")

    @_guarded(lambda: pb.ReadDataSource.Response)
    def ReadDataSource(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        raise refusal(request.type_name, self._served, what="data source")

    def GetFunctions(self, _request: Any, _call: Any) -> Any:  # noqa: N802, D102
        return pb.GetFunctions.Response()

    def CallFunction(self, request: Any, _call: Any) -> Any:  # noqa: N802, D102
        return pb.CallFunction.Response(
            error=pb.FunctionError(text=f"There is no function {request.name}.")
        )

    def StopProvider(self, _request: Any, _call: Any) -> Any:  # noqa: N802, D102
        self.stop()
        return pb.StopProvider.Response()

    def _resource(self, type_name: str) -> tuple[Resource, Block]:
        return self._resources[type_name], self._known[type_name].block


def _apply(
    resource: Resource, context: ProviderContext, prior: Values | None, planned: Values | None
) -> Values | None:
    if planned is None:
        if prior is not None:
            resource.delete(context, prior)
        return None
    if prior is None:
        return resource.create(context, planned)
    return resource.update(context, prior, planned)


def _private(schema: Schema) -> bytes:
    """What the official provider keeps beside a state."""
    return b'{"schema_version":"%d"}' % schema.version if schema.version else b""


def _capabilities() -> Any:
    return pb.ServerCapabilities(get_provider_schema_optional=True)


def _read(value: Any) -> Any:
    return json.loads(value.json) if value.json else decode(value.msgpack)


def _write(value: Any) -> Any:
    return pb.DynamicValue(msgpack=encode(value))


def _conform(block: Block, raw: Values) -> Values:
    """A stored state with exactly the schema's names."""
    made: Values = {name: raw.get(name) for name in block.attributes}
    for name, nested in block.blocks.items():
        made[name] = raw.get(name)
        if nested.nesting != "single":
            made[name] = [_conform(nested.block, item) for item in raw.get(name) or []]
    return made


def _schema(schema: Schema) -> Any:
    return pb.Schema(version=schema.version, block=_block(schema.block))


def _block(block: Block) -> Any:
    return pb.Schema.Block(attributes=_attributes(block), block_types=_blocks(block))


def _attributes(block: Block) -> Iterable[Any]:
    for name, item in block.attributes.items():
        yield pb.Schema.Attribute(
            name=name,
            type=json.dumps(item.type).encode(),
            required=item.required,
            optional=item.optional,
            computed=item.computed,
            sensitive=item.sensitive,
            deprecated=item.deprecated,
        )


def _blocks(block: Block) -> Iterable[Any]:
    for name, item in block.blocks.items():
        yield pb.Schema.NestedBlock(
            type_name=name,
            block=_block(item.block),
            nesting=_NESTING[item.nesting],
            min_items=item.min_items,
            max_items=item.max_items,
        )
