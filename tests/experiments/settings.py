"""Settings of experiments in tests: changed by short names, and compared with the record."""

import contextlib
import dataclasses
import json
from html.parser import HTMLParser
from unittest import mock

from rnnlab.run.fields import flatten, flatten_json, to_json


def changed(config, **changes):
    """The configuration with other values, of nested fields too, as `--config.NAME` changes it."""
    short = {name.rpartition(".")[2] for name in flatten(config)}
    assert changes.keys() <= short | {f.name for f in dataclasses.fields(config)}, changes
    own = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in changes:
            own[field.name] = changes[field.name]
        elif dataclasses.is_dataclass(value):
            inside = {name.rpartition(".")[2] for name in flatten(value)} & changes.keys()
            own[field.name] = changed(value, **{name: changes[name] for name in inside})
    return dataclasses.replace(config, **own)


def as_text(value):
    """A JSON value as the command line takes it."""
    if isinstance(value, list):
        return ", ".join(map(as_text, value))
    return repr(value) if isinstance(value, float) else str(value)


def assert_recorded(folder, experiment, config):
    """`config.json` and the settings in `report.html` hold the values of the configuration."""
    recorded = json.loads((folder / "config.json").read_text())
    assert recorded == {"experiment": experiment, "config": to_json(config)}
    rows = _Cells((folder / "report.html").read_text()).rows
    start = rows.index(["field", "value"]) + 1
    flat = flatten_json(to_json(config))
    shown = dict(rows[start : start + len(flat)])
    assert shown == {name: as_text(value) for name, value in flat.items()}


@contextlib.contextmanager
def trainings(measure):
    """Lists what a module of measurements trains: `(learner, plan, keys)` of each training."""
    made, train = [], measure.train

    def noting(workdir, learner, plan, keys, **more):
        made.append((learner, plan, keys))
        return train(workdir, learner, plan, keys, **more)

    with mock.patch.object(measure, "train", noting):
        yield made


class _Cells(HTMLParser):
    """The texts of all rows of all tables."""

    def __init__(self, page):
        super().__init__()
        self.rows, self._inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._inside = True
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.rows[-1][-1] += data
