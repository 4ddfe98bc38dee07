"""What can be plugged in: the zope interfaces between the rooms, and the records they exchange.

Whoever stands above an interface cannot tell which implementation stands below. Times are seconds
(`_s`) unless the name says milliseconds (`_ms`), memory is megabytes (`_mb`), processors are cores.
Methods marked "coroutine" return an awaitable that lives on Twisted's reactor.
"""

from aliecs.interfaces.access import (
    Caller,
    Credentials,
    IAuthorizer,
    Role,
    is_access_word,
    role_of,
)
from aliecs.interfaces.configuration import (
    HistoricPayload,
    IConfigurationService,
    IConfigurationStore,
    IIndexedStore,
    PayloadChange,
    PayloadImport,
)
from aliecs.interfaces.integration import (
    Call,
    CallFunction,
    IEventSink,
    IIntegration,
    IIntegrationFactory,
    ISettledIntegration,
    Surroundings,
)
from aliecs.interfaces.memory import Memory, MemoryFunctions
from aliecs.interfaces.repository import (
    ILoaderSources,
    IRepositories,
    RepositoryInfo,
    TemplateInfo,
    TemplateText,
)
from aliecs.interfaces.task import (
    HostInfo,
    ITaskBackend,
    ITaskObserver,
    MesosState,
    Offer,
    PortRanges,
    TaskLaunch,
    TaskUpdate,
)
from aliecs.interfaces.traffic import Sum, Traffic

__all__ = [
    "Call",
    "CallFunction",
    "Caller",
    "Credentials",
    "HistoricPayload",
    "HostInfo",
    "IAuthorizer",
    "IConfigurationService",
    "IConfigurationStore",
    "IEventSink",
    "IIndexedStore",
    "IIntegration",
    "IIntegrationFactory",
    "ILoaderSources",
    "IRepositories",
    "ISettledIntegration",
    "ITaskBackend",
    "ITaskObserver",
    "Memory",
    "MemoryFunctions",
    "MesosState",
    "Offer",
    "PayloadChange",
    "PayloadImport",
    "PortRanges",
    "RepositoryInfo",
    "Role",
    "Sum",
    "Surroundings",
    "TaskLaunch",
    "TaskUpdate",
    "TemplateInfo",
    "TemplateText",
    "Traffic",
    "is_access_word",
    "role_of",
]
