"""`brainage doctor`: a sound installation, and one that is not."""

from __future__ import annotations

import nibabel as nib
import pytest
from typer.testing import CliRunner

from brainage_lib.cli.main import app
from brainage_lib.models import shipped
from brainage_lib.predict import checkup
from brainage_lib.predict.checkup import Finding, check_up, simulated_head


@pytest.mark.parametrize(("sound", "code"), [(True, 0), (None, 0), (False, 3)])
def test_what_is_not_sound_gives_its_exit_code(monkeypatch, sound, code):
    monkeypatch.setattr(checkup, "check_up", lambda run, device: [Finding("deepbet", sound, "x")])
    result = CliRunner().invoke(app, ["doctor"])
    assert getattr(result.exception, "exit_code", result.exit_code) == code
    assert "deepbet" in result.stdout


def test_a_check_that_breaks_is_a_finding(monkeypatch):
    def broken(*arguments):
        raise ImportError("no such thing")

    for name in ("_head", "_template", "_deepbet"):
        monkeypatch.setattr(checkup, name, broken)
    found = {finding.name: finding for finding in check_up()}
    assert found["simulated head"].sound is False
    assert "no such thing" in found["simulated head"].text
    assert found["brainage"].sound is None


def test_damaged_generators_are_found(monkeypatch, tmp_path):
    assert checkup._generators()[0] is True
    for path in shipped.FOLDER.glob("aicbv-4mm.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "aicbv-4mm.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    sound, said = checkup._generators()
    assert sound is False
    assert "4 mm" in said


def test_networks_of_extraction_are_compared_with_what_was_packed():
    assert checkup._deepbet()[0] is True


def test_the_practice_head_is_a_raw_head(tmp_path):
    from brainage_lib.imaging import guess_state, open_image

    nib.save(simulated_head()[0], tmp_path / "head.nii.gz")
    assert guess_state(open_image(tmp_path / "head.nii.gz"))[0] == "native-head"


@pytest.mark.slow
def test_this_installation_is_sound():
    assert [finding for finding in check_up(device="cpu") if finding.sound is False] == []
