"""What `kith repair` says before it asks."""

from __future__ import annotations

from dataclasses import replace

from kith_client.cli.repairing import _words
from kith_client.lifecycle.repairing import Missing

NOTHING_ELSE = Missing(
    commits=1,
    written_since=0,
    contacts=1,
    notes=0,
    others=0,
    deleted=0,
    removed_devices=(),
    lost_devices=(),
    gone_devices=(),
    mailboxes=0,
    greetings=0,
    epochs=0,
)


def test_a_little_is_said_in_a_few_lines() -> None:
    commits, entries, places = _words(NOTHING_ELSE)
    assert commits == "The server lacks 1 commit that this device has verified."
    assert entries == "To be written again: 1 contact, 0 notes, 0 other entries; to be deleted again: 0."
    assert places.startswith("Opened again where they are lost: 0 mailboxes and 0 invites.")


def test_devices_and_keys_are_named_where_they_are_concerned() -> None:
    much = replace(
        NOTHING_ELSE,
        written_since=2,
        removed_devices=("tablet",),
        lost_devices=("desk", "watch"),
        gone_devices=("phone",),
        epochs=2,
    )
    said = "\n".join(_words(much))
    assert "In their place it has 2 others; what they changed is merged." in said
    assert "Removed, and taken for a device there; it is removed again: tablet." in said
    assert "it is added again: desk, watch." in said
    assert "has to join again: phone." in said
    assert "changed 2 times since" in said
