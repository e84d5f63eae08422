"""What the mirror remembers of who wrote what, and where two histories part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kith_client.store.mirror import AcceptedPush, Mirror

RECORD, OTHER = b"\x01" * 16, b"\x02" * 16
HASH = bytes(32)


@pytest.fixture
async def mirror(tmp_path: Path) -> AsyncIterator[Mirror]:
    opened = await Mirror.open(tmp_path / "mirror.sqlite")
    yield opened
    await opened.close()


async def pushed(mirror: Mirror, number: int, raw: bytes, *records: bytes) -> None:
    written = dict.fromkeys(records, (HASH, b"sealed"))
    await mirror.apply_push(AcceptedPush(b"chain", written, [(number, raw, b"keys")], []))


async def test_each_record_is_known_with_the_commit_that_wrote_it(mirror: Mirror) -> None:
    await pushed(mirror, 0, b"genesis")
    await pushed(mirror, 1, b"one", RECORD, OTHER)
    await pushed(mirror, 2, b"two", OTHER)
    assert await mirror.writers(staged=False) == {RECORD: 1, OTHER: 2}
    await mirror.stage([(3, b"three", b"keys")], [(RECORD, b"", None, 3), (OTHER, HASH, b"sealed", 3)])
    assert await mirror.writers(staged=True) == {RECORD: 3, OTHER: 3}
    await mirror.apply_stage(b"chain", {}, [], [], whole=False)
    assert await mirror.writers(staged=False) == {OTHER: 3}


async def test_two_histories_part_after_their_last_common_commit(mirror: Mirror) -> None:
    for number, raw in enumerate((b"genesis", b"one", b"two", b"three")):
        await pushed(mirror, number, raw)
    await mirror.stage([(0, b"genesis", b""), (1, b"one", b""), (2, b"other two", b"")], [])
    assert await mirror.parting() == ([b"two", b"three"], [b"other two"])
    await mirror.clear_stage()
    await mirror.stage([(0, b"genesis", b""), (1, b"one", b"")], [])
    assert await mirror.parting() == ([b"two", b"three"], [])
    await mirror.clear_stage()
    await mirror.stage([(0, b"another genesis", b"")], [])
    assert await mirror.parting() == ([b"genesis", b"one", b"two", b"three"], [b"another genesis"])


async def test_states_are_forgotten_together_with_what_they_were_about(mirror: Mirror) -> None:
    await mirror.set_state({"places": b"done", "parcels": b"7"})
    await mirror.apply_stage(b"chain", {}, [], [], whole=True, forget=["places"])
    assert await mirror.state("places") is None
    assert await mirror.state("parcels") == b"7"
    assert await mirror.state("chain") == b"chain"
