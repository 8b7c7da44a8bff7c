"""A sim: URI holds the whole scan, and nothing unknown passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage_lib.errors import BadInput
from brainage_lib.imaging import grid
from brainage_lib.simulate import ScanSpec, open_scan, parse
from brainage_lib.simulate.sources import table
from brainage_lib.simulate.uri import FAULTS

GOOD = "sim:v1?seed=7&session=1&age=61.50&sex=F&project=IXI&diagnosis=control"


@given(
    seed=st.integers(0, 10**18),
    session=st.integers(1, 99),
    age=st.integers(500, 11000),
    sex=st.sampled_from("FM"),
    project=st.sampled_from([*table("projects").index, "random"]),
    diagnosis=st.sampled_from(["control", *table("diagnoses").index]),
    fault=st.sampled_from(["", *FAULTS]),
)
def test_uri_round_trip(seed, session, age, sex, project, diagnosis, fault):
    spec = ScanSpec(seed, session, age / 100, sex, project, diagnosis, fault)
    assert parse(spec.uri) == spec
    assert " " not in spec.uri
    assert "," not in spec.uri


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        (GOOD.replace("v1", "v2"), "expected sim:v1"),
        (GOOD.replace("sim:", "file:"), "expected sim:v1"),
        ("sim:v1", "expected sim:v1"),
        (GOOD + "&colour=red", "colour: unknown field"),
        (GOOD + "&age=20", "age: given 2 times"),
        (GOOD.replace("&sex=F", ""), "sex: given 0 times"),
        (GOOD.replace("sex=F", "sex=f"), "not one of F, M"),
        (GOOD.replace("61.50", "old"), "not a number"),
        (GOOD.replace("61.50", "nan"), "not a number"),
        (GOOD.replace("61.50", "130"), "outside 5–110"),
        (GOOD.replace("seed=7", "seed=-7"), "not a whole number"),
        (GOOD.replace("IXI", "UKB"), "project: 'UKB' is not one of"),
        (GOOD + "&fault=blurred", "fault: 'blurred' is not one of tilted"),
        (GOOD + "&fault=cut&fault=cut", "fault: given 2 times"),
        (GOOD.replace("control", "cold"), "diagnosis: 'cold' is not one of"),
    ],
)
def test_unknown_things_are_refused(uri, word):
    with pytest.raises(BadInput, match=word):
        open_scan(uri, grid(4))


def test_every_finding_is_listed():
    with pytest.raises(BadInput) as caught:
        parse(GOOD.replace("61.50", "130").replace("sex=F", "sex=?").replace("IXI", "?"))
    assert len(caught.value.findings) == 3
