#!/usr/bin/env bash
# The first test on a GPU node: tests, compute-sanitizer, twenty steps of GPT-2 small, its speed beside PyTorch's, 200 losses beside
# PyTorch's, and the time of each kernel beside the account on paper.
#
#   bash run.sh [--only PART,…] [--quick] [--model NAME] [--sequences N] [--seconds N] [--limit SECONDS] [--total SECONDS] [--out FILE.json]
#
# in the folder that pack.sh's archive holds. A table on the screen, and each part's outcome in FILE.json (default: gpu.json here; what the
# programs said is in gpu.log, and longer tables are beside it). All parts together take at most --total (460) seconds, and each has a limit
# of its own; --limit lowers all of these. What can't be done here is skipped, with the reason.
#   --only        parts by name, or by its first word: tests,training,speed
#   --model, --sequences   small, and 16 of a step: those of all parts but the tests; --seconds: how long a speed is measured (8)
#   --quick       and a build for the CPU: a tiny model; --quick: a few steps
# Exit codes: 0; 1 where a part failed; 2 for a wrong word.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here" || exit 1
quick=no most=3600 total=460 out=$here/gpu.json only='' model=small sequences=16 seconds=8
while (($# > 0)); do
  case $1 in
    --quick) quick=yes; shift ;;
    --only) only=${2:?--only PART,…}; shift 2 ;;
    --model) model=${2:?--model NAME}; shift 2 ;;
    --sequences) sequences=${2:?--sequences N}; shift 2 ;;
    --seconds) seconds=${2:?--seconds N}; shift 2 ;;
    --limit) most=${2:?--limit SECONDS}; shift 2 ;;
    --total) total=${2:?--total SECONDS}; shift 2 ;;
    --out) out=$(cd "$OLDPWD" && realpath "${2:?--out FILE.json}"); shift 2 ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
source ./pack.txt   # preset, git
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
end=$((SECONDS + total)) failed=0 parts=() names=()
python=${LAWA_PYTHON:-python3}
steps=20 curve_steps=200
[[ $quick == yes ]] && model=tiny steps=3 seconds=0.2 curve_steps=20
if [[ $preset == cuda ]]; then device=cuda
else device=cpu model=tiny   # twenty steps of GPT-2 small are minutes on one core
fi
[[ -e models/$model.toml ]] || { printf 'there is no models/%s.toml here\n' "$model" >&2; exit 2; }
rate=1e-3   # of fewer than 16 sequences a step the losses differ more than three steps make them fall
[[ $model != tiny ]] || rate=1e-2
data=(data.train=tokens/train.bin data.validation=tokens/val.bin data.validation_sequences=2)

# ---- where our programs find what they need -----------------------------------------------------------------------------------------

libraries=$here/libraries
if [[ $preset == cuda ]]; then   # cuBLAS, cuDNN and NCCL as PyTorch's packages bring them, so that both sides have the same ones
  while read -r folder; do libraries+=:$folder; done < <("$python" - 2>/dev/null <<'END'
import site, sys
from pathlib import Path
folders = {folder for place in {*site.getsitepackages(), *sys.path} for folder in Path(place).glob("nvidia/*/lib")}
print(*sorted(folders), sep="\n")
END
  )
fi
for folder in /usr/local/cuda/lib64 /usr/local/nvidia/lib64; do
  [[ -d $folder ]] && libraries+=:$folder
done
if LD_LIBRARY_PATH=$libraries ldd bin/lawa 2>&1 | grep -q "GLIBCXX_\|CXXABI_\|\(stdc++\|gcc_s\).*not found"; then
  libraries=$here/libraries/compiler:$libraries
fi
settings=(LD_LIBRARY_PATH="$libraries" OMP_NUM_THREADS=1 TMPDIR="$work"
  OPAL_PREFIX="$here/openmpi" OPAL_BINDIR="$here/bin" OPAL_LIBDIR="$here/libraries" OPAL_PKGLIBDIR="$here/openmpi/plugins"
  OPAL_PKGDATADIR="$here/openmpi/share" OPAL_SYSCONFDIR="$here/openmpi/etc"
  PMIX_PREFIX="$here/pmix" PMIX_LIBDIR="$here/libraries" PMIX_PKGLIBDIR="$here/pmix/plugins" PMIX_PKGDATADIR="$here/pmix/share"
  PMIX_SYSCONFDIR="$here/pmix/etc" OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_mpi_yield_when_idle=1
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)

# mpi RANKS COMMAND...: one of our programs, or a tool on one.
mpi() {
  env "${settings[@]}" bin/mpirun -np "$1" --oversubscribe --bind-to none "${@:2}"
}

# ---- parts: functions that run in a shell of their own. What one says to descriptor 3 stands in the table, to 4 (JSON) in the file. --

# skip REASON: ends a part that can't be done here.
skip() {
  printf '%s' "$*" >&3
  exit 77
}

part_device() {
  command -v nvidia-smi >/dev/null || skip "no nvidia-smi"
  nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | head -n 1 | tee >(head -c 200 >&3)
}

part_libraries() {
  local program said
  for program in bin/*; do
    said=$(env "${settings[@]}" ldd "$program" 2>&1) && ! grep -q 'not found' <<<"$said" && continue
    printf '%s: %s' "$program" "$({ grep 'not found' <<<"$said" || printf '%s' "$said"; } | head -n 1 | sed 's/^[[:space:]]*//')" >&3
    return 1
  done
  printf 'all found' >&3
}

# part_tests NAME RANKS
part_tests() {
  mpi "$2" "bin/test_$1" --gtest_color=no >"$work/log" 2>&1
  local code=$?
  cat "$work/log"
  { grep '^\[  FAILED  \] [A-Z]' "$work/log" || grep '^\[  PASSED  \]' "$work/log" | cut -c14- | tr -d .; } | head -n 1 | tr -d '\n' >&3
  grep -q '^\[  PASSED  \] 0 tests' "$work/log" && { printf ': no test was run' >&3; return 1; }
  return "$code"
}

# train FOLDER [key=value …]: a run.
train() {
  mpi 1 bin/lawa train "models/$model.toml" "${data[@]}" precision=bf16 batch.global_sequences="$sequences" \
    batch.micro_sequences="$sequences" schedule.warmup_steps=2 schedule.final_lr=1e-4 run.directory="$1" "${@:2}"
}

# part_steps: a run with a checkpoint that is verified. The loss must fall, and the GPU's memory is watched.
part_steps() {
  local run=$work/run watcher='' first last memory
  if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 250 >"$work/memory" 2>/dev/null &
    watcher=$!
  fi
  train "$run" schedule.steps="$steps" schedule.peak_lr="$rate" evaluate.steps="$steps"
  local code=$?
  [[ -z $watcher ]] || kill "$watcher"
  ((code == 0)) && mpi 1 bin/lawa inspect "$run/checkpoints" || return 1
  read -r first last memory < <(awk -v FS='[:,}]' '{ for (i = 1; i < NF; ++i) {
      if ($i == "\"loss\"" && /"kind":"train"/) { if (!n++) first = $(i + 1); last = $(i + 1) }
      if ($i == "\"peak_memory_bytes\"") memory = $(i + 1) } } END { print first, last, memory }' "$run/metrics.jsonl")
  printf '%d steps of %s: loss %.3f to %.3f, %.2f GB' "$steps" "$model" "$first" "$last" "$(awk "BEGIN { print $memory / 1e9 }")" >&3
  printf '{"steps":%d,"first_loss":%s,"last_loss":%s,"peak_memory_bytes":%s,"gpu_memory_mib":%s}' "$steps" "$first" "$last" "$memory" \
    "$(sort -n "$work/memory" 2>/dev/null | tail -n 1 | grep -x '[0-9]*' || echo null)" >&4
  awk "BEGIN { exit !($last < $first) }"
}

# part_bits: the same command twice. Each step's loss and norm, and the digest of the weights behind them, must have the same bits.
part_bits() {
  local i said=()
  for i in 1 2; do
    train "$work/bits$i" schedule.steps=5 schedule.peak_lr="$rate" evaluate.steps=5 || return 1
    said+=("$(grep -o '"loss":.*"grad_norm":[^,]*' "$work/bits$i/metrics.jsonl"; grep -o '"digest":"[^"]*"' "$work/bits$i"/checkpoints/*.json)")
    rm -r "$work/bits$i/checkpoints"
  done
  said=("${said[@]//bits[12]/}")
  printf '%s\n' "${said[0]}"
  [[ $(grep -c loss <<<"${said[0]}") == 5 ]] || { printf 'no five losses' >&3; return 1; }
  [[ ${said[0]} == "${said[1]}" ]] || { diff <(printf '%s' "${said[0]}") <(printf '%s' "${said[1]}") | sed -n 2p | tr -d '\n' >&3; return 1; }
  printf '5 steps twice, and the weights behind them: the same bits' >&3
}

# number KEY: of the JSON line on stdin.
number() {
  sed -n "s/.*\"$1\": *\([-0-9.e+]*\).*/\1/p" | tail -n 1
}

part_speed() {
  mpi 1 bin/benchmark_training "$seconds" "models/$model.toml" precision=bf16 batch.micro_sequences="$sequences" \
    batch.global_sequences="$sequences" | tee "$work/speed" || return 1
  cat "$work/speed" >&4
  number tokens_per_second <"$work/speed" >"$work/ours"
  printf '%s, %s sequences a step: %.0f tokens/s, %.3f of 798 TFLOP/s, %.2f GB' "$model" "$sequences" "$(<"$work/ours")" \
    "$(awk "BEGIN { print $(number gemm_share <"$work/speed") * $(number gemm_flops_per_second <"$work/speed") / 798e12 }")" \
    "$(awk "BEGIN { print $(number peak_memory_bytes_per_rank <"$work/speed") / 1e9 }")" >&3
}

# with_torch: skips the part where there is no PyTorch for the device.
with_torch() {
  command -v "$python" >/dev/null || skip "no $python"
  "$python" -c 'import torch' 2>/dev/null || skip "$python has no torch"
  [[ $device == cpu ]] || "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || skip "torch sees no GPU"
}

# part_pytorch [--compiled]: the same model and batch, bfloat16 autocast.
part_pytorch() {
  local theirs
  with_torch
  "$python" pytorch.py "models/$model.toml" --device "$device" --precision bf16 --sequences "$sequences" --seconds "$seconds" \
    --warm-up 5 "$@" >"$work/pytorch" 2> >(tee "$work/why" >&2) || { tail -n 1 "$work/why" | tr -d '\n' >&3; return 1; }
  cat "$work/pytorch" >&4
  theirs=$(number tokens_per_second <"$work/pytorch")
  printf '%.0f tokens/s, %.2f GB' "$theirs" "$(awk "BEGIN { print $(number peak_memory_bytes <"$work/pytorch") / 1e9 }")" >&3
  [[ ! -s $work/ours ]] || printf ', lawa is %.2f times as fast' "$(awk "BEGIN { print $(<"$work/ours") / $theirs }")" >&3
}

# part_curve: losses beside PyTorch's from the same weights, in step 1's checkpoint: its learning rate is zero.
part_curve() {
  local run=$work/curve code
  with_torch
  "$python" -c 'import numpy, safetensors' 2>/dev/null || skip "$python has no safetensors"
  train "$work/initial" schedule.steps=1 schedule.warmup_steps=1 schedule.peak_lr=1e-3 evaluate.steps=1 &&
    mpi 1 bin/lawa export "$work"/initial/checkpoints/step_*.weights.h5 "hf:$work/weights" &&
    train "$run" schedule.steps="$curve_steps" schedule.warmup_steps=$((curve_steps / 10)) schedule.peak_lr="$rate" \
      evaluate.steps="$curve_steps" || return 1
  "$python" curve.py "$run" "$work/weights" --device "$device" --losses "${out%.json}.losses.txt" >"$work/line"
  code=$?
  cat "$work/line" >&4
  printf '%d steps of %s: rms from float32 %.2g, PyTorch'\''s %.2g; last loss %.4f, PyTorch'\''s %.4f' "$curve_steps" "$model" \
    "$(number distance <"$work/line")" "$(number noise <"$work/line")" "$(number last_loss <"$work/line")" \
    "$(number pytorch_last_loss <"$work/line")" >&3
  return "$code"
}

# part_operations: each operation by itself at the model's shape, beside the bytes and FLOPs that it asks for.
part_operations() {
  local key shape=("$sequences")
  [[ -x bin/benchmark_kernels ]] || skip "benchmark_kernels isn't packed"
  for key in context channels heads vocabulary; do shape+=("$(sed -n "s/^$key *= *\([0-9]*\).*/\1/p" "models/$model.toml")"); done
  mpi 1 bin/benchmark_kernels "${shape[@]}" | tee "${out%.json}.operations.jsonl" || return 1
  printf '%d operations at %s' "$(grep -c . "${out%.json}.operations.jsonl")" "${shape[*]}" >&3
}

# part_kernels: what a step launches, and on a GPU how long each takes, beside the account.
part_kernels() {
  local tools=(env KOKKOS_TOOLS_LIBS="$here/bin/libkernel_trace.so" KOKKOS_PROFILE_LIBRARY="$here/bin/libkernel_trace.so"
    LAWA_TRACE="$work/trace") ncu=() code
  local benchmark=(bin/benchmark_training 0 "models/$model.toml" precision=bf16 batch.micro_sequences="$sequences"
    batch.global_sequences="$sequences")
  "$python" -c '' 2>/dev/null || skip "no $python"
  if [[ $preset == cuda ]]; then
    ncu=("$(command -v ncu || compgen -G '/usr/local/cuda*/bin/ncu' || compgen -G '/opt/nvidia/nsight-compute/*/ncu' | tail -n 1)")
    [[ -n ${ncu[0]} ]] || skip "no ncu"
    ncu+=(--profile-from-start off --metrics gpu__time_duration.sum --clock-control none --cache-control none --csv --print-units base
      --print-kernel-base demangled --log-file "$work/kernels.csv")
  fi
  mpi 1 "${tools[@]}" "${ncu[@]}" "${benchmark[@]}" || { grep -h '==ERROR==' "$work/kernels.csv" 2>/dev/null | head -n 1 | tr -d '\n' >&3; return 1; }
  cp "$work/trace" "${out%.json}.trace.jsonl"
  [[ $preset != cuda ]] || cp "$work/kernels.csv" "${out%.json}.kernels.csv"
  "$python" roofline.py "models/$model.toml" --sequences "$sequences" --trace "$work/trace" ${ncu[0]:+--measured "$work/kernels.csv"} \
    >"${out%.json}.kernels.txt"
  code=$?
  cat "${out%.json}.kernels.txt"
  { grep '^all, measured' "${out%.json}.kernels.txt" || tail -n 1 "${out%.json}.kernels.txt"; } | tr -d '\n' >&3
  return "$code"
}

# part_sanitizer TOOL NAME FILTER: some tests of a program; those by central differences launch each kernel thousands of times, and
# one by signals starts its program again.
part_sanitizer() {
  local tool
  [[ $preset == cuda ]] || skip "a build for the CPU has no kernels for it"
  tool=$(command -v compute-sanitizer || compgen -G '/usr/local/cuda*/bin/compute-sanitizer' | tail -n 1) || skip "no compute-sanitizer"
  mpi 1 "$tool" --tool "$1" --error-exitcode 9 "bin/test_$2" --gtest_color=no --gtest_filter="$3" >"$work/log" 2>&1
  local code=$?
  cat "$work/log"
  { grep -h '^\[  PASSED  \]' "$work/log" | cut -c14- | tr '.\n' ', '
    grep -h 'ERROR SUMMARY\|RACECHECK SUMMARY\|not supported' "$work/log" | tail -n 1 | sed 's/^=* *//' | tr -d '\n'; } >&3
  grep -q '^\[  PASSED  \] [1-9]' "$work/log" && return "$code"
}

# ---- the table and the file ---------------------------------------------------------------------------------------------------------

# quoted TEXT: as a JSON string.
quoted() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$(tr -d '\000-\037\177-\377' <<<"$text")"
}

# part LIMIT NAME FUNCTION [ARGUMENT...]: whatever becomes of it, the next one is done.
part() {
  local limit=$1 name=$2 begin=$SECONDS code=0 outcome=passed detail numbers
  names+=("$name" "${name%% *}")
  [[ $naming == no ]] || return 0
  [[ -z $only || ,$only, == *,"$name",* || ,$only, == *,"${name%% *}",* ]] || return
  ((limit <= most)) || limit=$most
  ((limit <= end - SECONDS)) || limit=$((end - SECONDS))
  printf '\n==== %s\n' "$name" >>"$work/all.log"
  : >"$work/detail"
  : >"$work/numbers"
  if ((limit < 1)); then
    outcome=skipped
    printf 'no time is left' >"$work/detail"
  else
    (trap - EXIT; "${@:3}") 3>"$work/detail" 4>"$work/numbers" >"$work/words" 2>&1 &
    local process=$!
    (sleep "$limit" && : >"$work/late" && end_all "$process") >/dev/null 2>&1 &
    local watcher=$!
    wait "$process" 2>/dev/null || code=$?
    end_all "$watcher"
    wait "$watcher" 2>/dev/null
    ((code == 0)) || outcome=failed
    ((code != 77)) || outcome=skipped
    if [[ -e $work/late ]]; then
      outcome=failed
      rm "$work/late"
      printf 'not done within %d s' "$limit" >"$work/detail"
    elif [[ $outcome == failed && ! -s $work/detail ]]; then
      printf 'exit code %d: %s' "$code" "$(awk '/^---/ { exit } /./ { last = $0 } END { print last }' "$work/words")" >"$work/detail"
    fi   # between such lines stand mpirun's own remarks
    cat "$work/words" >>"$work/all.log"
  fi
  [[ $outcome != failed ]] || ((++failed))
  detail=$(head -c 200 "$work/detail")
  numbers=$(<"$work/numbers")
  printf '%-26s %-8s %4d s  %s\n' "$name" "$outcome" $((SECONDS - begin)) "$detail"
  parts+=("$(printf '{"name":%s,"outcome":"%s","seconds":%d,"detail":%s%s}' "$(quoted "$name")" "$outcome" $((SECONDS - begin)) \
    "$(quoted "$detail")" "${numbers:+,\"numbers\":$numbers}")")
}

# end_all PROCESS: it and all that it has started.
end_all() {
  local child
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do end_all "$child"; done
  kill -KILL "$1" 2>/dev/null
}

# version COMMAND...: the first line that it says, as JSON; null without it.
version() {
  local line
  line=$(timeout 20 "$@" 2>/dev/null | head -n 1)
  if [[ -n $line ]]; then quoted "$line"; else printf null; fi
}

# all_parts: in their order.
all_parts() {
  part 15 device part_device
  part 15 libraries part_libraries
  for tests in tensor ops optim model comm parity training_step; do
    part 60 "tests of $tests" part_tests "$tests" 1
  done
  [[ $device == cuda ]] || part 60 "tests of two ranks" part_tests training_step 2   # a GPU has one rank
  part 90 "memcheck of ops" part_sanitizer memcheck ops '-*CentralDifferences*:*UnderSignals*'
  part 90 "racecheck of ops" part_sanitizer racecheck ops '-*CentralDifferences*:*Gemm*:*Affine*:*Attend*'
  part 60 "racecheck of optim" part_sanitizer racecheck optim '*'
  part 120 "training" part_steps
  part 60 "bits" part_bits
  part 60 "speed" part_speed
  part 60 "PyTorch" part_pytorch
  part 150 "compiled PyTorch" part_pytorch --compiled
  part 120 "curve" part_curve
  part 60 "operations" part_operations
  part 120 "kernels" part_kernels
}

naming=yes names=()   # their names alone
all_parts
while read -r -d, word; do
  [[ " ${names[*]} " == *" $word "* ]] || { printf -- '--only: there is no part %s\n' "$word" >&2; exit 2; }
done <<<"${only:+$only,}"
naming=no

printf 'lawa %s, preset %s; the programs'\'' words: %s\n\n' "$git" "$preset" "${out%.json}.log"
all_parts
took=$SECONDS
cp "$work/all.log" "${out%.json}.log"
{
  printf '{"git":%s,"preset":"%s","quick":"%s","failed":%d,"seconds":%d,\n' "$(quoted "$git")" "$preset" "$quick" "$failed" "$took"
  printf ' "versions":{"kernel":%s,"driver":%s,"mpi":%s,"nvcc":%s,"torch":%s},\n "parts":[\n  ' "$(version uname -sr)" \
    "$(version nvidia-smi --query-gpu=driver_version --format=csv,noheader)" "$(version env "${settings[@]}" bin/mpirun --version)" \
    "$(version sh -c 'nvcc --version | tail -n 1')" "$(version "$python" -c 'import torch; print(torch.__version__)')"
  for i in "${!parts[@]}"; do ((i == 0)) || printf ',\n  '; printf '%s' "${parts[i]}"; done
  printf ']}\n'
} >"$out"
printf '\n%d of %d parts failed, %d s; %s\n' "$failed" "${#parts[@]}" "$took" "$out"
((failed == 0))
