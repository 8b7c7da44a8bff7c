"""Whether the control ladder tells blood from a second look, with networks that were trained.

Simulated people, so that the answer is known: AICBV is computed from the T1w and must gain nothing
beyond T + T′; a network on the true blood volume, which no T1w holds, must. For each cohort size
and seed the networks T, T′, A, F and M of the paper's recipe are trained out of fold, and one on
the true blood volume in A's place (rung T + B). Writes ``book/recorded/ladder/trained.csv``.

Run: ``OMP_WAIT_POLICY=PASSIVE python benchmarks/ladder.py [--sizes 150 300] [--seeds 0 1]``; what
is finished is kept in the runs ``ladder-SIZE-SEED``, so that a stopped one goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd
import yaml

from brainage_lib.data import VolumeWriter, kept, prepare_volumes, write_manifest, write_splits
from brainage_lib.files import replacing
from brainage_lib.imaging import grid
from brainage_lib.run import Run, locate, progress, start_run
from brainage_lib.simulate import open_scan, simulate_cohort
from brainage_lib.stats import ladder
from brainage_lib.tables import choose
from brainage_lib.train import aicbv, cohort

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "book" / "recorded" / "ladder" / "trained.csv"
RUNGS = ("T", "T + T′", "T + A", "T + F", "T + M", "T + P")
RECIPE, MODE = "paper", "sound"


def start(name: str, manifest: pd.DataFrame, **changes) -> Run:
    """Start a run of the demo's profile with changes, up to its splits."""
    profile = ROOT / "workflow" / "profiles" / "demo.yml"
    settings = yaml.safe_load(profile.read_text(encoding="utf-8")) | {"modes": [MODE]} | changes
    settings["generator"] = {"size": "lite", "patch": 48, "overlap": 0.5, "weights": "shipped"}
    folder = locate(name)
    folder.mkdir(parents=True, exist_ok=True)
    manifest.to_csv(folder / "cohort.csv", index=False)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "ladder.yml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        run = start_run(folder, path, folder / "cohort.csv")
    write_manifest(run)
    prepare_volumes(run)
    write_splits(run)
    return run


def write_true_blood(run: Run) -> None:
    """Put the people's true blood volume (ml/100 ml) where the net A reads AICBV."""
    scans = kept(run)
    target = grid(run.profile.grid_mm)
    with VolumeWriter(run.path("volumes", "cbv"), target.shape) as writer:
        left = list(scans[["scan_id", "path"]].itertuples(index=False))[len(writer.done) :]
        for scan_id, uri in progress(left, "True blood volume"):
            writer.add(scan_id, open_scan(uri, target).cbv)


def trained(size: int, seed: int, epochs: int) -> pd.DataFrame:
    """Train all networks of one cohort; a row a rung."""
    people, _ = simulate_cohort(
        n_scans=size, n_participants=size, seed=31 * size + seed, faults=False
    )
    name, common = f"ladder-{size}-{seed}", {"epochs": epochs, "seed": 2026 + seed}
    seeds = [2 * seed, 2 * seed + 1]
    run = start(name, people, seeds=seeds, second_nets=["F", "M"], **common)
    aicbv.fit_aicbv(run)
    aicbv.synthesise_cohort(run)
    cohort.fit_networks(run)
    predictions = cohort.predict_networks(run)
    blood = start(f"{name}-true", people, seeds=seeds[:1], nets=["A"], **common)
    write_true_blood(blood)
    cohort.fit_networks(blood)
    true = cohort.predict_networks(blood)
    found = []
    for rungs, second in ((RUNGS, predictions), (("T + A",), true)):
        table = pd.concat([choose(predictions, recipe=RECIPE).query("net != 'A'"),
                           choose(second, recipe=RECIPE, net="A")])  # fmt: skip
        rows = ladder(table, RECIPE, MODE, seed=seed).set_index("rung").loc[list(rungs)]
        found.append(rows.rename(index={"T + A": "T + B"}) if second is true else rows)
    keep = ["second", "n_scans", "mae", "mae_low", "mae_high", "error_correlation",
            *(f"{gain}{end}" for gain in ("gain_over_t", "gain_over_second_look")
              for end in ("", "_low", "_high", "_p_holm"))]  # fmt: skip
    table = pd.concat(found)[keep].reset_index()
    table.loc[table["rung"] == "T + B", "second"] = "true blood volume"
    return table.assign(size=size, seed=seed, epochs=epochs)


def main() -> None:
    """Train, and write the table after each cohort."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[150, 300])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    parts = []
    for size in asked.sizes:
        for seed in asked.seeds:
            parts.append(trained(size, seed, asked.epochs))
            asked.out.parent.mkdir(parents=True, exist_ok=True)
            with replacing(asked.out) as temporary:
                pd.concat(parts).round(3).to_csv(temporary, index=False)
    print(pd.concat(parts).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
