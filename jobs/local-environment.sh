# shellcheck shell=bash
# Puts a packed environment onto the local disk of each node of a Slurm job, and first in PATH.
# A line of a job script, in place of `source ~/spectro/bin/activate` (or of `slurm.setup`):
#   source jobs/local-environment.sh ~/spectro.tar.gz
# Pack it once, on a login node:
#   conda-pack -n spectro -o ~/spectro.tar.gz           # an environment of conda
#   tar -czf ~/spectro.tar.gz -C ~/spectro .            # one of python -m venv
# An environment of venv leaves Python itself where it was installed; one of conda holds it.
# The folder is of this job only, and is removed when the script ends.

_archive=${1:?usage: source local-environment.sh ARCHIVE}
_local=${TMPDIR:-/tmp}/spectro-$SLURM_JOB_ID

# What each node does: unpack beside, then rename, so that a folder is whole or not there.
# shellcheck disable=SC2016 # the nodes expand it
_unpack='
set -eu
archive=$1 folder=$2
[ ! -d "$folder" ] || exit 0
part=$(mktemp -d "$folder.XXXXXX")
tar -xzf "$archive" -C "$part"
for script in "$part"/bin/*; do # they begin with the path of the original Python
    if head -c 512 "$script" 2>/dev/null | head -n 1 | grep -qa "^#!.*/python"; then
        sed -i "1s|^#!.*|#!$folder/bin/python|" "$script"
    fi
done
rm -f "$archive"
mv -T "$part" "$folder" 2>/dev/null || rm -rf "$part" # another node with the same disk was first
'
_on_each_node() {
    srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --overlap "$@"
}
if sbcast --force "$_archive" "$_local.tar.gz" &&
    _on_each_node bash -c "$_unpack" - "$_local.tar.gz" "$_local"; then
    export PATH=$_local/bin:$PATH
    unset PYTHONHOME PYTHONPATH
    trap '_on_each_node rm -rf "$_local"' EXIT
else
    echo "the environment could not be unpacked on the nodes; that of the file server is used" >&2
fi
