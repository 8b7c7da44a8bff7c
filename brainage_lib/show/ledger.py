"""The ledger of claims: a table with its verdicts, filtered in the page itself."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd

from brainage_lib.show.colours import VERDICTS
from brainage_lib.show.compare import NO_RECORDING
from brainage_lib.show.page import Shown, captioned
from brainage_lib.show.words import NOTHING, count

_HEADS = {
    "printed": "Paper",
    "recomputed": "From the printed numbers",
    "recorded": "Recorded run",
    "this_run": "This run",
}

LEDGER_STYLE = """<style>
.shown-ledger{container-type:inline-size}
.shown-ledger table{width:100%;table-layout:fixed}
.shown-ledger th,.shown-ledger td{box-sizing:border-box;text-align:left!important;
white-space:normal!important;
overflow-wrap:anywhere}
.shown-ledger thead th{overflow-wrap:normal}
.shown-ledger thead th:first-child{width:33%}
.shown-ledger thead th:nth-child(3){width:27%}
.shown-ledger tbody th{font-weight:400}
.shown-ledger tr[data-verdict]{border-left:5px solid var(--verdict)}
.shown-ledger small{white-space:normal;margin-bottom:.3em}
.shown-ledger tr[hidden]{display:none!important}
.shown-filter{border:0;padding:0;margin:0 0 .6em;display:flex;flex-wrap:wrap;gap:.4em;
align-items:center;font-size:.875em}
.shown-filter button,.shown-filter input{font:inherit;color:inherit;background:none;
border:1px solid currentColor;border-radius:.3em;padding:.25em .6em}
.shown-filter button[aria-pressed=false]{opacity:.7;border-style:dashed;
text-decoration:line-through}
@container(max-width:60rem){
.shown-ledger table,.shown-ledger tbody,.shown-ledger tr,.shown-ledger th,.shown-ledger td{
display:block;width:auto}
.shown-ledger thead{position:absolute;clip-path:inset(50%);height:1px;width:1px;overflow:hidden}
.shown-ledger tr[data-verdict]{margin-bottom:1em}
.shown-ledger td[data-head]::before{content:attr(data-head) ": ";font-weight:600}
}
@media print{.shown-ledger table{font-size:.875em}.shown-filter{display:none}
.shown-ledger tr[data-verdict]{break-inside:avoid}}
</style>"""

# Shows the rows whose verdict is pressed and whose text holds what is sought.
_SCRIPT = """<script>(function(){
var box=document.currentScript.parentElement,rows=box.querySelectorAll("tr[data-verdict]"),
buttons=box.querySelectorAll("button"),sought=box.querySelector("input"),
says=box.querySelector("[role=status]");
function show(){var on={},n=0;
buttons.forEach(function(b){on[b.dataset.verdict]=b.getAttribute("aria-pressed")==="true"});
rows.forEach(function(r){var fits=on[r.dataset.verdict]&&
r.textContent.toLowerCase().includes(sought.value.toLowerCase());r.hidden=!fits;n+=fits?1:0});
says.textContent=n+" of "+rows.length+" claims shown"}
buttons.forEach(function(b){b.addEventListener("click",function(){
b.setAttribute("aria-pressed",b.getAttribute("aria-pressed")!=="true");show()})});
sought.addEventListener("input",show);box.querySelector("fieldset").hidden=false;show()})()
</script>"""


@dataclass(frozen=True, repr=False)
class Ledger(Shown):
    """The claims with their verdicts; all are shown where scripts do not run."""

    def html(self) -> str:
        """Return the table, its filter and the few lines that filter it."""
        title = html.escape(self.title)
        counts = self.data["verdict"].value_counts()
        buttons = "".join(
            f'<button type="button" aria-pressed="true" data-verdict="{verdict}">{sign} {verdict} '
            f"({counts.get(verdict, 0)})</button>"
            for verdict, (_, sign) in VERDICTS.items()
        )
        columns = _columns(self.data)
        heads = "".join(
            f'<th scope="col" role="columnheader">{head}</th>'
            for head in ("Claim and verdict", *columns.values())
        )
        rows = "".join(_row(row, columns) for row in self.data.to_dict("records"))
        return (
            f'{LEDGER_STYLE}<div class="shown shown-ledger"><p class="shown-title">{title}</p>'
            f'<fieldset class="shown-filter" hidden><legend class="shown-note">Verdicts shown'
            f'</legend>{buttons}<label>Search <input type="search"></label>'
            f'<span role="status"></span></fieldset><table role="table" aria-label="{title}">'
            f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
            f'<tbody role="rowgroup">{rows}</tbody></table>'
            f'<p class="shown-note">{html.escape(self.caption)} {self.csv_link()}</p>'
            f"{_SCRIPT}</div>"
        )


def ledger_table(
    ledger: pd.DataFrame, *, source: str, recorded_source: str | None = None
) -> Ledger:
    """Show every claim with its verdict in words, sign and colour, and what each source says.

    Parameters
    ----------
    ledger : DataFrame
        As `brainage_lib.stats.ledger` gives it: id, section, claim, printed, recomputed,
        verdict, reason, kind, recorded, this_run; empty where a run has nothing to say.
    source, recorded_source : str
        Where the scans of this run and of the recorded one come from; of the latter empty
        where nothing is recorded, None where no run is spoken of.
    """
    unknown = sorted(set(ledger["verdict"]) - set(VERDICTS))
    if unknown:
        raise ValueError(f"unknown verdict {', '.join(unknown)}; allowed: {', '.join(VERDICTS)}")
    counts = ledger["verdict"].value_counts()
    says = ", ".join(
        f"{verdict} {counts[verdict]}" for verdict in VERDICTS if counts.get(verdict, 0)
    )
    recorded = f" Recorded run: {recorded_source}." if recorded_source else ""
    if recorded_source == "":
        recorded = f" {NO_RECORDING}."
    return Ledger(
        f"{count(len(ledger), 'claim')}: {says or 'nothing was examined'}",
        captioned(
            "Holds: the printed numbers agree. Unsupported: nothing printed tests it. Not "
            "reproducible: cannot come from what is printed. Contradicted: printed numbers or "
            f"words say otherwise. n = {count(len(ledger), 'claim')}.{recorded}",
            source,
        ),
        f"Table of claims with verdicts: {says}",
        ledger.reset_index(drop=True),
        "ledger",
    )


def _columns(ledger: pd.DataFrame) -> dict[str, str]:
    """Columns that are shown; a recorded run has none where nothing is recorded."""
    recorded = "recorded" in ledger and ledger["recorded"].fillna("").ne("").any()
    return {name: head for name, head in _HEADS.items() if name != "recorded" or recorded}


def _row(row: dict, columns: dict[str, str]) -> str:
    colour, sign = VERDICTS[row["verdict"]]
    cells = "".join(
        f'<td role="cell" data-head="{head}">{_text(row.get(column))}</td>'
        for column, head in columns.items()
    )
    reason = html.escape(str(row["reason"]))
    return (
        f'<tr role="row" data-verdict="{row["verdict"]}" style="--verdict:{colour}">'
        f'<th scope="row" role="rowheader">{row["id"]}. {html.escape(str(row["claim"]))}'
        f"<small>{html.escape(str(row['section']))}, {html.escape(str(row['kind']))}</small>"
        f"<b>{sign} {row['verdict']}</b>{': ' if reason else ''}{reason}</th>{cells}</tr>"
    )


def _text(value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and pd.isna(value)):
        return NOTHING
    return html.escape(str(value))
