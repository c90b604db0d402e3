"""Tickets of ours from before this log began: then an alert that is new to the log may have its ticket already.

So it is after the topics were lost, or begun anew for another number of partitions. What this log did itself it remembers, and asks
before no first create; what an earlier one did only Autotask knows.
"""

from __future__ import annotations

import logging
from contextlib import aclosing

from connectors.autotask import texts
from connectors.autotask.client import AutotaskClient, condition
from schemas.identity import EXTERNAL_ID_PREFIX

log = logging.getLogger(__name__)


class EarlierLog:
    """Whether Autotask has tickets with our mark that are older than the log; asked once under each set of credentials, one call.

    ``began``: when the log began (epoch ms). 0: nothing is older; ``None``: not known, so that anything may be. Two clocks are compared: a
    vendor's that is behind makes ours look older, which costs a look-up per create and nothing else.
    """

    def __init__(self, client: AutotaskClient, began: int | None) -> None:
        self._client = client
        self._began = began
        self._found: bool | None = {0: False, None: True}.get(began)

    async def has_tickets(self) -> bool:
        """Raises ``CallFailed``, ``CallsSuspended``."""
        if self._found is None:
            ours = condition("beginsWith", "externalID", EXTERNAL_ID_PREFIX)
            older = condition("lt", "createDate", texts.instant(self._began or 0))
            async with aclosing(self._client.pages("Tickets", [ours, older], ["externalID"])) as pages:
                self._found = await anext(pages, None) is not None
            if self._found:
                log.warning(
                    "Autotask has tickets of ours from before this log began: each is looked for before one is opened"
                )
        return self._found
