"""Configuration: the tree of keys, the stores that keep it, and the service that reads it.

`tree` is the shape of it; `sqlite` and `file` keep it, behind `store`; `query` and `service` give
it its meaning (runtime entries, component payloads, inventory, run numbers); `opening` finds all
that from an address, `importing` fills it.
"""
