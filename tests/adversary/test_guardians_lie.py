"""Guardians who cheat at recovery: alone, together, and about the place; through the real command and server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest

from kith_client.lifecycle.setup import create_vault
from kith_client.store.home import Home
from kith_protocol.guardian import ShareLink, format_share_link
from kith_protocol.phrase import entropy_of
from kith_protocol.splitting import read_share
from tests.adversary.friends import Friends
from tests.adversary.test_commands_alarm import kith
from tests.adversary.test_recovering import begun
from tests.support.running import Result
from tests.support.splits import fixed_split, forged


@dataclass
class Dora:
    """Her device is gone; four shares of her phrase are out, of which two are needed."""

    url: str
    vault: bytes
    shares: list[str]
    folder: Path

    async def recover(self, *lines: str, into: str = "new") -> Result:
        """What the command says to these shares."""
        place = ["--server", self.url, "--vault", self.vault.hex()]
        words = ["recover", "--guardians", "--no-passphrase", *place]
        return await kith(self.folder / into, *words, given="\n".join(lines) + "\n")


@pytest.fixture
async def dora(friends: Friends, tmp_path: Path) -> Dora:
    lost = await begun(friends, tmp_path / "dora")
    await lost.device.close()
    shares = list(fixed_split(entropy_of(lost.kit.recovery_phrase), 2, 4))
    return Dora(friends.anna_site.url, lost.kit.vault, shares, tmp_path)


def story(count: int) -> list[str]:
    """Shares of the same split, made by guardians who work together, that tell of another phrase."""
    return list(fixed_split(secrets.token_bytes(32), 2, count))


async def test_a_wrong_share_is_named(dora: Dora) -> None:
    wrong = forged(dora.shares[0], secrets.token_bytes(32))
    found = await dora.recover(wrong, dora.shares[1], dora.shares[2])
    assert found.status == 0, found
    assert "Share 1 does not fit the others" in found.err
    few = await dora.recover(wrong, dora.shares[1], into="few")
    assert (few.status, few.document["error"]) == (1, "shares-forged")


async def test_guardians_who_forge_together_are_found_out_by_the_vault(dora: Dora) -> None:
    """Three tell one story and two the truth: the story is tried first, and opens nothing."""
    lies = story(4)
    found = await dora.recover(*lies[:3], dora.shares[0], dora.shares[3])
    assert found.status == 0, found
    assert found.document["contacts"] == 1
    assert "The shares 1, 2 and 3 do not fit the others" in found.err


async def test_forged_shares_alone_bring_nothing_and_keep_nothing(dora: Dora) -> None:
    refused = await dora.recover(*story(2))
    assert (refused.status, refused.document["error"]) == (1, "wrong-phrase")
    assert "ask other guardians" in refused.document["message"]
    assert (await dora.recover(*dora.shares[:2])).status == 0


async def test_two_of_five_guardians_of_whom_four_are_needed_cannot_put_their_own_vault_in_place(
    friends: Friends, tmp_path: Path
) -> None:
    """Their shares and the place in them are in order. Where nobody can be asked, the person names the place."""
    lost = await begun(friends, tmp_path / "dora")
    await lost.device.close()
    theirs = await create_vault(Home(tmp_path / "mallory"), friends.bob_site.url, "Dora Falk", "laptop")
    split = fixed_split(entropy_of(theirs.recovery_phrase), 2, 2)
    host = friends.bob_site.url.partition("://")[2]
    lies = [format_share_link(ShareLink(host, theirs.vault, read_share(words))) for words in split]
    given = "\n".join([*lies, *fixed_split(entropy_of(lost.kit.recovery_phrase), 4, 5)]) + "\n"
    words = ("--yes", "recover", "--guardians", "--no-passphrase")
    for place in ((), ("--server", lost.site.url), ("--vault", lost.kit.vault.hex())):
        refused = await kith(tmp_path / "new", *words, *place, given=given)
        assert refused.status == 2, refused
        assert not Home(tmp_path / "new").exists
    found = await kith(
        tmp_path / "new", *words, "--server", lost.site.url, "--vault", lost.kit.vault.hex(), given=given
    )
    assert found.status == 0, found
    assert (found.document["server"], found.document["vault"]) == (lost.site.url, lost.kit.vault.hex())
    assert "The shares 1 and 2 are of another split" in found.err


async def test_no_share_stands_in_an_answer_that_failed(dora: Dora) -> None:
    refused = await dora.recover(dora.shares[0])
    assert (refused.status, refused.document["error"]) == (1, "shares-missing")
    said = refused.err + str(refused.document)
    assert not any(f" {word} " in said for word in dora.shares[0].split() if len(word) > 5)
