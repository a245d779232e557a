"""--tokenizer PATH: a tokenizer.json encodes another corpus, with the ids that it says; large vocabularies take 32 bits."""

import json
import sys

import numpy as np
import pytest

import tokenization
import tokenizer_file
from byte_pair import byte_characters
from problems import DataError

TEXT = "the cat sat on the mat\n" * 300


def value_of(extra=(), end="<|endoftext|>", **changes):
    """A small byte-level BPE as the JSON value of a tokenizer.json: 256 bytes, the end, "th" and "the", then `extra` tokens."""
    symbols = {character: i for i, character in enumerate(byte_characters().values())}
    vocabulary = {**symbols, "th": 257, "the": 258, **{token: 259 + i for i, token in enumerate(extra)}}
    value = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
             "added_tokens": [{"id": 256, "content": end, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                               "special": True}],
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
             "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
             "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                       "fuse_unk": False, "byte_fallback": False, "vocab": {**vocabulary, end: 256}, "merges": ["t h", "th e"]}}
    return {**value, **changes}


@pytest.fixture
def prepare(run, tmp_path):
    """prepare(value of a tokenizer.json, *options) -> (exit code, stderr, meta)."""
    def call(value, *options, text=TEXT):
        (tmp_path / "tokenizer.json").write_text(value if isinstance(value, str) else json.dumps(value))
        (tmp_path / "a.txt").write_text(text)
        code, _, error = run(tmp_path / "a.txt", "--tokenizer", tmp_path / "tokenizer.json", "--force", "--output", tmp_path / "o", *options)
        assert code == 0 or error.count("\n") == 1
        return code, error, json.loads((tmp_path / "o/meta.json").read_text()) if code == 0 else None
    return call


@pytest.mark.parametrize("package", [True, False])
def test_a_tokenizer_file_encodes(prepare, tmp_path, monkeypatch, package):
    if package:
        pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    else:
        monkeypatch.setitem(sys.modules, "tokenizers", None)
    code, error, meta = prepare(value_of(), text="the<|endoftext|>\n" * 100)
    assert code == 0, error
    tokens = np.fromfile(tmp_path / "o/val.bin", "<u2").tolist()
    assert tokens[0] == 258 and tokens[-1] == 256 and tokens.count(256) == 1   # its name inside a text is text
    assert (meta["vocabulary_size"], meta["end_of_text"], meta["dtype"]) == (259, 256, "little-endian uint16")
    assert str(tmp_path) not in json.dumps(meta) and meta["tokenizer"].startswith("tokenizer.json (")
    assert json.loads((tmp_path / "o/tokenizer.json").read_text()) == value_of()


def test_a_folder_is_as_good_as_its_file(run, prepare, tmp_path):
    prepare(value_of())
    assert run(tmp_path / "a.txt", "--tokenizer", tmp_path / "o", "--output", tmp_path / "p")[0] == 0
    assert (tmp_path / "p/train.bin").read_bytes() == (tmp_path / "o/train.bin").read_bytes()


def test_a_learnt_tokenizer_encodes_a_second_corpus(run, tmp_path):
    pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text("another cat on another mat\n" * 200)
    assert run(tmp_path / "a.txt", "--tokenizer", "bpe:300", "--output", tmp_path / "a")[0] == 0
    words = [tmp_path / "a.txt", tmp_path / "b.txt", "--tokenizer", tmp_path / "a/tokenizer.json"]
    assert run(*words, "--validation", tmp_path / "b.txt", "--output", tmp_path / "b")[0] == 0
    tokenizer, _ = tokenizer_file.load(str(tmp_path / "a/tokenizer.json"))
    expected = tokenizer.encode([(tmp_path / "b.txt").read_text()])[0].tolist()
    assert np.fromfile(tmp_path / "b/val.bin", "<u2").tolist() == [*expected, tokenizer.end_of_text]


@pytest.mark.parametrize("end", ["<|endoftext|>", "</s>", "<|end_of_text|>"])
def test_the_end_of_a_document_by_its_usual_names(prepare, end):
    assert prepare(value_of(end=end))[2]["end_of_text"] == 256


@pytest.mark.parametrize("named", ["<stop>", {"content": "<stop>"}])
def test_the_end_of_a_document_by_tokenizer_config(prepare, tmp_path, named):
    code, error, _ = prepare(value_of(end="<stop>"))
    assert code == 1 and "no token that ends a document" in error
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": named}))
    assert prepare(value_of(end="<stop>"))[2]["end_of_text"] == 256


@pytest.mark.parametrize("layout", ["raw", "llmc"])
@pytest.mark.parametrize("size, kind", [(65536, "uint16"), (65537, "uint32"), (128256, "uint32")])
def test_large_vocabularies_take_32_bits(prepare, tmp_path, size, kind, layout):
    extra = [f"token{i}" for i in range(size - 259)]
    code, error, meta = prepare(value_of(extra), "--format", layout)
    assert code == 0, error
    assert (meta["vocabulary_size"], meta["dtype"]) == (size, f"little-endian {kind}")
    content = (tmp_path / "o/val.bin").read_bytes()
    if layout == "llmc":
        header = np.frombuffer(content[:1024], "<i4")
        assert header[:2].tolist() == ([20240520, 1] if kind == "uint16" else [20240801, 7])
        content = content[1024:]
        assert header[2] == len(content) // np.dtype(kind).itemsize
    tokens = np.frombuffer(content, np.dtype(kind).newbyteorder("<"))
    assert tokens.size == meta["files"]["val.bin"]["tokens"] and tokens[0] == 258 and tokens[-1] == 256


@pytest.mark.parametrize("value, says", [
    ("", "is not JSON"), ("{", "is not JSON"), ("[1]", "not a JSON object"), ("{}", "lacks a model"), ('{"model": 5}', "lacks a model"),
    ('{"model": {"vocab": {}, "merges": []}}', "no token that ends a document"), ("[" * 100000, "is not JSON"),
    ('{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [5]}', "lacks a model"),
])
def test_what_is_no_tokenizer_is_named(prepare, value, says):
    code, error, _ = prepare(value)
    assert code == 1 and says in error and "tokenizer.json" in error


def test_a_vocabulary_that_lacks_bytes_or_what_merges_make_is_refused(prepare):
    for change, says in ((lambda model: model["vocab"].pop("a"), "lacks 1 of the 256 bytes"),
                         (lambda model: model["merges"].append("c a"), "lacks what 1 of the merges make, c a first")):
        value = value_of()
        change(value["model"])
        code, error, _ = prepare(value)
        assert code == 1 and says in error and "tokenizer.json" in error


def test_missing_files_are_named(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    for name in (tmp_path / "none.json", tmp_path):
        code, _, error = run(tmp_path / "a.txt", "--tokenizer", name, "--output", tmp_path / "o")
        assert code == 1 and "there is no " in error and ".json" in error
    (tmp_path / "vocab.json").write_text("{")
    (tmp_path / "merges.txt").write_text("")
    code, _, error = run(tmp_path / "a.txt", "--tokenizer", "gpt2", "--vocabulary", tmp_path, "--output", tmp_path / "o")
    assert code == 1 and "vocab.json is not JSON" in error


SPLIT = {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": r"\s+|\S+"}, "behavior": "Isolated", "invert": False},
                                               {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}
OTHERS = {"another rule for words": {"pre_tokenizer": SPLIT}, "a normalizer": {"normalizer": {"type": "Lowercase"}},
          "a space put in front": {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}}}


@pytest.mark.parametrize("name", OTHERS)
def test_other_kinds_are_encoded_as_their_package_does(prepare, tmp_path, name, monkeypatch):
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    monkeypatch.setattr("documents.PIECE_CHARACTERS", 64)
    code, error, _ = prepare(value_of(**OTHERS[name]))
    assert code == 0, error
    train, validation = (np.fromfile(tmp_path / f"o/{part}.bin", "<u2").tolist() for part in ("train", "val"))
    encoder = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    cut = len(TEXT) - len(encoder.decode(validation[:-1]).lstrip())
    assert train == [*encoder.encode(TEXT[:cut]).ids, 256] and validation == [*encoder.encode(TEXT[cut:]).ids, 256]


def test_other_kinds_need_the_package(prepare, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    code, error, _ = prepare(value_of(**OTHERS["another rule for words"]))
    assert code == 1 and "needs the package tokenizers" in error


def test_bpe_may_have_more_than_65536_ids():
    pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    tokenization.check_trainable(100_000)
    with pytest.raises(DataError, match="between 257"):
        tokenization.check_trainable(1 << 25)
