"""`python -m newbie schema` prints and writes what the table gives."""

import json

import pytest
from lxml import etree

from newbie.cli.main import main
from newbie.prompt.schemas import FORMATS


def test_without_flags_it_prints_relax_ng(capsys):
    assert main(["schema"]) == 0
    assert etree.RelaxNG(etree.fromstring(capsys.readouterr().out.encode()))


def test_the_format_can_be_chosen(capsys):
    assert main(["schema", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"]
    assert main(["schema", "--format", "xsd"]) == 0
    assert etree.XMLSchema(etree.fromstring(capsys.readouterr().out.encode()))


def test_an_unknown_format_is_a_usage_error(capsys):
    assert main(["schema", "--format", "dtd"]) == 2
    assert "dtd" in capsys.readouterr().err


def test_write_makes_the_folder_and_names_the_files(capsys, tmp_path):
    folder = tmp_path / "new" / "schema"
    assert main(["schema", "--write", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(each.file for each in FORMATS.values())
    assert capsys.readouterr().out.split() == [str(folder / each.file) for each in FORMATS.values()]


@pytest.mark.skipif("__import__('os').name == 'nt'", reason="a file in the way is told otherwise there")
def test_a_folder_that_cannot_be_made_is_an_output_error(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["schema", "--write", str(tmp_path / "file" / "schema")]) == 7
    assert "cannot be written" in capsys.readouterr().err
