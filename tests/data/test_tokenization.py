"""Byte-pair encoding: exact ids on a toy vocabulary and on GPT-2's, piece by piece as well as whole."""

import io
import json
import os
from pathlib import Path

import pytest

import documents
import tokenization
from byte_pair import BytePairEncoder, byte_characters, word_pattern

TEXT = "It's 2024:  we'll\ttrain\n\nGPT-2 \u00fcber\u00adall \u6f22\u5b57 \u00bd \U0001f642!\n   end  <|endoftext|>\n"


def gpt2_folder():
    shared = Path(os.environ.get("LAWA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (shared / "gpt2_bpe").is_dir():
        pytest.skip("no GPT-2 vocabulary: set LAWA_SHARED to a folder with gpt2_bpe/")
    return shared / "gpt2_bpe"


def test_byte_characters_are_a_bijection_of_gpt2s_kind():
    table = byte_characters()
    assert sorted(table) == list(range(256)) and len(set(table.values())) == 256
    assert (table[32], table[10], table[65], table[0xff]) == ("\u0120", "\u010a", "A", "\u00ff")


def test_words_are_cut_by_gpt2s_rule():
    assert word_pattern().findall("I'll say 12 x2!  now\n\nb_\u00e9") == [
        "I", "'ll", " say", " 12", " x", "2", "!", " ", " now", "\n", "\n", "b", "_", "\u00e9"]


def test_earliest_learnt_pair_is_merged_first():
    vocabulary = {"a": 0, "b": 1, "c": 2, "bc": 3, "ab": 4, "abc": 5}
    assert BytePairEncoder(vocabulary, [("b", "c"), ("a", "b")]).encode("abcab") == [0, 3, 4]
    assert BytePairEncoder(vocabulary, [("b", "c"), ("a", "b"), ("a", "bc")]).encode("abcab") == [5, 4]


@pytest.mark.parametrize("size", (1, 5, 64))
def test_pieces_join_to_the_text(size):
    parts = list(documents.pieces(io.StringIO(TEXT * 9, newline=""), size))
    assert "".join(parts) == TEXT * 9 and len(parts) > 1


def test_gpt2_ids():
    tokenizer = tokenization.gpt2(gpt2_folder())
    plain = BytePairEncoder(tokenizer.vocabulary, tokenizer.merges)
    for text, ids in (("Hello world", [15496, 995]), ("a\n\nb", [64, 198, 198, 65]), ("\n\n", [628]),
                      ("The quick brown fox", [464, 2068, 7586, 21831])):
        assert tokenizer.encode([text])[0].tolist() == plain.encode(text) == ids
    assert tokenizer.end_of_text == 50256 not in plain.encode(TEXT)
    inverse = {code: symbol for symbol, code in tokenizer.vocabulary.items()}
    to_byte = {character: byte for byte, character in byte_characters().items()}
    assert bytes(to_byte[c] for code in plain.encode(TEXT) for c in inverse[code]).decode() == TEXT
    for size in (1, 7):
        cut = documents.pieces(io.StringIO(TEXT * 5, newline=""), size)
        assert [code for piece in cut for code in plain.encode(piece)] == plain.encode(TEXT * 5)


def test_gpt2_end_to_end(run, tmp_path):
    import numpy as np
    (tmp_path / "rows.jsonl").write_text('{"text": "Hello world"}\n{"text": "Hello world world"}\n')
    assert run(tmp_path / "rows.jsonl", "--tokenizer", "gpt2", "--vocabulary", gpt2_folder(), "--output", tmp_path / "o")[0] == 0
    assert np.fromfile(tmp_path / "o/val.bin", "<u2").tolist() == [15496, 995, 50256]
    assert np.fromfile(tmp_path / "o/train.bin", "<u2").tolist() == [15496, 995, 995, 50256]


def test_another_vocabulary_is_not_taken_for_gpt2s(tmp_path):
    letters = {character: i for i, character in enumerate(byte_characters().values())}
    (tmp_path / "vocab.json").write_text(json.dumps({**letters, tokenization.END_OF_TEXT: 256}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(documents.DataError, match="not GPT-2's"):
        tokenization.gpt2(tmp_path)


def test_tiktoken_cache_is_found_by_content(tmp_path, monkeypatch):
    for name, file in (("9b5a", "encoder.json"), ("6d1c", "vocab.bpe")):
        (tmp_path / name).write_bytes((gpt2_folder() / file).read_bytes())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert tokenization.gpt2().encode(["Hello world"])[0].tolist() == [15496, 995]


def test_missing_vocabulary_names_the_option(run, tmp_path):
    (tmp_path / "a.txt").write_text("some words to cut " * 9)
    code, _, error = run(tmp_path / "a.txt", "--tokenizer", "gpt2", "--vocabulary", tmp_path, "--output", tmp_path / "o")
    assert code == 1 and "--vocabulary" in error


def test_bpe_is_learnt_from_training_text_only(run, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    import numpy as np
    # The last tenth (508 of 5080 characters) holds all of the rare word.
    (tmp_path / "a.txt").write_text("the cat sat on the mat " * 200 + "zyzzyva zyzzyva " * 30)
    for name in "ab":
        assert run(tmp_path / "a.txt", "--tokenizer", "bpe:280", "--validation-fraction", 0.1, "--output", tmp_path / name)[0] == 0
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab")
    assert first == second and len(first) == 4
    learnt = tokenizers.Tokenizer.from_file(str(tmp_path / "a/tokenizer.json"))
    assert not any("zy" in symbol for symbol in learnt.get_vocab())
    train = np.fromfile(tmp_path / "a/train.bin", "<u2").tolist()
    assert train[-1] == learnt.token_to_id("<|endoftext|>")
    assert learnt.decode(train[:-1]).startswith("the cat sat on the mat the cat")
    value = json.loads((tmp_path / "a/tokenizer.json").read_text())
    plain = BytePairEncoder(*tokenization.read_model(value))
    assert plain.encode("the cat sat <|endo") == learnt.encode("the cat sat <|endo").ids


def test_missing_tokenizers_says_how_to_get_it(run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    (tmp_path / "a.txt").write_text("some words to cut " * 9)
    code, _, error = run(tmp_path / "a.txt", "--tokenizer", "bpe:300", "--output", tmp_path / "o")
    assert code == 1 and "pip install tokenizers" in error and error.count("\n") == 1
