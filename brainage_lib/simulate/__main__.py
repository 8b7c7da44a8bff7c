"""Write the simulated cohort's manifest.

``python -m brainage_lib.simulate > data_manifest.csv`` made the committed one.
"""

from __future__ import annotations

import argparse
import sys

from brainage_lib.simulate.cohort import simulate_cohort


def main() -> None:
    """Print the manifest as CSV."""
    parser = argparse.ArgumentParser(
        prog="python -m brainage_lib.simulate", description="Print the simulated cohort's manifest."
    )
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--scans", type=int, default=360)
    parser.add_argument("--participants", type=int, default=300)
    asked = parser.parse_args()
    manifest, _ = simulate_cohort(asked.seed, asked.scans, asked.participants)
    manifest.to_csv(sys.stdout, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
