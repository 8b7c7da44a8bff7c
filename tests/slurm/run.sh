#!/usr/bin/env bash
# A cluster of one machine: munge, slurmdbd, slurmctld and slurmd; a small simulated run through
# them, from the table of scans to the predictions, as three grouped jobs, and the same tables as
# without them. Needs root and Debian's packages, which it installs; where that cannot be, it says so
# and passes. With --kill: a job that is cancelled, and the controller killed and started again.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
work=$(mktemp -d)
pids=()
stands=
trap 'rm -rf "$work"' EXIT

skip() { echo "Slurm was not tried here: $1"; exit 0; }

[ "$(id -u)" = 0 ] || skip "it needs root"
command -v apt-get >/dev/null || skip "no apt-get"
packages="slurmctld slurmd slurm-client slurmdbd munge mariadb-server"
if ! command -v slurmctld >/dev/null; then
    apt-get update -qq || skip "the package lists cannot be had"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages \
        >"$work/apt.log" 2>&1 || skip "the packages cannot be had ($(tail -1 "$work/apt.log"))"
fi
[ ! -e /etc/slurm/slurm.conf ] || grep -q brainage-test /etc/slurm/slurm.conf ||
    skip "this machine has a Slurm of its own"
"$python" -c 'import snakemake_executor_plugin_slurm' 2>/dev/null ||
    "$python" -m pip install --quiet -e "$root[cluster]" -c "$root/constraints.txt" ||
    skip "snakemake-executor-plugin-slurm cannot be installed"

# So is a command of the set-up that fails.
trap '[ -n "$stands" ] || skip "line $LINENO: $BASH_COMMAND"' ERR

finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait "${pids[@]}" 2>/dev/null || true # the controller still writes its state
    rm -f /etc/slurm/slurm.conf /etc/slurm/slurmdbd.conf
    rm -rf "$work" || true
}
trap finish EXIT

begin() { # command …: in the background, ended with this script
    "$@" >>"$work/daemons.log" 2>&1 &
    pids+=($!)
}

wait_for() { # what it waits for, then a command that succeeds when it is there
    local what=$1
    shift
    for _ in $(seq 120); do "$@" >/dev/null 2>&1 && return; sleep 1; done
    tail -20 "$work/daemons.log"
    # Until Slurm stands, what fails is this machine.
    [ -n "$stands" ] || skip "no $what after two minutes"
    echo "Slurm: no $what after two minutes"
    exit 1
}

host=$(hostname -s)
# nproc without --all would answer OMP_NUM_THREADS.
# The plugin drops SLURM_* variables, SLURM_CONF among them: the file must lie where it is looked for.
mkdir -p /etc/slurm /run/munge /run/mysqld "$work/state" "$work/spool" "$work/db"
cat >/etc/slurm/slurm.conf <<CONF
# brainage-test
ClusterName=toy
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$(free -m | awk '/Mem:/ {print int($2 * 0.8)}')
PartitionName=main Nodes=ALL Default=YES State=UP
CONF
cat >/etc/slurm/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdHost=$host
DbdAddr=127.0.0.1
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
CONF
chmod 600 /etc/slurm/slurmdbd.conf
chown munge:munge /run/munge /etc/munge
# setpriv becomes munged: su would stay between, and leave it running.
begin setpriv --reuid=munge --regid=munge --clear-groups munged --foreground
wait_for munge sh -c 'munge -n | unmunge'
chown -R mysql:mysql "$work/db" /run/mysqld
chmod 755 "$work"
mariadb-install-db --user=mysql --datadir="$work/db" >/dev/null 2>&1
begin mariadbd --user=mysql --datadir="$work/db" --socket=/run/mysqld/mysqld.sock --skip-networking
wait_for "data base" mariadb-admin --socket=/run/mysqld/mysqld.sock ping
mariadb --socket=/run/mysqld/mysqld.sock -e "create database slurm_acct_db;
    create user slurm@localhost identified by 'slurm'; grant all on slurm_acct_db.* to slurm@localhost;"
begin slurmdbd -D
wait_for slurmdbd sacctmgr -n show cluster
sacctmgr -i add cluster toy >/dev/null 2>&1 || true
sacctmgr -i add account lab >/dev/null
sacctmgr -i add user root Account=lab >/dev/null
begin slurmctld -D
controller=${pids[-1]}
wait_for slurmctld scontrol ping
begin slurmd -D
wait_for slurmd sh -c 'sinfo -h -o %T | grep -q idle'
stands=yes
echo "Slurm $(sinfo --version | cut -d' ' -f2) stands on $host"

# Twelve simulated controls of all ages and studies, in two parts; a generator of a few steps, and
# networks of one epoch in two folds.
awk -F, 'NR == 1 || ($7 == "control" && n++ % 25 == 0 && kept++ < 12)' \
    "$root/data_manifest.csv" >"$work/manifest.csv"
"$python" - "$root/workflow/profiles/demo.yml" "$work/small.yml" <<'PY'
import sys, yaml

profile = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
profile["generator"] |= {"people": 2, "steps": 4}
profile |= {"modes": ["sound"], "epochs": 1, "workers": 1, "scans_a_job": 6, "recorded": "none"}
yaml.safe_dump(profile, open(sys.argv[2], "w", encoding="utf-8"))
PY
# The account, the partition and the memory of this machine in place of a cluster's.
mkdir "$work/profile"
sed -e 's/slurm_account: .*/slurm_account: lab/' -e 's/slurm_partition: .*/slurm_partition: main/' \
    -e 's/mem_mb: .*/mem_mb: 2000/' -e 's/^    gpu: .*//' -e 's/: \(8\|16\)$/: 1/' \
    -e '/slurm-array-jobs/d' -e '/latency-wait/d' "$root/workflow/slurm/config.yaml" \
    >"$work/profile/config.yaml"
cat >>"$work/profile/config.yaml" <<CONF
slurm-init-seconds-before-status-checks: 5
seconds-between-status-checks: 5
groups:
  01_data_curation: images
  prepare_part: images
  02_images_and_quality: images
  train_generator: aicbv
  synthesise_part: aicbv
  03_aicbv_synthesis: aicbv
  04_split: networks
  train_network: networks
  05_vgg8_training: networks
CONF
export BRAINAGE_RUNS=$work/runs
book() { # name of the run, further arguments
    local name=$1
    shift
    (cd "$root" && "$python" workflow/book.py --profile "$work/small.yml" \
        --manifest "$work/manifest.csv" --run "$name" "$@")
}

began=$SECONDS
# As many threads as in the profile above: another number adds in another order.
book local predictions.csv --set-threads train_generator=1 synthesise_part=1 train_network=1
echo "The local run took $((SECONDS - began)) s"
began=$SECONDS
if [ "${1:-}" = --kill ]; then
    book slurm --workflow-profile "$work/profile" predictions.csv &
    driver=$!
    wait_for "job" sh -c 'squeue -h -t R | grep -q .'
    first=$(squeue -h -t R -o %i | head -1)
    scancel "$first"
    wait_for "job in place of the cancelled one" sh -c "squeue -h -t R -o %i | grep -qvx $first"
    second=$(squeue -h -t R -o %i | grep -vx "$first" | head -1)
    echo "A job was cancelled, and sent again"
    # What a controller knows is on its disk some five seconds later; one killed before that starts
    # the job anew, finds it there, and holds it: so wait for a word of the job, and then a while.
    logs=$BRAINAGE_RUNS/slurm/.snakemake/slurm_logs
    wait_for "word of the job" sh -c "cat '$logs'/*/'$second'.log | grep -q ."
    sleep 15
    kill -9 "$controller"
    sleep 3
    begin slurmctld -D
    wait_for slurmctld scontrol ping
    echo "The controller was killed and started again"
    wait "$driver" || book slurm --workflow-profile "$work/profile" predictions.csv
else
    book slurm --workflow-profile "$work/profile" predictions.csv
fi
echo "The run through Slurm took $((SECONDS - began)) s"
for table in manifest.csv quality.csv volumes/t1w/index.csv volumes/t1w/measures.csv \
    volumes/cbv/index.csv aicbv/scores.csv splits.csv predictions.csv; do
    cmp "$BRAINAGE_RUNS/local/$table" "$BRAINAGE_RUNS/slurm/$table"
done
sacct -a -n -X --format=JobName%40,State%20,Elapsed
jobs=$(sacct -a -n -X --format=JobID | wc -l)
if [ "${1:-}" != --kill ] && [ "$jobs" -gt 4 ]; then
    echo "Slurm: $jobs jobs, not the three groups"
    exit 1
fi
echo "Slurm: the same tables as the local run"
