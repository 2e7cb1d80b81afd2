"""The doctor tells what is there, and gives a remedy for everything that is wrong."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import torch

from newbie import doctor
from newbie.attention.choose import KERNELS
from newbie.doctor import Row, Section
from newbie.errors import UsageError


def pci_device(folder: Path, *, vendor: str, kind: str) -> None:
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(vendor + "\n")
    (folder / "class").write_text(kind + "\n")


def nowhere(name: str) -> None:
    return None


def test_a_card_is_found_by_its_tool_its_driver_or_on_the_bus(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    pci_device(tmp_path / "pci" / "0000:01:00.0", vendor="0x10de", kind="0x030000")
    driver = tmp_path / "driver"
    driver.mkdir()
    assert doctor.nvidia_present(which=lambda name: "/usr/bin/" + name, driver=absent, pci=absent)
    assert doctor.nvidia_present(which=nowhere, driver=driver, pci=absent)
    assert doctor.nvidia_present(which=nowhere, driver=absent, pci=tmp_path / "pci")
    assert not doctor.nvidia_present(which=nowhere, driver=absent, pci=absent)


def test_other_makers_and_other_nvidia_devices_are_no_card(tmp_path: Path) -> None:
    pci_device(tmp_path / "pci" / "amd", vendor="0x1002", kind="0x030000")
    pci_device(tmp_path / "pci" / "nvidia sound", vendor="0x10de", kind="0x040300")
    assert not doctor.nvidia_present(which=nowhere, driver=tmp_path / "absent", pci=tmp_path / "pci")


@pytest.mark.parametrize(("system", "index"), [("Linux", "pypi.org"), ("Windows", "download.pytorch.org/whl/cu")])
def test_a_card_with_a_cpu_only_torch_is_a_problem_with_a_command_to_type(system: str, index: str) -> None:
    (row,) = doctor.nvidia_rows(present=True, built_for=None, usable=False, version="2.13.0+cpu", system=system)
    assert row.state == "problem"
    assert "CPU only" in row.value
    assert row.remedy.startswith("pip install --force-reinstall torch==2.13.0 --index-url https://")
    assert index in row.remedy


def test_a_card_that_torch_cannot_use_points_at_the_driver() -> None:
    (row,) = doctor.nvidia_rows(present=True, built_for="13.0", usable=False, version="2.13.0")
    assert row.state == "problem"
    assert "nvidia-smi" in row.remedy
    assert "13.0" in row.remedy


def test_no_card_and_a_card_in_use_are_no_problems() -> None:
    (none,) = doctor.nvidia_rows(present=False, built_for=None, usable=False, version="2.13.0+cpu")
    (used,) = doctor.nvidia_rows(present=True, built_for="13.0", usable=True, version="2.13.0")
    assert (none.state, used.state) == ("note", "fine")


def test_a_missing_package_and_an_old_one_are_problems_with_a_command_each() -> None:
    rows = {row.name: row for row in doctor.package_rows({"torch": "2.9.1+cu128", "numpy": "2.4.6"}.get)}
    assert rows["numpy"].state == "fine"
    assert rows["torch"].state == rows["lxml"].state == "problem"
    assert rows["torch"].remedy == 'pip install --upgrade "torch>=2.11"'
    assert rows["lxml"].remedy == 'pip install "lxml>=6.0"'


def test_the_oldest_versions_are_those_that_the_package_asks_for() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    asked = project["project"]["dependencies"]
    assert sorted(asked) == sorted(f"{name}>={oldest}" for name, oldest in doctor.REQUIRED.items())


def test_versions_compare_as_numbers() -> None:
    assert doctor.numbers("2.13.0+cpu") == (2, 13, 0)
    assert doctor.numbers("2.9.1") < doctor.numbers("2.11") < doctor.numbers("2.11.0rc1")
    assert doctor.numbers("nightly") == ()


def test_an_absent_optional_package_names_the_extra_and_is_no_problem() -> None:
    rows = doctor.optional_rows(nowhere)
    assert {row.state for row in rows} == {"note"}
    assert any('pip install "newbie[flash]"' in row.value for row in rows)


def test_memory_is_read_in_gib_or_said_to_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n")
    assert doctor.memory_rows(tmp_path / "meminfo")[0].value == "16.0 GiB, 8.0 GiB of it free"
    assert doctor.memory_rows(tmp_path / "absent")[0].state == "note"


def test_every_kernel_is_listed_with_a_reason_where_it_cannot_run() -> None:
    rows = doctor.attention_rows()
    assert [row.name for row in rows] == ["chosen", *KERNELS]
    for row in rows[1:]:
        assert row.value == "can run" or row.value.startswith("no: ")
    if not torch.cuda.is_available():
        assert next(row for row in rows if row.name == "flash").value == "no: it runs on cuda, not on cpu"


def test_a_missing_package_spoils_one_section_only() -> None:
    def broken() -> list[Row]:
        raise ImportError("No module named 'torch'")

    found = doctor.section("graphics", broken, lambda: [Row("still", "here")])
    assert [row.state for row in found.rows] == ["problem", "fine"]
    assert "torch" in found.rows[0].value


def test_an_absent_or_damaged_model_is_a_problem(tmp_path: Path) -> None:
    assert doctor.model_rows(tmp_path / "newbie-mini")[0].state == "problem"
    broken = tmp_path / "broken" / "transformer"
    broken.mkdir(parents=True)
    (broken / "diffusion_pytorch_model.safetensors").write_bytes(b"not weights")
    assert any(row.state == "problem" for row in doctor.model_rows(broken.parent))


def test_the_report_as_text_has_remedies_under_their_problems_and_a_verdict() -> None:
    sections = [
        Section("first", (Row("a", "1"), Row("long name", "2", "note"))),
        Section("second", (Row("b", "wrong", "problem", "do this\nthen that"),)),
    ]
    assert doctor.lines(sections) == [
        "first",
        "  ok  a          1",
        "  --  long name  2",
        "",
        "second",
        "  !!  b          wrong",
        "                 -> do this",
        "                 -> then that",
        "",
        "1 problem found (!!)",
    ]
    assert doctor.lines(sections[:1])[-1] == "no problems found"


def test_the_exit_code_says_whether_there_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    code = doctor.main([], said.append)
    assert code == (0 if said[-1] == "no problems found" else 1)
    assert str(Path.home()) not in "\n".join(said)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    with pytest.raises(UsageError):
        doctor.main(["--what"], said.append)


def test_the_real_machine_is_asked_without_error() -> None:
    assert isinstance(doctor.nvidia_present(which=shutil.which), bool)
