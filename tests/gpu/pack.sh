#!/usr/bin/env bash
# Packs the first test of a GPU node, for a machine without a network, a compiler or an MPI:
#
#   bash tests/gpu/pack.sh [--preset cuda|cpu] [--most MIB] OUT.tar
#
# In it are what a preset (default: cuda) has built of `lawa`, the speed measurement and the tests of kernels, model, parity and training
# step, the libraries that these need, Open MPI with its plugins, and a small text's tokens. Left out are the C library and what belongs
# to the driver (libcuda), and what is too large and is on every GPU node (cuBLAS, cuDNN, NVRTC, NCCL): run.sh finds those there. Refused if it
# is larger than MIB (default 60). There: tar xf OUT.tar && bash lawa_gpu/run.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../framework/setup/environment.sh"
preset=cuda most=60 out=
while (($# > 0)); do
  case $1 in
    --preset) preset=${2:?--preset cuda or cpu}; shift 2 ;;
    --most) most=${2:?--most MIB}; shift 2 ;;
    -*) fail "unknown option $1; bash tests/gpu/pack.sh [--preset cuda|cpu] [--most MIB] OUT.tar" ;;
    *) [[ -z $out ]] || fail "one archive, not also $1"; out=$1; shift ;;
  esac
done
[[ -n $out ]] || fail "which archive? bash tests/gpu/pack.sh [--preset cuda|cpu] [--most MIB] OUT.tar"
build=$root/build/$preset
programs=("$build"/bin/{lawa,benchmark_training} "$build"/tests/test_{tensor,ops,optim,model,comm,parity,training_step})
for program in "${programs[@]}" "$build/bin/libkernel_trace.so"; do
  [[ -x $program ]] || fail "${program#"$root"/} isn't built; bash framework/setup/build.sh $preset"
done
launcher=$(command -v mpirun) || fail "there is no mpirun here; the one that lawa was built with must be on PATH"
command -v ompi_info >/dev/null || fail "there is no ompi_info here; only Open MPI can be packed"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pack=$work/lawa_gpu
mkdir -p "$pack"/{bin,tests/parity,models,openmpi/{plugins,share,etc},pmix/{plugins,share,etc},libraries/compiler}
origin=$pack/origin.txt   # the files of this system that are in it

# take FILE FOLDER [NAME]: a copy, with what a link points to.
take() {
  cp -L "$1" "$pack/$2/${3:-$(basename "$1")}"
  printf '%s\n' "$1" >>"$origin"
}

# of_open_mpi NAME: one of the folders that it was installed in.
of_open_mpi() {
  ompi_info --parsable --path "$1" | sed -n "s/^path:$1://p" | sort -u
}

# needed FILE...: the libraries that they load, and these in their turn, but those that are the machine's own.
needed() {
  ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|libutil|libcuda|libnvidia-[^/]*|libcublas(Lt)?|libcudnn[^/]*|libnccl|libnvrtc[^/]*)\.so'
}

cp "${programs[@]}" "$build/bin/libkernel_trace.so" "$pack/bin"
[[ ! -x $build/bin/benchmark_kernels ]] || cp "$build/bin/benchmark_kernels" "$pack/bin"
strip "$pack"/bin/*
take "$launcher" bin mpirun
take "$(command -v orted)" bin
plugins=()
for plugin in "$(of_open_mpi pkglibdir)"/mca_*.so; do   # all but networks: there is one machine
  [[ $plugin =~ _(ofi|openib|usnic|psm2?|ucx|uct|hcoll|portals4|ugni|fca|mxm|netlink|flux)\.so$ ]] || plugins+=("$plugin")
done
for plugin in "${plugins[@]}"; do take "$plugin" openmpi/plugins; done
cp -L "$(of_open_mpi pkgdatadir)"/help-*.txt "$pack/openmpi/share"
# Where Open MPI has no PMIx of its own inside:
pmix=$(ldd "${plugins[@]}" | awk '/libpmix\.so/ && $3 ~ /^\// { found = $3 } END { print found }')
if [[ -n $pmix ]]; then
  pmix=$(dirname "$(readlink -f "$pmix")")
  for plugin in "$pmix"/pmix/*.so; do plugins+=("$plugin"); take "$plugin" pmix/plugins; done
  for help in "$pmix"/../share/pmix/help-*.txt; do cp -L "$help" "$pack/pmix/share"; done
fi
needed "${programs[@]}" "$launcher" "$(command -v orted)" "${plugins[@]}" | while read -r library; do
  case $library in
    */libstdc++.so* | */libgcc_s.so*) cp -L "$library" "$pack/libraries/compiler" ;;   # for machines whose own are older
    *) take "$library" libraries ;;
  esac
done

cp "$root"/tests/gpu/{run.sh,curve.py,lines.py} "$root"/tests/benchmark/{pytorch,roofline}.py "$pack"
cp "$root"/tests/parity/{golden,gpt_neox}.h5 "$pack/tests/parity"
cp "$root"/experiments/models/{large,medium,small,tiny}.toml "$pack/models"
"$python" "$root/data/prepare.py" "$root"/README.md "$root"/*/README.md "$root"/framework/*/*.[ch]pp --tokenizer bytes --validation-fraction 0.2 \
  --output "$pack/tokens" >/dev/null
git=$(sed -n 's/^Version version() { return {"[^"]*", "\([^"]*\)", \(true\|false\),.*/\1 \2/p' "$build/version.cpp")   # of what was built
git=${git/ true/-dirty} git=${git/ false/}
printf 'preset=%s\ngit=%s\n' "$preset" "$git" >"$pack/pack.txt"

tar -C "$work" -I 'gzip -4' -cf "$work/pack.tar" lawa_gpu   # `tar xf` sees that it is compressed
bytes=$(stat -c %s "$work/pack.tar")
((bytes <= most << 20)) || fail "$out would have $(((bytes + 1048575) >> 20)) MiB, and $most are allowed (--most); the largest: $(
  cd "$pack" && find . -type f -printf '%s %P\n' | sort -rn | awk 'NR <= 3 { printf "%s%s (%d MiB)", (NR > 1 ? ", " : ""), $2, $1 / 1048576 }')"
mv "$work/pack.tar" "$out"
printf '%s: %d MiB; there: tar xf %s && bash lawa_gpu/run.sh\n' "$out" $(((bytes + 1048575) >> 20)) "$(basename "$out")"
