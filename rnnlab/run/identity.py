"""The run that a work directory belongs to, as `config.json` records it."""

import json
import pathlib
from typing import Any, NamedTuple

from rnnlab.errors import RunError, UsageError
from rnnlab.run.fields import flatten_json
from rnnlab.run.files import atomic_write

FILE = "config.json"


class Identity(NamedTuple):
    """An experiment and its resolved configuration.

    Attributes:
        experiment: its name.
        config: the configuration as plain JSON values.
    """

    experiment: str
    config: dict[str, Any]


def read(root: pathlib.Path) -> Identity:
    """The run that a work directory belongs to.

    Raises:
        FileNotFoundError: if there is none.
        RunError: if it is damaged.
    """
    path = root / FILE
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        return Identity(contents["experiment"], dict(contents["config"]))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise RunError(
            f"{path}: is damaged; delete the folder {root} to start again, "
            "or choose another with --workdir=PATH"
        ) from error


def write(root: pathlib.Path, identity: Identity) -> None:
    """Writes the file, as a whole or not at all."""
    atomic_write(root / FILE, json.dumps(identity._asdict(), indent=2) + "\n")


def check_same(root: pathlib.Path, there: Identity, here: Identity) -> None:
    """Checks that a work directory belongs to the run that is asked for.

    Args:
        root: the work directory.
        there: the run it belongs to.
        here: the run that is asked for.

    Raises:
        UsageError: if they differ; names up to three fields in which they do.
    """
    if there.experiment != here.experiment:
        raise UsageError(
            f"--workdir={root}: holds the experiment {there.experiment}, not {here.experiment}; "
            "choose another with --workdir=PATH"
        )
    # Compared as text: nan equals itself there, and 1 is not 1.0.
    old = {name: json.dumps(value) for name, value in flatten_json(there.config).items()}
    new = {name: json.dumps(value) for name, value in flatten_json(here.config).items()}
    differ = [name for name in new | old if new.get(name) != old.get(name)]
    if differ:
        shown = ", ".join(
            f"{name} is {old.get(name, 'absent')} there and {new.get(name, 'absent')} here"
            for name in differ[:3]
        )
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UsageError(
            f"--workdir={root}: holds another configuration ({shown}{more}); "
            "choose another with --workdir=PATH"
        )
