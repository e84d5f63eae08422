"""`kith device compare`: two devices of one address book, face to face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kith_client.book.names import device_name
from kith_client.cli.options import settings
from kith_client.cli.output import Output
from kith_client.cli.session import ask_passphrase, home_of
from kith_protocol.errors import Alarm, AlarmCode

if TYPE_CHECKING:
    from kith_client.nearby.heads import Compared

_SAYS: Final = {
    "in step": "This device and '{name}' are in step.",
    "behind": "This device is behind '{name}': sync here.",
    "ahead": "'{name}' is behind this device: sync there.",
    "repaired": (
        "The server lost commits and was repaired: this device and '{name}' stand on the two sides of that. Sync both, "
        "then compare again. If nobody repaired the address book, see 'kith log' and 'kith device' first."
    ),
}


async def compare(out: Output) -> None:
    """Waits for the other device and says how the two stand to each other. Raises the alarm `fork`."""
    from kith_client.doctor import head_words
    from kith_client.nearby.heads import compare_heads
    from kith_client.vault import Vault

    async with await Vault.open(home_of(settings()), ask_passphrase) as vault:
        out.message("Run 'kith device compare' on the other device too. Waiting for it, at most a minute ...")
        found = await compare_heads(vault)
        name = device_name(vault.contents, found.member)
    how = _verdict(found, name)
    document = {"device": found.member.hex(), "name": name, "verdict": how}
    more = {"number": found.number, "head": head_words(found.head)}
    out.result({**document, **more}, lambda: out.line(_SAYS[how].format(name=name)))


def _verdict(found: Compared, name: str) -> str:
    from kith_protocol.nearby import Verdict

    if found.verdict is Verdict.FORK:
        raise Alarm(
            AlarmCode.FORK,
            f"This device and '{name}' have two different histories, and neither lies in the other: a server showed "
            "them different things. Nothing was changed. Do not sync before you know why; what each of them has is "
            "whole.",
        )
    words = {Verdict.BEHIND: "behind", Verdict.AHEAD: "ahead", Verdict.REPAIRED: "repaired"}
    return words.get(found.verdict, "in step")
