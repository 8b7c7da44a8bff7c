"""The book's page *The 13 studies*, written from the specifications that the reader uses."""

from __future__ import annotations

from pathlib import Path

import yaml

from brainage_lib.data.studies.specification import Study, Table, load_study
from brainage_lib.tables import PROJECTS

ORDER = sorted(PROJECTS, key=str.lower)

HEAD = Path(__file__).with_name("page.yml")
"""What stands above the tables; prose, so not in the code."""


def studies_page() -> str:
    """Write the whole page.

    Returns
    -------
    str
        Markdown (MyST).
    """
    studies = [load_study(project) for project in ORDER]
    head = yaml.safe_load(HEAD.read_text(encoding="utf-8"))["head"]
    parts = [head, _access(studies), _columns(studies), *(_study(study) for study in studies)]
    return "\n".join([*parts, _doubts(studies)])


def _access(studies: list[Study]) -> str:
    lines = [
        "## Access and terms",
        "",
        "| Study | Open without account? | Licence or terms | `brainage fetch` |",
        "| --- | --- | --- | --- |",
    ]
    for study in studies:
        link = f"[{study.project}](#{study.project.lower()})"
        lines.append(f"| {link} | {study.open_access} | {study.terms} | {_fetchable(study)} |")
    lines += [
        "",
        "`brainage fetch ixi --into data/ixi` shows the size and asks, resumes what broke off, "
        "compares checksums, unpacks archives, and keeps to one connection with pauses. It was "
        "tried on a server on the maker's own machine only. Checksums that are in public code are "
        "compared; a file without one is recorded in `checksums.csv` at its first download and "
        "marked *not verified*.",
        "",
    ]
    return "\n".join(lines)


def _fetchable(study: Study) -> str:
    if study.fetch is None:
        return "no"
    if not study.fetch.files and not study.fetch.listings:
        return "no: addresses not verified"
    return "images only" if study.fetch.unavailable else "yes"


def _columns(studies: list[Study]) -> str:
    lines = [
        "## Columns",
        "",
        "| Study | Who | Age | Sex | Diagnosis | Visit |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for study in studies:
        cells = [study.columns[name] for name in ("who", "age", "sex", "diagnosis", "visit")]
        lines.append(f"| {' | '.join([study.project, *cells])} |")
    return "\n".join([*lines, ""])


def _study(study: Study) -> str:
    title = study.name if study.name == study.project else f"{study.project}: {study.name}"
    cite = f"{{cite}}`{study.cite}`. " if study.cite else ""
    lines = [f"({study.project.lower()})=", f"## {title}", "", f"{cite}{study.access.strip()}", ""]
    lines += [f"- {fact}" for fact in study.facts]
    lines += ["", "| Table | File | Columns that are read |", "| --- | --- | --- |"]
    lines += [_table(name, table) for name, table in study.tables.items()]
    patterns = " or ".join(f"`{layout.pattern}`" for layout in study.images.layouts)
    lines += ["", f"Images are found by {patterns}.", "", _command(study), ""]
    if study.doubts:
        lines += ["Not verified:", "", *(f"- {doubt}" for doubt in study.doubts), ""]
    return "\n".join(lines)


def _table(name: str, table: Table) -> str:
    files = ", ".join(f"`{pattern}`" for pattern in table.files)
    columns = ", ".join(f"`{column}`" for column in table.columns)
    if table.optional:
        columns += f"; if there, {', '.join(f'`{column}`' for column in table.optional)}"
    return f"| {name}{'' if table.required else ' (if at hand)'} | {files} | {columns} |"


def _command(study: Study) -> str:
    tables = " ".join(
        f"--table {table.files[0].replace('*', '…')}"
        for table in study.tables.values()
        if table.required
    )
    sex = " --sex-coding …" if not study.sex.values else ""
    convert = f" --convert {study.project}_nifti" if study.images.orientation else ""
    lines = [
        "```bash",
        f"brainage manifest build --study {study.project.lower()} {tables}{sex} "
        f"--images {study.project}{convert} --out {study.project.lower()}.csv",
        "```",
    ]
    return "\n".join(lines)


def _doubts(studies: list[Study]) -> str:
    checksums = [
        f"- The checksum of `{file.url.split('/')[-1]}`: seen in {file.seen}, not computed here."
        for study in studies
        if study.fetch
        for file in study.fetch.files
        if file.checksum
    ]
    lines = [
        "## Not verified",
        "",
        "The exact wording of the licences of OASIS, GSP, CoRR and SLIM; every [?]; what stands "
        "under *Not verified* above; whether the hosts still answer at the addresses in the "
        "specifications.",
        "",
        *checksums,
    ]
    return "\n".join([*lines, ""])
