from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN: _ClassVar[Status]
    SERVING: _ClassVar[Status]
    NOT_SERVING: _ClassVar[Status]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    STARTING: _ClassVar[Phase]
    RUNNING: _ClassVar[Phase]
    COMPLETED: _ClassVar[Phase]
    FAILED: _ClassVar[Phase]

class Protocol(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NONE: _ClassVar[Protocol]
    HTTP: _ClassVar[Protocol]
    GRPC: _ClassVar[Protocol]
    TCP: _ClassVar[Protocol]

class Stream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_UNSPECIFIED: _ClassVar[Stream]
    STDOUT: _ClassVar[Stream]
    STDERR: _ClassVar[Stream]
    RUNNER: _ClassVar[Stream]
UNKNOWN: Status
SERVING: Status
NOT_SERVING: Status
PHASE_UNSPECIFIED: Phase
STARTING: Phase
RUNNING: Phase
COMPLETED: Phase
FAILED: Phase
NONE: Protocol
HTTP: Protocol
GRPC: Protocol
TCP: Protocol
STREAM_UNSPECIFIED: Stream
STDOUT: Stream
STDERR: Stream
RUNNER: Stream

class HealthStatus(_message.Message):
    __slots__ = ("status", "phase", "exit_code", "signal", "oom", "message", "since", "failures", "restarts", "listening", "protocol", "incarnation", "final", "cause", "next_step", "other_ports", "oom_kills")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    OOM_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    LISTENING_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    OTHER_PORTS_FIELD_NUMBER: _ClassVar[int]
    OOM_KILLS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    phase: Phase
    exit_code: int
    signal: int
    oom: bool
    message: str
    since: _timestamp_pb2.Timestamp
    failures: int
    restarts: int
    listening: str
    protocol: Protocol
    incarnation: int
    final: bool
    cause: str
    next_step: str
    other_ports: _containers.RepeatedScalarFieldContainer[int]
    oom_kills: int
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., phase: _Optional[_Union[Phase, str]] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., oom: bool = ..., message: _Optional[str] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., failures: _Optional[int] = ..., restarts: _Optional[int] = ..., listening: _Optional[str] = ..., protocol: _Optional[_Union[Protocol, str]] = ..., incarnation: _Optional[int] = ..., final: bool = ..., cause: _Optional[str] = ..., next_step: _Optional[str] = ..., other_ports: _Optional[_Iterable[int]] = ..., oom_kills: _Optional[int] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("service", "follow", "tail")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    service: str
    follow: bool
    tail: int
    def __init__(self, service: _Optional[str] = ..., follow: bool = ..., tail: _Optional[int] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("ts", "msg", "stream")
    TS_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    ts: _timestamp_pb2.Timestamp
    msg: str
    stream: Stream
    def __init__(self, ts: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., msg: _Optional[str] = ..., stream: _Optional[_Union[Stream, str]] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("slugs",)
    SLUGS_FIELD_NUMBER: _ClassVar[int]
    slugs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, slugs: _Optional[_Iterable[str]] = ...) -> None: ...

class DeployResult(_message.Message):
    __slots__ = ("services",)
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[ServiceResult]
    def __init__(self, services: _Optional[_Iterable[_Union[ServiceResult, _Mapping]]] = ...) -> None: ...

class ServiceResult(_message.Message):
    __slots__ = ("service", "slug", "commit", "image", "health", "error")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    service: str
    slug: str
    commit: str
    image: str
    health: HealthStatus
    error: str
    def __init__(self, service: _Optional[str] = ..., slug: _Optional[str] = ..., commit: _Optional[str] = ..., image: _Optional[str] = ..., health: _Optional[_Union[HealthStatus, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...
