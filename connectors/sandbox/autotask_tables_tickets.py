"""Field tables of tickets, their notes, categories, history and deletion log."""

from __future__ import annotations

from connectors.sandbox.autotask_fields import Entity, table

TICKETS = table("""
id long RO W
companyID integer R ->Company W
title string255 R W
status integer R P:ticketStatus W
priority integer R P:priority W
description string8000 W
queueID integer P:queue W
dueDateTime datetime W
issueType integer P:issueType W
subIssueType integer P:subIssueType <issueType W
ticketType integer P:ticketType W
ticketCategory integer P:ticketCategory W
source integer P:source W
configurationItemID integer ->ConfigurationItem W
contactID integer ->Contact W
companyLocationID integer ->CompanyLocation
contractID integer ->Contract W
contractServiceID long ->ContractService
contractServiceBundleID long ->ContractServiceBundle
assignedResourceID integer ->Resource W
assignedResourceRoleID integer ->Role W
billingCodeID integer ->BillingCode
externalID string50 W
monitorID integer
monitorTypeID integer P:monitorType
rmmAlertID string50 RO
resolution string32000 W
purchaseOrderNumber string50 W
ticketNumber string50 RO W
problemTicketId integer ->Ticket
opportunityID integer
projectID integer
serviceLevelAgreementID integer P:sla
changeApprovalBoard integer P:changeBoard
changeApprovalStatus integer P:changeStatus
changeApprovalType integer P:changeType
changeInfoField1 string8000
changeInfoField2 string8000
changeInfoField3 string8000
changeInfoField4 string8000
changeInfoField5 string8000
rmaStatus integer P:rmaStatus
rmaType integer P:rmaType
estimatedHours double W
createdByContactID integer ->Contact
createDate datetime RO W
completedDate datetime RO W
completedByResourceID integer RO ->Resource
creatorResourceID integer RO ->Resource W
creatorType integer RO NQ P:personType
lastActivityDate datetime RO W
lastActivityResourceID integer RO ->Resource W
lastActivityPersonType integer RO NQ P:personType
lastTrackedModificationDateTime datetime RO
lastCustomerNotificationDateTime datetime RO
lastCustomerVisibleActivityDateTime datetime RO
firstResponseDateTime datetime RO
firstResponseDueDateTime datetime RO
resolutionPlanDateTime datetime RO
resolutionPlanDueDateTime datetime RO
resolvedDateTime datetime RO
resolvedDueDateTime datetime RO
hoursToBeScheduled double RO
apiVendorID integer RO P:apiVendor
impersonatorCreatorResourceID integer RO ->Resource
serviceLevelAgreementHasBeenMet boolean RO
serviceLevelAgreementPausedNextEventHours double RO NQ
serviceThermometerTemperature integer RO
organizationalLevelAssociationID integer
isAssignedToComanaged boolean
isVisibleToComanaged boolean
""")

TICKET_NOTES = table("""
id long RO W
ticketID integer R C ->Ticket W
title string250 W
description string32000 R W
noteType integer R P:noteType W
publish integer R P:publish W
createdByContactID integer ->Contact
createDateTime datetime RO W
creatorResourceID integer RO ->Resource W
lastActivityDate datetime RO W
impersonatorCreatorResourceID integer RO ->Resource
impersonatorUpdaterResourceID integer RO ->Resource
""")

TIME_ENTRIES = table("""
id long RO
ticketID integer ->Ticket
resourceID integer ->Resource
dateWorked datetime
hoursWorked double
summaryNotes string32000
createDateTime datetime RO
creatorUserID integer RO ->Resource
""")

ADDITIONAL_ITEMS = table("""
id long RO
ticketID integer R C ->Ticket
configurationItemID integer R ->ConfigurationItem
""")

TICKET_CATEGORIES = table("""
id long RO
name string30 R
nickname string3
isActive boolean R
displayColorRGB integer R P:displayColor
isGlobalDefault boolean RO
isApiOnly boolean RO
""")

TICKET_HISTORY = table("""
id long RO
ticketID integer RO ->Ticket
action string100 RO
detail string8000 RO
date datetime RO
resourceID integer RO ->Resource
""")

DELETED_TICKETS = table("""
id long RO
ticketID long RO
ticketNumber string50 RO
ticketTitle string255 RO
deletedByResourceID integer RO ->Resource
deletedDateTime datetime RO
""")

ENTITIES = (
    Entity(
        name="Tickets",
        singular="Ticket",
        fields=TICKETS,
        create=True,
        update=True,
        udfs=True,
        webhooks=True,
        indexed=("externalID", "companyID", "configurationItemID", "ticketNumber"),
    ),
    Entity(
        name="TicketNotes",
        singular="TicketNote",
        fields=TICKET_NOTES,
        create=True,
        update=True,
        webhooks=True,
        parent="Tickets",
        child="Notes",
        parent_field="ticketID",
        indexed=("ticketID",),
    ),
    Entity(
        name="TicketAdditionalConfigurationItems",
        singular="TicketAdditionalConfigurationItem",
        fields=ADDITIONAL_ITEMS,
        create=True,
        delete=True,
        parent="Tickets",
        child="AdditionalConfigurationItems",
        parent_field="ticketID",
        indexed=("ticketID",),
    ),
    Entity(name="TimeEntries", singular="TimeEntry", fields=TIME_ENTRIES, create=True, indexed=("ticketID",)),
    Entity(name="TicketCategories", singular="TicketCategory", fields=TICKET_CATEGORIES, update=True),
    Entity(name="TicketHistory", singular="TicketHistory", fields=TICKET_HISTORY, indexed=("ticketID",)),
    Entity(name="DeletedTicketLogs", singular="DeletedTicketLog", fields=DELETED_TICKETS),
)
