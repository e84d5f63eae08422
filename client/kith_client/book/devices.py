"""What devices are called."""

from __future__ import annotations

from collections.abc import Iterable

from kith_client.book.problems import BadValue, NotAllowed, checked_text
from kith_client.contacts.text import search_key
from kith_client.stamp import Contents, Edit, Stamp, the_one
from kith_protocol.content import Content
from kith_protocol.linking import MAX_DEVICE_NAME_BYTES


def rename_device(contents: Contents, stamp: Stamp, member: bytes, name: str, others: Iterable[str] = ()) -> Edit:
    """Calls a device `name` from now on, on all devices; `others` are the names of those that there are.

    Raises `BadValue` for what is no name or too long a one, `NotAllowed` where another device is called so.
    """
    name = checked_text(name).strip()
    if not name or len(name.encode()) > MAX_DEVICE_NAME_BYTES:
        raise BadValue(f"The name of a device has 1 to {MAX_DEVICE_NAME_BYTES} bytes.")
    found, key = the_one(contents, "devices"), member.hex()
    record, units = (stamp.record_id(), {}) if found is None else (found[0], dict(found[1].units))
    if search_key(name) in map(search_key, others):
        raise NotAllowed("Another device is called so. Choose another name, so that the two are told apart.")
    units[key] = stamp.unit(name)
    return {record: Content("devices", units, found[1].extra if found else {})}
