"""Inline pictures, sounds and keys of a contact: apart from it when large, so that a new phone number does not send
them again. Storing the bytes is left to the caller; nothing is ever fetched."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import replace
from typing import Final

from kith_client.contacts.model import Property, Unit, lead_property

LARGE: Final = 2048
"""Bytes of inline data, from which on it gets a record of its own."""
REFERENCE: Final = "kith:photo:"
"""Stands before the SHA-256, in hex, of data kept elsewhere."""

_INLINE: Final = frozenset({"PHOTO", "LOGO", "KEY", "SOUND"})
_DATA_URI = re.compile(r"data:([^,]{0,200}?;base64\\?),", re.IGNORECASE)
_URI_PREFIX: Final = "X-KITH-DATA"
"""Parameter that keeps what stood before the data of a data URI."""


def inline_data(prop: Property) -> bytes | None:
    """The bytes that a property holds in itself (base64 or a data URI), or None: it has none, or they are damaged."""
    if prop.key not in _INLINE:
        return None
    uri = _DATA_URI.match(prop.value)
    if uri is None and not _is_base64(prop):
        return None
    text = prop.value[uri.end() :] if uri else prop.value
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def content_key(prop: Property) -> str | None:
    """The SHA-256, in hex, of the data that a property holds or refers to."""
    if prop.value.startswith(REFERENCE):
        return prop.value.removeprefix(REFERENCE)
    data = inline_data(prop)
    return None if data is None else hashlib.sha256(data).hexdigest()


def split_photo(unit: Unit) -> tuple[Unit, bytes] | None:
    """The unit with a reference in place of its large inline data, and that data. None: there is nothing to split.

    Data that `join_photo` could not put back to the letter stays where it is.
    """
    lead = lead_property(unit)
    data = inline_data(lead)
    if data is None or len(data) <= LARGE:
        return None
    uri = _DATA_URI.match(lead.value)
    params = (*lead.params, (_URI_PREFIX, (uri[1],))) if uri else lead.params
    reference = replace(lead, value=REFERENCE + hashlib.sha256(data).hexdigest(), params=params)
    apart = tuple(reference if prop is lead else prop for prop in unit)
    return (apart, data) if join_photo(apart, data) == unit else None


def photo_reference(unit: Unit) -> bytes | None:
    """The SHA-256 of the data that a unit refers to, or None where it refers to none."""
    value = lead_property(unit).value
    if not value.startswith(REFERENCE):
        return None
    try:
        digest = bytes.fromhex(value.removeprefix(REFERENCE))
    except ValueError:
        return None
    return digest if len(digest) == hashlib.sha256().digest_size else None


def join_photo(unit: Unit, data: bytes) -> Unit:
    """The reverse of `split_photo`. Without a reference the unit comes back as it is."""
    lead = lead_property(unit)
    if not lead.value.startswith(REFERENCE):
        return unit
    text = base64.b64encode(data).decode("ascii")
    prefix = "".join(lead.param(_URI_PREFIX)[:1])
    params = tuple(param for param in lead.params if param[0] != _URI_PREFIX)
    joined = replace(lead, value=f"data:{prefix},{text}" if prefix else text, params=params)
    return tuple(joined if prop is lead else prop for prop in unit)


def _is_base64(prop: Property) -> bool:
    return any(value.upper() in ("B", "BASE64") for value in prop.param("ENCODING"))
