"""The least of a run that prediction needs, as a folder to hand on: no row of anyone."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from brainage_lib import __version__
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import read_json, write_json, write_text
from brainage_lib.models import load_weights, open_network, save_weights
from brainage_lib.predict.model import Model
from brainage_lib.predict.scan import look_at_scan
from brainage_lib.run import Run
from brainage_lib.tables import MANIFEST, TABLE1, TABLE2, TABLE3, choose, read_table

CARD = "model_card.json"
FEWEST_PEOPLE = 10
"""Groups of fewer people are not told of on the card."""

LARGEST_LIST = 100
"""Longer lists in a JSON file could hold a value a person."""

WEIGHT_FACTS = {
    "network", "shape", "channels", "reads", "recipe", "mode", "net", "fold", "grid_mm", "source",
    "epochs", "best_epoch", "validation_mae", "size", "people", "unit", "identity", "step",
    "steps", "seed", "precision", "settings", "optimiser", "format",
}  # fmt: skip
"""What may stand beside weights; none of it is of a person."""

TRIAL = "sim:v1?seed=1600016&session=1&age=52.00&sex=F&project=IXI&diagnosis=control"
"""A simulated person, by whom `brainage doctor` sees whether a model answers as it should."""

NOT_FOR = [
    "decisions about a person's health, insurance, work or court case",
    "diagnosis, screening or monitoring of disease",
    "children, and ages outside those of the training scans",
    "images other than T1-weighted scans of a whole brain",
]


def pack_model(run: Run, folder: str | os.PathLike, licence: str = "") -> dict[str, Any]:
    """Copy what `Model` reads, weights in half precision, with a model card.

    Parameters
    ----------
    run : Run
        With everything up to chapter 07.
    folder : path
        Must not exist, or be empty; appears whole or not at all.
    licence : str
        Terms of the weights, for the card: those of the scans from which they were learned.

    Returns
    -------
    dict
        The card, as written to ``model_card.json``.

    Raises
    ------
    WrongUsage
        The folder holds something.
    BadInput
        A file is missing, or the copy holds something that may not leave the run.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongUsage(f"{folder} is not empty; give the name of a new folder")
    model = Model(run)
    model.check()
    folder.parent.mkdir(parents=True, exist_ok=True)
    passing = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name in model.files():
            _copy(run, name, passing / name)
        card = _card(run, Run(passing), licence)
        write_json(passing / CARD, card)
        check_pack(passing, run)
        passing.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        os.replace(passing, folder)
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    return card


def _copy(run: Run, name: str, target: Path) -> None:
    source = run.path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".safetensors"):
        state, facts = load_weights(source)
        kept = {key: value for key, value in facts.items() if key in WEIGHT_FACTS}
        save_weights(state, target, kept, half=True)
    elif name == "profile.yml":
        # The manifest's path says where somebody's scans lie.
        settings = run.profile.model_dump(mode="json") | {"cohort": "not part of this folder"}
        write_text(target, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    elif name == "cohort.json":
        write_json(target, {"simulated": run.simulated, "folder": None})
    else:
        write_json(target, _headline_only(run, read_json(source)))


def _headline_only(run: Run, content: dict[str, Any]) -> dict[str, Any]:
    """Leave out recipes and modes of which no network is packed."""
    main, content = run.profile.headline, dict(content)
    if "models" in content:
        content["models"] = {
            main["recipe"]: {main["mode"]: content["models"][main["recipe"]][main["mode"]]}
        }
    if "calibration" in content:
        kept = {k: v for k, v in content["calibration"].items() if k == main["recipe"]}
        content["calibration"] = {
            recipe: {model: _blurred(line) for model, line in lines.items()}
            for recipe, lines in kept.items()
        }
    return content


def _blurred(line: dict[str, Any]) -> dict[str, Any]:
    """Leave out the ends of curves, which are one person's age, and round the rest."""
    line = dict(line)
    for name, place in (("lowess", "age"), ("local", "predicted")):
        if line.get(name):
            line[name] = {
                key: [round(value) if key == place else round(value, 1) for value in values[1:-1]]
                for key, values in line[name].items()
            }
    return line


def _card(run: Run, packed: Run, licence: str) -> dict[str, Any]:
    model = Model(packed)
    main = run.profile.headline
    trial = look_at_scan(
        model, {"scan_id": "trial", "path": TRIAL, "t1w_state": "simulated", "age": 52, "sex": "F"}
    )
    return {
        "made_by": f"Brain Age {__version__}",
        "reads": f"T1w scan of a whole brain, resampled to MNI152 at {run.profile.grid_mm} mm",
        "gives": "age in years with an interval",
        "trained_on": run.source,
        **model.reference,
        "headline": main,
        "out_of_fold": {
            name: _errors(run, place, schema, group)
            for name, place, schema, group in (
                ("all", "stacking/table1.csv", TABLE1, None),
                ("by_age", "table2.csv", TABLE2, "age_group"),
                ("by_project", "table3.csv", TABLE3, "project"),
            )
        },
        "not_for": NOT_FOR,
        "licence": licence or "not stated; the terms of the scans apply",
        "trial": {"scan": TRIAL, "predicted_age": trial.predicted_age},
        "sha256": model.digests,
    }


def _errors(run: Run, place: str, schema, group: str | None) -> list[dict[str, Any]]:
    """Rows of a table of errors; those of few people are left out."""
    if not run.path(place).is_file():
        raise BadInput(str(run.folder), [f"{place} is missing; run the chapter that makes it"])
    rows = choose(read_table(run.path(place), schema), **run.profile.headline)
    names = ["model", *([group] if group else []), "n_scans", "n_participants", "mae", "mae_low",
             "mae_high"]  # fmt: skip
    both = "A" in run.profile.nets
    rows = rows[rows["model"].isin(["TA", "TAS"] if both else ["T"])]
    if group and not run.simulated:
        rows = rows[_tellable(rows, group)]
    return json.loads(rows[names].round(2).to_json(orient="records"))


def _tellable(rows: pd.DataFrame, group: str) -> pd.Series:
    """Choose groups of enough people; where one alone is too small, the next goes, too.

    The total is known, so that a single missing group would follow from the others.
    """
    sizes = rows.drop_duplicates(group).set_index(group)["n_participants"].sort_values()
    hidden = int((sizes < FEWEST_PEOPLE).sum())
    while 0 < hidden < len(sizes) and (hidden == 1 or sizes.iloc[:hidden].sum() < FEWEST_PEOPLE):
        hidden += 1
    return ~rows[group].isin(sizes.index[:hidden])


def check_pack(folder: str | os.PathLike, source: Run | None = None) -> None:
    """Look whether a folder holds what prediction needs, and nothing else.

    Parameters
    ----------
    folder : path
    source : Run, optional
        The run that it was made from: none of its scans, participants or paths may be named.

    Raises
    ------
    BadInput
        Lists every file that is missing or too much, and what in a file may not be there.
    """
    packed = Run(folder)
    expected = {*Model(packed).files(), CARD}
    there = {
        path.relative_to(packed.folder).as_posix()
        for path in packed.folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    findings = [f"{name}: missing" for name in sorted(expected - there)]
    findings += [f"{name}: not needed for prediction" for name in sorted(there - expected)]
    texts = {}
    for name in sorted(expected & there):
        path = packed.path(name)
        if path.is_symlink():
            findings.append(f"{name}: a link")
        elif name.endswith(".safetensors"):
            state, facts = load_weights(path)
            texts[name] = json.dumps(facts)
            findings += [f"{name}: fact {key!r}" for key in sorted(set(facts) - WEIGHT_FACTS)]
            findings += [
                f"{name}: {key} is not in half precision"
                for key, tensor in state.items()
                if tensor.is_floating_point() and tensor.element_size() > 2
            ]
            if name.startswith("networks/"):
                open_network(path)  # no tensor but the network's
        else:
            texts[name] = path.read_text(encoding="utf-8")
            if name.endswith(".json"):
                findings += [f"{name}: {place}" for place in _long_lists(read_json(path))]
    if source is not None:
        findings += _names_in(texts, source)
    if findings:
        raise BadInput(str(folder), findings)


def _long_lists(value: Any, place: str = "") -> list[str]:
    if isinstance(value, dict):
        return [
            found for key, each in value.items() for found in _long_lists(each, f"{place}{key}.")
        ]
    if isinstance(value, list):
        if len(value) > LARGEST_LIST:
            return [f"{place.rstrip('.')} has {len(value)} entries, as if one for each person"]
        return [found for each in value for found in _long_lists(each, place)]
    return []


def _names_in(texts: dict[str, str], source: Run) -> list[str]:
    """Names of scans, people and files, looked for word by word."""
    names: set[str] = set()
    if source.path("manifest.csv").is_file():
        manifest = read_table(source.path("manifest.csv"), MANIFEST)
        for column in ("scan_id", "participant_id", "path"):
            names |= set(manifest[column])
    # A bare number, or a name of two letters, cannot be told from other text.
    names = {name for name in names if len(name) > 2 and not name.replace(".", "").isdigit()}
    words = re.compile(r"[\w.:/?&=+-]+")
    return [
        f"{name}: names {word!r}, which is of the manifest"
        for name, text in texts.items()
        for word in sorted(names & set(words.findall(text)))
    ]
