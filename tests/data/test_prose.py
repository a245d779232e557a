"""The cleaner and the debian source, on a small package built here; no network."""

import gzip
import shutil
import subprocess

import pytest

import clean
import prose
from documents import DataError

FIRST = ("The averager reads every checkpoint once and keeps the sum in double precision, so that the order of the "
         "files has no influence on the result.")
SECOND = ("When the window is full, the oldest of the snapshots is dropped, and the newest of them takes its place in "
          "the ring of buffers.")
PAGE = f"""<html><head><title>A title that is long enough to be taken for a sentence of the text.</title></head><body>
<div class="navheader"><div><p>{SECOND.replace("window", "menu")}</p></div></div>
<h1>Heading</h1><p>{FIRST.replace("once", "<em>once</em>").replace("so that", "so&nbsp;that")}
<p>Returns: x_1, y_2</p><pre>{SECOND.replace("window", "code")}</pre>
<table><tr><td>{SECOND.replace("window", "table")}</td></tr></table><ul><li>item<li>{SECOND}</ul></body></html>"""


def test_html_keeps_sentences_and_drops_the_rest():
    assert clean.prose_paragraphs(PAGE, "html") == [FIRST, SECOND]


def test_pod_and_text():
    pod = f"=head1 NAME\n\n{FIRST.replace('once', 'I<once>')}\n\n    {SECOND}\n\n=cut\n\n{SECOND}\n"
    assert clean.prose_paragraphs(pod, "pod") == [FIRST, SECOND]
    assert clean.pod_inline("L<the page|perlop/x> C<< a->b >> B<I<c>> E<lt>X<gone> L</Here>") == "the page a->b c < Here"
    assert clean.prose_paragraphs(FIRST.replace("once", "{once}").replace(" and", "\n   and"), "text") == [FIRST]


@pytest.mark.parametrize("text", [
    "short.", FIRST[:-1], FIRST.lower(), "Apple Banana Cherry Date Elder Fig Grape Hazel Iris Jasmine Kiwi Lemon Mango.",
    "If (a == b) { the_value[i] = *p; } else { the_other[j] = &q; } // and so on to the end of it.",
    "Le moyenneur lit chaque fichier une seule fois et garde la somme en double pr\u00e9cision, sans perte.",
])
def test_what_is_not_english_prose(text):
    assert not clean.is_prose(clean.ascii_text(text))


def test_typography_becomes_ascii():
    assert clean.ascii_text("\u201cIt\u2019s na\u00efve\u201d \u2014 ok\u2026") == '"It\'s naive" - ok...'
    assert clean.ascii_text("\u6f22\u5b57") is None


def test_repeated_sentences_are_dropped_across_pages():
    seen = set()
    assert prose.drop_repeated([FIRST, SECOND], seen) == [FIRST, SECOND]
    assert prose.drop_repeated([FIRST.upper().replace(",", ";"), f"Note. {SECOND}", "Another sentence."], seen) == ["Another sentence."]


def build_package(folder, name, pages):
    root = folder / name
    documents = root / "usr/share/doc" / name
    documents.mkdir(parents=True)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: test\n")
    for file, content in pages.items():
        (documents / file).write_bytes(content)
    path = folder / f"{name}_1.0-1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(path)], check=True, capture_output=True)
    return name, "1.0-1", path


@pytest.fixture
def packages(tmp_path, monkeypatch):
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is not here")
    long = "\n".join(f"<p>{FIRST.replace('averager', 'averager ' + 'abcdefghij'[i] * 5)}</p>" for i in range(5))
    pages = {"b.html": long.encode(), "a.html.gz": gzip.compress(PAGE.encode()), "c.fr.html": long.encode(),
             "d.html": long.encode(), "notes.txt": FIRST.encode()}
    built = [build_package(tmp_path, "fake-doc", pages)]
    monkeypatch.setattr(prose, "download", lambda folder: built)
    monkeypatch.setattr(prose, "SMALLEST_DOCUMENT_CHARACTERS", 200)
    return built


def test_packages_become_documents(packages, monkeypatch):
    monkeypatch.setattr(prose, "SMALLEST_CORPUS_BYTES", 500)
    texts, provenance = prose.collect()
    assert len(texts) == 2 and texts[0] == f"{FIRST}\n\n{SECOND}\n" and texts[1].count("\n\n") == 4
    assert provenance["packages"] == {"fake-doc": "1.0-1"}
    assert prose.collect() == (texts, provenance)


def test_too_little_prose_is_an_error(packages):
    with pytest.raises(DataError, match="20 MB are needed"):
        prose.collect()


def test_alternatives_and_missing_packages(capsys):
    chosen = prose.choose({"postgresql-doc-17": "17", "perl-doc": "5"})
    assert chosen == ["postgresql-doc-17", "perl-doc"]
    assert "git-doc" in capsys.readouterr().err
