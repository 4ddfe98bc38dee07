from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ImportPayloadRequest(_message.Message):
    __slots__ = ("path", "payload", "new_component", "dry_run", "format", "user", "comment")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    NEW_COMPONENT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    path: str
    payload: str
    new_component: bool
    dry_run: bool
    format: str
    user: str
    comment: str
    def __init__(self, path: _Optional[str] = ..., payload: _Optional[str] = ..., new_component: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., format: _Optional[str] = ..., user: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class ImportPayloadReply(_message.Message):
    __slots__ = ("component_existed", "entry_existed", "changed", "difference", "notes")
    COMPONENT_EXISTED_FIELD_NUMBER: _ClassVar[int]
    ENTRY_EXISTED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    component_existed: bool
    entry_existed: bool
    changed: bool
    difference: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, component_existed: _Optional[bool] = ..., entry_existed: _Optional[bool] = ..., changed: _Optional[bool] = ..., difference: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class HistoricPayload(_message.Message):
    __slots__ = ("version", "replaced_ms", "replaced_by", "comment", "size_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPLACED_MS_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: str
    replaced_ms: int
    replaced_by: str
    comment: str
    size_bytes: int
    def __init__(self, version: _Optional[str] = ..., replaced_ms: _Optional[int] = ..., replaced_by: _Optional[str] = ..., comment: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ListHistoryRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class ListHistoryReply(_message.Message):
    __slots__ = ("payloads",)
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    payloads: _containers.RepeatedCompositeFieldContainer[HistoricPayload]
    def __init__(self, payloads: _Optional[_Iterable[_Union[HistoricPayload, _Mapping]]] = ...) -> None: ...

class GetHistoricPayloadRequest(_message.Message):
    __slots__ = ("path", "version")
    PATH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    path: str
    version: str
    def __init__(self, path: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GetHistoricPayloadReply(_message.Message):
    __slots__ = ("about", "payload")
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    about: HistoricPayload
    payload: str
    def __init__(self, about: _Optional[_Union[HistoricPayload, _Mapping]] = ..., payload: _Optional[str] = ...) -> None: ...

class DeletePayloadRequest(_message.Message):
    __slots__ = ("path", "user", "comment")
    PATH_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    path: str
    user: str
    comment: str
    def __init__(self, path: _Optional[str] = ..., user: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class DeletePayloadReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
