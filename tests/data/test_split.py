"""The split: the fraction is met, nothing is lost or in both, equal texts are treated alike, whatever order they come in."""

import hashlib
import random
import time

import numpy as np
import pytest

import prose
import split as splitting
import survey as surveys

LINES = ["The mean of the newest checkpoints.", "早期权重平均。", "Средние веса модели, и шаги.", "Eine Zeile ohne Ende", "\u0e2d\u0e31\u0e15\u0e23\u0e32\u0e01\u0e32\u0e23"]
ENDS = ["\n", "\r\n", "\r", "\u2028", "\x85"]


def novel(seed, size, line=LINES[0], end="\n"):
    """`size` characters or a few more, in lines that are all different."""
    parts, draw = [], random.Random(seed)
    while sum(map(len, parts)) < size:
        parts.append(f"{draw.randrange(10**6)} {line}" * draw.randrange(1, 4) + end)
    return "".join(parts)


def divided(texts, fraction=0.02, seed=1):
    """(training, validation): lists of texts, and the Split."""
    parts = splitting.split(lambda: ([text] for text in texts), fraction, seed)
    return ["".join(part) for part in parts.training()], ["".join(part) for part in parts.validation()], parts


def share(training, validation):
    sizes = [sum(len(text.encode()) for text in part) for part in (training, validation)]
    return sizes[1] / sum(sizes)


CORPORA = {
    "50 equal rows": [f"Row {i:02} is here." for i in range(50)],
    "2000 rows": [f"Row {i} " + "and more " * (i % 13) for i in range(2000)],
    "two novels": [novel(i, 200_000) for i in range(2)],
    "two short novels": [novel(i, 20_000) for i in range(2)],
    "seven stories": [novel(i, 3_000 + 2_000 * i) for i in range(7)],
    "a novel and a notice": [novel(1, 300_000), "A short notice."],
    "a notice and a novel": ["A short notice.", novel(1, 300_000)],
    "a novel and 1000 notices": [novel(1, 300_000), *(f"Notice {i} " * 9 for i in range(1000))],
    "one Chinese document": [novel(1, 60_000, LINES[1])],
    "one document without a line end": ["中" * 50_000],
    "a document without a line end, one of several": ["中" * 200_000, "a" * 90_000, "b c " * 90_000],
    "300 pages": [novel(i, 1_000 + 37 * i) for i in range(300)],
    "the same novel twice": [novel(1, 100_000)] * 2,
    "copies": [novel(i % 40, 2_000) for i in range(200)],
}


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("name", CORPORA)
def test_the_fraction_is_met_and_nothing_is_lost(name, fraction):
    texts = CORPORA[name]
    training, validation, parts = divided(texts, fraction)
    assert abs(share(training, validation) / fraction - 1) < 0.06 and training and validation
    assert sum(map(len, training + validation)) == sum(map(len, texts))
    whole = [text for text in texts if text in training or text in validation]
    assert not set(training) & set(validation)
    rest = sorted(set(texts) - set(whole))
    assert all(any(text == first + last for first in training for last in validation) for text in rest)
    assert parts.provenance["cut_documents"] == len([text for text in texts if text in rest])


@pytest.mark.parametrize("fraction", [0.02, 0.1])
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("end", ENDS)
def test_long_documents_are_cut_at_line_ends_of_any_kind(line, end, fraction):
    texts = [novel(i, 150_000, line, end) for i in range(3)]
    training, validation, _ = divided(texts, fraction)
    assert len(training) == len(validation) == 3
    assert all(text.endswith(end) for text in training) and all(text[0].isdigit() for text in validation)
    assert all(first + last == text for first, last, text in zip(training, validation, texts))


@pytest.mark.parametrize("size", [1, 7, 100, 4096, 10**9])
def test_pieces_make_no_difference(size):
    text = novel(3, 50_000, LINES[1], "\r\n")
    for fraction in (0.02, 0.5, 0.97):
        cut = [["".join(splitting.part_of((text[i:i + size] for i in range(0, len(text), size)), len(text.encode()), fraction, validation))
                for validation in (False, True)] for size in (size, 333)]
        assert cut[0] == cut[1] and "".join(cut[0]) == text and cut[0][0].endswith("\r\n")


@pytest.mark.parametrize("name", ["2000 rows", "300 pages", "seven stories", "copies", "a novel and 1000 notices"])
def test_order_makes_no_difference_and_the_seed_does(name):
    texts = list(CORPORA[name])
    first = divided(texts)
    random.Random(5).shuffle(texts)
    second, other = divided(texts), divided(texts, seed=2)
    assert [sorted(part) for part in first[:2]] == [sorted(part) for part in second[:2]]
    assert sorted(other[1]) != sorted(first[1])


def test_more_documents_change_little_of_what_is_held_out():
    texts = CORPORA["2000 rows"]
    few, many = (set(divided(texts[:count])[1]) for count in (1800, 2000))
    assert len(few & many) > 0.8 * len(few)


def test_equal_texts_are_treated_alike():
    texts = ["boilerplate"] * 900 + [f"Row {i} of several." for i in range(900)]
    training, validation, _ = divided(texts, 0.1)
    assert not set(training) & set(validation) and training.count("boilerplate") in (0, 900)
    assert abs(share(training, validation) - 0.1) < 0.005


@pytest.mark.parametrize("texts", [["short", "shorter"], [f"A row of {i * 'some '}words" for i in range(12)]])
def test_where_the_fraction_cannot_be_met_it_is_said(run, tmp_path, texts):
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.txt").write_text(text)
    paths = [tmp_path / f"{i}.txt" for i in range(len(texts))]
    code, _, error = run(*paths, "--tokenizer", "bytes", "--output", tmp_path / "o")
    assert code == 0 and "not 2.00%: documents of less than 512 bytes aren't cut" in error
    (tmp_path / "one.txt").write_text(("word " * 400 + "\n") * 20)
    code, _, error = run(tmp_path / "one.txt", "--tokenizer", "bytes", "--validation-fraction", 0.11, "--force", "--output", tmp_path / "o")
    assert code == 0 and "not 11.00%: documents are cut at line ends, and the lines are long" in error


@pytest.mark.parametrize("fraction", ["0", "1", "-0.1", "1.5", "nan", "inf"])
def test_fractions_out_of_range(run, tmp_path, fraction):
    (tmp_path / "a.txt").write_text("a text")
    code, _, error = run(tmp_path / "a.txt", "--tokenizer", "bytes", f"--validation-fraction={fraction}", "--output", tmp_path / "o")
    assert code == 1 and "between 0 and 1" in error


def test_time_is_linear_in_the_documents():
    def seconds(count):
        texts = [f"Row {i}" for i in range(count)]
        begin = time.process_time()
        divided(texts)
        return time.process_time() - begin
    assert seconds(80_000) < 24 * max(seconds(10_000), 0.02)


def test_an_input_that_changes_is_noticed():
    passes = iter([[["a"], ["b"], ["c"]], [["a"], ["b"]]])
    parts = splitting.split(lambda: iter(next(passes)), 0.4, 1)
    with pytest.raises(splitting.DataError, match="has changed"):
        list(parts.training())


# ---- held out by hand ---------------------------------------------------------------------------------------------------------

def prepare(run, tmp_path, *words):
    code, out, error = run(*words, "--tokenizer", "bytes", "--force", "--output", tmp_path / "o")
    return code, error, [np.fromfile(tmp_path / f"o/{name}.bin", "<u2").size for name in ("train", "val")] if code == 0 else out


@pytest.fixture
def files(tmp_path):
    (tmp_path / "train").mkdir()
    for i in range(9):
        (tmp_path / "train" / f"{i}.txt").write_text(novel(i, 2_000))
    (tmp_path / "held.txt").write_text(novel(99, 1_500))
    return tmp_path / "train", tmp_path / "held.txt"


def test_named_files_are_the_validation_set(run, tmp_path, files):
    train, held = files
    code, error, sizes = prepare(run, tmp_path, train, "--validation", held)
    assert code == 0 and "warning" not in error and "for validation: 1 file read" in error
    assert sizes == [sum(len(path.read_text()) + 1 for path in train.iterdir()), len(held.read_text()) + 1]
    meta = (tmp_path / "o/meta.json").read_text()
    assert '"held.txt"' in meta and "validation_fraction" not in meta


def test_what_is_in_both_is_said(run, tmp_path, files):
    train, held = files
    (tmp_path / "copy.txt").write_text((train / "3.txt").read_text())
    (tmp_path / "again.txt").write_text(held.read_text())
    code, error, _ = prepare(run, tmp_path, train, tmp_path / "again.txt", "--validation", held, tmp_path / "copy.txt")
    assert code == 0 and "2 of its 2 documents are training documents too" in error


@pytest.mark.parametrize("name, text, says", [
    ("long.txt", novel(1, 60_000), "its documents are longer: typically 60"), ("short.txt", "A short one.\n", "its documents are shorter: typically 13 bytes"),
    ("page.md", novel(1, 2_000), "100% of it is .md, of training 0%"), ("zh.txt", novel(1, 1_500, LINES[1] * 4), "is it another language?"),
], ids=["long", "short", "kind", "language"])
def test_a_validation_set_that_differs_plainly_is_said(run, tmp_path, files, name, text, says):
    (tmp_path / name).write_text(text)
    code, error, _ = prepare(run, tmp_path, files[0], "--validation", tmp_path / name)
    assert code == 0 and "warning: validation differs from training: " in error and says in error


@pytest.mark.parametrize("words, says", [
    (["--validation", "nothing.txt"], "no such file"), (["--validation-fraction", "0.1", "--validation", "held.txt"], "leave --validation-fraction out"),
    (["--source", "openwebtext", "--validation", "held.txt"], "not with --source"),
])
def test_contradictions(run, tmp_path, files, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    code, error, out = prepare(run, tmp_path, files[0], *words)
    assert code == 1 and says in error and out == ""
    code, error, _ = prepare(run, tmp_path, "--validation", files[1])
    assert code == 1 and "before --validation" in error


def test_an_even_split_is_not_warned_of(run, tmp_path, files):
    code, error, _ = prepare(run, tmp_path, files[0], "--validation-fraction", 0.2)
    assert code == 0 and "differs" not in error


def test_differences_of_parts():
    seen = surveys.survey(lambda: ([text] for text in ["a" * 100, "b" * 100, "c" * 5000]), 1)
    assert surveys.differences((seen, np.array([100, 0, 0.0])), (seen, np.array([0, 100, 0.0]))) == []
    assert "longer" in surveys.differences((seen, np.array([100, 0, 0.0])), (seen, np.array([0, 0, 5000.0])))[0]


# ---- the split of published runs ----------------------------------------------------------------------------------------------

def test_debians_split_stays(run, tmp_path, monkeypatch):
    """Digests of what was written before other texts were split otherwise: documents of 400 to 40,000 characters, one of 200,000."""
    draw = random.Random(7)
    words = "the early mean of some weights is often better than any one of them".split()
    texts = [" ".join(draw.choice(words) for _ in range(draw.randrange(80, 8000))) + "\n" for _ in range(400)]
    texts.append(" ".join(draw.choice(words) for _ in range(40_000)))
    monkeypatch.setattr(prose, "collect", lambda: (texts, {}))
    assert run("--source", "debian", "--tokenizer", "bytes", "--output", tmp_path / "o")[0] == 0
    digests = [hashlib.sha256((tmp_path / f"o/{name}.bin").read_bytes()).hexdigest()[:16] for name in ("train", "val")]
    assert digests == ["b83ffc1df414d011", "96adf89f2857c362"]
