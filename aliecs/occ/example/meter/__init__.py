"""One task in three styles: with plain methods, with coroutines, and for Twisted.

A meter counts the datagrams that come to it while it runs, and answers each with the count:

    python -m aliecs.occ.example.meter.thread       # or .coroutine, or .twisted

It listens on 127.0.0.1, on the port that the property `port` names. With the property `limit`, a
run has no more data after so many. A datagram `stuck` is a fault of the device: the task goes to
ERROR. To whoever learns to write a task: read the three side by side.
"""
