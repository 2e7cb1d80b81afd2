"""Files keep the kind of file that they are, whoever writes them."""

from __future__ import annotations

import pytest

from newbie.cli.files import as_in_file
from newbie.cli.fmt import main as fmt
from newbie.cli.lint import main as lint
from newbie.errors import OutputError

FINE = "<character_1>\n<appearance>blue_hair, red_eyes</appearance>\n</character_1>\n"
ODD = FINE.replace("_hair", " hair")  # corrected by both
MARK = b"\xef\xbb\xbf"


def made(text: str, end: bytes, mark: bytes) -> bytes:
    return mark + text.encode().replace(b"\n", end)


@pytest.mark.parametrize("mark", [b"", MARK], ids=["plain", "marked"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
def test_fmt_and_lint_keep_what_a_file_has(tmp_path, end, mark):
    path = tmp_path / "a.xml"
    for write in (lambda: lint(["--fix", str(path)]), lambda: fmt([str(path)])):
        path.write_bytes(made(ODD, end, mark))
        write()
        assert path.read_bytes() == made(FINE, end, mark)


def test_where_ends_are_mixed_a_layout_has_one_kind_and_a_correction_is_refused(tmp_path):
    path = tmp_path / "a.xml"
    mixed = ODD.replace("\n", "\r\n", 1).encode()
    path.write_bytes(mixed)
    with pytest.raises(OutputError, match="end in different ways"):
        lint(["--fix", str(path)])
    assert path.read_bytes() == mixed
    assert fmt([str(path)]) == 0
    assert path.read_bytes() == FINE.encode()


@pytest.mark.parametrize("data", [b"", b"1girl"])
def test_a_file_of_one_line_gets_the_usual_end(data):
    assert as_in_file("a\nb\n", data) == b"a\nb\n"
