"""The profile of what can be fetched does what the recorded one does, at 2 mm."""

from __future__ import annotations

from brainage_lib.run import load_profile


def test_open_is_recorded_on_another_cohort_and_grid(root):
    profiles = root / "workflow" / "profiles"
    opened = load_profile(profiles / "open.yml").model_dump()
    recorded = load_profile(profiles / "recorded.yml").model_dump()
    differ = {name for name in opened if opened[name] != recorded[name]}
    assert differ == {"name", "cohort", "grid_mm", "generator"}
    assert opened["grid_mm"] == 2
    # The shipped weights of 2 mm were trained on larger patches than those of 4 mm.
    assert opened["generator"] == recorded["generator"] | {"patch": 64}
