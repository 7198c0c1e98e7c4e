"""The command line of `run.py`: flags, help texts, and `--config.FIELD=VALUE` for a dataclass."""

import dataclasses
import re
import textwrap
import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import flags
from ml_collections import config_flags

from rnnlab.errors import UsageError
from rnnlab.run.registry import Experiment, unknown

DEFAULT_EXPERIMENT = "gradient_norms"
_FLAGS = ("--experiment", "--workdir", "--coordinator", "--host", "--hosts", "--list", "--help")


class CommandLine:
    """The flags of one command line; those of the configuration are read when its class is known.

    Attributes:
        experiment: name of the experiment.
        experiment_given: whether the command line names it.
        workdir: path of the work directory, or None for the default one.
        hosts: how several hosts find each other; None on a single one.
        list: whether to list the experiments.
        help: whether to explain instead of running.

    Raises:
        UsageError: for an unknown flag, a stray argument or a flag without its value.
    """

    def __init__(self, argv: Sequence[str]):
        self._argv = list(argv)
        self._flags = flags.FlagValues()
        self._flags.set_gnu_getopt()
        flags.DEFINE_string("experiment", DEFAULT_EXPERIMENT, "", flag_values=self._flags)
        flags.DEFINE_string("workdir", None, "", flag_values=self._flags)
        flags.DEFINE_boolean("list", False, "", flag_values=self._flags)
        flags.DEFINE_boolean("help", False, "", flag_values=self._flags)
        flags.DEFINE_string("coordinator", None, "", flag_values=self._flags)
        flags.DEFINE_integer("host", None, "", flag_values=self._flags)
        flags.DEFINE_integer("hosts", None, "", flag_values=self._flags)
        self._parse(known_only=True)
        self.experiment: str = self._flags.experiment
        self.experiment_given = bool(self._flags["experiment"].present)
        self.workdir: str | None = self._flags.workdir
        self.hosts = _hosts(self._flags.coordinator, self._flags.host, self._flags.hosts)
        self.list: bool = self._flags.list
        self.help: bool = self._flags.help

    def check(self, experiment: Experiment) -> None:
        """Checks the names of all flags, before anything slow is imported.

        Raises:
            UsageError: if a flag or a field of the configuration does not exist.
        """
        fields = [field.name for field in experiment.fields]
        for argument in self._argv[1:]:
            if not re.match("--?[a-zA-Z]", argument):
                continue
            name = argument.lstrip("-").partition("=")[0]
            path = name.removeprefix("no") if name.startswith("noconfig.") else name
            if path.startswith("config."):
                field = path.removeprefix("config.")
                if field not in fields:
                    raise unknown(f"--{name}", f"field of {experiment.name}", field, fields)
            elif name not in self._flags and name.removeprefix("no") not in self._flags:
                known = (*_FLAGS, *(f"--config.{field}" for field in fields))
                raise unknown(argument.partition("=")[0], "flag", f"--{name}", known)

    def config(self, config_class: type) -> Any:
        """An instance of a dataclass with the values the command line gives.

        Args:
            config_class: a dataclass whose fields all have defaults, of type int, float, bool, str
                or a tuple of any length of one of these.

        Raises:
            UsageError: if a value does not fit its field, or the dataclass refuses it.
        """
        _register_parsers()
        draft = _mutable_twin(config_class)
        config_flags.DEFINE_config_dataclass(
            "config", draft, flag_values=self._flags, sys_argv=self._argv
        )
        rest = self._parse(known_only=False)
        if rest:
            raise UsageError(f"{rest[0]}: unexpected argument; flags are written --NAME=VALUE")
        values = vars(self._flags.config)
        return config_class(**{f.name: values[f.name] for f in dataclasses.fields(config_class)})

    def _parse(self, *, known_only: bool) -> list[str]:
        """Parses and returns what is not a flag."""
        try:
            return self._flags(self._argv, known_only=known_only)[1:]
        except (flags.Error, ValueError) as error:
            raise UsageError(str(error).removeprefix("flag ")) from error


class Hosts(NamedTuple):
    """How several hosts find each other.

    Attributes:
        coordinator: ADDRESS:PORT of the first host; None where the cluster tells (Slurm, MPI, TPU).
        host: number of this one, from 0; None where the cluster tells.
        count: how many there are; None where the cluster tells.
    """

    coordinator: str | None
    host: int | None
    count: int | None


def _hosts(coordinator: str | None, host: int | None, count: int | None) -> Hosts | None:
    if coordinator is None:
        if host is not None or count is not None:
            raise UsageError("--host, --hosts: need --coordinator=ADDRESS:PORT of the first host")
        return None
    if coordinator == "auto":
        return Hosts(None, host, count)
    if not re.fullmatch(r".+:\d+", coordinator):
        raise UsageError(f"--coordinator={coordinator}: must be ADDRESS:PORT, or auto")
    if host is None or count is None or not 0 <= host < count:
        raise UsageError(
            f"--host={host}, --hosts={count}: with --coordinator give how many hosts there are and "
            "which one this is, 0 being the first"
        )
    return Hosts(coordinator, host, count)


def general_help(experiments: dict[str, Experiment]) -> str:
    """What `run.py --help` prints."""
    return f"""\
usage: python run.py [--experiment=NAME] [--workdir=PATH] [--config.FIELD=VALUE ...]

  --experiment=NAME       the experiment to run (default: {DEFAULT_EXPERIMENT})
  --config.FIELD=VALUE    a field of its configuration; a list is written with commas: 0.5,0.9,1.1
  --workdir=PATH          where everything goes (default: runs/NAME-HASH of the configuration)
  --coordinator=ADDRESS:PORT --hosts=N --host=I
                          train on N hosts: the same command on each, with I from 0 to N - 1;
                          --coordinator=auto where Slurm, MPI or a TPU pod tells
  --list                  the experiments, a line each
  --help                  this text; with --experiment=NAME, what it asks and all its fields

The same command started again continues where it stopped.

experiments:
{listing(experiments)}"""


def listing(experiments: dict[str, Experiment]) -> str:
    """What `run.py --list` prints: a line for each experiment."""
    width = max(map(len, experiments), default=0)
    return "\n".join(f"  {e.name:<{width}}  {e.summary}" for e in experiments.values())


def experiment_help(experiment: Experiment) -> str:
    """What `run.py --experiment=NAME --help` prints: docstring, then every field."""
    fields = "\n".join(
        f"  --config.{field.name}: {field.type} = {field.default}\n"
        + textwrap.fill(field.doc, 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
        for field in experiment.fields
    )
    return f"{experiment.docstring}\n\nconfiguration (lists are written with commas):\n{fields}"


class _FieldParser(flags.ArgumentParser):
    """Text to a scalar or a tuple, with an error that says what is wanted."""

    def __init__(self, field_type: Any):
        self._element = typing.get_args(field_type)[0] if typing.get_args(field_type) else None
        self._scalar = field_type

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):  # the default, already of its type
            return argument
        if self._element is None:
            return _scalar(self._scalar, argument)
        text = argument.strip()
        if text[:1] + text[-1:] in ("()", "[]"):
            text = text[1:-1]
        words = [word.strip().strip("'\"") for word in text.split(",")]
        if words[-1] == "":  # "", "()" and "(1,)"
            words.pop()
        return tuple(_scalar(self._element, word) for word in words)


_SCALARS: dict[type, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a word",
}


def _scalar(scalar_type: type, text: str) -> Any:
    try:
        if scalar_type is bool:
            return flags.BooleanParser().parse(text)
        return scalar_type(text)
    except ValueError as error:
        found = "" if text else " (found nothing)"
        raise ValueError(f"must be {_SCALARS[scalar_type]}{found}") from error


def _register_parsers() -> None:
    for scalar in _SCALARS:
        for field_type in (scalar, tuple[scalar, ...]):
            config_flags.register_flag_parser_for_type(field_type, _FieldParser(field_type))


def _mutable_twin(config_class: type) -> Any:
    """An instance with the fields and defaults of a frozen dataclass that flags can write to.

    `__post_init__` of the real class, where an experiment checks its values, then sees the final
    values only.
    """
    types = typing.get_type_hints(config_class)
    defaults = config_class()
    twin = dataclasses.make_dataclass(
        config_class.__name__,
        [
            (f.name, types[f.name], dataclasses.field(default=getattr(defaults, f.name)))
            for f in dataclasses.fields(config_class)
        ],
    )
    return twin()
