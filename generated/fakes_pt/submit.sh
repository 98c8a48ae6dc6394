#!/bin/bash
# Submit the three trainings of fakes: numerator and denominator side by side, then the ratio.
# Compiled from the spec fakes_pt.toml by seesawc; change the spec, not this file.
#     bash generated/fakes_pt/submit.sh    words after it go to every sbatch, such as --partition=short
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

jobs=()
# Half a chain would train for nothing.
trap '[[ -z ${jobs[*]} ]] || scancel "${jobs[@]}"; echo "nothing was submitted" >&2' ERR

submit() {
    local stage=$1 job
    shift
    job=$(sbatch --parsable "$@" "submit_$stage.sbatch")
    # The name of a cluster may follow.
    jobs+=("${job%%;*}")
    echo "$stage ${job%%;*}"
}

submit numerator "$@"
submit denominator "$@"
# A ratio whose parents fail never starts, and does not wait for ever.
submit ratio --dependency="afterok:${jobs[0]}:${jobs[1]}" --kill-on-invalid-dep=yes "$@"
