"""Times and numbers out of events."""

from __future__ import annotations

from aliecs.event.bus import Bus
from aliecs.event.line import Lines
from aliecs.event.measurement import Distribution, Measurements, Span
from aliecs.event.record import CallEvent, EnvironmentEvent, OpStatus, TaskEvent, Traits


class House:
    """A bus with a clock, and what listens to it."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000
        self.bus = Bus(now_ns=lambda: self.now_ns)
        self.spans: list[Span] = []
        self.measurements = Measurements(self.spans.append)
        self.bus.add_sink(self.measurements)

    def tell(
        self,
        transition: str,
        status: OpStatus,
        message: str = "",
        step: str = "",
        error: str = "",
        after_ms: int = 0,
        **variables: str,
    ) -> None:
        self.now_ns += after_ms * 1_000_000
        self.bus.tell(
            EnvironmentEvent(
                "env",
                "RUNNING",
                error=error,
                message=message,
                transition=transition,
                transitionStep=step,
                transitionStatus=status,
                vars=variables,
            )
        )


def test_transitions_and_their_steps() -> None:
    house = House()
    house.tell("CREATE", OpStatus.STARTED)
    house.tell("CREATE", OpStatus.DONE_OK, step="after_CREATE", run_type="PHYSICS")
    house.tell("CREATE", OpStatus.DONE_OK, after_ms=30)
    house.tell("CONFIGURE", OpStatus.STARTED)
    house.tell("CONFIGURE", OpStatus.ONGOING, "transition step starting", "before_CONFIGURE")
    ended = "transition step finished"
    house.tell("CONFIGURE", OpStatus.ONGOING, ended, "before_CONFIGURE", after_ms=20)
    house.tell("CONFIGURE", OpStatus.ONGOING, "transition step starting", "tasks_CONFIGURE")
    house.tell("CONFIGURE", OpStatus.DONE_ERROR, ended, "tasks_CONFIGURE", "no", after_ms=4_000)
    house.tell("CONFIGURE", OpStatus.DONE_ERROR, "transition error", error="no")
    found = house.measurements.transitions
    assert {key: times.total for key, times in found.items()} == {
        ("CREATE", "all", "success"): 0.03,
        ("CONFIGURE", "before", "success"): 0.02,
        ("CONFIGURE", "tasks", "error"): 4.0,
        ("CONFIGURE", "all", "error"): 4.02,
    }
    told = [(span.kind, span.name, span.run_type, span.milliseconds) for span in house.spans]
    assert told == [
        ("all", "CREATE", "PHYSICS", 30),
        ("hooks", "before_CONFIGURE", "PHYSICS", 20),
        ("tasks", "CONFIGURE", "PHYSICS", 4_000),
        ("all", "CONFIGURE", "PHYSICS", 4_020),
    ]


def test_nothing_stays_of_an_environment_that_is_gone() -> None:
    house = House()
    house.tell("CREATE", OpStatus.STARTED)
    house.tell("DESTROY", OpStatus.STARTED, step="before_DESTROY")
    house.tell("DESTROY", OpStatus.DONE_OK, step="after_DESTROY", after_ms=5)
    house.tell("CREATE", OpStatus.DONE_ERROR)
    house.tell("", OpStatus.NULL, "cannot create new environment")
    assert house.measurements._lives == {}
    assert house.measurements.transitions[("DESTROY", "all", "success")].total == 0.005


def test_calls_and_tasks() -> None:
    house = House()
    traits = Traits(trigger="enter_RUNNING")
    call = {"func": "dcs.StartOfRun()", "traits": traits, "environmentId": "env", "path": "a.b"}
    house.bus.tell(CallEvent(callStatus=OpStatus.STARTED, **call))  # type: ignore[arg-type]
    house.now_ns += 70_000_000
    house.bus.tell(CallEvent(callStatus=OpStatus.DONE_ERROR, **call))  # type: ignore[arg-type]
    assert house.measurements.calls[("dcs.StartOfRun", "error")].total == 0.07
    assert [(span.name, span.trigger, span.result) for span in house.spans] == [
        ("a.b", "enter_RUNNING", "error")
    ]
    for state, status in (("LAUNCHED", "INACTIVE"), ("DONE", "ACTIVE"), ("DONE", "INACTIVE")):
        house.bus.tell(TaskEvent("name", "id", state, status))
    assert (house.measurements.tasks_launched, house.measurements.tasks_finished) == (1, 1)
    assert house.measurements.told == {"call": 2, "task": 3}


def test_a_distribution_counts_to_its_bounds() -> None:
    times = Distribution((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 9.0):
        times.add(seconds)
    assert times.cumulative() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert times.total == 12.0


def test_lines_for_influxdb() -> None:
    second = [100.7]
    lines = Lines(lambda: second[0])
    lines.hear(Span("all", "CONFIGURE", "env", "PHYSICS", "success", 41))
    lines.hear(Span("all", "CONFIGURE", "env", "PHYSICS", "success", 42))
    lines.hear(Span("hooks", "enter_RUNNING", "env", "", "success", 7))
    lines.hear(Span("call", "a role,x=y", "env", "PHYSICS", "error", 3, "enter_RUNNING+10"))
    for count in (1, 2):
        lines.add("kafka_writer", {"topic": "aliecs.run"}, {"messages_sent": count})
    second[0] = 101.2
    lines.add("kafka_writer", {"topic": "aliecs.run"}, {"messages_sent": 5})
    whole = "transition,envId=env,function=try,result=success,subsystem=ECS,transition=CONFIGURE"
    assert lines.take().decode().splitlines() == [
        f"{whole} execution_time_ms=41i 100000000000",
        f"{whole} execution_time_ms=42i 100000000000",
        "hooks,envId=env,subsystem=ECS,trigger=enter_RUNNING execution_time_ms=7i 100000000000",
        "callablecall,envId=env,name=a\\ role\\,x\\=y,result=error,runtype=PHYSICS,subsystem=ECS,"
        "trigger=enter_RUNNING+10 execution_time_ms=3i 100000000000",
        "kafka_writer,subsystem=ECS,topic=aliecs.run messages_sent=3u 100000000000",
        "kafka_writer,subsystem=ECS,topic=aliecs.run messages_sent=5u 101000000000",
    ]
    assert lines.take() == b""
