"""gRPC inside Twisted: the one place that knows the library `grpc`.

    client     channels for Twisted coroutines
    server     a server whose handlers are Twisted coroutines
    blocking   channels for command lines
    option     what channels are told
    stub       a protobuf service on a channel of either kind
    native     the same server on a bare asyncio loop, without Twisted (small processes: tasks)
    route      what a server serves: paths, codecs, handlers; and what a handler sees of a call
    status     errors, both ways

Nothing is imported here, so that a process pays only for what it uses. The two settings below must
be made before `grpc` is first imported: with fork support on, children that Twisted forks while
streams run die before they exec; and whatever grpc would print by itself is raised by us instead.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
