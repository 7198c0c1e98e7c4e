"""Series in text files: whatever separates their columns, and what is no series."""

import numpy as np
import pytest

from rnnlab.data.series_file import read_series
from rnnlab.errors import UsageError


@pytest.fixture
def write(tmp_path):
    def writing(text, name="series.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writing


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2.5\n-3,4e1\n",
        "\ufeffx,y\r\n1,2.5\r\n-3,4e1",
        "x;y\n1;2.5\n\n-3;4e1\n",
        "# made by hand\nx\ty\n1\t2.5\n-3\t4e1\n",
        ' x, "y"\n1, 2.5\n-3, 4e1\n',
        "  x   y\n 1  2.5\n-3 4e1\n",
    ],
)
def test_whatever_separates_the_columns(write, text):
    names, values = read_series(write(text))
    assert [name.strip('"') for name in names] == ["x", "y"]
    np.testing.assert_array_equal(values, [[1, 2.5], [-3, 40]])


def test_a_file_without_a_header(write):
    table = read_series(write("1\n2\n3\n"))
    assert table.names == () and table.values.shape == (3, 1)
    assert read_series(write("1,2\n3,4\n"), ("a", "b")).names == ("a", "b")


def test_columns_by_name_in_any_order_beside_others(write):
    path = write("time,z,label,x\n0,1,Rest,2\n1,3,,4\n")
    np.testing.assert_array_equal(read_series(path, ("x", "z")).values, [[2, 1], [4, 3]])


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("", (), "holds no rows"),
        ("x,y\n", (), "holds no rows below its header"),
        ("x,y\n1,2\n3\n", (), "line 3: has 1 columns, not 2"),
        ("x,y\n1,2\n3,nan\n", (), "line 3: 'nan' is no finite number"),
        ("x,y\n1,2\n\n3,inf\n", (), "line 4: 'inf' is no finite number"),
        ("x,y\n1,2\n3,\n", (), "line 3: '' is no finite number"),
        ("x,y\n1,two\n", (), "line 2: 'two' is no finite number"),
        ("x,y\n1,2\n", ("x", "z"), "has no column 'z', only x, y"),
        ("1,2\n3,4\n", ("x",), "has 2 columns and no header; needed are 1, x"),
        (b"\xff\xfe\x00x", (), "is no text in UTF-8"),
    ],
)
def test_what_is_no_series(write, text, names, message):
    path = write(text)
    with pytest.raises(UsageError) as caught:
        read_series(path, names)
    assert str(caught.value) == f"{path}: {message}"


def test_no_such_file(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_series(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="Is a directory"):
        read_series(tmp_path)
