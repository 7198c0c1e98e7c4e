"""Many runs from one command: a list of values for each of some fields, and a run for each variant.

    python run.py --experiment=char_lm --each.seed=0,1,2 --each.learning_rate=0.001,0.01

The variants are the product of the lists, the last list varying fastest. Each is the run of an
ordinary command, with `--config.FIELD=VALUE` in the place of the lists, and has a work directory of
its own: that of the ordinary command, or with `--workdir=PATH` a folder in PATH. So any of them can
be continued, repeated or asked by itself.

The variants run one after the other, and one that fails does not stop the others. `--task=I` runs
variant number I alone, from 0, for the tasks of a cluster:

    sbatch --array=0-5 --wrap='python run.py … --task=$SLURM_ARRAY_TASK_ID'

Values are separated by commas. Those of a field that is itself a list, and words that hold commas,
are separated by semicolons: `--each.lengths='10,20;50'`.
"""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

from rnnlab.errors import RunError, UsageError
from rnnlab.run import memory, names
from rnnlab.run.command_line import full_name
from rnnlab.run.fields import flatten
from rnnlab.run.registry import Settings

_FLAG = re.compile(r"--?(?:each\.(?P<field>.*)|(?P<task>task))")


@dataclasses.dataclass(frozen=True)
class Lists:
    """The lists of a command line.

    Attributes:
        argv: the command line without them.
        values: what is written for each field, by its name as written.
        task: the number of the only variant to run; None for all.
    """

    argv: list[str]
    values: dict[str, str]
    task: int | None


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the runs.

    Attributes:
        values: of the fields that vary, by their names as written.
        argv: the command line of this run alone.
    """

    values: dict[str, str]
    argv: list[str]

    @property
    def label(self) -> str:
        """The variant in words."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the run of a variant ended.

    Attributes:
        variant: the variant.
        state: done, diverged, failed (code 1) or refused (code 2).
        path: its work directory.
    """

    variant: Variant
    state: str
    path: pathlib.Path


#: The exit code that each state asks for; of several runs, the first of these that is there.
CODES = {"failed": 1, "refused": 2, "diverged": 3, "done": 0}


def find(argv: Sequence[str]) -> Lists:
    """Takes `--each.FIELD=VALUES` and `--task=I` out of a command line.

    Raises:
        UsageError: a flag without a value, a field that is there twice, a task that is no number
            or has no list to number.
    """
    rest, values, task = [], {}, None
    arguments = iter(argv)
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        match = _FLAG.fullmatch(flag)
        if not match:
            rest.append(argument)
            continue
        if not equals and (following := next(arguments, None)) is not None:
            value = following
        if match["task"]:
            task = _task(value)
        elif match["field"] in values:
            raise UsageError(f"{flag}: is given twice; write all values in one list")
        else:
            values[match["field"]] = value
    if task is not None and not values:
        raise UsageError(f"--task={task}: numbers the runs of lists; needs --each.FIELD=VALUES")
    return Lists(rest, values, task)


def _task(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise UsageError(f"--task={text}: must be the number of a run, from 0")
    return int(text)


def variants(
    lists: Lists, settings: Settings, given: Collection[str], workdir: str | None
) -> list[Variant]:
    """The variants of the lists.

    Args:
        lists: of the command line.
        settings: of the experiment.
        given: the full names of the fields that the command line sets to one value.
        workdir: the folder for the work directories; None for those of the ordinary commands.

    Raises:
        UsageError: a field that does not exist, is there twice or set to one value as well, or has
            no values, the same one twice, or lists that cannot be told apart; a task that is none.
    """
    base = flatten(settings.config_class())
    chosen: dict[str, list[str]] = {}
    for written, text in lists.values.items():
        flag = f"--each.{written}"
        name = full_name(flag, written, settings, list(base))
        if name in chosen or name in given:
            where = "another list" if name in chosen else "--config"
            raise UsageError(f"{flag}: {name} is set by {where}, too; leave one of them")
        chosen[name] = _split(flag, text, isinstance(base[name], tuple))
    found = []
    for combination in itertools.product(*chosen.values()):
        values = dict(zip(lists.values, combination, strict=True))
        flags = [f"--config.{n}={v}" for n, v in zip(chosen, combination, strict=True)]
        if workdir is not None:
            flags.append(f"--workdir={pathlib.Path(workdir) / _folder(values)}")
        found.append(Variant(values, [*lists.argv, *flags]))
    if lists.task is not None and lists.task >= len(found):
        raise UsageError(f"--task={lists.task}: there are {len(found)} runs, 0 to {len(found) - 1}")
    return found


def _split(flag: str, text: str, is_list: bool) -> list[str]:
    """The values of a list."""
    if is_list and ";" not in text:
        raise UsageError(
            f"{flag}={text}: the field is a list itself; write lists with semicolons between them, "
            f"such as '{text or 'A'};B'"
        )
    if not is_list and text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1]
    values = [value.strip() for value in text.split(";" if ";" in text else ",")]
    if values[-1] == "":
        values.pop()
    if not values:
        raise UsageError(f"{flag}={text}: needs values, separated by commas")
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f"{flag}={text}: has {value!r} twice")
    return values


def _folder(values: dict[str, str]) -> str:
    """The folder of a variant; its hash tells apart what the readable part does not."""
    words = [f"{names.safe(n)}={names.value_text(v.replace(',', '+'))}" for n, v in values.items()]
    plain = [f"{name}={value}" for name, value in values.items()]
    if words == plain and len("-".join(words)) <= names.LONGEST:
        return "-".join(words)
    return names.joined(words, json.dumps(values))


def run(
    variants: Sequence[Variant],
    paths: Sequence[pathlib.Path],
    run_one: Callable[[Variant], str],
) -> int:
    """Runs all variants, prints a table of how they ended, and returns the exit code.

    Args:
        variants: of the lists.
        paths: their work directories.
        run_one: runs a variant and returns "done" or "diverged".

    Raises:
        UsageError: two variants are the same run.
        KeyboardInterrupt: Ctrl-C or SIGTERM, which end all.
        BrokenPipeError: nobody reads the output any more.
    """
    for number, path in enumerate(paths):
        if path in paths[:number]:
            same = variants[paths.index(path)].label
            raise UsageError(f"--each: {same} and {variants[number].label} are the same run")
    ended = []
    for number, (variant, path) in enumerate(zip(variants, paths, strict=True), start=1):
        _tell(f"run {number} of {len(variants)}: {variant.label}")
        state = attempt(variant.label, lambda v=variant: run_one(v))
        ended.append(Ended(variant, state, path))
    _print_table(ended)
    return next(code for state, code in CODES.items() if any(e.state == state for e in ended))


def attempt(label: str, act: Callable[[], str]) -> str:
    """What `act` returns, or how it ended: its errors end it alone, and are told with its label."""
    try:
        return act()
    except BrokenPipeError:
        raise
    except UsageError as error:
        message, state = str(error), "refused"
    except (RunError, OSError) as error:
        message, state = str(error), "failed"
    except Exception as error:
        shortage = memory.shortage(error)
        if shortage is None:  # an error of the program itself, which keeps its traceback
            traceback.print_exc()
        message, state = shortage or f"{type(error).__name__}: {error}", "failed"
    _tell(f"error: {label}: {' '.join(message.split())}")
    return state


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it
        print(line, file=sys.stderr, flush=True)


def _print_table(ended: Sequence[Ended]) -> None:
    """A row for each variant: its values, how it ended, and its last metrics."""
    from rnnlab.run.tables import print_table

    rows: list[dict[str, Any]] = [
        {
            **{name: _number(value) for name, value in each.variant.values.items()},
            "state": each.state,
            **_numbers(each.path),
        }
        for each in ended
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    print()
    print_table([{name: row.get(name) for name in columns} for row in rows], title="All runs")
    print(f"work directories: {ended[0].path.parent}; as a table: rnnlab.collect(…)")


def _number(text: str) -> Any:
    """A value as a number, where it is one, which a table aligns to the right."""
    try:
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except ValueError:
        return text


#: How many numbers of a run the table shows.
SHOWN = 4


def _numbers(path: pathlib.Path) -> dict[str, Any]:
    """The numbers of a finished run: of its summary, else its last evaluation, else its losses."""
    from rnnlab.run.collect import CollectWarning, collect

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollectWarning)
        try:
            frame = collect([path])
        except UsageError:
            return {}
    for group in ("summary", "evaluation", "train"):
        found = [name for name in frame.columns if name.startswith(f"{group}/")]
        if found:
            numeric = frame[found].select_dtypes("number").median()
            return {str(n).partition("/")[2]: value for n, value in numeric[:SHOWN].items()}
    return {}
