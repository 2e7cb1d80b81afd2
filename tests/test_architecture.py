"""Who may import whom, read from the source. The rows are those of CONTRIBUTING.md, from the top down."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "newbie"

ROWS = [
    {"cli"},
    {"train", "parity", "doctor", "bench", "calibrate"},
    {"pipeline", "images"},
    {"denoise", "memory"},
    {"sampling", "checkpoints", "lora", "accel", "quant"},
    {"model", "vae", "text", "regions"},
    {"attention", "prompt"},
    {"request", "step", "devices", "flags"},
    {"errors", "cgroup"},
]
HEIGHT = {name: -row for row, names in enumerate(ROWS) for name in names}
# Neighbours that may be imported, one way each.
ALLOWED = {
    ("pipeline", "images"), ("train", "cli"), ("parity", "train"), ("lora", "checkpoints"), ("checkpoints", "quant"),
    ("accel", "quant"), ("denoise", "memory"), ("bench", "calibrate"), ("bench", "train"),
}  # fmt: skip

GUESTS = {
    "transformers": "newbie/text/gemma.py",
    "flash_attn": "newbie/attention/flash.py",
    "flash_attn_interface": "newbie/attention/flash3.py",
    "xformers": "newbie/attention/xformers.py",
    "triton": "newbie/accel/triton.py",
    "huggingface_hub": "newbie/checkpoints/hub.py",
    "skia": "newbie/train/figures",
    "sentencepiece": "newbie/text/tokens.py",
    "diffusers": "newbie/bench/peer.py",
    "gguf": "newbie/quant/gguf_package.py",
    "cache_dit": "newbie/bench/peer_cache.py",
    "lpips": "newbie/bench/lpips.py",
    "bitsandbytes": ("newbie/quant/bitsandbytes_package.py", "newbie/train/optim.py"),
    "torchao": "newbie/quant/torchao_package.py",
    "matplotlib": "newbie/bench/plots.py",
    "prompt_toolkit": "newbie/cli/screen.py",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def part(name: str) -> str:
    """The first name below the package: newbie.text.gemma.x → text."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def test_imports_go_downwards_only():
    wrong = []
    for path in modules():
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own in ("__init__", "__main__"):
            continue
        assert own in HEIGHT, f"{own} has no row in this test and in CONTRIBUTING.md"
        for name, line in imports(path):
            other = part(name)
            if not name.startswith("newbie.") or other not in HEIGHT or other == own:
                continue
            if HEIGHT[other] >= HEIGHT[own] and (own, other) not in ALLOWED:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {own} imports {other}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("guest", "door"), GUESTS.items())
def test_each_guest_has_one_door(guest: str, door: str | tuple[str, ...]):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for name, _ in imports(path)
        if name.split(".")[0] == guest
    }
    assert all(user.startswith(door) for user in users), users


def test_only_devices_reads_the_environment():
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    # The console must know NO_COLOR before torch, which devices.py imports, is there.
    assert users <= {"newbie/devices.py", "newbie/cli/console.py"}, users


def test_only_the_console_prints():
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert users <= {"newbie/cli/console.py"}, users


@pytest.mark.parametrize(
    "name", ["newbie", "newbie.prompt", "newbie.request", "newbie.step", "newbie.cli.args", "newbie.cli.lint"]
)
def test_foundations_do_not_load_torch(name: str):
    code = f"import sys, {name}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_public_names_are_what_we_say():
    import newbie

    assert newbie.__all__ == sorted(newbie.__all__, key=lambda n: (n.startswith("_"), n))
    assert all(hasattr(newbie, name) for name in newbie.__all__)
