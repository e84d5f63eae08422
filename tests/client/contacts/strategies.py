"""Hypothesis strategies: units as a vault may hold them, and bytes that look like vCards."""

from __future__ import annotations

from hypothesis import strategies as st

from kith_client.contacts.model import REGISTERS, Property, Unit

_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_DELIMITERS = {"BEGIN", "END", "VERSION"}
_COMMON = ("FN", "N", "TEL", "EMAIL", "ADR", "ORG", "NOTE", "URL", "BDAY", "X-ABLabel", "x-phonetic", "UID", "PHOTO")

names = st.one_of(st.sampled_from(_COMMON), st.text(_NAME, min_size=1, max_size=12)).filter(
    lambda name: name.upper() not in _DELIMITERS
)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=120)
param_values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20)
param_names = st.one_of(
    st.sampled_from(["TYPE", "type", "PREF", "X-Foo", "LABEL", "VALUE"]), st.text(_NAME, min_size=1)
)
params = st.lists(
    st.tuples(
        param_names.filter(lambda name: name.upper() not in ("CHARSET", "ENCODING")),
        st.lists(param_values, min_size=1, max_size=3).map(tuple),
    ),
    max_size=3,
).map(tuple)
properties = st.builds(Property, names, values, params)


@st.composite
def unit_lists(draw: st.DrawFn) -> tuple[Unit, ...]:
    """Units as reading gives them: a group is one unit, with a name of its own; registers stand alone."""
    units: list[Unit] = []
    for index, size in enumerate(draw(st.lists(st.integers(0, 3), max_size=8))):
        if size == 0:
            units.append((draw(properties),))
            continue
        group = draw(st.sampled_from(["item", "ITEM", "g-"])) + str(index)
        inside = draw(st.lists(properties, min_size=size, max_size=size))
        grouped = (Property(p.name, p.value, p.params, group) for p in inside if p.key not in REGISTERS)
        unit = tuple(grouped)
        if unit:
            units.append(unit)
    return tuple(units)


_FRAGMENTS = (
    *(
        b"BEGIN:VCARD",
        b"END:VCARD",
        b"begin:vcard",
        b"BEGIN:VCA",
        b"RD",
        b"VERSION:2.1",
        b"VERSION:3.0",
        b"VERSION:4.0",
    ),
    *(b"\r\n", b"\n", b"\r", b"\r\n ", b"\n\t", b"\r\r\n", b"\n\r", b"\r\n", b"\r\n", b" ", b"\xef\xbb\xbf", b"\x00"),
    *(b"AGENT:", b"FN", b"N", b"NOTE", b"item1.", b"TEL", b":", b";", b",", b"=", b'"', b"\\", b"\\n", b"^n", b"=\r\n"),
    *(b"ENCODING=QUOTED-PRINTABLE", b"QUOTED-PRINTABLE", b"ENCODING=b", b"BASE64", b"CHARSET=", b"SHIFT_JIS", b"idna"),
    *(
        b"=C3=BC",
        b"=C3",
        b"\xc3\xbc",
        b"\xfc",
        b"\xed\xa0\xbd",
        b"\xff\xfe",
        b"TYPE=",
        b"QUJD",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
    ),
)
"""Pieces from which most ways to break a card can be put together."""

bytes_like_cards = st.one_of(
    st.lists(st.one_of(st.sampled_from(_FRAGMENTS), st.binary(max_size=4)), max_size=60).map(b"".join),
    st.binary(max_size=200),
)
wide_bytes = st.builds(
    lambda text, codec, mark, odd: (mark + text).encode(codec, "surrogatepass") + odd,
    st.text(st.one_of(st.sampled_from("BEGIN:VCARD\r\n ;=,FN"), st.characters()), min_size=4, max_size=60),
    st.sampled_from(["utf-16-le", "utf-16-be"]),
    st.sampled_from(["\ufeff", "BEGIN:VCARD\r\n"]),
    st.binary(max_size=1),
)
