"""No number in README.md that isn't in a committed file, and no link to a file that isn't there."""
import re

import readme
from spec import ROOT


def test_the_numbers_are_those_of_the_committed_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.written(text) == text


def test_links_and_paths_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:framework|experiments|analysis|data|tests|paper_figures|slurm)/[\w./]*)`", text)
    assert links and paths
    assert [path for path in links + paths if not (ROOT / path).exists()] == []
