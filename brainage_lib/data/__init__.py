"""A cohort: its manifest, its volumes, its splits and leaks."""
