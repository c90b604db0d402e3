"""Field tables of webhooks: one family of entities per kind of record that supports callouts."""

from __future__ import annotations

from connectors.sandbox.autotask_fields import Entity, table

#: Record entity by its webhook family (``TicketWebhooks`` watches ``Tickets``).
WATCHED = {
    "Company": "Companies",
    "Contact": "Contacts",
    "ConfigurationItem": "ConfigurationItems",
    "Ticket": "Tickets",
    "TicketNote": "TicketNotes",
}

WEBHOOKS = """
id long RO
name string50 R
webhookUrl string500 R
deactivationUrl string500 R
secretKey string64 R NQ
isActive boolean
isReady boolean RO
isSubscribedToCreateEvents boolean
isSubscribedToUpdateEvents boolean
isSubscribedToDeleteEvents boolean
sendThresholdExceededNotification boolean
notificationEmailAddress string150
ownerResourceID integer RO ->Resource
webhookGUID string100 RO
"""

_FIELDS = """
id long RO
webhookID integer R C ->{kind}Webhook
fieldID integer R C P:webhookField{kind}
isSubscribedField boolean
isDisplayAlwaysField boolean
"""

_UDF_FIELDS = """
id long RO
webhookID integer R C ->{kind}Webhook
udfFieldID integer R C P:webhookUdfField{kind}
isSubscribedField boolean
isDisplayAlwaysField boolean
"""

_EXCLUDED = """
id long RO
webhookID integer R C ->{kind}Webhook
resourceID integer R C ->Resource
"""

ERROR_LOGS = table("""
id long RO
accountWebhookID long RO
contactWebhookID long RO
createDateTime datetime RO
errorMessage string1000 RO
payload string8000 RO
sequenceNumber integer RO
""")


def _child(kind: str, suffix: str, child: str, text: str) -> Entity:
    return Entity(
        name=f"{kind}Webhook{suffix}",
        singular=f"{kind}Webhook{suffix.removesuffix('s')}",
        fields=table(text.format(kind=kind)),
        create=True,
        update=child != "ExcludedResources",
        delete=True,
        parent=f"{kind}Webhooks",
        child=child,
        parent_field="webhookID",
    )


def _family(kind: str) -> list[Entity]:
    family = [
        Entity(
            name=f"{kind}Webhooks",
            singular=f"{kind}Webhook",
            fields=table(WEBHOOKS),
            create=True,
            update=True,
            delete=True,
        ),
        _child(kind, "Fields", "Fields", _FIELDS),
        _child(kind, "ExcludedResources", "ExcludedResources", _EXCLUDED),
    ]
    if kind != "TicketNote":  # ticket notes have no user-defined fields
        family.append(_child(kind, "UdfFields", "UdfFields", _UDF_FIELDS))
    return family


ENTITIES = (
    *(entity for kind in WATCHED for entity in _family(kind)),
    Entity(name="WebhookEventErrorLogs", singular="WebhookEventErrorLog", fields=ERROR_LOGS, delete=True),
)
