#!/bin/bash
# Submit the three trainings of fakes: numerator and denominator side by side, then the ratio.
# Compiled from the spec fakes_pt.toml by seesawc; change the spec, not this file.
#     bash generated/fakes_pt/submit.sh    words after it go to every sbatch, such as --partition=short
set -euo pipefail

# Jobs start at the top of the repository, as they do when sbatch is called there. With CDPATH, cd
# may go elsewhere, and prints where.
unset CDPATH
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
[[ $here != */generated/fakes_pt ]] || cd ../..

jobs=()
complete=no
# Half a chain would train for nothing.
undo() {
    [[ $complete == no ]] || return 0
    [[ -z ${jobs[*]} ]] || scancel "${jobs[@]}"
    echo "nothing was submitted" >&2
}
trap undo EXIT

submit() {
    local what=$1 file=$2 said job
    shift 2
    said=$(sbatch --parsable "$@" "$here/$file")
    # A site's own lines may stand around the number, and the name of a cluster behind it.
    job=$(sed -nE 's/^([0-9]+)(;.*)?$/\1/p' <<<"$said")
    jobs+=("$job")
    echo "$what $job"
}

submit numerator submit_numerator.sbatch "$@"
submit denominator submit_denominator.sbatch "$@"
# A ratio whose parents fail never starts, and does not wait for ever.
submit ratio submit_ratio.sbatch --dependency="afterok:${jobs[0]}:${jobs[1]}" \
    --kill-on-invalid-dep=yes "$@"
complete=yes
