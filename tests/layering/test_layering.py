"""Who may include whom, and who may name what: framework/CMakeLists.txt is the table, and this reads it."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORK = ROOT / "framework"
SOURCES = sorted(path for path in FRAMEWORK.rglob("*") if path.suffix in (".hpp", ".cpp"))

# A library's names, and the only places (module or file) that may use them.
OWNERS = {
    r"\bMPI_\w+": ("comm", "checkpoint/parallel_file.cpp", "checkpoint/hdf5_library.cpp"),
    r"\bMPI_COMM_WORLD\b": ("comm",),
    r"\bnccl\w+\(|<nccl\.h>": ("comm/collectives_nccl.cpp",),
    r"\bcublas\w+\(|<cublas": ("ops/gemm_cublas.cpp",),
    r"\bcudnn\w+\(|<cudnn|\bcudnn_frontend\b": ("ops/fused_attention_cudnn.cpp",),
    r"\bcuda[A-Z]\w+|<cuda": ("ops/gemm_cublas.cpp", "ops/fused_attention_cudnn.cpp", "comm/collectives_nccl.cpp", "tensor/device_cuda.cpp",
                                "tensor/instructions_cuda.hpp"),
    r"\bdnnl_\w+|<oneapi": ("ops/gemm_onednn.cpp",),
    r"\bcblas_\w+|<cblas": ("ops/gemm_blas.cpp",),
    r"\bH5[A-Z]\w*_?\w*\(|<hdf5": ("checkpoint",),
    r"\btoml::|<toml": ("core/config_source.cpp",),
    r"\bKokkos::(Serial|OpenMP|Threads|Cuda|HIP|HostSpace|DefaultExecutionSpace)\b": ("tensor/tensor.hpp",),
    r"#\s*ifdef|#\s*if\s+defined": (),
    r"\bstd::(cout|cerr)\b|\bexit\(|\babort\(": (),
}


def modules():
    """{module: modules that it may include}, from the lawa_module() calls."""
    text = (FRAMEWORK / "CMakeLists.txt").read_text()
    table = {}
    for name, rest in re.findall(r"lawa_module\((\w+)([^)]*(?:\$\{[^)]*)?)\)", text):
        depends = re.search(r"DEPENDS([\w\s]*?)(?:LIBRARIES|$)", rest)
        table[name] = set(depends[1].split()) if depends else set()
    return table


def place(path):
    return path.relative_to(FRAMEWORK).as_posix()


def code(path):
    """The file without comments and texts."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    return re.sub(r'"(?:[^"\\\n]|\\.)*"', lambda match: match[0] if "/" in match[0] and match[0].endswith('.hpp"') else '""', text)


def test_the_table_covers_every_folder():
    folders = {path.parent.name for path in SOURCES}
    assert folders == set(modules()) | {"programs"}


def test_dependencies_point_one_way():
    table, seen = modules(), set()
    for name, depends in table.items():   # in the order of the file
        assert depends <= seen, f"{name} may include {depends - seen}, which come after it"
        seen.add(name)


def test_the_architecture_page_names_the_modules():
    page = (FRAMEWORK / "ARCHITECTURE.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(modules())


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_file_includes_only_what_its_module_may(path):
    module = path.parent.name
    allowed = set(modules()) | {"programs"} if module == "programs" else modules()[module] | {module}
    for line in re.findall(r'#include "([^"]+)"', path.read_text()):
        assert line.split("/")[0] in allowed, f"{place(path)} includes {line}"
        assert (FRAMEWORK / line).exists(), f"{place(path)} includes {line}, relative to framework/"


@pytest.mark.parametrize("pattern", OWNERS, ids=lambda pattern: pattern[:16])
def test_a_librarys_names_stay_in_their_files(pattern):
    strangers = [place(path) for path in SOURCES
                 if re.search(pattern, code(path)) and not {place(path), path.parent.name} & set(OWNERS[pattern])]
    assert strangers == []


def test_files_are_one_idea():
    folders = ("framework", "tests", "experiments", "analysis", "data", "slurm")
    long = [str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*")
            if path.suffix in (".hpp", ".cpp", ".py", ".sh", ".cmake") and len(path.read_text().splitlines()) > 400]
    assert long == []


def test_headers_begin_with_a_sentence_and_a_guard():
    for path in SOURCES:
        if path.suffix == ".hpp":
            lines = path.read_text().splitlines()
            assert lines[0].startswith("// ") and "#pragma once" in lines, place(path)
