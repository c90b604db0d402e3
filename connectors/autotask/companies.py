"""The list of companies as one fact, whenever it changed."""

from __future__ import annotations

import orjson

from connectors.autotask.client import AutotaskClient
from connectors.ports import Log, Publication
from schemas.autotask import CompanyRow
from schemas.facts import CompaniesObserved, Company
from schemas.identity import derived_id
from schemas.model import canonical
from schemas.topics import CONTROL, CURSORS

CURSOR = "autotask.companies"
SOURCE = "autotask/companies"


class NoCompanies(Exception):
    """Autotask showed no company at all, which it never has (id 0 is the tenant's own): a right is missing."""


async def read_companies(client: AutotaskClient) -> tuple[Company, ...]:
    """All companies, active or not, by id. Raises ``NoCompanies`` for an empty list."""
    rows = await client.query("Companies", (), ("companyName", "isActive"))
    listed = client.rows(CompanyRow, rows, endpoint="Companies")
    if not listed:
        raise NoCompanies(
            "Autotask shows this API user no company; give its security level access to companies (Admin > Security Levels)"
        )
    return tuple(Company(id=row.id, name=row.company_name, active=row.is_active) for row in listed)


async def publish_companies(client: AutotaskClient, log: Log) -> bool:
    """Read all companies and publish them when the list changed; whether it did.

    The cursor numbers the lists, so that a list that comes back as it once was still has an id of its own, and a
    publication that was repeated because the cursor was not written has the same id.
    """
    companies = await read_companies(client)
    digest = derived_id("companies", canonical([company.model_dump() for company in companies]).decode())
    remembered = (await log.remembered(CURSORS)).get(CURSOR)
    last = orjson.loads(remembered) if remembered else {}
    if last.get("digest") == digest:
        return False
    number = int(last.get("number", 0)) + 1
    await log.publish(
        [
            Publication(
                topic=CONTROL,
                key="companies",
                id=derived_id("companies", number, digest),
                source=SOURCE,
                time=client.now(),
                fact=CompaniesObserved(digest=digest, companies=companies),
            )
        ]
    )
    await log.remember(CURSORS, CURSOR, orjson.dumps({"digest": digest, "number": number}))
    return True
