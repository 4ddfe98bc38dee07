"""The templates of component payloads: the dialect of the reference's configuration service.

`PayloadTemplates` renders them; everything that can go wrong with them is a `PayloadError`.
"""

from aliecs.language.payload.error import PayloadError
from aliecs.language.payload.rendering import PayloadTemplates

__all__ = ["PayloadError", "PayloadTemplates"]
