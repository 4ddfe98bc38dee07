"""Tasks on a cluster that Apache Mesos keeps: a scheduler over the v1 API, in small parts.

`backend` is the whole (`ITaskBackend`), wired from the pure books of offers (`offer`, `resource`),
hosts (`host`), executors (`executor`) and tasks (`task`), the calls to the master (`call`), and the
way to it: which master (`address`), how it is spoken to (`wire`), the subscription (`link`) and the
queue of calls (`queue`).
"""
