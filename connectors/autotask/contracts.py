"""Which contract a ticket or an item stands under, where the policy asks for the company's default one.

Source: the vendor's Swagger 2.0 (``Contracts`` with ``companyID``, ``isDefaultContract``, ``startDate``, ``endDate``).
"""

from __future__ import annotations

from connectors.autotask.client import AutotaskClient, eq
from connectors.errors import CallFailed, Kind
from schemas.autotask import Contract

#: How long a company's default contract is taken as it was: a renewal is heeded within the hour.
KEEP_MS = 3_600_000
_DAY_MS = 24 * 3_600_000


class Contracts:
    """The default contracts of companies, asked once an hour each."""

    def __init__(self, client: AutotaskClient) -> None:
        self._client = client
        self._known: dict[int, tuple[int, int | None]] = {}

    async def default_of(self, company_id: int) -> tuple[int | None, str]:
        """The id of the contract in force, and one line why there is none.

        Raises ``CallFailed`` but for a refusal for good (no right to read contracts): nothing waits for that.
        """
        now = self._client.now()
        asked_at, found = self._known.get(company_id, (-KEEP_MS, None))
        if not 0 <= now - asked_at < KEEP_MS:
            try:
                found = await self._ask(company_id, now)
            except CallFailed as failure:
                if failure.kind is not Kind.PERMANENT:
                    raise
                return None, f"contracts cannot be read ({failure.detail})"
            self._known[company_id] = (now, found)
        return found, "" if found is not None else f"company {company_id} has no default one"

    async def _ask(self, company_id: int, now: int) -> int | None:
        filters = [eq("companyID", company_id), eq("isDefaultContract", True)]
        rows = await self._client.query(
            "Contracts", filters, ("companyID", "isDefaultContract", "startDate", "endDate")
        )
        in_force = [
            contract.id
            for contract in self._client.rows(Contract, rows, endpoint="Contracts")
            # Dates are days: the last one counts to its end.
            if (contract.start_date or 0) <= now and (contract.end_date is None or now < contract.end_date + _DAY_MS)
        ]
        return in_force[-1] if in_force else None
