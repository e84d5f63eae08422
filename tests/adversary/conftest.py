"""Scenes for lies: built once, copied for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adversary.friends import Friends, FriendsTemplate, build_friends, friends_from
from tests.adversary.restored import Restored, RestoredTemplate, build_restored, restored_from
from tests.adversary.scene import Scene, Template, build_template, scene_from


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """What happened before the server began to lie."""
    return asyncio.run(build_template(tmp_path_factory.mktemp("adversary") / "scene"))


@pytest.fixture
async def scene(template: Template, tmp_path: Path) -> AsyncIterator[Scene]:
    """Anna's devices, fresh."""
    async with scene_from(template, tmp_path / "scene") as made:
        yield made


@pytest.fixture(scope="session")
def friends_template(tmp_path_factory: pytest.TempPathFactory) -> FriendsTemplate:
    """How Anna and Bob became peers."""
    return asyncio.run(build_friends(tmp_path_factory.mktemp("adversary") / "friends"))


@pytest.fixture
async def friends(friends_template: FriendsTemplate, tmp_path: Path) -> AsyncIterator[Friends]:
    """Anna, Bob and Carl, fresh."""
    async with friends_from(friends_template, tmp_path / "friends") as made:
        yield made


@pytest.fixture(scope="session")
def restored_template(tmp_path_factory: pytest.TempPathFactory) -> RestoredTemplate:
    """What happened before the server was restored."""
    return asyncio.run(build_restored(tmp_path_factory.mktemp("adversary") / "restored"))


@pytest.fixture
async def restored(restored_template: RestoredTemplate, tmp_path: Path) -> AsyncIterator[Restored]:
    """Anna's devices after the restore, fresh."""
    async with restored_from(restored_template, tmp_path / "restored") as made:
        yield made
