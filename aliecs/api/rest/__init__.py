"""REST: the operations of `control` under conventional paths, in JSON.

Reads answer with the message of the control API; long actions answer 202 with their operation and
its address, or wait for it with `?wait=<seconds>`. Errors are `application/problem+json`. The event
stream is at `/api/v1/events`, as WebSocket and as server-sent events; `/metrics` is for Prometheus.

Each route is declared once (`route`), by subject, in the modules that `table` names; `face` is what
handlers work with, and `server` makes the application of them.
"""

from __future__ import annotations

from aliecs.api.rest.face import Face
from aliecs.api.rest.server import Rest

__all__ = ["Face", "Rest"]
