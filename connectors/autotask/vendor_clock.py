"""The vendor's clock, as the Date of an answer tells it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from connectors.autotask.client import AutotaskClient
from connectors.calls import Request


async def vendor_time(client: AutotaskClient) -> int | None:
    """Epoch milliseconds, in whole seconds; ``None`` where the answer has no date. One call. Raises as ``AutotaskClient.call``."""
    request = Request(method="GET", path="ThresholdInformation", endpoint="ThresholdInformation")
    answer = await client.call(request)
    try:
        return round(parsedate_to_datetime(answer.headers["date"]).timestamp() * 1000)
    except (KeyError, ValueError, TypeError):
        return None
