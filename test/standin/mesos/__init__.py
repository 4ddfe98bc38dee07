"""Mesos masters and agents, played in one process: the v1 HTTP APIs of scheduler and executor.

Written from recorded conversations with real ones (`test/data/mesos`), whose statuses, texts,
orders and times they repeat. `cluster.Cluster` is what tests use; `python -m test.standin.mesos` is
the program. Both can restart masters and agents, cut them off, and have them misbehave on demand.
"""
