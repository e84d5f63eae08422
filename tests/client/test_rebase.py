"""An unsent edit meets a record that another member's program broke (spec: record.md, merge.md)."""

from __future__ import annotations

from kith_client.sync.applying import rebase
from kith_client.vault import UNREADABLE
from kith_protocol.content import Content, Unit

BASE = Content("contact", {"fn": Unit("Anna", 1)})
EDITED = Content("contact", {"fn": Unit("Anne", 5)})
LATEST = 1000


def test_an_edit_stands_whole_over_a_record_that_cannot_be_read() -> None:
    assert rebase(BASE, EDITED, UNREADABLE, LATEST).content == EDITED


def test_a_deletion_leaves_what_cannot_be_read_alone() -> None:
    assert rebase(BASE, None, UNREADABLE, LATEST).content is UNREADABLE


def test_an_unreadable_base_loses_nothing_of_either_side() -> None:
    other = Content("contact", {"tel": Unit("1", 6)})
    merged = rebase(UNREADABLE, EDITED, other, LATEST).content
    assert merged == Content("contact", {"fn": Unit("Anne", 5), "tel": Unit("1", 6)})
    assert rebase(UNREADABLE, None, other, LATEST).content == other


def test_readable_records_are_merged() -> None:
    assert rebase(BASE, EDITED, BASE, LATEST).content == EDITED
    assert rebase(BASE, EDITED, None, LATEST).content == EDITED
