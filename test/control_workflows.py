"""Where tests find the experiment's own workflow repository.

Through the environment variable ALIECS_CONTROL_WORKFLOWS, or beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "ALIECS_CONTROL_WORKFLOWS"
BESIDE = Path(__file__).parents[1] / "../shared/fixtures/ControlWorkflows"


def find_control_workflows() -> Path:
    """The folder of the repository. For the top of a module: where there is none, the module is
    not run, and all that are not say so together in one line."""
    folder = Path(os.environ.get(VARIABLE) or BESIDE)
    if not (folder / "workflows" / "readout-dataflow.yaml").is_file():
        pytest.skip(
            f"no workflow readout-dataflow: {folder} has none ({VARIABLE} names another folder)",
            allow_module_level=True,
        )
    return folder
