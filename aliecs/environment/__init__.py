"""One activity: a state machine over a tree of roles. The only room that sees both tasks and workflows."""
