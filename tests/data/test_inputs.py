"""Which files are read: names, links, what isn't a file; everything that is left out is named."""

import json
import os
import stat

import numpy as np
import pytest

LINE = "One line of a text that is long enough.\n"


def read_names(folder):
    return json.loads((folder / "meta.json").read_text())["inputs"]


def prepare(run, tmp_path, *inputs):
    """What prepare.py says of `inputs` on stderr; the token files are in o/."""
    code, _, error = run(*inputs, "--tokenizer", "bytes", "--force", "--output", tmp_path / "o")
    assert code == 0, error
    return error


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "texts"
    path.mkdir()
    for name in "ab":
        (path / f"{name}.txt").write_text(f"{name} {LINE}")
    return path


@pytest.mark.parametrize("name", ["GPT-2", "notes.docx", "README", "data.csv", "page.html", "a.txt.old", "x.gz"])
def test_files_left_out_by_their_names_are_named(run, tmp_path, folder, name):
    (folder / name).write_text(f"named otherwise {LINE}")
    said = prepare(run, tmp_path, folder)
    assert "2 files read, 1 skipped" in said and f"texts/{name}: not text by their names, --all-files" in said
    if name != "x.gz":
        assert "3 files read\n" in prepare(run, tmp_path, folder, "--all-files")
        assert f"texts/{name}" in read_names(tmp_path / "o")


def test_many_are_counted_and_a_few_named(run, tmp_path, folder):
    for i in range(20):
        (folder / f"{i:02}.png").write_bytes(b"\x89PNG")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.txt").write_text(LINE)
    said = prepare(run, tmp_path, folder)
    assert "21 skipped" in said and "00.png" in said and "19.png" not in said and "\u2026" in said and ".git: hidden" in said


def test_links_to_folders_are_followed_once(run, tmp_path, folder):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c.txt").write_text(f"c {LINE}")
    (folder / "link").symlink_to(outside)
    (folder / "second").symlink_to(outside)
    said = prepare(run, tmp_path, folder)
    assert read_names(tmp_path / "o") == ["texts/a.txt", "texts/b.txt", "texts/link/c.txt"]
    assert "texts/second: links to folders that are searched already" in said


@pytest.mark.parametrize("target", [".", "..", "sub", "/", "sub/loop"])
def test_link_loops_end(run, tmp_path, folder, target):
    (folder / "sub").mkdir()
    (folder / "sub" / "c.txt").write_text(f"c {LINE}")
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "zz").symlink_to(target)
    said = prepare(run, tmp_path, folder)
    assert read_names(tmp_path / "o") == ["texts/a.txt", "texts/b.txt", "texts/sub/c.txt"]
    assert "texts/zz" in said and "texts/sub/loop" in said


def test_links_to_files_are_read_and_broken_ones_named(run, tmp_path, folder):
    (tmp_path / "blob").write_text(f"c {LINE}")
    (folder / "c.txt").symlink_to(tmp_path / "blob")
    (folder / "gone.txt").symlink_to(tmp_path / "nothing")
    (folder / "self.txt").symlink_to("self.txt")
    said = prepare(run, tmp_path, folder)
    assert "3 files read, 2 skipped" in said and "texts/gone.txt: can't be opened" in said and "texts/self.txt" in said


def test_pipes_and_devices_in_a_folder_are_named_and_not_opened(run, tmp_path, folder):
    os.mkfifo(folder / "pipe.txt")
    (folder / "null.txt").symlink_to("/dev/null")
    said = prepare(run, tmp_path, folder)
    assert "texts/pipe.txt: a pipe, not a file" in said and "texts/null.txt: a device, not a file" in said


@pytest.mark.parametrize("make, word", [(lambda path: os.mkfifo(path), "a pipe"), (lambda path: path.symlink_to("/dev/zero"), "a device")])
def test_pipes_and_devices_as_input_are_refused(run, tmp_path, make, word):
    make(tmp_path / "in.txt")
    code, _, error = run(tmp_path / "in.txt", "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 1 and f"in.txt is {word}" in error and error.count("\n") == 1


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b"two\nlines.txt", b"tab\t and escape\x1b.txt", "\u4e2d\u6587.txt".encode(), b"-o.txt"])
def test_any_file_name_works(run, tmp_path, folder, name):
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(b"c " + LINE.encode())
    said = prepare(run, tmp_path, folder)
    assert "3 files read" in said and len(read_names(tmp_path / "o")) == 3
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(b"\xff")
    code, _, error = run(folder, "--tokenizer", "bytes", "--force", "--output", tmp_path / "o")
    assert code == 1 and error.count("\n") == 1 and "not UTF-8" in error and error.isprintable() is False
    error.encode()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_named(run, tmp_path, folder):
    (folder / "a.txt").chmod(0)
    code, _, error = run(folder, "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 1 and "a.txt: Permission denied" in error
    (folder / "sub").mkdir(mode=stat.S_IWUSR)
    said = prepare(run, tmp_path, folder, "--skip-bad")
    assert "1 bad" in said and "texts/sub: folders that can't be read" in said


def test_own_output_is_not_read_as_input(run, tmp_path, folder):
    for _ in range(2):
        code, _, error = run(folder, "--tokenizer", "bytes", "--force", "--output", folder)
        assert code == 0 and "2 files read" in error
    assert "meta.json" in error and "written by prepare.py" in error


def test_a_folder_without_text_says_what_is_there(run, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "LICENSE").write_text(LINE)
    code, _, error = run(tmp_path / "texts", "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 1 and "texts/LICENSE: not text by their names, --all-files" in error and error.count("\n") == 1


def test_order_of_files_is_sorted(run, tmp_path, folder):
    (folder / "sub").mkdir()
    for name in ("z.md", "sub/y.rst", "c.tex"):
        (folder / name).write_text(f"{name} {LINE * 9}")
    prepare(run, tmp_path, folder)
    assert read_names(tmp_path / "o") == ["texts/a.txt", "texts/b.txt", "texts/c.tex", "texts/sub/y.rst", "texts/z.md"]
    assert np.fromfile(tmp_path / "o/train.bin", "<u2").size > 0
