"""Fills the pages of experiments with their docstrings, presets and fields, as `--help` has them.

MkDocs calls `on_page_markdown`; a page `experiments/NAME.md` holds the lines `DOCSTRING` and
`SETTINGS`.
"""

import pathlib
import re
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rnnlab.run import registry  # noqa: E402
from rnnlab.run.fields import fields, flatten  # noqa: E402

DOCSTRING = "<!-- Inserted here: the docstring of the experiment. -->"
SETTINGS = "<!-- Inserted here: its presets and fields. -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replaces the marks in the page of an experiment."""
    if DOCSTRING not in markdown:
        return markdown
    name = pathlib.PurePosixPath(page.file.src_uri).stem
    experiment = registry.find(ROOT / "experiments", name)
    markdown = markdown.replace(DOCSTRING, docstring(experiment.docstring))
    return markdown.replace(SETTINGS, settings(experiment.settings()))


def settings(known: registry.Settings) -> str:
    """Presets and fields as tables."""
    default = known.config_class()
    before = flatten(default)
    lines = ["## Presets", "", "| preset | what it changes |", "| --- | --- |"]
    for name, preset in known.presets.items():
        changed = [f"`{k}={value(v)}`" for k, v in flatten(preset).items() if v != before.get(k)]
        lines.append(f"| `--preset={name}` | {' '.join(changed)} |")
    lines += ["", "A field that is given on the command line wins over the preset.", ""]
    lines += ["## Fields", "", "| field | default | meaning |", "| --- | --- | --- |"]
    for field in fields(default):
        shown = f"`{value(field.default)}`" if field.default not in ("", ()) else "(empty)"
        meaning = escape(field.doc).replace("|", "\\|")
        lines.append(f"| `--config.{field.name}` | {shown} | {meaning} |")
    return "\n".join(lines)


def value(given: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(given, tuple):
        return ",".join(map(value, given))
    return str(given).lower() if isinstance(given, bool) else str(given)


def docstring(text: str) -> str:
    """A docstring in Markdown: `Command: …` and the like begin paragraphs of their own."""
    summary, _, rest = text.partition("\n")
    lines = [f"*{escape(summary)}*", ""]
    for line in rest.strip("\n").splitlines():
        label = re.match(r"([A-Z][\w ,()%=’'-]{1,60}):(?= |$)", line)
        if label:
            lines += ["", f"**{label[1]}:**{command(line[label.end() :])}"]
        elif line.startswith("    "):
            lines.append(line)
        else:
            lines.append(command(escape(line)))
    return "\n".join(lines)


def command(line: str) -> str:
    """The line with commands and flags as code."""
    if "`" in line:
        return line
    return re.sub(r"python run\.py( --\S+)*|--\S+[^\s.,;:)]", lambda found: f"`{found[0]}`", line)


def escape(text: str) -> str:
    """The text with `<` that is not in code as itself."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;") for p in pieces)
