"""Fetching what is openly downloadable; the only place that opens a connection."""

from brainage_lib.data.fetch.bring import Fetched, describe, fetch, verify
from brainage_lib.data.fetch.plan import Item, Plan, plan_fetch
from brainage_lib.data.fetch.transfer import FetchFailed, Host

__all__ = [
    "FetchFailed",
    "Fetched",
    "Host",
    "Item",
    "Plan",
    "describe",
    "fetch",
    "plan_fetch",
    "verify",
]
