"""The account of a step on paper knows what a step launches, and what is measured beside it. How fast anything is, no test judges."""
import os
import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from runner import ROOT, TINY

sys.path.insert(0, str(ROOT / "tests" / "benchmark"))
import roofline   # noqa: E402

BIN = ROOT / "build" / "cpu" / "bin"
SMALL = roofline.Shape(layers=12, heads=12, channels=768, context=1024, vocabulary=50304, sequences=64)
NCU = '''step 3
==PROF== Connected to process 12
"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","12","void launch<Kokkos::Impl::ParallelFor<for_rows<__nv_dl_tag<void (*)(int), &lawa::norm<lawa::bf16>, 1>>>(T1)","gpu__time_duration.sum","ns","1,250,000"
"1","12","void launch<&lawa::(anonymous namespace)::norm_backward<lawa::bf16>, &lawa::rows<int>>(T1)","gpu__time_duration.sum","ns","500000"
"2","12","nvjet_hsh_128x256_64x4_2x1_v_bz_coopA_NNT","gpu__time_duration.sum","us","125"
"3","12","nvjet_hsh_128x256_64x4_2x1_v_bz_coopA_NNT","gpu__time_duration.sum","us","125"
"4","12","cudnn_generated_fort_native_sdpa_sm90_flash_bprop_wgmma_f16_knob_7","gpu__time_duration.sum","ns","10"
"5","12","void (anonymous namespace)::something_new<float>(float*)","gpu__time_duration.sum","ns","10"
'''


def by_group(lines, value):
    sums = defaultdict(float)
    for line in lines:
        sums[line.group] += value(line)
    return sums


def test_the_products_are_the_flops_that_the_field_counts_and_the_parameters_are_the_models():
    attention = 12 * SMALL.layers * SMALL.channels * SMALL.context * SMALL.tokens
    flops = by_group(roofline.account(SMALL), lambda line: line.flops)
    assert flops["products"] == pytest.approx(SMALL.flops - attention)
    assert flops["attention"] + flops["attention, backward"] == pytest.approx(attention / 2 * 7 / 6)   # causal; scores once more
    assert SMALL.parameters == 124373760


def test_a_kernel_takes_what_its_bytes_or_its_flops_take_and_its_launches():
    machine = roofline.Machine(flops_per_second=100, bytes_per_second=10, launch_seconds=1)
    assert roofline.Line("norm", "", 2, bytes=50, flops=10).seconds(machine) == 7
    assert roofline.Line("products", "", 1, bytes=50, flops=1000).seconds(machine) == 11


def test_measured_kernels_stand_in_their_groups_and_unknown_ones_under_their_own_names():
    kernels = roofline.measured(NCU)
    groups = Counter({roofline.group_of(name): round(sum(seconds) * 1e9) for name, seconds in kernels.items()})
    assert groups == {"norm": 1250000, "norm, backward": 500000, "products": 250000, "attention, backward": 10, None: 10}
    words = roofline.table(SMALL, roofline.Machine(), kernels)
    assert "\n? something_new " in words and "\n    norm_backward of rows " in words
    assert "all, measured kernel by kernel: 6 launches, 2.00 ms" in words


@pytest.mark.skipif(not (BIN / "libkernel_trace.so").exists(), reason="the benchmark isn't built")
@pytest.mark.parametrize("precision", ("fp32", "bf16"))
def test_every_kernel_of_a_real_step_is_in_the_account(tmp_path, precision):
    trace, library = tmp_path / "trace.jsonl", BIN / "libkernel_trace.so"
    environment = os.environ | {"KOKKOS_TOOLS_LIBS": library, "KOKKOS_PROFILE_LIBRARY": library, "LAWA_TRACE": trace}
    subprocess.run(["mpirun", "-np", "1", BIN / "benchmark_training", "0", TINY, f"precision={precision}", "batch.micro_sequences=4",
                    "batch.global_sequences=4"], check=True, capture_output=True, env={key: str(value) for key, value in environment.items()})
    launches = Counter()
    for (_, name), count in roofline.traced(trace.read_text()).items():
        launches[roofline.group_of(name)] += count
    account = by_group(roofline.account(roofline.Shape(2, 2, 32, 32, 256, 4)), lambda line: line.launches)
    assert None not in launches and launches.keys() <= account.keys()
    for group in ("norm", "norm, backward", "embedding", "cross entropy", "squared norm"):
        assert launches[group] == account[group], group
    done = subprocess.run([sys.executable, ROOT / "tests" / "benchmark" / "roofline.py", TINY, "--trace", trace], text=True, capture_output=True)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("doesn't know of: none")
    trace.write_text(trace.read_text() + '{"kind": "parallel_for", "name": "lawa::new_kernel", "launches": 1, "bytes": 0}\n')
    done = subprocess.run([sys.executable, ROOT / "tests" / "benchmark" / "roofline.py", TINY, "--trace", trace], text=True, capture_output=True)
    assert done.returncode == 1 and done.stdout.rstrip().endswith("doesn't know of: lawa::new_kernel")
