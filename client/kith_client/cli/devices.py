"""`kith device`."""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from kith_client.book.problems import Ambiguous, Choice, NotFound
from kith_client.cli.codes import check_picture_place, draw_on_terminal, given_code, write_picture
from kith_client.cli.online import default_device_name, new_passphrase, with_own_server, with_server
from kith_client.cli.options import group, settings, subcommand
from kith_client.cli.output import Output
from kith_client.cli.session import ask_passphrase, ask_phrase, home_of, run_async
from kith_client.contacts.text import search_key
from kith_client.errors import this_device
from kith_protocol.codes import CodeKind

if TYPE_CHECKING:
    from kith_client.lifecycle.linking import DeviceInfo
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault

_WHAT_REMOVAL_DOES = (
    "Devices that were added since go too, unless --keep names them. What is written from now on cannot be read there; "
    "what they have, they keep. Every peer gets new keys from you."
)
_WHAT_TAKING_BACK_DOES = (
    "All your keys towards peers are replaced with the recovery phrase, and open invites end. What the removed devices "
    "changed about peers in the last 30 days is undone. Devices that were added since go too, unless --keep names them."
)


@group("device", "kith device", "kith device add", "kith device join CODE --server https://anna.example", alone=True)
@click.pass_context
def device_command(ctx: click.Context) -> None:
    """The devices that hold this address book."""
    if ctx.invoked_subcommand is None:
        run_async(_list())


async def _list() -> None:
    from kith_client.vault import Vault

    chosen = settings()
    out = Output(chosen)
    async with await Vault.open(home_of(chosen), ask_passphrase) as vault:
        _answer(await _shapes(vault), _renewed(vault), out)
        _say_how_far(vault, out)


@subcommand(device_command, "add", "kith device add", "kith device add --qr code.png")
@click.option("--qr", metavar="FILE.png", help="Show a QR code in place of words, and write it to this file.")
@with_server
async def device_add(vault: Vault, server: HomeServer, out: Output, qr: str | None) -> None:
    """Show a code for the new device, and wait for it; it is valid for ten minutes, and for one attempt."""
    from kith_client.lifecycle.linking import add_device

    if not settings().yes and not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here whether the device is the right one; --yes says yes.")
    if qr is not None:
        await asyncio.to_thread(check_picture_place, qr)

    async def agree(name: str) -> bool:
        return await out.confirm_meanwhile(f"Add the device '{name}'?")

    async def show(code: str) -> None:
        if qr is not None:
            await write_picture(code, qr)
        _show_code(out, server.url, code, qr)

    added = await add_device(vault, server, show, agree, as_qr=qr is not None)
    if added.arrived:
        out.message(f"'{added.name}' is a device of this address book now.")
    else:
        out.warn(
            f"'{added.name}' was added, but did not say that it is there. If it was given up: "
            f"kith device remove {shlex.quote(added.name)}"
        )


def _show_code(out: Output, url: str, code: str, qr: str | None) -> None:
    def show() -> None:
        if qr is None:
            out.line(code)
        else:
            draw_on_terminal(code, out)
        how = f"join CODE --server {url}" if qr is None else f"join PICTURE, with a picture of the code (it is in {qr})"
        out.message(f"On the new device: kith device {how}\nWaiting for it, at most ten minutes ...")

    out.result({"code": code}, show)
    sys.stdout.flush()


@subcommand(
    device_command,
    "join",
    "kith device join 42-apple-river-stone --server https://anna.example",
    "kith device join photo.jpg",
)
@click.argument("code")
@click.option("--server", metavar="URL", help="The home server; a QR code says it.")
@click.option("--name", metavar="NAME", help="What to call this device (else the machine's name).")
@click.option("--no-passphrase", is_flag=True, help="Keep the device's key in a file that only you can read.")
def device_join(code: str, server: str | None, name: str | None, no_passphrase: bool) -> None:
    """Make this machine a device of the address book whose other device shows CODE ('-' reads it).

    CODE may be a picture of the QR code that the other device shows.
    """
    chosen = settings()
    run_async(_join(Output(chosen), code, server, name, no_passphrase))


async def _join(out: Output, code: str, server: str | None, name: str | None, no_passphrase: bool) -> None:
    from kith_client.lifecycle.linking import join_vault

    given = await given_code(code, CodeKind.DEVICE)
    passphrase = new_passphrase(no_passphrase)
    home = home_of(settings())
    with out.counted("Fetching") as progress:
        vault = await join_vault(
            home, given, server, name or default_device_name(), passphrase=passphrase, progress=progress
        )
    async with vault:
        contacts = sum(content.kind == "contact" for content in vault.contents.values())
        out.message(f"This device has the address book now: {contacts} contacts.")
        out.result({"vault": vault.id.hex(), "contacts": contacts, "devices": await _shapes(vault)})


@subcommand(device_command, "compare", "kith device compare")
def device_compare() -> None:
    """Compare this device with another one on the same local network: run it on both. No server is asked."""
    from kith_client.cli.comparing import compare

    run_async(compare(Output(settings())))


@subcommand(device_command, "remove", "kith device remove phone", "kith device remove phone --stolen")
@click.argument("device")
@click.option("--keep", multiple=True, metavar="DEVICE", help="A device added since that stays.")
@click.option("--stolen", is_flag=True, help="Replace all your keys with the recovery phrase, which is asked for.")
def device_remove(device: str, keep: tuple[str, ...], stolen: bool) -> None:
    """Remove DEVICE, and those added since: whoever held it may have added them. It keeps what it had.

    If it may be in a thief's hands, say --stolen: then your peers are shown by your recovery phrase that you are you,
    and nothing that the thief did in your name counts any more. Where nobody can be asked, the phrase is read from
    standard input.
    """
    (_remove_stolen if stolen else _remove)(device, keep)


@with_server
async def _remove(vault: Vault, server: HomeServer, out: Output, device: str, keep: tuple[str, ...]) -> None:
    from kith_client.lifecycle.linking import list_devices
    from kith_client.lifecycle.removing import newest_chain, remove_device

    devices = await list_devices(vault, await newest_chain(vault, server))
    gone, stays = _resolve(devices, device), _those_that_stay(devices, keep)
    names = _confirmed(devices, gone, stays, out, _WHAT_REMOVAL_DOES)
    await remove_device(vault, server, gone.id, keep=stays)
    await _after_removal(vault, server, names, out)


@with_own_server
async def _remove_stolen(vault: Vault, server: HomeServer, out: Output, device: str, keep: tuple[str, ...]) -> None:
    from kith_client.lifecycle.linking import list_devices, removed_devices
    from kith_client.lifecycle.stolen import members_now, remove_stolen

    chain = await members_now(vault, server)
    devices = await list_devices(vault, chain)
    gone = _resolve([*devices, *removed_devices(vault, chain)], device)
    stays = _those_that_stay(devices, keep)
    if not _lives_here(vault):
        out.warn(
            f"The address book says of itself that it lives on another server than {server.host}. If you moved it, "
            "stop, and run 'kith sync' first. If you did not, the thief wrote that; go on, and it stays here."
        )
    names = _confirmed(devices, gone, stays, out, _WHAT_TAKING_BACK_DOES)
    phrase = ask_phrase()
    with out.counted("Taking back") as progress:
        await remove_stolen(vault, server, gone.id, phrase, keep=stays, progress=progress)
    await _after_removal(vault, server, names, out, stolen=True)


def _lives_here(vault: Vault) -> bool:
    from kith_client.relations.homes import Place, here

    return here(vault.contents) in (None, Place(vault.device.server, vault.device.fingerprint))


def _those_that_stay(devices: list[DeviceInfo], keep: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(_resolve(devices, each).id for each in keep)


def _confirmed(devices: list[DeviceInfo], gone: DeviceInfo, stays: frozenset[bytes], out: Output, what: str) -> str:
    """The names of those that go, if the person agrees to what that does. Raises `Refused` for this very device."""
    if gone.this:
        raise this_device()
    since = [each for each in devices if each.number > gone.number and not each.this and each.id not in stays]
    names = ", ".join(each.name for each in (gone, *since))
    out.message(what)
    if not out.confirm(f"Remove {names}?"):
        raise click.Abort
    return names


async def _after_removal(vault: Vault, server: HomeServer, names: str, out: Output, *, stolen: bool = False) -> None:
    from kith_client.errors import ServerRefused, ServerUnreachable
    from kith_client.sync.run import sync

    out.message(f"Removed {names}. What is written from now on cannot be read there.")
    try:
        await sync(vault, server)
    except (ServerUnreachable, ServerRefused) as error:
        # The device is out; what is still to be said goes on with every sync.
        out.warn(f"{error} The next 'kith sync' gives your peers new keys.")
    _say_how_far(vault, out)
    if stolen:
        out.message("'kith issues' says what else to look at.")
    out.result({"devices": await _shapes(vault), **_renewed(vault)})


@subcommand(device_command, "rename", "kith device rename phone 'old phone'")
@click.argument("device")
@click.argument("name")
def device_rename(device: str, name: str) -> None:
    """Call DEVICE by another NAME, on all devices."""
    run_async(_rename(Output(settings()), device, name))


async def _rename(out: Output, device: str, name: str) -> None:
    from kith_client.book.devices import rename_device
    from kith_client.book.events import entry
    from kith_client.lifecycle.linking import list_devices
    from kith_client.vault import Vault

    async with await Vault.open(home_of(settings()), ask_passphrase) as vault:
        devices = await list_devices(vault)
        found = _resolve(devices, device)
        others = [each.name for each in devices if each.id != found.id]
        edit = rename_device(vault.contents, vault.stamp(), found.id, name, others)
        await vault.apply(edit, [entry(f"called the device {found.name} {name.strip()}")])
        _answer(await _shapes(vault), {}, out)


def _resolve(devices: list[DeviceInfo], text: str) -> DeviceInfo:
    wanted = text.strip().lower()
    found = [each for each in devices if each.id.hex().startswith(wanted) or search_key(each.name) == search_key(text)]
    if len(found) == 1:
        return found[0]
    if found:
        choices = tuple(Choice(each.id.hex()[:8], each.name) for each in found)
        raise Ambiguous(f"{len(found)} devices match; give an id.", choices=choices)
    raise NotFound("There is no such device. 'kith device' shows them.")


def _renewed(vault: Vault) -> dict[str, Any]:
    """Since a device was removed: how many peers write to the new keys, and which ones do not yet."""
    from kith_client.book.layers import Layers
    from kith_client.relations.rekeying import rekeying

    found = rekeying(vault.contents)
    if not found:
        return {}
    layers = Layers(vault.contents)
    waiting = sorted(layers.peer_names(peer)[0] for peer, done in found.items() if not done)
    return {"peers_renewed": len(found) - len(waiting), "peers_waiting": waiting}


def _say_how_far(vault: Vault, out: Output) -> None:
    renewed = _renewed(vault)
    waiting = renewed.get("peers_waiting", [])
    if waiting:
        out.message(
            "A device was removed. So that it cannot write in your name, these of your peers still have to hear of "
            f"your new keys, at their next sync: {', '.join(waiting)}."
        )


def _answer(shapes: list[dict[str, Any]], renewed: dict[str, Any], out: Output) -> None:
    def show() -> None:
        rows = [
            (
                each["id"][:8],
                each["name"] + (" (this one)" if each["this"] else ""),
                each["added"],
                each["last_seen"],
                str(each["last_commit"]),
            )
            for each in shapes
        ]
        out.table(("Id", "Device", "Added", "Last wrote", "Commit"), rows)

    out.result({"devices": shapes, **renewed}, show)


async def _shapes(vault: Vault) -> list[dict[str, Any]]:
    from kith_client.book.dates import iso_time
    from kith_client.lifecycle.linking import list_devices

    return [
        {
            "id": each.id.hex(),
            "name": each.name,
            "added": iso_time(each.added),
            "last_seen": iso_time(each.last),
            "last_commit": each.last_commit,
            "this": each.this,
        }
        for each in await list_devices(vault)
    ]
