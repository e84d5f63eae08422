"""`kith recover`: all devices are lost, and the recovery phrase is there, or friends who keep shares of it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from kith_client.cli.asking import confirm, prompt
from kith_client.cli.online import default_device_name, new_passphrase
from kith_client.cli.options import command, settings
from kith_client.cli.output import Output
from kith_client.cli.session import ask_phrase, home_of, run_async

if TYPE_CHECKING:
    from kith_client.lifecycle.gathering import Gathering
    from kith_client.lifecycle.recovering import Agree, Recovered
    from kith_client.stamp import Contents
    from kith_protocol.splitting import Candidate

_VAULT_DIGITS = 64
_ABOUT_THE_PLACE = frozenset({"wrong-phrase", "unreachable", "share-place", "bad-url", "bad-host"})
"""Errors after which another server or id may help."""


@dataclass(frozen=True)
class _Device:
    """What to make of this device, and which others stay."""

    name: str
    keep: tuple[str, ...]
    stolen: bool
    """Whether the lost devices may be in a thief's hands."""
    passphrase: str | None


@dataclass(frozen=True)
class _Said:
    """Where the address book is, as far as the person said."""

    server: str | None
    vault: bytes | None

    @property
    def is_all(self) -> bool:
        return self.server is not None and self.vault is not None


@command("recover", "kith recover --server https://anna.example --vault 5c0f...", "kith recover --guardians")
@click.option("--server", metavar="URL", help="The home server.")
@click.option("--vault", metavar="ID", help="The id that was shown with the phrase.")
@click.option("--guardians", is_flag=True, help="With shares that guardians hand out, in place of the phrase.")
@click.option("--needed", type=int, metavar="N", help="With --guardians: how many you chose to be needed.")
@click.option("--name", metavar="NAME", help="What to call this device (else the machine's name).")
@click.option("--keep", multiple=True, metavar="DEVICE", help="A device that is not lost, and stays.")
@click.option("--stolen", is_flag=True, help="The lost devices may be in a thief's hands: replace all your keys.")
@click.option("--no-passphrase", is_flag=True, help="Keep the device's key in a file that only you can read.")
def recover_command(
    server: str | None,
    vault: str | None,
    guardians: bool,
    needed: int | None,
    name: str | None,
    keep: tuple[str, ...],
    stolen: bool,
    no_passphrase: bool,
) -> None:
    """Get the address book back with the recovery phrase, and remove all devices that are not kept.

    The phrase is asked for; where nobody can be asked, it is read from standard input. So are the shares of guardians,
    one in a line: its words, or the name of a picture of its QR code, which also says server and id.

    Guardians who lie together can lead to an address book of their own. So where only shares say where yours is, you
    are shown what was found and asked; where nobody can be asked, --server and --vault have to be given.
    """
    id_ = None if vault is None else _vault_id(vault)
    if not guardians and (server is None or id_ is None):
        raise click.UsageError("Say with --server and --vault where the address book is.")
    device = _Device(name or default_device_name(), keep, stolen, new_passphrase(no_passphrase))
    out = Output(settings())
    if guardians:
        run_async(_with_guardians(out, _Said(server, id_), needed, device))
    elif server is not None and id_ is not None:
        run_async(_with_phrase(out, server, id_, ask_phrase(), device))


async def _with_phrase(out: Output, server: str, vault: bytes, phrase: str, device: _Device) -> None:
    made = await _recover(out, server, vault, phrase, device)
    await go_on(out, made, "The phrase stays valid; keep the paper.")


async def _with_guardians(out: Output, said: _Said, needed: int | None, device: _Device) -> None:
    from kith_client.cli.shares_given import gather
    from kith_protocol.phrase import phrase_of

    if not said.is_all and not sys.stdin.isatty():
        raise click.UsageError(
            "Nobody can be asked here whether what the shares lead to is your address book, and --yes does not know: "
            "guardians who lie together can lead to one of theirs. Give --server and --vault."
        )
    gathering, found = await gather(out, needed, placed=said.is_all)
    made, right = await _first_that_opens(out, gathering, found, said, device)
    wrong = gathering.unfit(right)
    if wrong:
        out.warn(f"{wrong} Tell the guardian; the address book was recovered without.")
    text = (
        "This is your recovery phrase. Write it down; whoever has it can read everything. Shares that were handed out "
        "stay good together with others of their split, also after 'kith guardians add' made new ones."
    )
    await go_on(out, made, text, phrase_of(right.entropy))


async def _first_that_opens(
    out: Output, gathering: Gathering, found: list[Candidate], said: _Said, device: _Device
) -> tuple[Recovered, Candidate]:
    """Tries what the shares give, the likeliest first. Guardians who forge together can make a second story.

    Who typed all the shares does not have to do so again because of a wrong id, or a server that is down.
    """
    from kith_protocol.errors import KithError

    asking = not said.is_all
    while True:
        try:
            return await _one_that_opens(out, gathering, found, said, device, asking=asking)
        except KithError as error:
            if not sys.stdin.isatty() or error.code not in _ABOUT_THE_PLACE:
                raise
            out.warn(str(error))
        said = _ask_where()


async def _one_that_opens(
    out: Output, gathering: Gathering, found: list[Candidate], said: _Said, device: _Device, *, asking: bool
) -> tuple[Recovered, Candidate]:
    from kith_client.lifecycle.recovering import whatever_it_is
    from kith_protocol.errors import Refused
    from kith_protocol.phrase import phrase_of

    for candidate in found:
        url, id_ = _where(out, gathering, candidate, said)
        needed = gathering.given[min(candidate.fitting)].share.needed
        agree = _asked_once(out, url, id_, needed) if asking else whatever_it_is
        try:
            return await _recover(out, url, id_, phrase_of(candidate.entropy), device, agree), candidate
        except Refused as refusal:
            if refusal.code != "wrong-phrase":
                raise
    raise Refused(
        "wrong-phrase",
        "The shares fit together, but the phrase that they give opens no address book with this id on this server. "
        "Compare server and id. If they are right, shares were forged: ask other guardians.",
    )


def _where(out: Output, gathering: Gathering, candidate: Candidate, said: _Said) -> tuple[str, bytes]:
    """The server and the id: what the person said, else what the shares say."""
    from kith_client.addresses import url_of

    if said.server is not None and said.vault is not None:
        return said.server, said.vault
    if not gathering.is_of_one_split:
        raise gathering.differing()
    place = gathering.place(candidate)
    if place is None:
        out.message("The shares fit together. The words alone do not say where your address book is:")
        asked = _ask_where()
        return said.server or asked.server or "", said.vault or asked.vault or b""
    return said.server or url_of(place.host), said.vault or place.vault


def _ask_where() -> _Said:
    """Each guardian sees both beside the share."""
    server: str = prompt("Server")
    vault: bytes = prompt("Id of the address book", value_proc=_vault_id)
    return _Said(server.strip(), vault)


def _asked_once(out: Output, url: str, vault: bytes, needed: int) -> Agree:
    """Shows what the shares lead to, and asks. Raises `click.Abort`: --yes cannot know whose address book it is."""
    from kith_client.book.me import my_name

    agreed: set[str] = set()

    def agree(contents: Contents, _gone: tuple[str, ...]) -> None:
        name = " ".join(my_name(contents).split())
        if name in agreed:
            return
        out.message(
            "The shares lead to this address book. Only what guardians told says that it is yours: if they lie "
            "together, it is one of theirs.\n"
            f"Owner    {name}\nServer   {url}\nVault    {vault.hex()}\nNeeded   {needed} guardians together"
        )
        if not confirm("Is this your server, and did you choose that number?"):
            raise click.Abort
        agreed.add(name)

    return agree


def asked_about_devices(out: Output, *, stolen: bool = False) -> Agree:
    """Says which devices go, and what else happens, and asks. Raises `click.Abort`."""
    agreed: set[tuple[str, ...]] = set()

    def agree(_contents: Contents, gone: tuple[str, ...]) -> None:
        if stolen:
            out.message(
                "All your keys towards peers are replaced, and open invites end. What the removed devices changed "
                "about peers in the last 30 days is undone."
            )
        if not gone or gone in agreed:
            return
        names = ", ".join(gone)
        out.message(
            "All devices but this one are removed, unless --keep names them. What is written from now on cannot be "
            "read there; what they have, they keep."
        )
        if not out.confirm(f"Remove {names}?", unattended=True):
            raise click.Abort
        agreed.add(gone)

    return agree


async def _recover(
    out: Output, server: str, vault: bytes, phrase: str, device: _Device, agree: Agree | None = None
) -> Recovered:
    from kith_client.lifecycle.recovering import recover, whatever_it_is

    with ExitStack() as stack:
        progress = stack.enter_context(out.counted("Fetching"))

        agree_to_removal = asked_about_devices(out, stolen=device.stolen)

        def ask(contents: Contents, gone: tuple[str, ...]) -> None:
            stack.close()  # all is fetched, and a bar would write over the question
            (agree or whatever_it_is)(contents, gone)
            agree_to_removal(contents, gone)

        return await recover(
            home_of(settings()),
            server,
            vault,
            phrase,
            device.name,
            keep=device.keep,
            stolen=device.stolen,
            agree=ask,
            passphrase=device.passphrase,
            progress=progress,
        )


async def go_on(out: Output, made: Recovered, about_phrase: str, phrase: str | None = None) -> None:
    """The first sync of the recovered vault, and the answer; with the phrase where it was not typed."""
    from kith_client.cli.setup import numbered
    from kith_client.lifecycle.moving import at_home
    from kith_client.sync.run import sync
    from kith_protocol.errors import KithError

    async with made.vault as opened, at_home(opened) as home:
        contacts = sum(content.kind == "contact" for content in opened.contents.values())
        out.message(f"The address book is here again: {contacts} contacts.")
        if made.gone:
            out.message(f"Removed: {', '.join(made.gone)}. What is written from now on cannot be read there.")
        try:
            await sync(opened, home)
        except KithError as error:
            # Whatever it is, the next sync says it again; the phrase has to be shown now.
            out.warn(f"{error} The next 'kith sync' gives your peers new keys.")
        out.message(about_phrase)
        if made.stolen:
            out.message("Your peers are told of your new keys. 'kith issues' says what to look at.")
        document = {"vault": opened.id.hex(), "server": home.url, "contacts": contacts, "removed": list(made.gone)}
        if phrase is None:
            out.result(document)
        else:
            out.result({**document, "recovery_phrase": phrase}, lambda: numbered(out, phrase))


def _vault_id(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.strip())
    except ValueError:
        found = b""
    if len(found) * 2 != _VAULT_DIGITS:
        raise click.UsageError(f"The id of an address book has {_VAULT_DIGITS} digits from 0 to 9 and a to f.")
    return found
