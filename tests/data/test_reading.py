"""Texts and rows as people have them: read as they are meant, or named in one line; --skip-bad counts and goes on."""

import bz2
import codecs
import gzip
import io
import json
import lzma
import tarfile
import time
import zipfile

import numpy as np
import pytest

ROWS = [f"Row {i} says something of its own, number {i * i}." for i in range(8)]
LINES = [json.dumps({"text": row, "id": i}) for i, row in enumerate(ROWS)]
GOOD = "\n".join(LINES) + "\n"


def documents(folder):
    """Training's and validation's documents, sorted."""
    found = []
    for name in ("train.bin", "val.bin"):
        found += np.fromfile(folder / name, "<u2").astype(np.uint8).tobytes().decode().split("\0")[:-1]
    return sorted(found)


@pytest.fixture
def prepare(run, tmp_path):
    """prepare(name, content, *options) -> (exit code, stderr); o/ has the token files."""
    def call(name, content, *options):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        code, out, error = run(tmp_path / name, "--tokenizer", "bytes", "--force", "--output", tmp_path / "o", *options)
        assert "Traceback" not in error and (code == 0 or (out == "" and error.count("\n") == 1)), error
        return code, error
    return call


def text_of(rows):
    return "\n".join(rows) + "\n"


# ---- rows as they are meant ---------------------------------------------------------------------------------------------------

AS_MEANT = {
    "blank lines": ("r.jsonl", "\n\n" + "\n \t\n".join(LINES) + "\n\n\n"),
    "no last line end": ("r.jsonl", GOOD.rstrip("\n")),
    "CRLF": ("r.jsonl", GOOD.replace("\n", "\r\n")),
    "CR alone": ("r.jsonl", GOOD.replace("\n", "\r")),
    "a byte order mark": ("r.jsonl", codecs.BOM_UTF8 + GOOD.encode()),
    "two files in one, each with a mark": ("r.jsonl", (codecs.BOM_UTF8 + text_of(LINES[:3]).encode()) + codecs.BOM_UTF8 + text_of(LINES[3:]).encode()),
    "marks in the texts": ("r.jsonl", GOOD.replace('"text": "', '"text": "\\ufeff')),
    "a blank line with a mark": ("r.jsonl", codecs.BOM_UTF8 + b"\n" + GOOD.encode()),
    "blanks around rows": ("r.jsonl", "".join(f"  {line} \t\n" for line in LINES)),
    "ndjson": ("r.ndjson", GOOD),
    "capital suffix": ("R.JSONL", GOOD),
    "an array": ("r.json", json.dumps([json.loads(line) for line in LINES])),
    "an array, pretty-printed": ("r.json", json.dumps([json.loads(line) for line in LINES], indent=2)),
    "an array with a mark": ("r.json", codecs.BOM_UTF8 + json.dumps([json.loads(line) for line in LINES]).encode()),
    "an array named jsonl": ("r.jsonl", json.dumps([json.loads(line) for line in LINES], indent=1)),
    "lines named json": ("r.json", GOOD),
    "pretty-printed values": ("r.json", "\n".join(json.dumps(json.loads(line), indent=4) for line in LINES)),
    "gz": ("r.jsonl.gz", gzip.compress(GOOD.encode())),
    "gz of two members": ("r.jsonl.gz", gzip.compress(text_of(LINES[:3]).encode()) + gzip.compress(text_of(LINES[3:]).encode())),
    "json.gz": ("r.json.gz", gzip.compress(json.dumps([json.loads(line) for line in LINES]).encode())),
    "bz2": ("r.jsonl.bz2", bz2.compress(GOOD.encode())),
    "xz": ("r.ndjson.xz", lzma.compress(GOOD.encode())),
}


@pytest.mark.parametrize("case", AS_MEANT)
def test_rows_are_read_as_they_are_meant(prepare, tmp_path, case):
    code, error = prepare(*AS_MEANT[case])
    assert code == 0 and documents(tmp_path / "o") == sorted(ROWS), error


def test_another_key(prepare, tmp_path):
    rows = GOOD.replace('"text"', '"content"')
    code, error = prepare("r.jsonl", rows)
    assert code == 1 and "line 1" in error and "--text-key" in error and "content, id" in error
    assert prepare("r.jsonl", rows, "--text-key", "content")[0] == 0 and documents(tmp_path / "o") == sorted(ROWS)


@pytest.mark.parametrize("value", ["null", '""', '" \\n\\t"', '"\\ufeff"'])
def test_rows_without_text_are_counted(prepare, tmp_path, value):
    code, error = prepare("r.jsonl", f'{{"text": {value}}}\n{GOOD}{{"text": {value}}}\n')
    assert code == 0 and "2 without text left out" in error and documents(tmp_path / "o") == sorted(ROWS)
    assert json.loads((tmp_path / "o/meta.json").read_text())["left_out"] == {"without_text": 2}


# ---- rows that are bad --------------------------------------------------------------------------------------------------------

BAD_ROWS = {
    "half a surrogate pair": ('{"text": "a \\ud83d b"}', "half a surrogate pair"),
    "its other half": ('{"text": "\\ude00"}', "half a surrogate pair"),
    "the halves the wrong way round": ('{"text": "end \\ude00\\ud83d"}', "half a surrogate pair"),
    "a NUL": ('{"text": "a\\u0000b"}', "NUL"),
    "a NUL at the end": ('{"text": "ab\\u0000"}', "NUL"),
    "a raw NUL": ('{"text": "a\0b"}', "not JSON"),
    "nested a thousand deep": ('{"text": "a", "x": ' + "[" * 100000 + "]" * 100000 + "}", "nested too deeply"),
    "objects nested deep": ('{"x":' * 100000 + "1" + "}" * 100000, "nested too deeply"),
    "invalid UTF-8": (b'{"text": "caf\xe9 ol\xe9"}', "not UTF-8"),
    "a surrogate in UTF-8": (b'{"text": "\xed\xa0\xbd"}', "not UTF-8"),
    "no JSON": ("Just a text.", "not JSON"),
    "cut": ('{"text": "a te', "not JSON"),
    "something behind it": ('{"text": "a"} x', "not JSON"),
    "a number": ("17", "not a JSON object"),
    "a string": ('"a text"', "not a JSON object"),
    "no text in it": ('{"txt": "a"}', 'no key "text"'),
    "an empty object": ("{}", 'no key "text"'),
    "text is a number": ('{"text": 5}', "not a text"),
    "text is a list": ('{"text": ["a"]}', "not a text"),
    "a key that isn't Unicode": ('{"\\ud800": "a"}', 'no key "text"'),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_with_its_line_and_skipped_where_asked(prepare, tmp_path, case):
    row, message = BAD_ROWS[case]
    row = row if isinstance(row, bytes) else row.encode()
    content = text_of(LINES[:3]).encode() + row + b"\n" + text_of(LINES[3:]).encode()
    code, error = prepare("r.jsonl", content)
    assert code == 1 and "r.jsonl, line 4: " in error and message in error
    code, error = prepare("r.jsonl", content, "--skip-bad")
    assert code == 0 and "1 bad skipped" in error and "line 4" in error and documents(tmp_path / "o") == sorted(ROWS)
    assert json.loads((tmp_path / "o/meta.json").read_text())["left_out"] == {"bad": 1}


@pytest.mark.parametrize("content, message", [
    ('[{"text": "a"}, {"text": "b"}', "line 1: the array isn't closed"), ('[{"text": "a"} {"text": "b"}]', "line 1: a comma is missing"),
    ('[{"text": "a"}]\n[]', "line 2: something stands behind"), ('[\n{"text": "a"},\n{"text": 5}]', 'line 3: "text" is a int'),
    ('{"text": "a"}\n{"text": ', "line 2: not JSON"), ("A text.", "line 1: not JSON"), ('{"name": "config", "size": 3}', 'no key "text"'),
    ("[" * 100000, "nested too deeply"), ('["a", "b"]', "not a JSON object but a str"), ("{\n'text': 'a'}", "line 1: not JSON"),
])
def test_bad_json_is_named_with_its_line(prepare, content, message):
    code, error = prepare("r.json", content)
    assert code == 1 and "r.json, line " in error and message in error


def test_pretty_printed_rows_in_jsonl_say_what_to_do(prepare):
    code, error = prepare("r.jsonl", json.dumps({"text": "a"}, indent=2))
    assert code == 1 and "line 1: a row goes over several lines" in error and ".json" in error


# ---- files that are bad -------------------------------------------------------------------------------------------------------

def archive(kind):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as opened:
            opened.writestr("a.txt", "text")
    else:
        with tarfile.open(fileobj=file, mode="w") as opened:
            opened.addfile(tarfile.TarInfo("a.txt"))
    return file.getvalue()


def flipped(content, place):
    changed = bytearray(content)
    changed[place] ^= 0x55
    return bytes(changed)


TEXT = "".join(f"Line {i} of a text, with the number {i * i % 977}.\n" for i in range(4000)).encode()
MANY = "".join(json.dumps({"text": f"Row {i} and {i * i % 977}"}) + "\n" for i in range(4000)).encode()
BAD_FILES = {
    "a cut gz": ("b.txt.gz", gzip.compress(TEXT)[:-2000], "damaged or cut"),
    "a gz without its end": ("b.txt.gz", gzip.compress(TEXT)[:-4], "damaged or cut"),
    "a gz of which only the head is there": ("b.txt.gz", gzip.compress(TEXT)[:5], "damaged or cut"),
    "a wrong CRC": ("b.txt.gz", flipped(gzip.compress(TEXT), -6), "damaged or cut"),
    "a wrong length": ("b.jsonl.gz", flipped(gzip.compress(MANY), -1), "damaged or cut"),
    "a changed byte": ("b.txt.gz", flipped(gzip.compress(TEXT), 300), "damaged or cut"),
    "a cut gz of rows": ("b.jsonl.gz", gzip.compress(MANY)[:-3000], "damaged or cut"),
    "rubbish behind a gz": ("b.jsonl.gz", gzip.compress(MANY) + b"rubbish", "damaged or cut"),
    "a cut bz2": ("b.txt.bz2", bz2.compress(TEXT)[:-10], "damaged or cut"),
    "a changed bz2": ("b.txt.bz2", flipped(bz2.compress(TEXT), 200), "damaged or cut"),
    "a cut xz": ("b.jsonl.xz", lzma.compress(MANY)[:-10], "damaged or cut"),
    "a changed xz": ("b.txt.xz", flipped(lzma.compress(TEXT), 200), "damaged or cut"),
    "no gz at all": ("b.txt.gz", TEXT, "is named .gz, but isn't"),
    "no zst at all": ("b.jsonl.zst", MANY, "is named .zst, but isn't"),
    "a bz2 named gz": ("b.txt.gz", bz2.compress(TEXT), "is named .gz, but isn't"),
    "a gz that isn't named so": ("b.txt", gzip.compress(TEXT), "add .gz"),
    "a zst that isn't named so": ("b.jsonl", b"\x28\xb5\x2f\xfd\x24\x00", "add .zst"),
    "a gz in a gz": ("b.txt.gz", gzip.compress(gzip.compress(TEXT)), "compressed twice"),
    "a tar": ("b.txt", archive("tar"), "tar archive"),
    "a tar in a gz": ("b.tar.gz", gzip.compress(archive("tar")), "tar archive"),
    "a zip": ("b.txt", archive("zip"), "zip archive"),
    "a PDF": ("b.text", b"%PDF-1.4 and so on", "PDF"),
    "an array": ("b.txt", b"\x93NUMPY\x01\x00", "NumPy"),
    "a Git LFS pointer": ("b.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "Latin-1": ("b.txt", TEXT + "café olé\n".encode("latin-1"), "line 4001: not UTF-8 (0xe9"),
    "a cut character": ("b.txt", TEXT + "中".encode()[:2], "line 4001: not UTF-8"),
    "a surrogate in UTF-8": ("b.md", b"a\n\xed\xa0\x80\n", "line 2: not UTF-8"),
    "a NUL": ("b.txt", TEXT + b"\n\na\0b", "line 4003: a NUL byte"),
    "a NUL in a gz": ("b.txt.gz", gzip.compress(TEXT + b"a\0b"), "line 4001: a NUL byte"),
    "UTF-16": ("b.txt", "\ufeffA text.\n".encode("utf-16-le"), "UTF-16"),
    "UTF-16, big end first": ("b.txt", "\ufeffA text.\n".encode("utf-16-be"), "UTF-16"),
    "UTF-16 without its mark": ("b.txt", "A text.\n".encode("utf-16-le"), "UTF-16"),
    "UTF-32": ("b.txt", "\ufeffA text.\n".encode("utf-32-le"), "UTF-32"),
    "UTF-16 rows": ("b.jsonl", GOOD.encode("utf-16"), "UTF-16"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_and_skipped_where_asked(run, tmp_path, case):
    name, content, message = BAD_FILES[case]
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / name).write_bytes(content)
    (texts / "good.jsonl").write_text(GOOD)
    words = ["--tokenizer", "bytes", "--output", tmp_path / "o", "--all-files"]
    code, out, error = run(texts, *words)
    assert code == 1 and out == "" and error.count("\n") == 1 and name in error and message in error, error
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())
    code, _, error = run(texts, *words, "--skip-bad")
    assert code == 0 and "1 bad skipped" in error and name in error and documents(tmp_path / "o") == sorted(ROWS), error
    code, _, error = run(texts / name, *words[:-1], "--skip-bad", "--force")
    assert code == 1 and "no text" in error and "1 bad skipped" in error and error.count("\n") == 1


@pytest.mark.parametrize("name, content", [("b.txt", b""), ("b.jsonl", b""), ("b.json", b""), ("b.txt.gz", gzip.compress(b"")), ("b.txt", b"\n \r\n\t\n"),
                                           ("b.jsonl", b"\n\n"), ("b.json", b"[]"), ("b.txt", codecs.BOM_UTF8), ("b.txt.gz", b"")])
def test_a_file_without_text_is_empty(prepare, name, content):
    code, error = prepare(name, content)
    assert code == 1 and "no text" in error


def test_a_long_row_is_refused_before_it_fills_the_memory(prepare, monkeypatch):
    monkeypatch.setattr("rows.LONGEST_ROW", 10000)
    for name in ("b.jsonl.gz", "b.json.gz"):
        code, error = prepare(name, gzip.compress(GOOD.encode() + b'{"text": "' + b"a" * 3_000_000))
        assert code == 1 and "longer than" in error


def test_marks_are_dropped_and_everything_else_stays(prepare, tmp_path):
    text = "\ufefffirst\r\n\u2028second\ufeff\x0b\x85 third\r"
    assert prepare("b.txt", text + "\n" * 5)[0] == 0
    joined = np.concatenate([np.fromfile(tmp_path / f"o/{name}.bin", "<u2")[:-1] for name in ("train", "val")])
    assert joined.astype(np.uint8).tobytes().decode() == text.replace("\ufeff", "") + "\n" * 5


# ---- separators ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, options, mark", [("b.txt", ["--separator"], "<|endoftext|>"), ("b.jsonl", ["--separator"], "<|endoftext|>"),
                                                 ("b.txt", ["--separator", "%%"], "%%"), ("b.txt", ["--separator", "\n\n"], "\n\n")])
def test_a_separator_ends_documents(prepare, tmp_path, name, options, mark):
    text = mark.join(ROWS) + mark
    code, _ = prepare(name, json.dumps({"text": text}) if name.endswith("jsonl") else text, *options)
    assert code == 0 and documents(tmp_path / "o") == sorted(ROWS)
    assert prepare("c.txt", text)[0] == 0 and len(documents(tmp_path / "o")) == 2


@pytest.mark.parametrize("size", [1, 2, 5, 64, 1000])
def test_a_separator_is_found_wherever_blocks_end(size):
    import documents as reader
    text = "<|endoftext|>".join(ROWS) + "<|endoftext|><|end<|endoftext|>"
    blocks = [text[i:i + size] for i in range(0, len(text), size)]
    found = ["".join(group) for group in reader.parts_of(iter(blocks), "<|endoftext|>")]
    assert [part for part in found if part] == [*ROWS, "<|end"]


# ---- large texts --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text", ["早期权重平均遇上高学习率。" * 90, "无标点" * 500, "a" * 1500, "!!! ??? " * 200, "x\n" * 900, "\n" * 2000, "漢字\r\n" * 300])
def test_pieces_join_in_any_language(text, monkeypatch):
    import documents as reader
    monkeypatch.setattr(reader, "LARGEST_UNCUT_CHARACTERS", 256)
    parts = list(reader.pieces((text[i:i + 50] for i in range(0, len(text), 50)), 64))
    assert "".join(parts) == text and len(parts) > 3 and max(map(len, parts)) <= 256 + 50


def test_a_text_without_blanks_takes_linear_time(run, tmp_path):
    """Eight times the text takes about eight times as long; it was 64 times."""
    seconds = []
    for size in (1, 8):
        (tmp_path / f"{size}.txt").write_text("早期权重平均遇上高学习率" * (80_000 * size))
        (tmp_path / "b.txt").write_text("A notice.\n")
        begin = time.process_time()
        assert run(tmp_path / f"{size}.txt", tmp_path / "b.txt", "--tokenizer", "bytes", "--output", tmp_path / f"o{size}")[0] == 0
        seconds.append(time.process_time() - begin)
    assert seconds[1] < 24 * max(seconds[0], 0.02)


# ---- packages that may be missing ---------------------------------------------------------------------------------------------

def test_zstandard_is_named_where_it_is_missing(prepare, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    monkeypatch.setitem(__import__("sys").modules, "compression", None)
    code, error = prepare("b.jsonl.zst", b"\x28\xb5\x2f\xfd\x24\x00")
    assert code == 1 and "b.jsonl.zst" in error and "pip install zstandard" in error


@pytest.mark.parametrize("name", ["b.jsonl.zst", "b.txt.zst", "b.json.zst"])
def test_zst_is_read_and_a_cut_one_is_named(prepare, tmp_path, name):
    zstandard = pytest.importorskip("zstandard", reason="the package zstandard is not installed")
    content = TEXT if ".txt" in name else MANY
    frames = [zstandard.ZstdCompressor(write_checksum=True).compress(part) for part in (content[:len(content) // 2], content[len(content) // 2:])]
    whole = b"".join(frames)
    assert prepare(name, whole)[0] == 0
    assert len(documents(tmp_path / "o")) == (2 if ".txt" in name else 4000)
    for bad in (whole[:-5], flipped(whole, 500), whole + b"rubbish"):
        code, error = prepare(name, bad)
        assert code == 1 and name in error and "damaged or cut" in error


def test_parquet(prepare, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the package pyarrow is not installed")
    from pyarrow import parquet
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"content": [*ROWS, None, ""], "n": list(range(len(ROWS) + 2))}), file)
    code, error = prepare("b.parquet", file.getvalue())
    assert code == 1 and 'no column "text"' in error and "content" in error
    code, error = prepare("b.parquet", file.getvalue(), "--text-key", "content")
    assert code == 0 and documents(tmp_path / "o") == sorted(ROWS) and "2 without text" in error
    code, error = prepare("b.parquet", file.getvalue(), "--text-key", "n")
    assert code == 1 and "row 1" in error and "not a text" in error
    for bad in (file.getvalue()[:-20], b"no parquet", file.getvalue()[20:]):
        code, error = prepare("b.parquet", bad, "--text-key", "content")
        assert code == 1 and "b.parquet" in error


def test_parquet_without_its_package(prepare, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    code, error = prepare("b.parquet", b"PAR1")
    assert code == 1 and "pip install pyarrow" in error
