"""What goes to Kafka: a spool on disk, a courier with a thread of its own, the sink of the bus.

    bus -> sink -> queue | courier's thread: -> spool -> producer -> acknowledged, forgotten

Nothing before the bar ever waits. What is told is on disk before it is sent, and stays there until
the brokers have it.
"""
