"""prepare.py from end to end: exact bytes, splits, refusals, nothing half-written."""

import hashlib
import json

import numpy as np
import pytest

import token_file
from problems import DataError


def tokens(path):
    return np.fromfile(path, "<u2").tolist()


def make_folder(path, documents=40):
    path.mkdir()
    for i in range(documents):
        (path / f"{i:02}.txt").write_text(f"Document {i} says {'very ' * (i % 7)}little.\n")
    return path


def documents_of(path):
    return bytes(tokens(path)).decode().split("\0")[:-1]


def test_single_file_is_cut_at_a_line_end_and_keeps_every_byte(run, tmp_path):
    text = "alpha beta\r\ngamma d\u00e9lta\r\nepsilon zeta"
    (tmp_path / "a.txt").write_bytes(text.encode())
    code, out, _ = run(tmp_path / "a.txt", "--tokenizer", "bytes", "--validation-fraction", 0.4, "--output", tmp_path / "o")
    assert code == 0
    train, validation = tokens(tmp_path / "o/train.bin"), tokens(tmp_path / "o/val.bin")
    assert train == [*"alpha beta\r\ngamma d\u00e9lta\r\n".encode(), 0]
    assert validation == [*b"epsilon zeta", 0]
    assert hashlib.sha256((tmp_path / "o/train.bin").read_bytes()).hexdigest() in out


def test_folder_split_loses_and_leaks_nothing(run, tmp_path):
    folder = make_folder(tmp_path / "texts")
    (folder / "sub").mkdir()
    (folder / "sub" / "copy.md").write_text((folder / "03.txt").read_text())
    (folder / "picture.png").write_bytes(b"\x89PNG\xff\x00")
    (folder / ".hidden.txt").write_text("hidden")
    assert run(folder, "--tokenizer", "bytes", "--validation-fraction", 0.2, "--output", tmp_path / "o")[0] == 0
    train, validation = documents_of(tmp_path / "o/train.bin"), documents_of(tmp_path / "o/val.bin")
    assert sorted(train + validation) == sorted(p.read_text() for p in folder.rglob("[!.]*") if p.suffix in (".txt", ".md"))
    assert not set(train) & set(validation)
    size = sum(map(len, validation)) / sum(map(len, train + validation))
    assert abs(size - 0.2) < 0.02


def test_same_input_same_files_and_another_seed_another_split(run, tmp_path):
    folder = make_folder(tmp_path / "texts")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(folder, "--tokenizer", "bytes", "--validation-fraction", 0.2, "--seed", seed, "--output", tmp_path / name)
    read = {name: [(tmp_path / name / file).read_bytes() for file in ("train.bin", "val.bin", "meta.json")] for name in "abc"}
    assert read["a"] == read["b"]
    assert read["a"][1] != read["c"][1]


def test_llmc_header(run, tmp_path):
    folder = make_folder(tmp_path / "texts")
    for layout in ("raw", "llmc"):
        run(folder, "--tokenizer", "bytes", "--format", layout, "--output", tmp_path / layout)
    raw, llmc = ((tmp_path / layout / "train.bin").read_bytes() for layout in ("raw", "llmc"))
    header = np.frombuffer(llmc[:1024], "<i4")
    assert header[:3].tolist() == [20240520, 1, len(raw) // 2] and not header[3:].any()
    assert llmc[1024:] == raw


def test_meta_says_what_was_written(run, tmp_path):
    folder = make_folder(tmp_path / "texts", 5)
    run(folder, "--tokenizer", "bytes", "--output", tmp_path / "o")
    content = (tmp_path / "o/meta.json").read_text()
    meta = json.loads(content)
    assert str(tmp_path) not in content
    assert meta["inputs"] == [f"texts/{i:02}.txt" for i in range(5)]
    assert (meta["tokenizer"], meta["vocabulary_size"], meta["end_of_text"]) == ("bytes", 256, 0)
    assert sum(counts["documents"] for counts in meta["files"].values()) == 5
    for name, counts in meta["files"].items():
        content = (tmp_path / "o" / name).read_bytes()
        assert counts["tokens"] == len(content) // 2 == counts["bytes"] + counts["documents"]
        assert counts["sha256"] == hashlib.sha256(content).hexdigest()


def test_jsonl_rows_are_documents(run, tmp_path):
    rows = [f"Row number {i} is here." for i in range(10)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    run(tmp_path / "rows.jsonl", "--tokenizer", "bytes", "--validation-fraction", 0.3, "--output", tmp_path / "o")
    train, validation = documents_of(tmp_path / "o/train.bin"), documents_of(tmp_path / "o/val.bin")
    assert sorted(train + validation) == sorted(rows) and len(validation) == 3


def test_existing_files_are_kept_unless_forced(run, tmp_path):
    folder = make_folder(tmp_path / "texts")
    (tmp_path / "o").mkdir()
    (tmp_path / "o/val.bin").write_bytes(b"precious")
    code, _, error = run(folder, "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 1 and "val.bin exists" in error and "--force" in error
    assert (tmp_path / "o/val.bin").read_bytes() == b"precious" and not (tmp_path / "o/train.bin").exists()
    assert run(folder, "--tokenizer", "bytes", "--force", "--output", tmp_path / "o")[0] == 0
    assert (tmp_path / "o/val.bin").read_bytes() != b"precious"


def test_a_failure_leaves_nothing(run, tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "texts")
    seen = []

    def fail(path):
        seen.extend(p.name for p in path.parent.iterdir())
        raise OSError("disk on fire")

    monkeypatch.setattr("encoding.sha256", fail)
    code, _, error = run(folder, "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 1 and "disk on fire" in error
    assert seen == ["train.bin.part"]
    assert list((tmp_path / "o").iterdir()) == []


def failing_inputs(path):
    (path / "empty.txt").write_text("")
    (path / "one.txt").write_text("word")
    (path / "nul.txt").write_bytes(b"Some text \0 and more text. " * 20)
    (path / "latin.txt").write_bytes(b"caf\xe9 " * 9)
    (path / "bad.jsonl").write_text('{"txt": "a"}\n')
    (path / "twice.jsonl").write_text('{"text": "a"}\n{"text": "a"}\n')
    (path / "folder").mkdir()


@pytest.mark.parametrize("name, tokenizer, message", [
    ("missing.txt", "bytes", "no such file"), ("empty.txt", "bytes", "empty"), ("one.txt", "bytes", "nothing is left"),
    ("nul.txt", "bytes", "NUL"), ("latin.txt", "bytes", "not UTF-8"), ("bad.jsonl", "bytes", "line 1"),
    ("twice.jsonl", "bytes", "nothing is left"), ("folder", "bytes", "no text"), ("one.txt", "words", "unknown tokenizer"),
    ("nul.txt", "bpe:99000000", "16777216"), ("nul.txt", "bpe:10", "257"),
])
def test_mistakes_are_one_line_and_exit_1(run, tmp_path, name, tokenizer, message):
    failing_inputs(tmp_path)
    code, out, error = run(tmp_path / name, "--tokenizer", tokenizer, "--output", tmp_path / "o")
    assert code == 1 and out == "" and message in error and error.count("\n") == 1
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())


def test_no_input(run, tmp_path):
    assert run("--tokenizer", "bytes", "--output", tmp_path / "o")[0] == 1


@pytest.mark.parametrize("kind, largest", [("uint16", 65535), ("uint32", 4294967295)])
def test_tokens_must_fit_their_type(tmp_path, kind, largest):
    assert token_file.write_tokens(tmp_path / "t", [[0, largest]], "raw", kind) == 2
    for bad in ([largest + 1], [-1]):
        with pytest.raises(DataError, match=rf"{bad[0]} does not fit {kind}"):
            token_file.write_tokens(tmp_path / "t", [bad], "raw", kind)


def test_openwebtext_is_split_like_nanogpt(run, tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="the package datasets is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    rows = [f"row {i}" for i in range(3000)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    assert run(tmp_path / "rows.jsonl", "--source", "openwebtext", "--tokenizer", "bytes", "--output", tmp_path / "o")[0] == 0
    order = np.random.default_rng(2357).permutation(3000)
    assert documents_of(tmp_path / "o/val.bin") == [rows[i] for i in order[:2]]
    assert documents_of(tmp_path / "o/train.bin") == [rows[i] for i in order[2:]]


def test_debian_is_too_small_or_absent(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, error = run("--source", "debian", "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 1 and "apt-cache" in error and "own text files" in error


def test_held_out_files_in_the_input_are_not_trained_on(run, tmp_path):
    folder = make_folder(tmp_path / "texts")
    held_out = make_folder(folder / "held_out", 3)
    code, _, error = run(folder, "--validation", held_out, "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 0 and "3 skipped (" in error and "held out by --validation" in error
    assert len(documents_of(tmp_path / "o/train.bin")) == 40 and len(documents_of(tmp_path / "o/val.bin")) == 3
    code, _, error = run(held_out, "--validation", held_out, "--tokenizer", "bytes", "--output", tmp_path / "other")
    assert code == 1 and "nothing is left for training" in error


def test_a_file_that_is_named_twice_is_read_once(run, tmp_path):
    folder = make_folder(tmp_path / "texts", 3)
    (tmp_path / "link.txt").symlink_to(folder / "00.txt")
    code, _, error = run(folder, folder / "01.txt", tmp_path / "link.txt", "--tokenizer", "bytes", "--validation-fraction", 0.3, "--output", tmp_path / "o")
    assert code == 0 and "2 skipped (" in error and "read already, by another path" in error
    assert len(documents_of(tmp_path / "o/train.bin") + documents_of(tmp_path / "o/val.bin")) == 3


def test_somebody_elses_tokenizer_stays(run, tmp_path):
    text = make_folder(tmp_path / "texts", 30)
    (tmp_path / "o").mkdir()
    (tmp_path / "o/tokenizer.json").write_text("mine")
    code, _, error = run(text, "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 1 and "tokenizer.json exists" in error
    assert run(text, "--tokenizer", "bytes", "--force", "--output", tmp_path / "o")[0] == 0
    assert (tmp_path / "o/tokenizer.json").read_text() == "mine"


def test_too_many_tokens_for_llmc_are_seen_when_they_come(run, tmp_path, monkeypatch):
    monkeypatch.setattr(token_file, "LLMC_MOST_TOKENS", 100)
    words = [make_folder(tmp_path / "texts"), "--tokenizer", "bytes", "--output", tmp_path / "o"]
    code, _, error = run(*words, "--format", "llmc")
    assert code == 1 and "too many tokens for one llm.c file" in error and not (tmp_path / "o/train.bin").exists()
    assert run(*words)[0] == 0
