"""Mailboxes through the whole server: who may put, what is kept, and what the owner gets."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kith_protocol.gateway import PutStatus
from kith_protocol.mailbox import MailboxKind
from kith_protocol.padding import INNER_CLASSES
from kith_protocol.suite import digest
from kith_protocol.wire import DeleteParcels, OpenMailbox
from kith_server.config import Quotas
from kith_server.mail import expire
from kith_server.mail_keys import MAILBOXES, RELAYED
from kith_server.storage.mail_interface import PARCEL_LIFETIME
from tests.support.mail_world import Person, Site, knock, opening, parcel_of, put_of, sites, spoilt

QUOTAS = Quotas(mailboxes=3, parcels=5, mailbox_bytes=4 * INNER_CLASSES[1])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with sites(tmp_path, "bob", quotas=QUOTAS) as (running,):
        yield running


@pytest.fixture
async def bob(site: Site) -> Person:
    return await site.join()


async def test_a_parcel_waits_until_its_owner_deletes_it(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    parcel = parcel_of("one")
    assert await knock(site, put_of(mailbox, 1, 1, parcel)) is PutStatus.STORED
    page = await bob.parcels()
    (stored,) = page.parcels
    assert (stored.mailbox, stored.sequence, stored.parcel) == (mailbox.read_id, 1, parcel)
    assert (await bob.parcels(page.cursor)).parcels == ()
    assert (await bob.ask("POST", "/parcels/delete", DeleteParcels((digest(parcel),)))).status == 204
    assert (await bob.parcels()).parcels == ()


async def test_a_newer_parcel_of_a_slot_replaces_the_older_one_and_comes_last(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    for slot, sequence, text in ((1, 1, "old"), (2, 1, "other"), (1, 2, "new")):
        assert await knock(site, put_of(mailbox, slot, sequence, parcel_of(text))) is PutStatus.STORED
    page = await bob.parcels()
    assert [stored.parcel for stored in page.parcels] == [parcel_of("other"), parcel_of("new")]


async def test_a_replayed_put_is_answered_have_even_after_it_was_read_and_deleted(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    put = put_of(mailbox, 1, 7, parcel_of("once"))
    assert await knock(site, put) is PutStatus.STORED
    assert await knock(site, put) is PutStatus.HAVE
    await bob.ask("POST", "/parcels/delete", DeleteParcels((digest(put.parcel),)))
    assert await knock(site, put) is PutStatus.HAVE
    assert (await bob.parcels()).parcels == ()


async def test_a_lower_sequence_is_refused_also_after_the_parcel_was_deleted(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    assert await knock(site, put_of(mailbox, 1, 7, parcel_of("new"))) is PutStatus.STORED
    assert await knock(site, put_of(mailbox, 1, 6, parcel_of("old"))) is PutStatus.LOWER_SEQUENCE
    await bob.ask("POST", "/parcels/delete", DeleteParcels((digest(parcel_of("new")),)))
    assert await knock(site, put_of(mailbox, 1, 6, parcel_of("old"))) is PutStatus.LOWER_SEQUENCE
    assert await knock(site, put_of(mailbox, 1, 8, parcel_of("newer"))) is PutStatus.STORED


async def test_a_put_that_nobody_with_the_deposit_key_signed_is_refused(site: Site, bob: Person) -> None:
    mailbox, other = await bob.open_mailbox(), await bob.open_mailbox()
    put = put_of(mailbox, 1, 1, parcel_of("forged"))
    assert await knock(site, spoilt(put)) is PutStatus.NO_MAILBOX
    for_the_other = put_of(other, 1, 1, parcel_of("forged"))
    stolen = type(put)(mailbox.address.mailbox, *(getattr(for_the_other, f) for f in put.__struct_fields__[1:]))
    assert await knock(site, stolen) is PutStatus.NO_MAILBOX
    assert (await bob.parcels()).parcels == ()


async def test_a_signature_does_not_fit_another_slot_sequence_or_parcel(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    put = put_of(mailbox, 1, 1, parcel_of("signed"))
    changed = [
        type(put)(put.mailbox, bytes(16), put.sequence, put.parcel, put.signature),
        type(put)(put.mailbox, put.slot, 2, put.parcel, put.signature),
        type(put)(put.mailbox, put.slot, put.sequence, parcel_of("other"), put.signature),
    ]
    assert [await knock(site, each) for each in changed] == [PutStatus.NO_MAILBOX] * 3


async def test_a_deleted_mailbox_takes_nothing_and_looks_like_one_that_never_was(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    await knock(site, put_of(mailbox, 1, 1, parcel_of("gone")))
    assert (await bob.ask("DELETE", f"/mailboxes/{mailbox.read_id.hex()}")).status == 204
    assert (await bob.parcels()).parcels == ()
    assert await knock(site, put_of(mailbox, 1, 2, parcel_of("late"))) is PutStatus.NO_MAILBOX
    assert (await bob.ask("DELETE", f"/mailboxes/{mailbox.read_id.hex()}")).status == 204


async def test_a_mailbox_that_is_full_takes_no_new_slot_but_replaces_old_ones(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    for slot in range(QUOTAS.parcels):
        assert await knock(site, put_of(mailbox, slot, 1, parcel_of(f"{slot}"))) is PutStatus.STORED
    assert await knock(site, put_of(mailbox, 99, 1, parcel_of("more"))) is PutStatus.FULL
    assert await knock(site, put_of(mailbox, 0, 2, parcel_of("newer"))) is PutStatus.STORED
    assert len((await bob.parcels()).parcels) == QUOTAS.parcels


async def test_a_mailbox_holds_no_more_bytes_than_its_quota(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    large = INNER_CLASSES[1]
    for slot in range(4):
        assert await knock(site, put_of(mailbox, slot, 1, parcel_of(f"{slot}", large))) is PutStatus.STORED
    assert await knock(site, put_of(mailbox, 9, 1, parcel_of("more"))) is PutStatus.FULL
    assert await knock(site, put_of(mailbox, 0, 2, parcel_of("smaller"))) is PutStatus.STORED


async def test_an_invites_mailbox_takes_four_answers_and_replaces_none(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox(MailboxKind.ANSWERS)
    for slot in range(4):
        assert await knock(site, put_of(mailbox, slot, 1, parcel_of(f"{slot}"))) is PutStatus.STORED
    assert await knock(site, put_of(mailbox, 4, 1, parcel_of("fifth"))) is PutStatus.FULL
    assert await knock(site, put_of(mailbox, 0, 2, parcel_of("instead"))) is PutStatus.TAKEN


async def test_parcels_come_in_pages_of_a_mebibyte(tmp_path: Path) -> None:
    async with sites(tmp_path, "bob") as (site,):
        bob = await site.join()
        mailbox = await bob.open_mailbox()
        for slot in range(6):
            assert await knock(site, put_of(mailbox, slot, 1, parcel_of(f"{slot}", INNER_CLASSES[3]))) is (
                PutStatus.STORED
            )
        seen, cursor, pages = [], 0, 0
        while (page := await bob.parcels(cursor)).parcels:
            assert sum(len(stored.parcel) for stored in page.parcels) <= 1024 * 1024
            seen += [stored.parcel[:1] for stored in page.parcels]
            cursor, pages = page.cursor, pages + 1
        assert (seen, pages) == ([b"0", b"1", b"2", b"3", b"4", b"5"], 2)


async def test_a_parcel_that_nobody_read_expires_and_may_be_put_again(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    put = put_of(mailbox, 1, 5, parcel_of("unread"))
    await knock(site, put)
    now = site.clock() + PARCEL_LIFETIME
    await expire(site.app[MAILBOXES], site.app[RELAYED], now - 60_000)
    assert len((await bob.parcels()).parcels) == 1
    await expire(site.app[MAILBOXES], site.app[RELAYED], now)
    assert (await bob.parcels()).parcels == ()
    assert await knock(site, put_of(mailbox, 1, 4, parcel_of("older"))) is not PutStatus.STORED
    assert await knock(site, put) is PutStatus.STORED


async def test_opening_a_mailbox_again_changes_nothing_and_another_under_its_ids_is_refused(bob: Person) -> None:
    mailbox, other = await bob.open_mailbox(), await bob.open_mailbox()
    path = f"/mailboxes/{mailbox.read_id.hex()}"
    assert (await bob.ask("PUT", path, opening(mailbox))).status == 204
    refused = await bob.ask("PUT", path, opening(other))
    assert (refused.status, refused.code) == (409, "mailbox-taken")
    refused = await bob.ask("PUT", f"/mailboxes/{secrets.token_hex(16)}", opening(mailbox))
    assert (refused.status, refused.code) == (409, "mailbox-taken")


async def test_a_vault_has_no_more_mailboxes_than_its_quota(bob: Person) -> None:
    for _ in range(QUOTAS.mailboxes):
        mailbox = await bob.open_mailbox()
    mailbox = type(mailbox)(secrets.token_bytes(16), mailbox.address)
    wanted = OpenMailbox(secrets.token_bytes(16), mailbox.address.deposit.public, MailboxKind.PARCELS)
    assert (await bob.ask("PUT", f"/mailboxes/{mailbox.read_id.hex()}", wanted)).code == "limit-exceeded"


async def test_a_deposit_key_of_small_order_is_refused(bob: Person) -> None:
    wanted = OpenMailbox(secrets.token_bytes(16), bytes(32), MailboxKind.PARCELS)
    refused = await bob.ask("PUT", f"/mailboxes/{secrets.token_hex(16)}", wanted)
    assert (refused.status, refused.code) == (422, "bad-key")


async def test_a_stranger_can_neither_read_open_nor_delete(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    await knock(site, put_of(mailbox, 1, 1, parcel_of("bob's")))
    eve = await site.join()
    in_bobs_vault = Person(site, bob.vault, eve.authorization)
    path = f"/mailboxes/{mailbox.read_id.hex()}"
    for answer in (
        await in_bobs_vault.ask("GET", "/parcels?after=0"),
        await in_bobs_vault.ask("PUT", path, opening(mailbox)),
        await in_bobs_vault.ask("DELETE", path),
        await in_bobs_vault.ask("POST", "/parcels/delete", DeleteParcels((digest(parcel_of("bob's")),))),
        await Person(site, bob.vault, "").ask("GET", "/parcels?after=0"),
    ):
        assert (answer.status, answer.code) == (401, "session")
    await eve.ask("DELETE", path)
    await eve.ask("POST", "/parcels/delete", DeleteParcels((digest(parcel_of("bob's")),)))
    assert (await eve.parcels()).parcels == ()
    assert len((await bob.parcels()).parcels) == 1


async def test_mailboxes_survive_a_restart(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    put = put_of(mailbox, 1, 1, parcel_of("kept"))
    await knock(site, put)
    await site.stop()
    await site.start()
    assert [stored.parcel for stored in (await bob.parcels()).parcels] == [put.parcel]
    assert await knock(site, put) is PutStatus.HAVE


async def test_parcels_are_deleted_by_their_hash_only(bob: Person) -> None:
    refused = await bob.ask("POST", "/parcels/delete", DeleteParcels((b"short",)))
    assert (refused.status, refused.code) == (422, "parcel-hashes")
