#!/usr/bin/env bash
# The quickstart, from nothing to a figure: bash experiments/quickstart/run.sh [--publish | --smoke]
#
# Sets up, builds, prepares the text, trains, averages, evaluates, draws. Run again, it redoes only what isn't done; a
# training that was interrupted goes on from its newest checkpoint. Everything is written under runs/quickstart/.
#
#   --publish     copy the data and the picture to paper_figures/quickstart/
#   --smoke       the same chain in seconds: a few steps that show nothing, under runs/quickstart_smoke/
#   LAWA_OUT      another folder to write to
#   LAWA_RANKS    MPI ranks (default: the machine's cores, at most 2)
#   LAWA_PYTHON   the Python interpreter (default: /usr/bin/python3)
#   LAWA_TEXT     a text file or a folder of them to train on (default: English prose from Debian's documentation packages)
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
trap 'printf "\nstopped; run it again to go on\n" >&2; exit 130' INT TERM
SECONDS=0

publish=no smoke=no
case ${1:-} in
  '') ;;
  --publish) publish=yes ;;
  --smoke) smoke=yes ;;
  *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac

bash "$project/framework/setup/setup.sh"
source "$project/framework/setup/environment.sh"   # after the set-up: it may just have installed Python
[[ -z ${LAWA_TEXT:-} ]] || LAWA_TEXT=$(realpath "$LAWA_TEXT")
[[ -z ${LAWA_OUT:-} ]] || LAWA_OUT=$(realpath -m "$LAWA_OUT")
cd "$root"
here=experiments/quickstart
out=runs/quickstart
train_keys=() average_keys=() evaluate_keys=()
if [[ $smoke == yes ]]; then
  out=runs/quickstart_smoke
  train_keys=(schedule.steps=40 schedule.warmup_steps=4 checkpoint.steps=4 checkpoint.state_steps=20 evaluate.steps=20)
  average_keys=(averaging.stride=4)
  evaluate_keys=(data.validation_sequences=8)
fi
out=${LAWA_OUT:-$out}
train_keys+=("data.train=$out/data/train.bin")
evaluate_keys+=("data.validation=$out/data/val.bin")
mkdir -p "$out/evaluate"

# phase NAME COMMAND...: announces a command and runs it. note: its seconds, for provenance.json, also when it was stopped.
phase() {
  name=$1 begin=$SECONDS
  shift
  printf '[%s] %s\n' "$(clock "$SECONDS")" "$name" >&2
  "$@"
  note
}
note() {
  if [[ -n $name ]]; then printf '%s\t%d\n' "$name" $((SECONDS - begin)) >>"$out/seconds.tsv"; fi
  name=
}
name=set-up begin=0
trap note EXIT
note

# digest FILE...: one word that changes when any of the files does.
digest() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# once STAMP "INPUTS" COMMAND...: runs the command unless STAMP remembers that it has been done with the same inputs.
once() {
  local stamp=$1 inputs
  # shellcheck disable=SC2086  # a list of files without spaces
  inputs=$(digest $2)
  shift 2
  [[ -f $stamp && $(<"$stamp") == "$inputs" ]] && return
  rm -f "$stamp"
  "$@"
  printf '%s\n' "$inputs" >"$stamp"
}

lawa() { mpirun -np "$ranks" build/cpu/bin/lawa "$@" </dev/null; }

prepare() {
  local source=(--source debian)
  [[ -n ${LAWA_TEXT:-} ]] && source=("$LAWA_TEXT")
  "$python" data/prepare.py "${source[@]}" --tokenizer bytes --output "$out/data" --force   # meta.json, the last file, is missing
}

train() {   # ARM SEED; the program itself knows what of the run is there already
  lawa train experiments/models/quickstart.toml "$here/train.toml" "$here/evaluate.toml" "$here/$1.toml" \
    "seed=$2" "run.directory=$out/$1_seed$2" "${train_keys[@]}" "${evaluate_keys[@]}"
}

average() {   # RUN
  rm -rf "$out/$1_lawa"   # of other inputs, or unfinished
  lawa average "$here/average.toml" "source=$out/$1" "destination=$out/$1_lawa" "${average_keys[@]}"
}

evaluate() {   # RUN MODEL FOLDER
  local file=$out/evaluate/$1_$2.jsonl
  lawa evaluate "$3" "$here/evaluate.toml" "${evaluate_keys[@]}" >"$file.part"
  mv "$file.part" "$file"
}

phase build bash framework/setup/build.sh cpu lawa
[[ -f $out/data/meta.json ]] || phase text prepare

runs=$("$python" analysis/spec.py quickstart)
evaluations=()
while read -r arm seed; do
  run=${arm}_seed$seed
  phase "train $run" train "$arm" "$seed"
  records=$(printf '%s ' "$out/$run/checkpoints"/*.json)
  once "$out/$run.averaged" "$here/average.toml $records" phase "average $run" average "$run"
  for model in plain lawa; do
    folder=$([[ $model == plain ]] && echo "$out/$run" || echo "$out/${run}_lawa")
    stamp=$out/evaluate/${run}_$model.done
    once "$stamp" "$here/evaluate.toml $here/average.toml $out/data/meta.json $records" \
      phase "evaluate $run $model" evaluate "$run" "$model" "$folder"
    evaluations+=("$out/evaluate/${run}_$model.jsonl")
  done
done <<<"$runs"

once "$out/collected" "$here/figure.toml ${evaluations[*]}" phase collect "$python" analysis/collect.py quickstart --runs "$out"
printf '[%s] draw\n' "$(clock $SECONDS)" >&2
"$python" analysis/run.py quickstart --from "$out"

if [[ $publish == yes ]]; then
  mkdir -p paper_figures/quickstart
  cp "$out"/{data.csv,provenance.json,verdicts.json,figure.png,figure.pdf} paper_figures/quickstart/
  printf 'published: paper_figures/quickstart\n'
fi
printf 'done in %s\n' "$(clock $SECONDS)" >&2
