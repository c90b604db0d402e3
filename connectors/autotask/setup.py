"""What the tenant must have for a policy to work: user-defined fields, picklist entries, products, types.

``Setup.check`` names what is missing (``tenant_check``), ``create_field`` makes a user-defined field where the API user may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.autotask.client import AutotaskClient, eq
from connectors.autotask.metadata import FRESH_MS, Metadata
from connectors.autotask.names import NameRefused
from connectors.autotask.tenant_check import CATEGORIES, ITEMS, Finding, NameKind, TenantCheck
from connectors.errors import CallFailed, Kind, Situation
from schemas.autotask import ITEM_COLUMNS, member
from schemas.commands import Name

_DEFINITIONS = "UserDefinedFieldDefinitions"
_ASSOCIATIONS = "ConfigurationItemCategoryUdfAssociations"
#: Autotask keeps 45 characters of a field's name.
NAME_LIMIT = 45
#: What the configuration item is called in the picklist ``udfType``, then and now.
_ITEM_LABELS = ("configuration item", "installed product", "device", "asset")
_TEXT_LABELS = ("text (single line)", "single line", "text", "string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What came of creating a field: made, there already, or refused with the reason in ``line``."""

    name: str
    ok: bool
    line: str


class Setup:
    """Checks and repairs of one tenant. Methods raise ``CallFailed``, ``CallsSuspended`` unless they say otherwise."""

    def __init__(self, client: AutotaskClient, metadata: Metadata | None = None) -> None:
        self._client = client
        self._metadata = metadata or Metadata(client)

    async def missing_fields(self, names: Sequence[str], *, entity: str = ITEMS) -> list[str]:
        """The user-defined fields among ``names`` that do not exist, read afresh; the item's own columns do."""
        known = await self._metadata.user_defined(entity, max_age_ms=0)
        return [name for name in dict.fromkeys(names) if name not in ITEM_COLUMNS and name.lower() not in known]

    async def check(self, *, fields: Sequence[str] = (), names: Sequence[tuple[NameKind, Name]] = ()) -> list[Finding]:
        """Everything among ``fields`` and ``names`` that is missing, inactive, ambiguous or of the wrong kind."""
        look = TenantCheck(self._client, self._metadata)
        return [*await look.fields(fields), *await look.names(names)]

    async def create_field(self, name: str) -> Created:
        """Create a one-line text field of configuration items and show it for every category.

        A refusal by the vendor is a result: Autotask may forbid it to the API user, or the tenant may be full.
        """
        if not name.strip() or len(name) > NAME_LIMIT:
            return Created(
                name=name, ok=False, line=f"a field's name has 1 to {NAME_LIMIT} characters; this one has {len(name)}"
            )
        if not await self.missing_fields([name]):
            return Created(name=name, ok=True, line=f"user-defined field '{name}' exists already")
        try:
            body: dict[str, Any] = {
                "name": name,
                "udfType": await self._picked("udfType", _ITEM_LABELS),
                "dataType": await self._picked("dataType", _TEXT_LABELS),
                "description": "Kept up to date by Lockstep",
                "isActive": True,
            }
            definition = await self._client.create(_DEFINITIONS, body)
        except NameRefused as refused:
            return Created(name=name, ok=False, line=str(refused))
        except CallFailed as failure:
            if failure.kind is not Kind.PERMANENT:
                raise
            return Created(name=name, ok=False, line=self._refusal(name, failure))
        hidden = await self._show(definition)
        if await self.missing_fields([name]):
            return Created(
                name=name,
                ok=False,
                line=f"Autotask accepted the field '{name}' but does not list it; look at Admin > User-Defined Fields",
            )
        return Created(name=name, ok=True, line=f"user-defined field '{name}' created{hidden}")

    async def _show(self, definition: int) -> str:
        """Associate a new field with every active category: one that is not is hidden on those devices."""
        try:
            present = await self._client.query(_ASSOCIATIONS, [eq("userDefinedFieldDefinitionID", definition)])
            have = {member(row, "configurationItemCategoryID") for row in present}
            for category in await self._metadata.listed(CATEGORIES, max_age_ms=FRESH_MS):
                if category.active and category.id not in have:
                    await self._client.create(
                        f"{CATEGORIES}/{category.id}/UdfAssociations",
                        {
                            "configurationItemCategoryID": category.id,
                            "userDefinedFieldDefinitionID": definition,
                            "isRequired": False,
                        },
                        endpoint=_ASSOCIATIONS,
                    )
        except CallFailed as failure:
            return f"; it may be hidden until it is added to the device categories by hand ({failure.detail})"
        return ""

    async def _picked(self, field: str, labels: Sequence[str]) -> int:
        choices = [choice for choice in await self._metadata.picklist(_DEFINITIONS, field) if choice.active]
        plain = {choice.id: _plain(choice.label) for choice in choices}
        wanted = [_plain(label) for label in labels]
        exact = [number for label in wanted for number, text in plain.items() if text == label]
        # A field of several lines is a text too, and not the one that is meant.
        alike = [number for label in wanted for number, text in plain.items() if label in text and "multi" not in text]
        if exact or alike:
            return (exact or alike)[0]
        listed = ", ".join(choice.label for choice in choices) or "none"
        raise NameRefused(
            "UnknownName",
            f"Autotask offers no {field} for a text field of configuration items (it offers: {listed}); create it by hand",
        )

    def _refusal(self, name: str, failure: CallFailed) -> str:
        if failure.situation is Situation.FORBIDDEN:
            return f"the API user may not create user-defined fields; create '{name}' (configuration item, text) by hand in Autotask"
        return f"Autotask refused to create the field '{name}': {failure.detail}"


def _plain(label: str) -> str:
    """A label's letters: tenants of different ages write the same one with and without spaces, hyphens and brackets."""
    return "".join(character for character in label.lower() if character.isalnum())
