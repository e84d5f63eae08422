"""What whoever holds a printed card can do to its owner, over real servers: nearly nothing. And her devices agree."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from kith_client.relations import records
from kith_client.relations.invites import revoke_invite
from kith_client.relations.peers import list_peers
from kith_client.relations.requests.deciding import accept_request, decline_request, list_requests
from kith_client.stamp import of_kind
from kith_client.sync.befriend import accept_invite, make_invite
from kith_client.sync.knock import Errand, sealed
from kith_protocol.gateway import Put, PutStatus, open_put_answer, request_hash
from kith_protocol.handshake import ANSWER_BYTES
from kith_protocol.invite import parse_link
from kith_protocol.mailbox import MAX_SLOTS, MailboxKind, sign_put
from tests.adversary.friends import Friends
from tests.adversary.world import Device, link

PLACES = MAX_SLOTS[MailboxKind.REQUESTS]


async def throw(device: Device, card: str, count: int) -> list[PutStatus]:
    """Puts rubbish into the mailbox behind a card, as its link allows; what the destination answered."""
    to = parse_link(card).mailbox
    errand = Errand(device.vault, device.server, 30)
    statement = await errand.statement(to.host, to.fingerprint)

    async def one() -> PutStatus:
        slot, parcel = secrets.token_bytes(16), secrets.token_bytes(ANSWER_BYTES)
        put = Put(to.mailbox, slot, 1, parcel, sign_put(to.deposit, to.mailbox, slot, 1, parcel))
        request, raw = await sealed(statement, put, device.vault.clock())
        answer = await errand.carry(to.host, raw)
        assert answer is not None
        return open_put_answer(request.response_key, request_hash(raw), answer).status

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def ask(device: Device, card: str) -> None:
    await accept_invite(device.vault, device.server, card)


def asking(device: Device) -> list[str]:
    return sorted(row.name for row in list_requests(device.vault.contents, device.vault.clock()))


async def decide(device: Device, name: str, yes: bool) -> None:
    """On this device, not sent yet."""
    rows = list_requests(device.vault.contents, device.vault.clock())
    row = next(row for row in rows if row.name == name)
    choose = accept_request if yes else decline_request
    await device.apply(choose(device.vault.contents, device.vault.stamp(), row).edit)


async def test_a_hundred_pieces_of_rubbish_delay_a_real_request_by_one_sync_and_leave_nothing(
    friends: Friends,
) -> None:
    anna, bob, carl = friends.anna, friends.bob, friends.carl
    card = (await make_invite(anna.vault, anna.server, reusable=True)).link
    await anna.sync()
    head, contents = anna.vault.chain.number, dict(anna.vault.contents)
    assert await throw(bob, card, PLACES) == [PutStatus.STORED] * PLACES
    await ask(carl, card)
    assert (await carl.sync()).waiting == 1, "full: Carl is not told that he has arrived"
    report = await anna.sync()
    assert (report.parcels_in, report.pushed) == (PLACES, 0)
    assert (anna.vault.chain.number, dict(anna.vault.contents)) == (head, contents)
    assert friends.anna_site.rows("SELECT count(*) FROM slots WHERE length(slot) = 16 AND sequence = 1")[0][0] <= 10
    assert (await carl.sync()).waiting == 0
    await anna.sync()
    assert asking(anna) == ["Carl Moor"]
    assert not of_kind(anna.vault.contents, "issue")
    await decide(anna, "Carl Moor", True)
    for device in (anna, carl, anna):
        await device.sync()
    assert [row.state for row in list_peers(carl.vault.contents)] == ["connected"]


async def test_two_devices_that_decide_at_the_same_time_end_with_one_decision(friends: Friends, tmp_path: Path) -> None:
    anna, carl = friends.anna, friends.carl
    card = await make_invite(anna.vault, anna.server, reusable=True)
    async with await link(friends.anna_site, anna, tmp_path / "phone") as phone:
        await ask(carl, card.link)
        await asyncio.gather(anna.sync(), phone.sync())
        await asyncio.gather(anna.sync(), phone.sync())
        assert asking(anna) == asking(phone) == ["Carl Moor"]
        assert len(of_kind(anna.vault.contents, "request")) == 1
        await decide(anna, "Carl Moor", True)
        await decide(phone, "Carl Moor", True)
        await asyncio.gather(anna.sync(), phone.sync())
        for device in (carl, phone, anna, phone):
            await device.sync()
        assert asking(anna) == asking(phone) == []
        assert anna.vault.contents == phone.vault.contents
        channels = records.channels(anna.vault.contents)
        assert sorted(each.state.value for each in channels) == ["connected", "connected"], "Bob's and Carl's"
        assert not of_kind(anna.vault.contents, "request")
        assert not of_kind(anna.vault.contents, "issue")


async def test_a_no_that_was_entered_offline_after_the_other_device_said_yes_is_not_silent(
    friends: Friends, tmp_path: Path
) -> None:
    anna, carl = friends.anna, friends.carl
    card = await make_invite(anna.vault, anna.server, reusable=True)
    async with await link(friends.anna_site, anna, tmp_path / "phone") as phone:
        await ask(carl, card.link)
        await anna.sync()
        await phone.sync()
        await decide(phone, "Carl Moor", False)  # and the phone goes off for weeks
        await decide(anna, "Carl Moor", True)
        for device in (anna, carl, anna, phone, anna):
            await device.sync()
        assert anna.vault.contents == phone.vault.contents
        assert len(list_peers(anna.vault.contents)) == 2
        assert not of_kind(anna.vault.contents, "request")
        (issue,) = of_kind(phone.vault.contents, "issue").values()
        assert "accepted on another device" in str(issue.value("text"))


async def test_a_revoked_card_lets_nobody_ask_and_nothing_of_it_is_left_on_the_server(friends: Friends) -> None:
    anna, carl = friends.anna, friends.carl
    before = friends.anna_site.rows("SELECT count(*) FROM mailboxes")
    made = await make_invite(anna.vault, anna.server, reusable=True)
    await ask(carl, made.link)
    await anna.sync()
    assert asking(anna) == ["Carl Moor"]
    await anna.apply(revoke_invite(anna.vault.contents, anna.vault.stamp(), made.id))
    await anna.sync()
    assert asking(anna) == []
    assert not of_kind(anna.vault.contents, "request")
    assert friends.anna_site.rows("SELECT count(*) FROM mailboxes") == before
    assert await throw(friends.bob, made.link, 1) == [PutStatus.NO_MAILBOX]
