# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: brainage
#     language: python
#     name: brainage
# ---

# %% [markdown]
# # 10 · What stands?
#
# **Question.** Which of the paper's statements follow from its own printed numbers, and what do other data say to them?
#
# **Answer.** Of {glue:text}`n:`, {glue:text}`verdicts:`.
#
# Every number and claim of the paper stands below with what one gets by recomputing it from the printed tables, a verdict, and the reasoning. The verdict is about the paper's own numbers; what the recorded run and this one saw stands beside it and decides nothing.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import show, stats
from brainage_lib.run import open_chapter
from brainage_lib.tables import LEDGER, PREDICTIONS, STATEMENTS, Recorded, read_table, write_table

chapter = open_chapter("10_the_claims", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile
recorded = Recorded(run.path("recorded"))
kind = recorded.kind(settings.headline)

# %% [markdown]
# ## What the runs saw

# %%
stacked = stats.stack(read_table(run.path("predictions.csv"), PREDICTIONS))
seen = stats.observe(
    stacked,
    recipe=settings.headline["recipe"],
    replicates=settings.bootstrap,
    seed=settings.seed,
)
seen |= stats.tell_statements(read_table(run.path("attribution/statements.csv"), STATEMENTS))
real = recorded.table("ledger", recipe=kind["recipe"]) if kind else None
told = None if real is None else real.set_index("id")["this_run"].to_dict()
if told is not None:
    told |= stats.tell_statements(recorded.table("statements", **kind))
ledger = stats.ledger(recorded=told, this_run=seen)
write_table(ledger, run.path("ledger.csv"), LEDGER)

# %% [markdown]
# ## The ledger
#
# - *holds*: the printed numbers agree with the claim,
# - *not reproducible*: the printed number does not follow from the others,
# - *contradicted*: the paper's own numbers or words say otherwise,
# - *unsupported*: nothing printed tests it.

# %%
which = recorded.words({"recipe": kind["recipe"]} if kind else None)
show.ledger_table(ledger, source=run.source, recorded_source=which)

# %% [markdown]
# ## Doubts
#
# - Recomputing from rounded tables has its own error; where it matters, the range that rounding allows is given.
# - An F test formed from test errors shows magnitude. It is not the test that the paper made.
# - A verdict of *unsupported* is not one of *wrong*.

# %% tags=["remove-input"]
counts = ledger["verdict"].value_counts()
show.glue_number("n", show.count(len(ledger), "finding"))
show.glue_number("verdicts", ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
chapter.card()
