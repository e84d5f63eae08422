"""Handles and addresses: what is accepted, and that all of it has one form."""

from __future__ import annotations

import string
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.encoding import decode, encode
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.handle import (
    HANDLE_ID_BYTES,
    MAX_HANDLE,
    MIN_HANDLE,
    RESERVED,
    Address,
    handle_id,
    looks_like_address,
    parse_address,
    parse_handle,
    parse_new_handle,
)
from kith_protocol.wire import PutHandle

INNER = "._-"


def code(text: str) -> str:
    with pytest.raises(Refused) as caught:
        parse_address(text)
    return caught.value.code


@given(st.text(string.ascii_letters + string.digits + INNER, min_size=1, max_size=40))
def test_a_handle_has_one_form_and_signs_stand_single_and_inside(text: str) -> None:
    lower = text.lower()
    signs = [place for place, sign in enumerate(lower) if sign in INNER]
    inside = all(0 < place < len(lower) - 1 for place in signs)
    single = not any(after == before + 1 for before, after in pairwise(signs))
    if MIN_HANDLE <= len(lower) <= MAX_HANDLE and inside and single:
        assert parse_handle(text) == lower == parse_handle(lower)
    else:
        with pytest.raises(Refused):
            parse_handle(text)


@given(st.text(min_size=1, max_size=MAX_HANDLE))
def test_whatever_passes_is_ascii_so_nothing_in_it_looks_like_something_else(text: str) -> None:
    with suppress(Refused):
        assert set(parse_handle(text)) <= set(string.ascii_lowercase + string.digits + INNER)


@pytest.mark.parametrize("handle", sorted(RESERVED))
def test_a_handle_that_would_be_taken_for_the_server_is_well_formed_and_nobody_gets_it(handle: str) -> None:
    assert parse_handle(handle) == handle
    with pytest.raises(Refused) as caught:
        parse_new_handle(handle.upper())
    assert caught.value.code == "handle-reserved"


def test_every_form_of_an_address_is_the_same_address() -> None:
    address = Address("anna.beck", "anna.example:8400")
    forms = ["{}", "kith:{}", "acct:{}", "KITH:{}", " {} "]
    texts = [form.format(address) for form in forms] + ["https://anna.example:8400/@anna.beck"]
    assert {parse_address(text) for text in texts} == {address}
    assert {parse_address(text.upper()) for text in texts} == {address}
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", "@", "anna", "anna@", "@a.example", "a@b" + "c" * 400, "https://a.example/@"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert code(text) in ("bad-address", "bad-handle")


def test_an_invite_is_never_taken_for_an_address() -> None:
    token = "1." + "A" * 64
    for link in (f"kith:a.example#{token}", f"https://a.example/i#{token}", f"kith:anna@a.example#{token}"):
        assert not looks_like_address(link)
    assert looks_like_address("kith:anna@a.example")


def test_ids_have_one_size_and_differ() -> None:
    assert len({handle_id(handle) for handle in ("", "a", "anna", "anna.beck", "x" * 32)}) == 5
    assert {len(handle_id(handle)) for handle in ("", "anna", "x" * 1000)} == {HANDLE_ID_BYTES}


@pytest.mark.parametrize("size", [1, 31, 33])
def test_a_server_keeps_a_whole_secret_or_none(size: int) -> None:
    for whole in (b"", bytes(32)):
        assert decode(encode(PutHandle(whole)), PutHandle).secret == whole
    with pytest.raises(DecodingError):
        decode(encode(PutHandle(bytes(size))), PutHandle)
