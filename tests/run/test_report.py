import base64
import dataclasses
from html.parser import HTMLParser

import pytest

from rnnlab import plots
from rnnlab.errors import UsageError
from rnnlab.run.report import Report
from rnnlab.run.workdir import open_workdir


@dataclasses.dataclass(frozen=True)
class Config:
    corpus: str = "<i>a & b</i>"
    radii: tuple[float, ...] = (0.5, 1.25)


class Page(HTMLParser):
    """Collects tags with attributes, and text; checks that elements nest."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self._open = [], [], []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)


@pytest.fixture
def picture(tmp_path):
    with plots.style():
        figure, axes = plots.subplots()
        axes[0, 0].plot([0, 1])
        return plots.save(figure, tmp_path / "p.png")


def test_a_report_holds_everything_and_needs_nothing(tmp_path, picture):
    report = Report("Norms <b>")
    report.text("One.\n\nTwo & <script>alert(1)</script>")
    report.heading("Rates")
    report.table([{"cell": "<td>", "rate": 1 / 3}], caption="per <step>")
    report.figure(picture, caption="ρ < 1", alt='a "map"')
    with open_workdir(tmp_path / "w", "toy", Config(), ["run.py"]) as workdir:
        report.settings(workdir)
        path = report.write(workdir.path("report.html"))
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("p") == 2 and tags.count("table") == 3 and "script" not in tags
    for words in ("Norms <b>", "<script>alert(1)</script>", "per <step>", "ρ < 1", "0.3333"):
        assert words in page.text
    for words in ("<i>a & b</i>", "0.5, 1.25", "python run.py", workdir.status["versions"]["jax"]):
        assert words in page.text
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"] == 'a "map"'
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data) == picture.read_bytes()
    assert "http" not in source and "url(" not in source and "@import" not in source


def test_numbers_are_aligned():
    report = Report("t")
    rows = [("tanh", 0.5, None), ("lstm", None, "x"), ("gru", 2, "y")]
    report.table(rows, columns=("cell", "rate", "note"))
    report.table([("lstm", "0.25")], columns=("cell", "rate"))
    html = report.html()
    classes = [attributes["class"] for tag, attributes in Page(html).tags if tag == "table"]
    assert [set(each.split()) - {"dataframe"} for each in classes] == [{"number-2"}, set()]
    rule = html[html.index(".number-2 :is(th, td):nth-child(2)") :]
    assert "text-align: right" in rule.partition("}")[0] and ".number-1" not in html


def test_long_and_wide_tables_are_shown_whole():
    report = Report("t")
    report.table(
        [[f"{row}-{column}" + "x" * 100 for column in range(30)] for row in range(200)],
        columns=list(map(str, range(30))),
    )
    text = Page(report.html()).text
    assert all(f"{row}-{column}" + "x" * 100 in text for row in range(200) for column in range(30))


def test_settings_are_those_that_were_used(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Outer:
        training: Config = Config()

    report = Report("t")
    argv = ["run.py", "--config.training.corpus=a b"]
    with open_workdir(tmp_path, "toy", Outer(), argv) as workdir:
        report.settings(workdir)
    text = Page(report.html()).text
    assert "training.radii" in text and "training.corpus" in text
    assert "python run.py '--config.training.corpus=a b'" in text


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="row 0"):
        Report("t").table([(1, 2, 3)], columns=("a", "b"))


def test_verbatim_text_keeps_its_lines_and_is_not_obeyed():
    report = Report("t")
    report.verbatim("<b>a\n  b")
    page = Page(report.html())
    assert "<b>a\n  b" in page.text and "pre" in dict(page.tags)
