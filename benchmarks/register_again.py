"""What it gains to register brains again that are in MNI152 already.

The controls of a manifest whose brains are said to be in MNI152, once as delivered and once with
the setting ``preprocessing: register_again`` (bias field and affine of our own), each scan
predicted out of fold by ridge and Gaussian process on smoothed T1w and on tissue maps: the same
people in the same folds. Writes a table without a row of anyone to ``book/recorded/accuracy``.

Run: ``OMP_WAIT_POLICY=PASSIVE python benchmarks/register_again.py MANIFEST``; with
``BRAINAGE_RUNS`` of a run that registered these scans, that is not done once more.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd
import yaml
from accuracy import PROFILE, features, kernels, out_of_fold, tested, write

from brainage_lib.data import prepare_volumes, write_manifest, write_splits
from brainage_lib.run import Run, locate, start_run
from brainage_lib.stats import mae_with_interval, paired_differences
from brainage_lib.tables import QUALITY, read_table

READS = {"t1w": "smoothed T1w", "tissue": "smoothed tissue maps"}


def prepared(manifest: Path, again: bool) -> Run:
    """Prepare the run of one setting up to its splits."""
    settings = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    settings["preprocessing"] = {"register_again": again}
    name = "registered-again" if again else "as-delivered"
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / f"{name}.yml"
        profile.write_text(yaml.safe_dump(settings), encoding="utf-8")
        run = start_run(locate(name), profile, manifest)
    write_manifest(run)
    prepare_volumes(run)
    write_splits(run)
    return run


def main() -> None:
    """Predict both ways and write one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    asked = parser.parse_args()
    runs = {again: prepared(asked.manifest, again) for again in (False, True)}
    scans = tested(runs[False])
    both = scans["scan_id"].isin(tested(runs[True])["scan_id"])
    scans = scans[both & (scans["t1w_state"] == "mni152-brain")].reset_index(drop=True)
    found = []
    for reads, words in READS.items():
        values = {
            again: kernels(features(run, reads, list(scans["scan_id"])))
            for again, run in runs.items()
        }
        for learner in values[False]:
            errors = pd.DataFrame(
                {again: out_of_fold(values[again][learner], scans) - scans["age"] for again in runs}
            )
            step = paired_differences(errors, scans["participant_id"], [(True, False)])
            row = {"recipe": f"{learner} on {words}", "n_scans": len(scans),
                   "n_participants": scans["participant_id"].nunique()}  # fmt: skip
            for again, name in ((False, "delivered"), (True, "again")):
                age = scans.assign(predicted_age=errors[again] + scans["age"])
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), mae_with_interval(age),
                                strict=True))  # fmt: skip
            ends = step.loc[0, ["difference", "low", "high"]].add_prefix("step_")
            found.append(row | ends.to_dict())
    write(pd.DataFrame(found), "registered_again")
    for again, run in runs.items():
        quality = read_table(run.path("quality.csv"), QUALITY)
        verdicts = quality.loc[quality["project"].isin(scans["project"]), "verdict"]
        print("registered again:" if again else "as delivered:", dict(verdicts.value_counts()))


if __name__ == "__main__":
    main()
