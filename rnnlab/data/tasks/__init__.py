"""Generated tasks of long memory: pure samplers on the device, each with its exact baseline."""

from rnnlab.data.tasks.adding import Adding
from rnnlab.data.tasks.base import Batch, Task
from rnnlab.data.tasks.copy_memory import CopyMemory
from rnnlab.data.tasks.parity import Parity
from rnnlab.data.tasks.temporal_order import TemporalOrder
from rnnlab.errors import UsageError

#: Every task by the name that flags use.
TASKS: dict[str, Task] = {
    "parity": Parity(),
    "parity_running": Parity(running=True),
    "adding": Adding(),
    "copy": CopyMemory(),
    "temporal_order": TemporalOrder(2),
    "temporal_order_3": TemporalOrder(3),
}

__all__ = [
    "TASKS",
    "Adding",
    "Batch",
    "CopyMemory",
    "Parity",
    "Task",
    "TemporalOrder",
    "by_name",
]


def by_name(name: str) -> Task:
    """The task called `name` in `TASKS`; UsageError lists the known ones."""
    if name not in TASKS:
        raise UsageError(f"task={name!r}: unknown, choose one of {', '.join(TASKS)}")
    return TASKS[name]
