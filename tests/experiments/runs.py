"""What tests look at in the work directory of a run that trains."""

import json
import shutil

from rnnlab.training import log


def copy(whole, folder):
    """A finished run in a place of its own."""
    shutil.copytree(whole, folder)
    return folder


def state_of(folder):
    return json.loads((folder / "status.json").read_text())["state"]


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def evaluations(folder):
    return log.read((folder / "metrics.jsonl").read_text(), "evaluation")


def assert_same(folder, other, written):
    """Two runs wrote the same bytes, and the same summary but for its times."""
    for name in written:
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    a, b = (
        {k: v for k, v in summary_of(f).items() if "time" not in k and "seconds" not in k}
        for f in (folder, other)
    )
    assert a == b
