"""A report in one HTML file: text, tables, pictures, settings; readable on screen and in print."""

import base64
import html
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from rnnlab.run import tables
from rnnlab.run.workdir import Workdir, atomic_write

_STYLE = """
:root { color-scheme: light; }
body { font: 17px/1.55 Charter, "Bitstream Charter", Cambria, Georgia, serif; color: #1b1b1b;
  background: #fff; max-width: 54rem; margin: 3rem auto; padding: 0 1.25rem; }
h1, h2 { line-height: 1.2; font-weight: 600; text-wrap: balance; }
h1 { font-size: 2rem; margin: 0 0 1.5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; }
p { margin: 0 0 1rem; max-width: 42rem; }
figure { margin: 1.75rem 0; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption, caption { font-size: 0.88rem; color: #444; text-align: left; max-width: 42rem; }
figcaption { margin-top: 0.5rem; }
caption { caption-side: top; padding-bottom: 0.5rem; }
.wide { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; font-size: 0.88rem; line-height: 1.4;
  border-top: 1.5px solid #1b1b1b; border-bottom: 1.5px solid #1b1b1b; }
th, td { padding: 0.25rem 0.9rem 0.25rem 0; text-align: left; vertical-align: top;
  overflow-wrap: break-word; }
th { border-bottom: 1px solid #1b1b1b; font-weight: 600; }
pre { font-size: 0.82rem; line-height: 1.4; padding: 0.6rem 0.9rem; border-left: 2px solid #999;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@page { margin: 18mm; }
@media print { body { font-size: 10.5pt; margin: 0; max-width: none; padding: 0; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; } .wide { overflow: visible; } }
"""


class Report:
    """A report under construction; parts appear in the order in which they are added.

    All text is plain text: what looks like HTML is shown, not obeyed.

    Args:
        title: the title of the page.
    """

    def __init__(self, title: str):
        self._title = html.escape(title)
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Begins a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Adds paragraphs, which blank lines separate."""
        self._parts += [f"<p>{html.escape(part.strip())}</p>" for part in text.split("\n\n")]

    def verbatim(self, text: str) -> None:
        """Adds text in its own lines, in letters of one width."""
        self._parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(self, data: Any, *, caption: str = "", columns: Sequence[str] | None = None) -> None:
        """Adds a table.

        Args:
            data: rows, a DataFrame or an xarray object, as `rnnlab.run.tables.as_rows` takes them.
            caption: what the table shows, with units.
            columns: names of the columns.

        Raises:
            UsageError: if rows and columns do not fit.
        """
        names, rows = tables.as_rows(data, columns)
        numeric = tables.numeric_columns(names, rows)
        lines = [_row("th", names, numeric), *(_row("td", row, numeric) for row in rows)]
        label = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="wide"><table>{label}\n<thead>{lines[0]}</thead>\n<tbody>\n'
            + "\n".join(lines[1:])
            + "\n</tbody></table></div>"
        )

    def figure(self, path: str | os.PathLike[str], *, caption: str, alt: str) -> None:
        """Adds a PNG picture, embedded in the file.

        Args:
            path: the picture.
            caption: what it shows: axes, units, number of seeds.
            alt: what a reader who cannot see it should know, in a sentence.
        """
        data = base64.b64encode(pathlib.Path(path).read_bytes()).decode("ascii")
        self._parts.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">\n'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def settings(self, workdir: Workdir) -> None:
        """Adds the sections that let a reader repeat the run: configuration, versions, device."""
        status = workdir.status
        self.heading("Settings")
        self.table(
            list(workdir.config.items()),
            columns=("field", "value"),
            caption=f"Configuration of the experiment {workdir.experiment}.",
        )
        self.heading("Versions and device")
        device = status["device"]
        rows = [
            *status["versions"].items(),
            ("device", f"{device['count']} × {device['kind']} ({device['platform']})"),
            ("command", " ".join(["python", *status["argv"]]) if status["argv"] else ""),
            ("started", status["started"]),
        ]
        self.table(rows, columns=("what", "value"))

    def html(self) -> str:
        """The page."""
        body = "\n".join(self._parts)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{self._title}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n<h1>{self._title}</h1>\n{body}\n</body>\n</html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Writes the page as a whole or not at all, and returns its path."""
        return atomic_write(path, self.html())


def _row(tag: str, cells: Sequence[Any], numeric: Sequence[bool]) -> str:
    kinds = (' class="number"' if number else "" for number in numeric)
    texts = (html.escape(tables.format_cell(cell)) for cell in cells)
    inner = (f"<{tag}{kind}>{text}</{tag}>" for kind, text in zip(kinds, texts, strict=True))
    return f"<tr>{''.join(inner)}</tr>"
