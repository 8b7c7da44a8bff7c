# `brainage predict` of a table of scans or a BIDS dataset, as jobs of their own:
#
#   snakemake --snakefile workflow/predict.smk --directory results --cores 8 \
#     --config scans=/data/scans.csv model=/data/my-model parts=20
#
# on one computer, and with `--workflow-profile workflow/slurm` on a cluster. The jobs do what one
# command would do, in the same folder; the last one finds it done and writes the tables. Settings:
# scans, model, parts (1 unless given), nprocs (processes of a job, 1), options (others of
# `brainage predict`, such as "--native-maps").
import shlex
import sys
from pathlib import Path

# FINE_GB of brainage_lib.predict.batch, whose import would take seconds a job.
WORKER_GB = 3.0

for name in ("scans", "model"):
    if not config.get(name):
        raise WorkflowError(f"say --config {name}=…: see the beginning of {workflow.snakefile}")

SCANS, MODEL = (str(config[name]) for name in ("scans", "model"))
if not Path(SCANS).exists():
    raise WorkflowError(f"{SCANS} does not exist; give the whole path, --directory changes it")
NPROCS = int(config.get("nprocs", 1))
TABLE = SCANS.endswith(".csv")
PARTS = range(1, int(config.get("parts", 1)) + 1)
PREDICT = f"OMP_NUM_THREADS=1 {shlex.quote(sys.executable)} -m brainage_lib predict"
COMMON = f"--model {shlex.quote(MODEL)} {config.get('options', '')}"
# Scans that were refused or put aside are no failure of a job.
PARTLY = "|| test $? -eq 5"


def ask(level, options):
    """The command for a part, or (of a dataset: for the group) for all that the parts did."""
    asked = f"{shlex.quote(SCANS)} --out ." if TABLE else f"{shlex.quote(SCANS)} . {level}"
    return f"{PREDICT} {asked} {COMMON} {options} {PARTLY}"


rule tables:
    input:
        expand("jobs/part-{part}.done", part=PARTS),
    output:
        "predictions.csv",
        "group.html",
    resources:
        mem_mb=int(1024 * WORKER_GB),
    params:
        command=ask("group", ""),
    shell:
        "{params.command}"


rule predict_part:
    input:
        # Of a dataset nothing is named: what changed in it is found by the digests of its images.
        [SCANS] if TABLE else [],
    output:
        touch("jobs/part-{part}.done"),
    wildcard_constraints:
        part=r"\d+",
    threads: NPROCS
    resources:
        mem_mb=int(1024 * WORKER_GB * NPROCS),
    params:
        command=lambda wildcards: ask(
            "participant",
            f"--part {wildcards.part}/{len(PARTS)} --nprocs {NPROCS} --mem {WORKER_GB * NPROCS:g}",
        ),
    shell:
        "{params.command}"
