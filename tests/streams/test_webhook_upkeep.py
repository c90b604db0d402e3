"""A webhook of NinjaOne is set up, set up again after a failure, and once more when it fell silent."""

import asyncio
from types import SimpleNamespace

import pytest

from connectors.ninjaone.webhook_setup import WebhookRefused
from streams.roles.connectors import SET_UP_AGAIN_S, ConnectorsRole, _Side


class Gate:
    async def opened(self):
        pass


class Upkeep:
    """The role's loop with a clock that runs as fast as it is asked; ends after so many naps."""

    def __init__(self, naps):
        self.naps, self.calls = naps, []
        self.side = _Side()

    async def sleep(self, seconds):
        assert seconds == SET_UP_AGAIN_S
        self.naps -= 1
        if self.naps < 0:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    async def run(self, set_up, fell_silent):
        role = SimpleNamespace(_here=SimpleNamespace(clock=SimpleNamespace(sleep=self.sleep)))
        await ConnectorsRole._keep_setting_up(role, self.side, Gate(), set_up, fell_silent)


async def test_it_is_put_again_only_after_it_fell_silent(caplog):
    upkeep, puts = Upkeep(naps=4), []
    silence = iter([False, False, True, *[False] * 9])

    async def set_up():
        puts.append(upkeep.naps)
        return "NinjaOne sends its activities"

    with pytest.raises(asyncio.CancelledError):
        await upkeep.run(set_up, lambda: next(silence))
    assert puts == [4, 2]
    assert "may have switched it off" in caplog.text


async def test_one_that_was_refused_is_tried_again_and_what_tells_by_itself_is_set_up_once():
    upkeep, puts = Upkeep(naps=4), []

    async def set_up():
        puts.append(upkeep.naps)
        if len(puts) < 3:
            raise WebhookRefused("not now")
        return "done"

    await upkeep.run(set_up, None)
    assert (puts, upkeep.side.webhook) == ([4, 3, 2], "done")
