"""Screen what else could help the networks on tissue maps: one lever at a time, on one GPU.

All trainings of a lever (five folds, and each study left out) run at once, as branches of one CUDA
graph: a network of this size alone would leave the card idle. A lever takes ten to forty seconds on
an H200 at 4 mm. It is a screen, not the bench: TF32, no momentum cycle, as many steps for every
lever, people of the validation folds learned from unless the lever says otherwise. What is worth
its place goes to `train/recipes` and through ``benchmarks/accuracy.py``.

Predictions of each lever are kept in the run (``levers/``), and what is there is not trained again.
``--record`` writes the table, without a row of anyone, to ``book/recorded/accuracy``.

Run: ``python benchmarks/levers.py RUN [--seconds 300] [--record]``, with RUN one of
``benchmarks/accuracy.py``; of a run at 2 mm the grid is the lever.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from brainage_lib.data import kept, network_inputs
from brainage_lib.files import replacing
from brainage_lib.run import Run, locate
from brainage_lib.stats import mae_with_interval, paired_differences
from brainage_lib.tables import SPLITS, choose, read_table

OUT = Path(__file__).resolve().parents[1] / "book" / "recorded" / "accuracy" / "screen.csv"

STEPS = 1660
"""Forty epochs of the people of four folds in batches of eight."""

SETTLED_ON = 96
"""Scans on which averaged weights find the statistics of their normalisations."""


@dataclass(frozen=True)
class Lever:
    """One departure from the recipe `tissue`; lengths in voxels of 4 mm."""

    name: str
    words: str
    seeds: tuple[int, ...] = (0,)
    validation: bool = True
    channels: tuple[int, ...] = (24, 48, 96, 128, 128)
    residual: bool = False
    dropout: float = 0.3
    reads: tuple[int, ...] = (0, 1, 2)
    smoothing: float = 0.0
    steps: int = STEPS
    rate: float = 1.5e-3
    decay: float = 0.01
    turn: float = 6.0
    scale: float = 0.06
    shift: float = 1.5
    elastic: float = 0.0
    shares: float = 0.0
    blur: float = 0.0
    hole: float = 0.0
    mixed: float = 0.0


RECIPE = Lever("recipe", "the recipe itself", seeds=(0, 1, 2))

LEVERS = (
    RECIPE,
    Lever("without validation", "people of the validation fold not learned from", seeds=(0, 1),
          validation=False),
    Lever("smoothed", "maps smoothed by 4 mm", smoothing=1.0),
    Lever("long", "three times the steps", steps=5000),
    Lever("slow", "a third of the learning rate", rate=5e-4),
    Lever("wide", "twice the channels", channels=(48, 96, 192, 256, 256)),
    Lever("residual", "residual blocks", residual=True),
    Lever("regularised", "dropout 0.5, ten times the weight decay", dropout=0.5, decay=0.1),
    Lever("strong", "turned, scaled and shifted twice as far", turn=12, scale=0.12, shift=3),
    Lever("elastic", "elastic deformation, half a voxel", elastic=0.5),
    Lever("holes", "boxes cut out", hole=0.4),
    Lever("blurred", "blurred at random", blur=0.7),
    Lever("shares", "shares of tissues changed at random", shares=0.3),
    Lever("mixed", "scans and ages mixed in pairs", mixed=0.3),
    Lever("grey", "grey matter alone", reads=(0,)),
    Lever("fluid", "fluid alone", reads=(2,)),
)  # fmt: skip


class Net(nn.Module):
    """The library's FCN with room for levers; its class has none, as nothing of it uses them."""

    def __init__(self, lever: Lever, ages: Tensor):
        super().__init__()
        self.blocks, before = nn.ModuleList(), len(lever.reads)
        for number, after in enumerate(lever.channels, 1):
            layers: list[nn.Module] = [nn.Conv3d(before, after, 3, padding=1, bias=False)]
            if number < len(lever.channels):
                layers.append(nn.MaxPool3d(2))
            self.blocks.append(nn.Sequential(*layers, nn.BatchNorm3d(after), nn.ReLU()))
            before = after
        self.more = nn.ModuleList(
            nn.Sequential(nn.Conv3d(n, n, 3, padding=1, bias=False), nn.BatchNorm3d(n))
            for n in lever.channels[1:]
            if lever.residual
        )
        self.dropout, self.last = nn.Dropout(lever.dropout), nn.Linear(before, 1)
        self.register_buffer("age_mean", ages.mean())
        self.register_buffer("age_sd", ages.std())

    def forward(self, x: Tensor) -> Tensor:
        """Ages in years of (n, channels, x, y, z) maps."""
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number and self.more:
                x = F.relu(x + self.more[number - 1](x))
        features = self.dropout(x.mean((2, 3, 4)))
        return self.last(features).squeeze(1) * self.age_sd + self.age_mean


def change(lever: Lever, shape: Sequence[int], unit: float, device: torch.device) -> Callable:
    """Make the augmentation: no constant is made while it runs, as a graph could not hold that."""
    half = torch.tensor([side / 2 for side in shape], device=device)
    aspect = half[None, None, :] / half[None, :, None]
    sides = [torch.linspace(-1, 1, side, device=device) for side in shape]
    places = torch.stack(torch.meshgrid(*sides, indexing="ij"), -1)

    def between(*sizes: int) -> Tensor:
        return torch.rand(sizes, device=device) * 2 - 1

    def rotations(angles: Tensor) -> Tensor:
        c, s = angles.cos(), angles.sin()
        zero, one = torch.zeros_like(c[:, 0]), torch.ones_like(c[:, 0])

        def matrix(*entries: Tensor) -> Tensor:
            return torch.stack(entries, 1).view(len(angles), 3, 3)

        x = matrix(one, zero, zero, zero, c[:, 0], -s[:, 0], zero, s[:, 0], c[:, 0])
        y = matrix(c[:, 1], zero, s[:, 1], zero, one, zero, -s[:, 1], zero, c[:, 1])
        z = matrix(c[:, 2], -s[:, 2], zero, s[:, 2], c[:, 2], zero, zero, zero, one)
        return z @ y @ x

    def changed(x: Tensor, ages: Tensor) -> tuple[Tensor, Tensor]:
        n = len(x)
        turned = rotations(between(n, 3) * math.radians(lever.turn))
        scales = 1 + between(n, 3) * lever.scale
        mirrored = (torch.rand(n, 1, device=device) < 0.5).float() * -2 + 1
        scales = torch.cat([scales[:, :1] * mirrored, scales[:, 1:]], 1)
        linear = turned * scales[:, None, :] * aspect
        shift = between(n, 3) * lever.shift * unit / half
        theta = torch.cat([linear.flip(1, 2), shift.flip(1)[:, :, None]], 2)
        where = F.affine_grid(theta, [n, 1, *shape], align_corners=False)
        if lever.elastic:
            coarse = [max(3, side // 8) for side in shape]
            field = torch.randn(n, 3, *coarse, device=device) * lever.elastic * unit
            field = F.interpolate(field, size=tuple(shape), mode="trilinear", align_corners=True)
            where = where + field.permute(0, 2, 3, 4, 1) / half.flip(0)
        x = F.grid_sample(x, where, align_corners=False)
        if lever.shares:
            whole = x.sum(1, keepdim=True)
            power = torch.exp(between(n, 1, 1, 1, 1) * lever.shares)
            x = x.clamp(1e-3) ** power
            x = x * torch.exp(between(n, x.shape[1], 1, 1, 1) * lever.shares)
            x = x * whole / x.sum(1, keepdim=True)
        if lever.blur:
            how = torch.rand(n, 1, 1, 1, 1, device=device) * lever.blur
            x = x + how * (F.avg_pool3d(x, 3, 1, 1) - x)
        if lever.hole:
            middle = between(n, 1, 1, 1, 3)
            size = lever.hole * (0.3 + 0.7 * torch.rand(n, 1, 1, 1, 3, device=device))
            inside = ((places[None] - middle).abs() < size).all(-1)
            cut = inside & (torch.rand(n, 1, 1, 1, device=device) < 0.5)
            x = x * (~cut[:, None]).float()
        if lever.mixed:
            share = torch.rand(n, 1, 1, 1, 1, device=device) * lever.mixed
            x = (1 - share) * x + share * x.flip(0)
            ages = (1 - share.view(-1)) * ages + share.view(-1) * ages.flip(0)
        return x, ages

    return changed


def one_cycle(steps: int, top: float) -> list[float]:
    """Learning rate of each step."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=top)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, top, steps, cycle_momentum=False)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    return rates


def smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Smooth maps (n, channels, x, y, z) of uint8 by a Gaussian of so many voxels."""
    values = maps.cpu().numpy().astype(np.float32)
    values = gaussian_filter(values, (0, 0, sigma, sigma, sigma), mode="constant", truncate=3)
    return torch.from_numpy(values.round().astype(np.uint8)).to(maps.device)


def train(
    lever: Lever, maps: Tensor, age: Tensor, jobs: Mapping[str, np.ndarray], seed: int,
    unit: float, batch: int = 8, ema: float = 0.98,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Train all jobs side by side.

    Parameters
    ----------
    lever : Lever
    maps : (n, 3, x, y, z) tensor of uint8
        Shares times 255.
    age : (n,) tensor
        Years.
    jobs : mapping
        Rows to learn from, by name.
    seed : int
    unit : float
        4 mm in voxels.

    Returns
    -------
    dict of str to (n,) array
        Ages of all scans, by job: with averaged weights, over each scan and its mirror image.
    """
    torch.manual_seed(seed)
    device, on_gpu = maps.device, maps.device.type == "cuda"
    maps = maps[:, list(lever.reads)]
    if lever.smoothing:
        maps = smoothed(maps, lever.smoothing * unit)
    changed = change(lever, maps.shape[2:], unit, device)

    def volumes(rows: Tensor) -> Tensor:
        scaled = maps[rows].float().div_(255)
        return scaled.contiguous(memory_format=torch.channels_last_3d)

    nets = [Net(lever, age[torch.as_tensor(rows, device=device)]).to(device)
            .to(memory_format=torch.channels_last_3d) for rows in jobs.values()]  # fmt: skip
    weights = [weight for net in nets for weight in net.parameters()]
    buffers = [buffer for net in nets for buffer in net.buffers()]
    first, states = [[x.detach().clone() for x in many] for many in (weights, buffers)]
    average = [weight.clone() for weight in first]
    rate = torch.tensor(lever.rate, device=device)
    optimiser = torch.optim.AdamW(
        weights, lr=rate, weight_decay=lever.decay, capturable=on_gpu, fused=on_gpu or None
    )
    orders = []
    for number, rows in enumerate(jobs.values()):
        rng = np.random.default_rng([seed, number])
        rounds = lever.steps * batch // len(rows) + 1
        drawn = np.concatenate([rng.permutation(rows) for _ in range(rounds)])
        orders.append(drawn[: lever.steps * batch].reshape(lever.steps, batch))
    order = torch.tensor(np.stack(orders), device=device)
    now = order[:, 0].clone()
    streams = [torch.cuda.Stream() if on_gpu else None for _ in jobs]

    def branch(number: int) -> None:
        with torch.no_grad():
            x, ages = changed(volumes(now[number]), age[now[number]])
        x = x.contiguous(memory_format=torch.channels_last_3d)
        (nets[number](x) - ages).abs().mean().backward()

    def step() -> None:
        for weight in weights:
            weight.grad = None
        for number, stream in enumerate(streams):
            if stream is None:
                branch(number)
                continue
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                branch(number)
        for stream in streams:
            if stream is not None:
                torch.cuda.current_stream().wait_stream(stream)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, [weight.detach() for weight in weights], 1 - ema)

    play = _captured(step, optimiser, (weights, first), (average, first), (buffers, states))
    for number, now_rate in enumerate(one_cycle(lever.steps, lever.rate)):
        now.copy_(order[:, number])
        rate.fill_(now_rate)
        play()
    with torch.no_grad():
        torch._foreach_copy_(weights, average)
        return {name: _ages(net, volumes, torch.as_tensor(rows, device=device), len(maps), seed)
                for (name, rows), net in zip(jobs.items(), nets, strict=True)}  # fmt: skip


def _captured(step: Callable, optimiser: torch.optim.Optimizer, *kept: tuple) -> Callable:
    """Record a step as a CUDA graph, and undo what recording it has changed; on a CPU, nothing."""
    if not torch.cuda.is_available():
        return step
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    with torch.no_grad():
        for tensors, values in kept:
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
        for state in optimiser.state.values():
            for value in state.values():
                value.zero_()
    return graph.replay


def _ages(net: Net, volumes: Callable, learned: Tensor, n: int, seed: int) -> np.ndarray:
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.reset_running_stats()
            module.momentum = None
    some = np.random.default_rng(seed).permutation(len(learned))[:SETTLED_ON]
    for rows in some[: len(some) // 8 * 8].reshape(-1, 8):
        net(volumes(learned[torch.as_tensor(rows, device=learned.device)]))
    net.eval()
    found = []
    for rows in torch.arange(n, device=learned.device).split(16):
        x = volumes(rows)
        found.append((net(x) + net(x.flip(2))) / 2)
    return torch.cat(found).cpu().numpy()


def jobs_of(lever: Lever, scans: pd.DataFrame, validation: Mapping[int, set[str]]) -> dict:
    """Rows to learn from: all folds but one, and all studies but one."""
    jobs = {}
    for fold in sorted(scans["fold"].unique()):
        known = (scans["fold"] != fold).to_numpy()
        if not lever.validation:
            known &= ~scans["scan_id"].isin(validation[fold]).to_numpy()
        jobs[f"fold-{fold}"] = np.flatnonzero(known)
    for project in sorted(scans["project"].unique()):
        jobs[f"without-{project}"] = np.flatnonzero(scans["project"] != project)
    return jobs


def place(run: Run, lever: Lever, seed: int) -> Path:
    """Where the predictions of a lever are kept."""
    return run.path("levers", f"{lever.name.replace(' ', '-')}-{seed}.npz")


def summarise(scans: pd.DataFrame, found: Mapping[Lever, list[dict]], mm: int) -> pd.DataFrame:
    """Put errors of each lever beside those of the recipe.

    Parameters
    ----------
    scans : DataFrame
        With fold, project, age, participant_id.
    found : mapping
        Predictions by job, of each seed of a lever.
    mm : int

    Returns
    -------
    DataFrame
        A row a lever: ``mae`` (mean over its seeds; interval over people), the same by project,
        the difference to the recipe's, paired, and the error and mean gap of each study
        predicted without it.
    """
    age = scans["age"].to_numpy()
    errors, rows = {}, []
    for lever, seeds in found.items():
        gaps = []
        for jobs in seeds:
            tested = np.full(len(scans), np.nan)
            for fold in scans["fold"].unique():
                inside = (scans["fold"] == fold).to_numpy()
                tested[inside] = jobs[f"fold-{fold}"][inside]
            gaps.append(tested - age)
        errors[lever.name] = np.abs(gaps).mean(axis=0)
        value, low, high = _interval(scans, errors[lever.name])
        row = {"lever": lever.words, "grid_mm": mm, "seeds": len(seeds), "mae": value,
               "mae_low": low, "mae_high": high,
               "mae_of_mean": np.abs(np.mean(gaps, axis=0)).mean()}  # fmt: skip
        for project in sorted(scans["project"].unique()):
            inside = (scans["project"] == project).to_numpy()
            row[f"mae_{project}"] = errors[lever.name][inside].mean()
            apart = [jobs[f"without-{project}"][inside] - age[inside] for jobs in seeds]
            row[f"unseen_{project}"] = np.mean([np.abs(gap).mean() for gap in apart])
            row[f"gap_{project}"] = np.mean([gap.mean() for gap in apart])
        rows.append(row)
    table = pd.DataFrame(rows)
    if RECIPE in found:
        pairs = [(lever.name, RECIPE.name) for lever in found if lever is not RECIPE]
        steps = paired_differences(pd.DataFrame(errors), scans["participant_id"], pairs)
        for column in ("difference", "low", "high"):
            table[f"to_recipe_{column}"] = [np.nan, *steps[column]]
    return table


def _interval(scans: pd.DataFrame, errors: np.ndarray) -> tuple[float, float, float]:
    """MAE with its interval over people, of errors that have no sign."""
    return mae_with_interval(scans.assign(predicted_age=scans["age"] + errors))


def record(table: pd.DataFrame, path: Path) -> None:
    """Write the table for the book; rows of other grids stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        old = pd.read_csv(path)
        table = pd.concat([table, old[~old["grid_mm"].isin(table["grid_mm"])]])
    with replacing(path) as temporary:
        table.sort_values("grid_mm", ascending=False, kind="stable").round(3).to_csv(
            temporary, index=False
        )


def main() -> None:
    """Train what is missing, and write the table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="name of the run, or its folder")
    parser.add_argument("--seconds", type=float, default=600, help="begin no lever after so many")
    parser.add_argument("--record", action="store_true", help="write the table for the book")
    options = parser.parse_args()
    run = Run(locate(options.run))
    mm = run.profile.grid_mm
    splits = read_table(run.path("splits.csv"), SPLITS)
    tested = choose(splits, mode="sound", role="test")[["scan_id", "fold"]]
    scans = kept(run).merge(tested, on="scan_id").reset_index(drop=True)
    held = choose(splits, mode="sound", role="validation")
    validation = {fold: set(part["scan_id"]) for fold, part in held.groupby("fold")}
    began = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    asked = [(lever, seed) for lever in LEVERS for seed in lever.seeds]
    missing = [(lever, seed) for lever, seed in asked if not place(run, lever, seed).is_file()]
    if missing:
        volumes = network_inputs(run, "T", list(scans["scan_id"]), "tissue")
        maps = np.stack([np.rint(np.asarray(v, np.float32) * 255) for v in volumes])
        maps = torch.from_numpy(maps.astype(np.uint8)).to(device)
        age = torch.tensor(scans["age"].to_numpy(), dtype=torch.float32, device=device)
    for lever, seed in missing:
        if time.monotonic() - began > options.seconds:
            print(f"{len(missing)} trainings were missing; time is over before {lever.name}")
            break
        began_here = time.monotonic()
        found = train(lever, maps, age, jobs_of(lever, scans, validation), seed, 4 / mm)
        target = place(run, lever, seed)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **found)
        print(f"{lever.name}, seed {seed}: {time.monotonic() - began_here:.0f} s", flush=True)
    there = {lever: [np.load(place(run, lever, seed)) for seed in lever.seeds
                     if place(run, lever, seed).is_file()] for lever in LEVERS}  # fmt: skip
    table = summarise(scans, {lever: files for lever, files in there.items() if files}, mm)
    print(table.round(2).to_string(index=False))
    if options.record:
        record(table, OUT)


if __name__ == "__main__":
    main()
