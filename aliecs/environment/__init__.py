"""One activity: a machine over a tree of roles. The only room that sees tasks and workflows."""
