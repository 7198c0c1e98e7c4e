"""The command line of `run.py`: its flags, and `--config.FIELD=VALUE` for a dataclass."""

import dataclasses
import difflib
import pathlib
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from rnnlab.errors import UsageError
from rnnlab.run import config_file, field_values, files, host_processes, identity
from rnnlab.run.config_file import ConfigFile
from rnnlab.run.fields import draft, finished, flatten
from rnnlab.run.modes import MODES, QUESTIONS, Question
from rnnlab.run.pictures import check_format
from rnnlab.run.registry import Experiment, Settings, experiments, unknown

DEFAULT_EXPERIMENT = "gradient_norms"
_FLAGS = (
    "--experiment",
    "--experiments",
    "--preset",
    "--config-file",
    "--each.FIELD",
    "--task",
    "--workdir",
    "--pictures",
    "--loggers",
    "--mode",
    "--accept_changes",
    *dict.fromkeys(
        f"--{field.name}"
        for question in QUESTIONS.values()
        for field in dataclasses.fields(question)
    ),
    "--coordinator",
    "--host",
    "--hosts",
    "--list",
    "--help",
)


class CommandLine:
    """The flags of one command line; those of the configuration are read when its class is known.

    Args:
        argv: the command line, the name of the program first.
        folder: of the experiments, for suggestions.

    Attributes:
        experiment: name of the experiment.
        experiment_given: whether the command line, its file or its work directory names it.
        experiments: the folder of experiments to choose from, or None for those of rnnlab.
        file: a file with fields of the configuration, or None.
        preset: name of the preset to start from, or None for the defaults.
        workdir: path of the work directory, `~` expanded, or None for the default one.
        accept_changes: whether to go on where what the run depends on has changed.
        pictures: formats in which pictures are written besides PNG.
        loggers: names of what takes the metrics of training.
        mode: whether to run the experiment, or to ask its trained model.
        question: what to ask; None in the mode `run`.
        hosts: how several hosts find each other; None on a single one.
        list: whether to list the experiments.
        help: whether to explain instead of running.

    Raises:
        UsageError: for a flag without its value, one of another mode, a word that belongs to no
            flag, or an argument that is not UTF-8.
    """

    def __init__(self, argv: Sequence[str], folder: pathlib.Path | None = None):
        self._argv, self._folder = list(argv), folder
        self._booleans: frozenset[str] = frozenset()
        _require_text(argv)
        self._flags = flags.FlagValues()
        self._flags.set_gnu_getopt()
        flags.DEFINE_string("experiment", DEFAULT_EXPERIMENT, "", flag_values=self._flags)
        flags.DEFINE_string("experiments", None, "", flag_values=self._flags)
        flags.DEFINE_string("preset", None, "", flag_values=self._flags)
        flags.DEFINE_string("config-file", None, "", flag_values=self._flags)
        flags.DEFINE_list("loggers", ["tensorboard"], "", flag_values=self._flags)
        flags.DEFINE_string("workdir", None, "", flag_values=self._flags)
        flags.DEFINE_list("pictures", [], "", flag_values=self._flags)
        flags.DEFINE_string("mode", "run", "", flag_values=self._flags)
        flags.DEFINE_boolean("accept_changes", False, "", flag_values=self._flags)
        _define_questions(self._flags)
        flags.DEFINE_boolean("list", False, "", flag_values=self._flags)
        flags.DEFINE_boolean("help", False, "", flag_values=self._flags)
        flags.DEFINE_string("coordinator", None, "", flag_values=self._flags)
        flags.DEFINE_integer("host", None, "", flag_values=self._flags)
        flags.DEFINE_integer("hosts", None, "", flag_values=self._flags)
        for place, name in self._flags_and_words():
            if name is None:
                raise self._unexpected(self._argv[place])
        self._parse(known_only=True)
        self.experiments: str | None = self._flags.experiments
        self.file = self._file()
        self.experiment: str = self._flags.experiment
        self.experiment_given = bool(self._flags["experiment"].present)
        if self.file is not None and self.file.experiment is not None:
            self._check_file(self.file)
            self.experiment, self.experiment_given = self.file.experiment, True
        self.preset: str | None = self._flags.preset
        self.workdir: str | None = _expanded("--workdir", self._flags.workdir)
        self._take_up()
        self.loggers: tuple[str, ...] = tuple(dict.fromkeys(self._flags.loggers))
        self.hosts = host_processes.of_flags(
            self._flags.coordinator, self._flags.host, self._flags.hosts
        )
        self.pictures = tuple(check_format(f"--pictures={n}", n) for n in self._flags.pictures)
        self.mode: str = self._flags.mode
        self.accept_changes: bool = self._flags.accept_changes
        self.question = self._question()
        self.list: bool = self._flags.list
        self.help: bool = self._flags.help

    @property
    def config_given(self) -> bool:
        """Whether the command line sets a preset or a field of the configuration, or has a file."""
        names = (name or "" for _, name in self._flags_and_words())
        from_elsewhere = self.preset is not None or self.file is not None
        return from_elsewhere or any(map(_FIELD.fullmatch, names))

    def fields_given(self, settings: Settings) -> set[str]:
        """The full names of the fields that the command line itself sets."""
        values = flatten(settings.config_class())
        self._booleans = _booleans(values)
        matches = (_FIELD.fullmatch(name or "") for _, name in self._flags_and_words())
        return {
            full_name(f"--{match[0]}", match["field"], settings, list(values))
            for match in matches
            if match
        }

    def _file(self) -> ConfigFile | None:
        path = _expanded("--config-file", self._flags["config-file"].value)
        return None if path is None else config_file.read(path)

    def _take_up(self) -> None:
        """Takes the experiment that the work directory belongs to, where none is named.

        Where nothing is said of its configuration either, it is the recorded one.
        """
        if self.workdir is None or self.experiment_given or self._flags.mode != "run":
            return
        try:
            self.experiment = identity.read(pathlib.Path(self.workdir)).experiment
        except (FileNotFoundError, NotADirectoryError):
            return
        self.experiment_given = True
        if not self.config_given:
            self.file = config_file.read(self.workdir)

    def _check_file(self, file: ConfigFile) -> None:
        """Refuses the configuration of another experiment than the command line names."""
        if self._flags["experiment"].present and self._flags.experiment != file.experiment:
            raise UsageError(
                f"{file.flag}: is of the experiment {file.experiment}, not "
                f"{self._flags.experiment}; leave --experiment out, or take another file"
            )

    def _flags_and_words(self) -> Iterator[tuple[int, str | None]]:
        """Places of flags, with their names, and of words that are no value, with None."""
        value = only_words = False
        for place, argument in enumerate(self._argv[1:], start=1):
            if value:
                value = False
            elif only_words:
                yield place, None
            elif argument == "--":
                only_words = True
            else:
                name = _flag_name(argument)
                yield place, name
                value = name is not None and "=" not in argument and self._takes_value(name)

    def _takes_value(self, name: str) -> bool:
        """Whether the argument after a flag is its value; it may begin with a dash."""
        if name in self._flags:
            return not self._flags[name].boolean
        if name.startswith("no") and name[2:] in self._flags and self._flags[name[2:]].boolean:
            return False
        match = _FIELD.fullmatch(name)
        return not match or not (match["no"] or match["field"] in self._booleans)

    def _unexpected(self, word: str) -> UsageError:
        """The error for a word that belongs to no flag, with the one it was perhaps meant for."""
        names = experiments(self._folder) if self._folder else ()
        meant = {name: f"--experiment={name}" for name in names}
        meant |= {mode: f"--mode={mode}" for mode in MODES} | {"tiny": "--preset=tiny"}
        near = difflib.get_close_matches(word, meant, n=1)
        hint = f"did you mean {meant[near[0]]}?" if near else "flags are written --NAME=VALUE"
        return UsageError(f"{word}: unexpected argument; {hint}")

    def _question(self) -> Question | None:
        """What the mode asks, by its own flags; those of other modes are refused."""
        if self.mode not in MODES:
            raise unknown(f"--mode={self.mode}", "mode", self.mode, MODES)
        for name, modes in _modes_of_flags().items():
            if self.mode not in modes and self._flags[name].present:
                raise UsageError(f"--{name}: only with --mode={' or --mode='.join(modes)}")
        if self.mode == "run":
            return None
        if self.hosts is not None:
            raise UsageError("--coordinator: only with --mode=run")
        names = [field.name for field in dataclasses.fields(QUESTIONS[self.mode])]
        asked = {name: self._flags[name] for name in names}
        given: dict[str, Any] = {n: flag.value for n, flag in asked.items() if flag.present}
        return QUESTIONS[self.mode](**given)

    def check(self, experiment: Experiment | None) -> None:
        """Checks the names of all flags but those of the configuration.

        This imports nothing slow unless there is an error to explain.

        Args:
            experiment: whose configuration can be set; None where none can, and stray arguments are
                refused too.

        Raises:
            UsageError: if a flag does not exist.
        """
        self._booleans = self._boolean_fields(experiment)
        for place, name in self._flags_and_words():
            if name is None:
                raise self._unexpected(self._argv[place])
            if experiment and _FIELD.fullmatch(name):
                continue
            argument = self._argv[place]
            if name not in self._flags and name.removeprefix("no") not in self._flags:
                settings = flatten(experiment.settings().config_class()) if experiment else ()
                known = (*_FLAGS, *(f"--config.{field}" for field in settings))
                raise unknown(argument.partition("=")[0], "flag", f"--{name}", known)
        if experiment is None:
            self._refuse_rest()

    def _boolean_fields(self, experiment: Experiment | None) -> frozenset[str]:
        """Names of the fields that need no value; they are asked for only where one has none."""
        names = [name for place, name in self._flags_and_words() if "=" not in self._argv[place]]
        if experiment is None or not any(name and _FIELD.fullmatch(name) for name in names):
            return frozenset()
        return _booleans(flatten(experiment.settings().config_class()))

    def config(self, settings: Settings) -> Any:
        """The preset, or the defaults, with the values of the file and of the command line.

        Args:
            settings: the class of the configuration, a dataclass whose fields all have defaults, of
                type int, float, bool, str, a tuple of any length of one of these, or another such
                dataclass; and its presets.

        Raises:
            UsageError: if a preset or a field does not exist, a value does not fit its field, or
                the dataclass refuses it.
        """
        base = settings.base(self.preset)
        values, written = flatten(base), draft(base)
        if self.file is not None:
            self.file.write_to(
                written, base, lambda where, name: full_name(where, name, settings, list(values))
            )
        self._booleans = _booleans(values)
        self._argv = self._with_full_names(settings, list(values))
        field_values.register_parsers()
        config_flags.DEFINE_config_dataclass(
            "config", written, flag_values=self._flags, sys_argv=self._argv
        )
        self._refuse_rest()
        return finished(base, self._flags.config)

    def _with_full_names(self, settings: Settings, names: Sequence[str]) -> list[str]:
        """The command line with the full names of nested fields in place of the short ones."""
        written = list(self._argv)
        for place, flag in self._flags_and_words():
            match = _FIELD.fullmatch(flag or "")
            if match:
                no, (_, equals, value) = match["no"] or "", written[place].partition("=")
                name = full_name(f"--{match[0]}", match["field"], settings, names)
                written[place] = f"--{no}config.{name}{equals}{value}"
        return written

    def _refuse_rest(self) -> None:
        """Parses again, now that all flags are known, and refuses unknown ones."""
        rest = self._parse(known_only=False)
        if rest:
            raise self._unexpected(rest[0])

    def _parse(self, *, known_only: bool) -> list[str]:
        """Parses and returns what is not a flag."""
        try:
            return self._flags(self._argv, known_only=known_only)[1:]
        except (flags.Error, ValueError) as error:
            raise UsageError(str(error).removeprefix("flag ")) from error


#: The name of a flag of the configuration.
_FIELD = re.compile(r"(?P<no>no)?config\.(?P<field>.*)")


def _flag_name(argument: str) -> str | None:
    """The name in an argument that is a flag; None for a value."""
    if not re.match("--?[a-zA-Z]", argument):
        return None
    return argument.lstrip("-").partition("=")[0]


def _booleans(values: dict[str, Any]) -> frozenset[str]:
    """Full and short names of the fields that are true or false."""
    full = [name for name, value in values.items() if isinstance(value, bool)]
    return frozenset([*full, *(name.rpartition(".")[2] for name in full)])


def _require_text(argv: Iterable[str]) -> None:
    """Refuses bytes that are not UTF-8, which no record of a run could hold."""
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{argument!a}: is not UTF-8; write it in UTF-8") from error


def _expanded(flag: str, path: str | None) -> str | None:
    """A path with `~` expanded; None where it is not given."""
    if path == "":
        raise UsageError(f"{flag}=: is empty; give a path, or leave the flag out")
    return None if path is None else str(files.expanded(path, flag))


def full_name(where: str, name: str, settings: Settings, names: Sequence[str]) -> str:
    """The field that a name means: its full one, or the last part of exactly one nested field."""
    if name in names:
        return name
    short = [full for full in names if full.rpartition(".")[2] == name]
    if len(short) > 1:
        raise UsageError(f"{where}: may mean {' or '.join(short)}; write one of them in full")
    if short:
        return short[0]
    if name in settings.presets:
        raise UsageError(f"{where}: {name} is a preset; choose it with --preset={name}")
    raise unknown(where, f"field of {settings.experiment}", name, names)


def _modes_of_flags() -> dict[str, list[str]]:
    """The flags of what is asked, each with the modes that have it."""
    found: dict[str, list[str]] = {}
    for mode, question in QUESTIONS.items():
        for field in dataclasses.fields(question):
            found.setdefault(field.name, []).append(mode)
    return found


def _define_questions(values: flags.FlagValues) -> None:
    """Flags for what is asked of models; modes with a flag of the same name share it."""
    defines = {
        str: flags.DEFINE_string,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        bool: flags.DEFINE_boolean,
    }
    for name, modes in _modes_of_flags().items():
        default = getattr(QUESTIONS[modes[0]](), name)
        defines[type(default)](name, default, "", flag_values=values)


def program(argv: Sequence[str]) -> str:
    """How the program was started: `python run.py`, or `rnnlab` where it is installed."""
    installed = pathlib.Path(argv[0]).stem == "rnnlab"
    return "rnnlab" if installed else f"python {shlex.quote(argv[0])}"
