#!/bin/bash
# Submit the trainings of a cross-validation, an array of jobs, and then what combines their folds.
# Compiled from the spec h4l_folds.toml by seesawc; change the spec, not this file.
#     bash generated/h4l_folds/submit.sh    words after it go to every sbatch, such as --partition=short
# --array goes to that of the trainings alone.
set -euo pipefail

# Jobs start at the top of the repository, as they do when sbatch is called there. With CDPATH, cd
# may go elsewhere, and prints where.
unset CDPATH
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
[[ $here != */generated/h4l_folds ]] || cd ../..

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

submit trainings submit.sbatch "$@"
words=()
for word in "$@"; do
    [[ $word == --array=* ]] || words+=("$word")
done
# Where a training fails, it never starts, and does not wait for ever.
submit combine submit_combine.sbatch --dependency="afterok:${jobs[0]}" --kill-on-invalid-dep=yes \
    ${words[@]+"${words[@]}"}
complete=yes
