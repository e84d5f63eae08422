"""What a store of mailboxes and relayed requests must do, whatever database is below. Subclass and give `stores`."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from kith_protocol.errors import LimitExceeded
from kith_protocol.mailbox import MailboxKind, Placement
from kith_protocol.suite import digest
from kith_protocol.wire import OpenMailbox, RelayAnswer, RelayState
from kith_server.config import Quotas
from kith_server.errors import HttpRefusal
from kith_server.storage.interface import VaultStore
from kith_server.storage.mail_interface import (
    ANSWER_LIFETIME,
    MAX_HANDLES,
    MAX_PAGE_BYTES,
    PARCEL_LIFETIME,
    Deposit,
    HandleStore,
    MailboxStore,
    Parcel,
    RelayStore,
    Waiting,
)

NOW = 1_800_000_000_000
QUOTAS = Quotas(mailboxes=2, parcels=4, mailbox_bytes=10_000_000, waiting_requests=3, waiting_bytes=1000)


@dataclass(frozen=True)
class Stores:
    """One database with two vaults in it, under `QUOTAS`."""

    vaults: VaultStore
    mailboxes: MailboxStore
    relay: RelayStore
    handles: HandleStore
    anna: bytes
    bob: bytes


def some_id() -> bytes:
    return secrets.token_bytes(16)


def parcel(slot: int, sequence: int, body: bytes = b"parcel") -> Parcel:
    return Parcel(slot.to_bytes(16, "big"), sequence, digest(body), body)


async def opened(stores: Stores, vault: bytes, kind: MailboxKind = MailboxKind.PARCELS) -> Deposit:
    wanted = OpenMailbox(some_id(), secrets.token_bytes(32), kind)
    await stores.mailboxes.open(vault, some_id(), wanted)
    found = await stores.mailboxes.find(wanted.mailbox)
    assert found is not None
    assert (found.vault, found.key, found.kind) == (vault, wanted.deposit_key, kind)
    return found


class MailContract:
    """Tests for mailboxes, greetings, handles and relayed requests."""

    async def test_nothing_is_found_where_nothing_was_opened(self, stores: Stores) -> None:
        assert await stores.mailboxes.find(some_id()) is None
        assert await stores.mailboxes.put(
            Deposit(stores.anna, some_id(), b"", MailboxKind.PARCELS), parcel(1, 1), 0
        ) is (None)
        assert (await stores.mailboxes.page(stores.anna, 0)).parcels == ()
        assert await stores.mailboxes.find_greeting(some_id(), NOW) is None

    async def test_each_vault_sees_its_own_parcels_in_the_order_of_arrival(self, stores: Stores) -> None:
        boxes = [await opened(stores, stores.anna), await opened(stores, stores.anna), await opened(stores, stores.bob)]
        for sequence in (1, 2):
            for number, box in enumerate(boxes):
                body = bytes([number, sequence])
                assert await stores.mailboxes.put(box, parcel(sequence, 1, body), NOW) is Placement.STORE
        page = await stores.mailboxes.page(stores.anna, 0)
        assert [stored.parcel for stored in page.parcels] == [b"\0\1", b"\1\1", b"\0\2", b"\1\2"]
        assert [stored.mailbox for stored in page.parcels[:2]] == [box.read_id for box in boxes[:2]]
        assert [stored.parcel for stored in (await stores.mailboxes.page(stores.bob, 0)).parcels] == [b"\2\1", b"\2\2"]

    async def test_a_cursor_never_passes_over_what_came_after_a_deletion(self, stores: Stores) -> None:
        box = await opened(stores, stores.anna)
        await stores.mailboxes.put(box, parcel(1, 1, b"first"), NOW)
        cursor = (await stores.mailboxes.page(stores.anna, 0)).cursor
        await stores.mailboxes.delete_parcels(stores.anna, [digest(b"first")])
        await stores.mailboxes.put(box, parcel(2, 1, b"second"), NOW)
        page = await stores.mailboxes.page(stores.anna, cursor)
        assert [stored.parcel for stored in page.parcels] == [b"second"]

    async def test_parcels_put_at_the_same_time_each_get_a_place(self, stores: Stores) -> None:
        boxes = [await opened(stores, stores.anna), await opened(stores, stores.anna)]
        puts = [(box, parcel(slot, 1, box.read_id + bytes([slot]))) for box in boxes for slot in range(4)]
        placed = await asyncio.gather(*(stores.mailboxes.put(box, each, NOW) for box, each in puts))
        assert placed == [Placement.STORE] * 8
        page = await stores.mailboxes.page(stores.anna, 0)
        assert {stored.parcel for stored in page.parcels} == {each.body for _, each in puts}

    async def test_one_of_many_equal_puts_is_stored(self, stores: Stores) -> None:
        box = await opened(stores, stores.anna)
        placed = await asyncio.gather(*(stores.mailboxes.put(box, parcel(1, 1), NOW) for _ in range(10)))
        assert sorted(each.name for each in placed if each) == ["HAVE"] * 9 + ["STORE"]

    async def test_a_page_ends_before_it_is_too_large_but_holds_at_least_one(self, stores: Stores) -> None:
        box = await opened(stores, stores.anna)
        sizes = [MAX_PAGE_BYTES + 1, MAX_PAGE_BYTES - 1, 1, 1]
        for slot, size in enumerate(sizes):
            await stores.mailboxes.put(box, parcel(slot, 1, bytes([slot]) * size), NOW)
        found, cursor = [], 0
        for _ in sizes:
            page = await stores.mailboxes.page(stores.anna, cursor)
            found.append([len(stored.parcel) for stored in page.parcels])
            cursor = page.cursor
        assert found == [[MAX_PAGE_BYTES + 1], [MAX_PAGE_BYTES - 1, 1], [1], []]

    @pytest.mark.parametrize("kind", [MailboxKind.REQUESTS, MailboxKind.ANSWERS, MailboxKind.PARCELS])
    async def test_only_a_mailbox_for_requests_forgets_the_slots_of_what_was_deleted(
        self, stores: Stores, kind: MailboxKind
    ) -> None:
        box = await opened(stores, stores.anna, kind)
        other = await opened(stores, stores.anna, MailboxKind.ANSWERS)
        for each in (parcel(1, 1), parcel(2, 1), parcel(3, 1, b"stays")):
            assert await stores.mailboxes.put(box, each, NOW) is Placement.STORE
        assert await stores.mailboxes.put(other, parcel(1, 1), NOW) is Placement.STORE
        await stores.mailboxes.delete_parcels(stores.bob, [digest(b"parcel")])
        assert await stores.mailboxes.put(box, parcel(1, 1), NOW) is Placement.HAVE
        await stores.mailboxes.delete_parcels(stores.anna, [digest(b"parcel")])
        again = Placement.STORE if kind is MailboxKind.REQUESTS else Placement.HAVE
        assert await stores.mailboxes.put(box, parcel(1, 1), NOW) is again
        assert await stores.mailboxes.put(box, parcel(3, 1, b"stays"), NOW) is Placement.HAVE
        assert await stores.mailboxes.put(other, parcel(1, 1), NOW) is Placement.HAVE

    async def test_a_mailbox_for_requests_forgets_the_slots_of_what_expired(self, stores: Stores) -> None:
        box = await opened(stores, stores.anna, MailboxKind.REQUESTS)
        await stores.mailboxes.put(box, parcel(1, 5), NOW)
        while await stores.mailboxes.expire(NOW + PARCEL_LIFETIME):
            pass
        assert await stores.mailboxes.put(box, parcel(1, 1), NOW) is Placement.STORE

    async def test_a_deleted_mailbox_is_gone_with_its_sequences(self, stores: Stores) -> None:
        box = await opened(stores, stores.anna)
        await stores.mailboxes.put(box, parcel(1, 9), NOW)
        await stores.mailboxes.delete(stores.bob, box.read_id)
        assert len((await stores.mailboxes.page(stores.anna, 0)).parcels) == 1
        await stores.mailboxes.delete(stores.anna, box.read_id)
        assert (await stores.mailboxes.page(stores.anna, 0)).parcels == ()
        assert await stores.mailboxes.put(box, parcel(1, 10), NOW) is None

    async def test_a_put_made_for_a_mailbox_that_was_opened_anew_with_another_key_is_not_kept(
        self, stores: Stores
    ) -> None:
        box = await opened(stores, stores.anna)
        await stores.mailboxes.delete(stores.anna, box.read_id)
        again = OpenMailbox(some_id(), secrets.token_bytes(32), MailboxKind.PARCELS)
        await stores.mailboxes.open(stores.anna, box.read_id, again)
        assert await stores.mailboxes.put(box, parcel(1, 1), NOW) is None

    async def test_a_retired_mailbox_forgets_its_parcels_and_slots_and_replaces_nothing(self, stores: Stores) -> None:
        read_id, wanted = some_id(), OpenMailbox(some_id(), secrets.token_bytes(32), MailboxKind.PARCELS)
        await stores.mailboxes.open(stores.anna, read_id, wanted)
        box = await stores.mailboxes.find(wanted.mailbox)
        assert box is not None
        await stores.mailboxes.put(box, parcel(1, 9), NOW)
        retired = replace(wanted, kind=MailboxKind.RETIRED)
        await stores.mailboxes.open(stores.anna, read_id, retired)
        assert (await stores.mailboxes.page(stores.anna, 0)).parcels == ()
        # `box` is what a put found a moment before: the mailbox's kind is asked for again.
        assert await stores.mailboxes.put(box, parcel(1, 1), NOW) is Placement.STORE
        assert await stores.mailboxes.put(box, parcel(1, 2), NOW) is Placement.TAKEN
        assert len((await stores.mailboxes.page(stores.anna, 0)).parcels) == 1
        await stores.mailboxes.open(stores.anna, read_id, retired)
        assert len((await stores.mailboxes.page(stores.anna, 0)).parcels) == 1, "the same again changes nothing"

    async def test_a_retired_mailbox_takes_parcels_never_again(self, stores: Stores) -> None:
        wanted = OpenMailbox(some_id(), secrets.token_bytes(32), MailboxKind.RETIRED)
        read_id = some_id()
        await stores.mailboxes.open(stores.anna, read_id, wanted)
        with pytest.raises(HttpRefusal):
            await stores.mailboxes.open(stores.anna, read_id, replace(wanted, kind=MailboxKind.PARCELS))

    async def test_mailboxes_are_counted_for_each_vault(self, stores: Stores) -> None:
        for _ in range(QUOTAS.mailboxes):
            await opened(stores, stores.anna)
        with pytest.raises(LimitExceeded):
            await opened(stores, stores.anna)
        await opened(stores, stores.bob)

    async def test_expired_parcels_go_a_few_at_a_time_and_younger_ones_stay(self, stores: Stores) -> None:
        box = await opened(stores, stores.anna)
        await stores.mailboxes.put(box, parcel(1, 3, b"old"), NOW)
        await stores.mailboxes.put(box, parcel(2, 3, b"young"), NOW + 1)
        while await stores.mailboxes.expire(NOW + PARCEL_LIFETIME):
            pass
        page = await stores.mailboxes.page(stores.anna, 0)
        assert [stored.parcel for stored in page.parcels] == [b"young"]
        assert await stores.mailboxes.put(box, parcel(1, 2, b"older"), NOW) is not Placement.STORE
        assert await stores.mailboxes.put(box, parcel(1, 3, b"again"), NOW) is Placement.STORE

    async def test_a_greeting_belongs_to_its_vault_until_it_expires(self, stores: Stores) -> None:
        link = some_id()
        await stores.mailboxes.put_greeting(stores.anna, link, b"one", NOW + 1)
        await stores.mailboxes.put_greeting(stores.anna, link, b"two", NOW + 2)
        with pytest.raises(HttpRefusal):
            await stores.mailboxes.put_greeting(stores.bob, link, b"three", NOW + 9)
        await stores.mailboxes.delete_greeting(stores.bob, link)
        assert await stores.mailboxes.find_greeting(link, NOW + 1) == b"two"
        assert await stores.mailboxes.find_greeting(link, NOW + 2) is None
        await stores.mailboxes.expire(NOW + 2)
        await stores.mailboxes.put_greeting(stores.bob, link, b"four", NOW + 9)
        assert await stores.mailboxes.find_greeting(link, NOW + 2) == b"four"

    async def test_a_handle_belongs_to_its_vault_until_it_is_given_up(self, stores: Stores) -> None:
        handle = secrets.token_bytes(32)
        await stores.handles.put(stores.anna, handle, b"one")
        await stores.handles.put(stores.anna, handle, b"two")
        with pytest.raises(HttpRefusal) as taken:
            await stores.handles.put(stores.bob, handle, b"three")
        assert (taken.value.status, taken.value.code) == (409, "handle-taken")
        await stores.handles.delete(stores.bob, handle)
        assert await stores.handles.find(handle) == b"two"
        await stores.handles.delete(stores.anna, handle)
        await stores.handles.delete(stores.anna, handle)
        assert await stores.handles.find(handle) is None
        await stores.handles.put(stores.bob, handle, b"three")
        assert await stores.handles.find(handle) == b"three"

    async def test_a_private_handle_is_found_by_nobody_and_taken_by_nobody(self, stores: Stores) -> None:
        handle = secrets.token_bytes(32)
        await stores.handles.put(stores.anna, handle, b"secret")
        await stores.handles.put(stores.anna, handle, None)
        assert await stores.handles.find(handle) is None
        for secret in (None, b"bob's"):
            with pytest.raises(HttpRefusal):
                await stores.handles.put(stores.bob, handle, secret)
        await stores.handles.put(stores.anna, handle, b"again")
        assert await stores.handles.find(handle) == b"again"

    async def test_handles_are_counted_for_each_vault_private_ones_too(self, stores: Stores) -> None:
        mine = [secrets.token_bytes(32) for _ in range(MAX_HANDLES)]
        for handle in mine:
            await stores.handles.put(stores.anna, handle, None)
        with pytest.raises(LimitExceeded):
            await stores.handles.put(stores.anna, secrets.token_bytes(32), b"secret")
        await stores.handles.put(stores.anna, mine[0], b"secret")
        await stores.handles.put(stores.bob, secrets.token_bytes(32), b"secret")
        await stores.handles.delete(stores.anna, mine[1])
        await stores.handles.put(stores.anna, secrets.token_bytes(32), b"secret")

    async def test_of_many_who_want_a_handle_at_once_one_gets_it(self, stores: Stores) -> None:
        handle = secrets.token_bytes(32)
        wanted = [stores.handles.put(vault, handle, vault[:4]) for vault in (stores.anna, stores.bob) * 5]
        done = await asyncio.gather(*wanted, return_exceptions=True)
        owner = await stores.handles.find(handle)
        refused = [each for each in done if isinstance(each, HttpRefusal)]
        assert owner in (stores.anna[:4], stores.bob[:4])
        assert (len(refused), len(done)) == (5, 10)

    async def test_a_request_goes_from_queued_to_answered_and_keeps_its_answer(self, stores: Stores) -> None:
        request = secrets.token_bytes(32)
        fresh = await stores.relay.put(stores.anna, request, "bob.example", b"sealed", NOW)
        assert fresh == Waiting(stores.anna, request, "bob.example", NOW, NOW, 0)
        await stores.relay.failed(stores.anna, request, 3, NOW + 5, "down")
        again = await stores.relay.put(stores.anna, request, "bob.example", b"sealed", NOW + 9)
        assert again == Waiting(stores.anna, request, "bob.example", NOW, NOW + 5, 3)
        assert await stores.relay.waiting() == [again]
        assert await stores.relay.look_up(stores.anna, request) == RelayAnswer(RelayState.QUEUED, b"", "down")
        assert await stores.relay.body(stores.anna, request) == b"sealed"
        await stores.relay.answered(stores.anna, request, b"answer", NOW)
        assert await stores.relay.look_up(stores.anna, request) == RelayAnswer(RelayState.ANSWERED, b"answer", "")
        assert await stores.relay.put(stores.anna, request, "bob.example", b"sealed", NOW) is None
        assert await stores.relay.body(stores.anna, request) is None
        assert await stores.relay.waiting() == []

    async def test_a_request_that_was_given_up_keeps_no_bytes_and_may_begin_anew(self, stores: Stores) -> None:
        request = secrets.token_bytes(32)
        await stores.relay.put(stores.anna, request, "bob.example", bytes(1000), NOW)
        await stores.relay.given_up(stores.anna, request, "gone", NOW)
        await stores.relay.answered(stores.anna, request, b"late", NOW)
        assert await stores.relay.look_up(stores.anna, request) == RelayAnswer(RelayState.GIVEN_UP, b"", "gone")
        assert await stores.relay.body(stores.anna, request) is None
        anew = await stores.relay.put(stores.anna, request, "bob.example", bytes(1000), NOW + 7)
        assert anew == Waiting(stores.anna, request, "bob.example", NOW + 7, NOW + 7, 0)

    async def test_a_vaults_requests_are_bounded_in_number_and_in_bytes(self, stores: Stores) -> None:
        await stores.relay.put(stores.anna, secrets.token_bytes(32), "bob.example", bytes(900), NOW)
        with pytest.raises(LimitExceeded):
            await stores.relay.put(stores.anna, secrets.token_bytes(32), "bob.example", bytes(101), NOW)
        for _ in range(2):
            await stores.relay.put(stores.anna, secrets.token_bytes(32), "bob.example", b"", NOW)
        with pytest.raises(LimitExceeded):
            await stores.relay.put(stores.anna, secrets.token_bytes(32), "bob.example", b"", NOW)
        await stores.relay.put(stores.bob, secrets.token_bytes(32), "anna.example", bytes(900), NOW)

    async def test_requests_of_one_vault_are_hidden_from_another(self, stores: Stores) -> None:
        request = secrets.token_bytes(32)
        await stores.relay.put(stores.anna, request, "bob.example", b"sealed", NOW)
        for ask in (stores.relay.look_up(stores.bob, request),):
            with pytest.raises(HttpRefusal):
                await ask
        await stores.relay.forget(stores.bob, request)
        assert (await stores.relay.look_up(stores.anna, request)).state is RelayState.QUEUED
        await stores.relay.forget(stores.anna, request)
        with pytest.raises(HttpRefusal):
            await stores.relay.look_up(stores.anna, request)

    async def test_answers_expire_and_queued_requests_do_not(self, stores: Stores) -> None:
        queued, answered = secrets.token_bytes(32), secrets.token_bytes(32)
        for request in (queued, answered):
            await stores.relay.put(stores.anna, request, "bob.example", b"sealed", NOW)
        await stores.relay.answered(stores.anna, answered, b"answer", NOW)
        while await stores.relay.expire(NOW + ANSWER_LIFETIME):
            pass
        assert (await stores.relay.look_up(stores.anna, queued)).state is RelayState.QUEUED
        with pytest.raises(HttpRefusal):
            await stores.relay.look_up(stores.anna, answered)

    async def test_a_deleted_vault_leaves_no_mail_behind(self, stores: Stores) -> None:
        box, link, request = await opened(stores, stores.anna), some_id(), secrets.token_bytes(32)
        await stores.mailboxes.put(box, parcel(1, 1), NOW)
        await stores.mailboxes.put_greeting(stores.anna, link, b"hello", NOW + 9)
        handle = secrets.token_bytes(32)
        await stores.handles.put(stores.anna, handle, b"secret")
        await stores.relay.put(stores.anna, request, "bob.example", b"sealed", NOW)
        other = await opened(stores, stores.bob)
        assert await stores.vaults.delete(stores.anna)
        assert await stores.mailboxes.put(box, parcel(2, 1), NOW) is None
        assert (await stores.mailboxes.page(stores.anna, 0)).parcels == ()
        assert await stores.mailboxes.find_greeting(link, NOW) is None
        assert await stores.relay.waiting() == []
        assert await stores.handles.find(handle) is None
        await stores.handles.put(stores.bob, handle, b"bob's")
        assert await stores.mailboxes.put(other, parcel(1, 1), NOW) is Placement.STORE
