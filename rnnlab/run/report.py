"""A report in one HTML file: text, tables, pictures, settings; readable on screen and in print."""

import base64
import os
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

import jinja2
import pandas as pd

from rnnlab.run import fields, tables
from rnnlab.run.workdir import Workdir, atomic_write

TEMPLATE = "report.html.jinja"


class Report:
    """A report under construction; parts appear in the order in which they are added.

    All text is plain text: HTML in it is shown as it is written.

    Args:
        title: the title of the page.
    """

    def __init__(self, title: str):
        self._title = title
        self._parts: list[dict[str, Any]] = []
        self._numeric: set[int] = set()

    def heading(self, text: str) -> None:
        """Begins a section."""
        self._add("heading", text=text)

    def text(self, text: str) -> None:
        """Adds paragraphs, which blank lines separate."""
        for paragraph in text.split("\n\n"):
            self._add("text", text=paragraph.strip())

    def verbatim(self, text: str) -> None:
        """Adds text in its own lines, in letters of one width."""
        self._add("verbatim", text=text)

    def table(
        self, data: tables.Table, *, caption: str = "", columns: Sequence[str] | None = None
    ) -> None:
        """Adds a table.

        Args:
            data: rows, a DataFrame or an xarray object, as `rnnlab.run.tables.as_frame` takes them.
            caption: what the table shows, with units.
            columns: names of the columns.

        Raises:
            UsageError: if rows and columns do not fit.
        """
        frame = tables.as_frame(data, columns)
        numeric = [n for n, yes in enumerate(tables.numeric_columns(frame), start=1) if yes]
        self._numeric.update(numeric)
        with pd.option_context("display.max_colwidth", None):
            html = tables.texts(frame).to_html(
                index=False,
                border=0,
                justify="unset",
                classes=[f"number-{place}" for place in numeric],
            )
        self._add("table", table=html, caption=caption)

    def figure(self, path: str | os.PathLike[str], *, caption: str, alt: str) -> None:
        """Adds a PNG picture, embedded in the file.

        Args:
            path: the picture.
            caption: what it shows: axes, units, number of seeds.
            alt: what a reader who cannot see it should know, in a sentence.
        """
        data = base64.b64encode(pathlib.Path(path).read_bytes()).decode("ascii")
        self._add("figure", data=data, caption=caption, alt=alt)

    def settings(self, workdir: Workdir) -> None:
        """Adds the sections that let a reader repeat the run: configuration, versions, device."""
        status = workdir.status
        self.heading("Settings")
        self.table(
            [(name, _exact(v)) for name, v in fields.flatten_json(workdir.config).items()],
            columns=("field", "value"),
            caption=f"Configuration of the experiment {workdir.experiment}.",
        )
        self.heading("Versions and device")
        device = status["device"]
        rows = [
            *status["versions"].items(),
            ("device", f"{device['count']} × {device['kind']} ({device['platform']})"),
            ("products of float32", status["precision"]),
            ("command", shlex.join(["python", *status["argv"]]) if status["argv"] else ""),
            ("started", status["started"]),
        ]
        self.table(rows, columns=("what", "value"))

    def html(self) -> str:
        """The page."""
        template = _environment().get_template(TEMPLATE)
        return template.render(
            title=self._title, parts=self._parts, numeric_places=sorted(self._numeric)
        )

    def write(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Writes the page as a whole or not at all, and returns its path."""
        return atomic_write(path, self.html())

    def _add(self, kind: str, **part: str) -> None:
        self._parts.append({"kind": kind, **part})


def _exact(value: Any) -> str:
    """A JSON value as text that loses no digit, unlike the cells of other tables."""
    if isinstance(value, list):
        return ", ".join(map(_exact, value))
    return repr(value) if isinstance(value, float) else str(value)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("rnnlab", "run"),
        autoescape=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
