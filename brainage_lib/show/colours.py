"""Colours and symbols, the same on every page.

The four models have colours of Okabe and Ito's set, which people with any of the common colour
deficiencies can tell apart (Okabe & Ito 2008, *Color Universal Design*). Of its eight colours only
those are used that stand out (contrast of 3:1, WCAG 1.4.11) on a white and on a nearly black page.
No meaning hangs on colour alone: each has a symbol or a word beside it.
"""

from __future__ import annotations

MODEL_COLOURS = {"T": "#0072B2", "A": "#D55E00", "TA": "#009E73", "TAS": "#CC79A7"}
"""Blue, vermilion, bluish green, reddish purple."""

MODEL_SYMBOLS = {"T": "circle", "A": "diamond", "TA": "square", "TAS": "triangle-up"}

MODEL_NAMES = {
    "T": "T (T1w)",
    "A": "A (AICBV)",
    "TA": "TA (T1w + AICBV)",
    "TAS": "TAS (T1w + AICBV + sex)",
}

NET_COLOURS = {"T": MODEL_COLOURS["T"], "A": MODEL_COLOURS["A"]}
NET_SYMBOLS = {"T": MODEL_SYMBOLS["T"], "A": MODEL_SYMBOLS["A"]}
NET_NAMES = {
    "T": "T1w",
    "A": "AICBV",
    "F": "fixed transform",
    "M": "tissue maps",
    "X": "shuffled AICBV",
    "P": "planted signal",
}

NEUTRAL = "#797979"
"""The grey that is equally far (4.3:1) from a white and from a nearly black page; no grey reaches
4.5:1 on both. Within a page the style of `page.STYLE` gives the text the page's own colour."""

GRID = "rgba(128,128,128,0.28)"

ROLE_COLOURS = {
    "train": NEUTRAL,
    "validation": "#B37400",
    "test": "#8560C9",
    "apart": "#00868B",
}
ROLE_SYMBOLS = {"train": "circle", "validation": "diamond", "test": "square", "apart": "x"}

SEX_COLOURS = {"F": "#8560C9", "M": "#B37400"}
SEX_SYMBOLS = {"F": "circle", "M": "diamond"}
SEX_NAMES = {"F": "women", "M": "men"}

QUALITY_COLOURS = {"keep": "#009E73", "look": "#B37400", "drop": "#D55E00"}
QUALITY_PATTERNS = {"keep": "", "look": "/", "drop": "x"}

VERDICTS = {
    "holds": ("#009E73", "✓"),
    "unsupported": (NEUTRAL, "?"),
    "not reproducible": ("#B37400", "≠"),
    "contradicted": ("#D55E00", "✗"),
}
"""Verdicts of the ledger, each with a colour and a sign."""

SOURCES = {"paper": "x-thin-open", "recorded": "star-diamond-open"}
"""Symbols of what stands beside this run's values in charts."""


def net_colour(net: str) -> str:
    """Colour of a network; those that are only controls share the neutral grey."""
    return NET_COLOURS.get(net, NEUTRAL)


def net_symbol(net: str) -> str:
    """Symbol of a network, as `net_colour`."""
    return NET_SYMBOLS.get(net, "cross")


def net_short(net: str, seed: int = 0) -> str:
    """Letter of a network; T with seed 1 is the second look T′.

    Examples
    --------
    >>> net_short("T"), net_short("T", 1), net_short("A", 2)
    ('T', 'T′', 'A, seed 2')
    """
    if seed == 0:
        return net
    return "T′" if (net, seed) == ("T", 1) else f"{net}, seed {seed}"


def net_name(net: str, seed: int = 0) -> str:
    """Letter of a network and what it sees.

    Examples
    --------
    >>> net_name("A"), net_name("T", 1)
    ('A (AICBV)', 'T′ (T1w)')
    """
    return f"{net_short(net, seed)} ({NET_NAMES[net]})" if net in NET_NAMES else net
