"""A Slurm of one node for all tests of this folder, and a folder to submit from."""
import pytest
from cluster import Slurm, prepare_tokens


@pytest.fixture(scope="session")
def slurm():
    with Slurm() as slurm:
        yield slurm


@pytest.fixture
def tokens(tmp_path):
    """A folder with tokens/, to submit from."""
    prepare_tokens(tmp_path)
    return tmp_path
