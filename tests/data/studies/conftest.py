"""A folder of made-up tables and empty images, in the words and layouts of the real studies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest


class Folder(NamedTuple):
    """A study as a lab has it on disk."""

    root: Path

    def table(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        """Write a table; the margin of the text is cut, and the first empty line."""
        lines = [line.strip() for line in text.strip().splitlines()]
        path = self.root / "tables" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
        return path

    def workbook(self, name: str, sheet: str, columns: list, rows: list) -> Path:
        """Write a workbook as Excel would, with numbers as numbers."""
        import openpyxl

        book = openpyxl.Workbook()
        book.active.title = "Notes"
        page = book.create_sheet(sheet, 0)
        for row in [columns, *rows]:
            page.append(row)
        path = self.root / "tables" / name
        path.parent.mkdir(exist_ok=True)
        book.save(path)
        return path

    def images(self, *names: str) -> None:
        """Make images that differ, as far as a table's reader looks at them."""
        for name in names:
            path = self.root / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    return Folder(tmp_path)


@pytest.fixture
def build(folder):
    """Build the manifest of the folder's study and read it as the book would."""
    from brainage_lib.data.studies import build_manifest
    from brainage_lib.tables import read_manifest

    def made(study, **options):
        tables = options.pop("tables", [folder.root / "tables"])
        out = folder.root / "manifest.csv"
        result = build_manifest(study, tables, folder.root / "images", out, **options)
        return read_manifest(out).set_index("scan_id"), result

    return made


@pytest.fixture
def reasons():
    """Reasons of what was left out, of one scan or image if it is named."""

    def told(result, scan=""):
        return {e.reason for e in result.left_out if scan in f"{e.scan} {e.file}"}

    return told
