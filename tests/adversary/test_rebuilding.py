"""A damaged local copy is made anew: nothing unsent is lost, and no server can use the damage to turn back time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pysqlite3
import pytest

from kith_client.lifecycle.rebuilding import rebuild
from kith_client.stamp import of_kind
from kith_client.store.unlock import cannot_ask
from kith_client.sync.push import push_all
from kith_protocol.content import Content, Unit
from kith_protocol.errors import Refused
from tests.adversary.scene import ALL, Scene
from tests.adversary.test_commands_alarm import kith
from tests.adversary.world import Device, mirror_rows, query_file
from tests.support.running import names

UNSENT = "Gus Unsent"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def missing(path: Path) -> None:
    path.unlink()


def written_over(path: Path) -> None:
    path.write_bytes(b"not a database" * 5000)


def without_mark(path: Path) -> None:
    execute(path, "DELETE FROM state WHERE key = 'chain'")


def mark_altered(path: Path) -> None:
    execute(path, "UPDATE state SET value = zeroblob(100) WHERE key = 'chain'")


def record_altered(path: Path) -> None:
    execute(path, "UPDATE records SET blob = zeroblob(400)")


def execute(path: Path, statement: str) -> None:
    connection = pysqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


async def at_rest(scene: Scene) -> Path:
    """The laptop, closed, with an edit that was not sent; its folder."""
    await scene.laptop.close()
    path = scene.laptop.home.mirror
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    return scene.laptop.home.path


@pytest.mark.parametrize("damage", [cut, emptied, missing, written_over, without_mark, mark_altered])
async def test_every_command_on_a_damaged_copy_says_what_helps_and_it_helps(
    scene: Scene, damage: Callable[[Path], None]
) -> None:
    folder = await at_rest(scene)
    damage(folder / "mirror.sqlite")
    refused = await kith(folder, "list")
    assert (refused.status, refused.document["error"]) == (1, "mirror-damaged")
    assert "kith doctor --rebuild" in refused.document["message"]
    assert "Traceback" not in refused.err
    assert (await kith(folder, "--yes", "doctor", "--rebuild")).status == 0
    listed = await kith(folder, "list")
    unsent_survives = damage in (without_mark, mark_altered)
    assert names(listed.document["contacts"]) == [name for name in ALL if unsent_survives or name != UNSENT]
    assert (await kith(folder, "sync")).status == 0
    assert all(check["ok"] for check in (await kith(folder, "doctor")).document["checks"])


async def test_altered_records_are_fetched_again_and_what_was_not_sent_stays(scene: Scene) -> None:
    folder = await at_rest(scene)
    before = (folder / "mirror.sqlite").read_bytes()
    record_altered(folder / "mirror.sqlite")
    found = await kith(folder, "doctor")
    assert any("--rebuild" in check["text"] for check in found.document["checks"] if not check["ok"])
    rebuilt = await kith(folder, "doctor", "--rebuild")  # without --yes: nothing is in doubt
    assert rebuilt.status == 0
    assert rebuilt.document["kept"] >= 1
    assert rebuilt.document["lost"] == 0
    assert names((await kith(folder, "list")).document["contacts"]) == ALL
    assert query_file(Path(rebuilt.document["old"]), "SELECT count(*) FROM records")
    assert len(before) > 1000
    assert (await kith(folder, "sync")).document["pushed"] >= 1


async def test_the_mark_of_a_damaged_copy_still_refuses_an_older_history(scene: Scene, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    await scene.site.back_up(backup)
    await scene.laptop.sync()
    folder = await at_rest(scene)
    record_altered(folder / "mirror.sqlite")
    before = mirror_rows(scene.laptop.home)
    await scene.site.restore(backup)
    refused = await kith(folder, "--yes", "doctor", "--rebuild")
    assert (refused.status, refused.document["error"]) == (4, "rollback")
    assert mirror_rows(scene.laptop.home) == before


async def test_without_the_mark_nothing_is_believed_before_the_person_agreed(scene: Scene) -> None:
    folder = await at_rest(scene)
    without_mark(folder / "mirror.sqlite")

    async def no() -> bool:
        return False

    with pytest.raises(Refused) as refused:
        await rebuild(scene.laptop.home, cannot_ask, no)
    assert refused.value.code == "declined"
    assert not list(folder.glob("mirror.damaged*"))


async def test_what_was_changed_elsewhere_meanwhile_is_not_undone_by_an_edit_that_was_not_sent(scene: Scene) -> None:
    """The edit began from the damaged copy's record, so it is merged, as a sync would."""
    laptop = scene.laptop
    await laptop.sync()
    contact, content = next(iter(of_kind(laptop.vault.contents, "contact").items()))
    beside = Content(content.kind, {**content.units, "beside": laptop.vault.stamp().unit("from elsewhere")}, {})
    await laptop.vault.apply({contact: Content(content.kind, {**content.units, "here": stamp_of(scene, "typed")}, {})})
    frozen = scene.laptop.home.mirror.with_name("copy")
    await laptop.close()
    frozen.write_bytes(laptop.home.mirror.read_bytes())
    async with await Device.open(laptop.home) as again:
        await again.vault.mirror.drop_drafts([contact])
    async with await Device.open(laptop.home) as again:
        await push_all(again.vault, again.server, {contact: beside})
    laptop.home.mirror.write_bytes(frozen.read_bytes())
    record_altered_but(laptop.home.mirror, contact)

    async def yes() -> bool:
        return True

    await rebuild(laptop.home, cannot_ask, yes)
    async with await Device.open(laptop.home) as again:
        assert again.vault.contents[contact].value("beside") == "from elsewhere"
        assert again.vault.contents[contact].value("here") == "typed"


def stamp_of(scene: Scene, text: str) -> Unit:
    return scene.laptop.vault.stamp().unit(text)


def record_altered_but(path: Path, record: bytes) -> None:
    connection = pysqlite3.connect(path)
    connection.execute("UPDATE records SET blob = zeroblob(400) WHERE id <> ?", (record,))
    connection.commit()
    connection.close()
