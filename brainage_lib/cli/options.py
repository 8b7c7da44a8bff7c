"""Options that several commands share, so that they read alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", help="A run or a packed model; the package's own networks unless given."
    ),
]
Sex = Annotated[str | None, typer.Option(help="F or M; may be left away.")]
State = Annotated[
    str | None,
    typer.Option(help="native-head, native-brain or mni152-brain; guessed unless given."),
]
Out = Annotated[Path | None, typer.Option(help="Folder for results; it is created.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Memory = Annotated[
    float | None,
    typer.Option("--mem", min=0.1, help="Memory that may be used, GB; what is free."),
]
