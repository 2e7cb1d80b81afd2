"""A picture file is whole or absent, never overwrites by accident, and tells how it was made."""

import errno
import io
import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import zlib
from pathlib import Path

import pytest
from PIL import Image

from newbie import images
from newbie.errors import OutputError, UsageError
from newbie.request import Recommended, Request

CHINESE = "<character_1><n>初音ミク</n><appearance>蓝色双马尾</appearance></character_1>"


@pytest.fixture
def picture():
    image = Image.new("RGB", (48, 32))
    for x, y in itertools.product(range(48), range(32)):
        image.putpixel((x, y), (x * 5, y * 7, (x + y) % 256))
    return image


@pytest.fixture
def record():
    request = Request(prompt=CHINESE, negative="模糊", seed=7, width=48, height=32).resolved(Recommended())
    return {
        "request": request.to_json(),
        "canonical_prompt": CHINESE + "\n",
        "ran": {"model": "newbie-mini", "weights": "ab" * 32, "device": "cpu", "dtype": "float32", "caches": []},
        "versions": {"newbie": "0.1.0", "torch": "2.13.0"},
    }


def chunks(path):
    """(kind, data) of every chunk, each checksum verified: an independent reading of the file."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, found = 8, []
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        found.append((kind, body))
        place += 12 + length
    return found


def png(*parts, size=(16, 16)):
    """A PNG made by hand from (kind, data) chunks between a header and an end."""
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*p) for p in [(b"IHDR", header), *parts, (b"IEND", b"")])


def itxt(text, *, keyword=b"newbie", packed=False):
    body = zlib.compress(text) if packed else text
    return (b"iTXt", keyword + b"\0" + (b"\1" if packed else b"\0") + b"\0\0\0" + body)


def test_a_saved_picture_tells_its_request_in_chinese_too(tmp_path, picture, record):
    path = images.save(picture, tmp_path / "初音.png", record)
    stored = images.read_record(path)
    assert stored.request == Request.from_json(record["request"])
    assert stored.request.prompt == CHINESE
    assert (stored.width, stored.height) == (48, 32)
    assert stored.record["canonical_prompt"] == CHINESE + "\n"
    assert stored.record["pixels_sha256"] == images.pixel_hash(picture)
    with Image.open(path) as seen:  # another reader
        assert json.loads(seen.text["newbie"])["request"]["seed"] == 7
        first, *_, last = seen.text["parameters"].split("\n")
        assert first == CHINESE
        assert "Negative prompt: 模糊" in seen.text["parameters"]
        assert last.startswith("Steps: 28, Sampler: euler, Schedule type: auto, CFG scale: 4.5, Seed: 7, Size: 48x32")
    assert [kind for kind, _ in chunks(path)][-1] == b"IEND"


def test_saved_pixels_are_the_pixels(tmp_path, picture, record):
    path = images.save(picture, tmp_path / "a.png", record)
    assert images.read_pixels(path).tobytes() == picture.tobytes()
    assert images.pixel_hash(images.read_pixels(path)) == images.pixel_hash(picture)


def test_a_file_name_of_undecodable_bytes_does_not_stop_the_picture(tmp_path, picture, record):
    name = os.fsdecode(b"\xff.xml")
    path = images.save(picture, tmp_path / "a.png", record | {"prompt_name": name})
    assert images.read_record(path).record["prompt_name"] == name


def test_the_same_picture_twice_is_the_same_file(tmp_path, picture, record):
    first = images.save(picture, tmp_path / "a.png", record)
    second = images.save(picture, tmp_path / "b.png", record)
    assert first.read_bytes() == second.read_bytes()


def test_without_metadata_nothing_but_pixels_is_written(tmp_path, picture, record):
    path = images.save(picture, tmp_path / "a.png", record, metadata=False)
    assert {kind for kind, _ in chunks(path)} == {b"IHDR", b"IDAT", b"IEND"}
    with pytest.raises(UsageError, match="no newbie record"):
        images.read_record(path)


def test_no_path_and_no_home_reaches_the_file(tmp_path, picture, record):
    record["ran"]["model"] = "/home/alice/models/newbie-mini"
    record["ran"] |= {"from": r"C:\Users\alice\models\x.safetensors", "files": ["/srv/a.bin", "~/b.bin"]}
    data = images.save(picture, tmp_path / "a.png", record).read_bytes()
    assert b"alice" not in data
    assert b"srv" not in data
    assert str(tmp_path).encode() not in data
    stored = images.read_record(tmp_path / "a.png").record
    assert stored["ran"]["model"] == "newbie-mini"
    assert stored["ran"]["from"] == "x.safetensors"
    assert stored["ran"]["files"] == ["a.bin", "b.bin"]


def test_a_prompt_that_looks_like_a_path_is_kept_as_typed(tmp_path, picture, record):
    record["request"]["prompt"] = "/\\ slash eyes"
    images.save(picture, tmp_path / "a.png", record)
    assert images.read_record(tmp_path / "a.png").request.prompt == "/\\ slash eyes"


def test_an_existing_file_is_kept_and_the_next_free_name_is_used(tmp_path, picture):
    (tmp_path / "cat.png").write_bytes(b"mine")
    assert images.save(picture, tmp_path / "cat.png").name == "cat-2.png"
    assert images.save(picture, tmp_path / "cat.png").name == "cat-3.png"
    assert (tmp_path / "cat.png").read_bytes() == b"mine"


def test_overwrite_replaces_when_told(tmp_path, picture):
    (tmp_path / "cat.png").write_bytes(b"mine")
    assert images.save(picture, tmp_path / "cat.png", overwrite=True).name == "cat.png"
    assert images.read_pixels(tmp_path / "cat.png").size == picture.size
    assert [p.name for p in tmp_path.iterdir()] == ["cat.png"]


@pytest.mark.parametrize("links", [True, False])
def test_twelve_writers_of_one_name_get_twelve_files(tmp_path, picture, monkeypatch, links):
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(images.save(picture, tmp_path / "cat.png"))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 12
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in results)
    for path in results:
        assert images.read_pixels(path).size == picture.size


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path, picture, monkeypatch, number):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(images.os, "fsync", fail)
    with pytest.raises(OutputError) as caught:
        images.save(picture, tmp_path / "cat.png")
    assert os.strerror(number) in caught.value.message
    assert caught.value.exit_code == 7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_really_full_is_an_output_error(picture):
    with pytest.raises(OutputError):
        images.save(picture, Path("/dev/full/cat.png"))


def test_a_full_disk_keeps_the_old_picture_when_overwriting(tmp_path, picture, monkeypatch):
    (tmp_path / "cat.png").write_bytes(b"old")
    monkeypatch.setattr(images.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OutputError, match=r"cat\.png"):
        images.save(picture, tmp_path / "cat.png", overwrite=True)
    assert (tmp_path / "cat.png").read_bytes() == b"old"


def test_ctrl_c_while_writing_leaves_nothing(tmp_path, picture, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(images.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        images.save(picture, tmp_path / "cat.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("call", ["fsync", "link"])
def test_kill_while_writing_leaves_no_partial_picture_under_the_final_name(tmp_path, call):
    code = f"""
        import os, signal
        from pathlib import Path
        from PIL import Image
        from newbie import images
        die = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
        if {call!r} == "fsync":
            images.os.fsync = die
        else:
            Path.hardlink_to = die
        images.save(Image.new("RGB", (64, 64)), Path({str(tmp_path / "cat.png")!r}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "cat.png").exists()


def test_the_folder_is_created(tmp_path, picture):
    path = images.save(picture, tmp_path / "a" / "b" / "cat.png")
    assert path.exists()


def test_a_file_in_place_of_the_folder_is_an_output_error(tmp_path, picture):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(OutputError) as caught:
        images.save(picture, tmp_path / "a" / "cat.png")
    assert "where a folder should be" in caught.value.hint


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0b.png"])
def test_an_impossible_name_is_an_output_error(tmp_path, picture, name):
    with pytest.raises(OutputError):
        images.save(picture, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# ---- files that mean harm


def test_a_huge_text_chunk_is_not_read(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(itxt(b"[" * (images.MAX_TEXT_BYTES + 1))))
    with pytest.raises(UsageError, match="no newbie record"):
        images.read_record(path)


def test_a_packed_text_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(itxt(b" " * (64 * 2**20), packed=True)))
    with pytest.raises(UsageError, match="not JSON"):
        images.read_record(path)


def test_a_packed_record_is_read(tmp_path, picture, record):
    text = json.dumps(images.complete_record(record, picture)).encode()
    path = tmp_path / "packed.png"
    path.write_bytes(png(itxt(b"other", keyword=b"Comment"), itxt(text, packed=True)))
    assert images.read_record(path).request.seed == 7


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png((b"IDAT", zlib.compress(b"\0" * 1000)), size=(65_535, 65_535)))
    with pytest.raises(UsageError, match="65535x65535"):
        images.read_pixels(path)


def test_damaged_pixels_are_a_usage_error(tmp_path, picture):
    path = images.save(picture, tmp_path / "a.png")
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT") + 10
    data[place : place + 20] = b"\xff" * 20
    path.write_bytes(bytes(data))
    with pytest.raises(UsageError, match="damaged"):
        images.read_pixels(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "1"},
        {"format": True},
        {"format": 1},
        {"format": "newbie/99"},
        {"format": "newbie/0"},
        {"format": "newbie/" + "9" * 5000},
        {"format": None},
        {"request": None},
        {"request": []},
        {"request": {"prompt": 5}},
        {"request": {"steps": "many"}},
        {"request": {"steps": 10**9}},
        {"request": {"cfg_scale": float("nan")}},
        {"request": {"width": 17}},
        {"request": {"seed": -5}},
        {"request": {"unheard_of": 1}},
        {"ran": 3},
        {"versions": []},
        {"pixels_sha256": 0},
    ],
    ids=str,
)
def test_a_record_with_wrong_types_is_a_usage_error_naming_the_file(tmp_path, picture, record, change):
    path = tmp_path / "odd.png"
    text = json.dumps(images.complete_record(record, picture) | change).encode()
    path.write_bytes(png(itxt(text)))
    with pytest.raises(UsageError, match=r"odd\.png"):
        images.read_record(path)


@pytest.mark.parametrize(
    "text",
    [b"", b"nonsense", b"[1, 2]", b"[" * 100_000, b"\xff\xfe", b'{"format": ' + b"9" * 5000 + b"}", b"null"],
    ids=range(7),
)
def test_a_record_that_is_no_json_object_is_a_usage_error(tmp_path, text):
    path = tmp_path / "odd.png"
    path.write_bytes(png(itxt(text)))
    with pytest.raises(UsageError, match=r"odd\.png"):
        images.read_record(path)


def test_no_cut_of_a_file_gives_more_than_a_usage_error(tmp_path, picture, record):
    data = images.encode(picture, record)
    path = tmp_path / "cut.png"
    whole = 0
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        try:
            images.read_record(path)
            whole += 1  # the record stands before the pixels: it is whole before the file is
        except UsageError:
            pass
    assert 0 < whole < len(data) // 7


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_picture_is_a_usage_error(tmp_path, content):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        images.read_record(path)
    with pytest.raises(UsageError):
        images.read_pixels(path)


def test_a_missing_picture_and_a_folder_are_usage_errors(tmp_path):
    for path in (tmp_path / "none.png", tmp_path, Path("a\0b")):
        with pytest.raises(UsageError, match="cannot be read"):
            images.read_record(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UsageError, match="no ordinary file"):
        images.read_record(tmp_path / "a.png")


def test_blank_means_one_colour(picture):
    assert images.is_blank(Image.new("RGB", (16, 16), (200, 10, 10)))
    assert not images.is_blank(picture)
    one_dark_pixel = Image.new("RGB", (16, 16), "white")
    one_dark_pixel.putpixel((3, 3), (0, 0, 0))
    assert not images.is_blank(one_dark_pixel)


def test_noise_of_a_level_or_two_on_one_colour_is_blank_still():
    speckled = Image.new("RGB", (16, 16), (200, 10, 10))
    for place in range(0, 16, 3):
        speckled.putpixel((place, place), (203, 13, 8))
    assert images.is_blank(speckled)


def test_settings_with_commas_are_quoted_in_the_parameters_text():
    text = images.parameters_text({"request": {"prompt": "p", "cfg_trunc": "time:0.25"}, "ran": {"model": "a, b"}})
    assert 'CFG truncation: "time:0.25"' in text
    assert 'Model: "a, b"' in text


def test_the_encoded_picture_opens_from_memory(picture):
    with Image.open(io.BytesIO(images.encode(picture, None))) as seen:
        assert seen.size == (48, 32)
