"""Field tables of companies, contacts, resources, roles and billing codes."""

from __future__ import annotations

from connectors.sandbox.autotask_fields import Entity, Field, table

COMPANIES = table("""
id long RO W
companyName string100 R W
companyType integer R P:companyType W
ownerResourceID integer R ->Resource W
phone string25 R W
companyNumber string50 W
address1 string128 W
address2 string128 W
city string30 W
state string40 W
postalCode string10 W
countryID integer
webAddress string255 W
taxID string50
parentCompanyID integer ->Company W
territoryID integer P:territory W
marketSegmentID integer P:marketSegment W
companyCategoryID integer
isActive boolean W
createDate datetime RO
lastActivityDate datetime RO
lastTrackedModifiedDateTime datetime RO
apiVendorID integer RO P:apiVendor
""")

DEPARTMENTS = table("""
id long RO
name string100 RO
description string1000 RO
number string50 RO
isActive boolean RO
""")

RESOURCE_ROLE_DEPARTMENTS = table("""
id long RO
resourceID integer RO ->Resource
roleID integer RO ->Role
departmentID integer RO ->Department
isActive boolean RO
isDefault boolean RO
isDepartmentLead boolean RO
""")

RESOURCE_ROLE_QUEUES = table("""
id long RO
resourceID integer RO ->Resource
roleID integer RO ->Role
queueID integer RO P:queue
isActive boolean RO
isDefault boolean RO
""")

RESOURCE_SERVICE_DESK_ROLES = table("""
id long RO
resourceID integer RO ->Resource
roleID integer RO ->Role
isActive boolean RO
isDefault boolean RO
""")

LOCATIONS = table("""
id long RO
companyID integer RO ->Company
name string100 RO
isActive boolean RO
isPrimary boolean RO
""")

# isActive of a contact is an int 0/1 on the wire, not a boolean.
CONTACTS = table("""
id long RO W
companyID integer R C ->Company W
firstName string50 R W
lastName string50 R W
isActive integer R W
emailAddress string254 W
phone string25 W
mobilePhone string25 W
title string50 W
externalID string50 W
createDate datetime RO
lastActivityDate datetime RO
lastModifiedDate datetime RO
""")

RESOURCES = table("""
id long RO
userName string32 R
firstName string50 R
lastName string50 R
email string254 R
isActive boolean R
resourceType string15 P:resourceType
licenseType integer R P:licenseType
locationID integer R
userType integer R P:userType
title string50
""")

ROLES = table("""
id long RO
name string200 RO
isActive boolean RO
""")

RESOURCE_ROLES = table("""
id long RO
resourceID integer RO ->Resource
roleID integer RO ->Role
queueID integer RO P:queue
isActive boolean RO
""")

BILLING_CODES = table("""
id long RO
name string200 RO
isActive boolean RO
useType integer RO P:billingUseType
""")

ENTITIES = (
    Entity(
        name="Companies",
        singular="Company",
        legacy="Account",
        fields=COMPANIES,
        create=True,
        update=True,
        udfs=True,
        webhooks=True,
    ),
    Entity(
        name="CompanyLocations",
        singular="CompanyLocation",
        fields=LOCATIONS,
        parent="Companies",
        child="Locations",
        parent_field="companyID",
    ),
    Entity(
        name="Contacts",
        singular="Contact",
        fields=CONTACTS,
        create=True,
        update=True,
        delete=True,
        udfs=True,
        webhooks=True,
        parent="Companies",
        child="Contacts",
        parent_field="companyID",
        indexed=("companyID",),
    ),
    Entity(name="Resources", singular="Resource", fields=RESOURCES, update=True),
    Entity(name="Roles", singular="Role", fields=ROLES),
    Entity(
        name="ResourceRoles",
        singular="ResourceRole",
        fields=RESOURCE_ROLES,
        parent="Resources",
        child="Roles",
        parent_field="resourceID",
    ),
    Entity(name="BillingCodes", singular="BillingCode", legacy="AllocationCode", fields=BILLING_CODES),
)


def _of_resources(name: str, child: str, fields: dict[str, Field]) -> Entity:
    return Entity(
        name=name,
        singular=name.removesuffix("s"),
        fields=fields,
        parent="Resources",
        child=child,
        parent_field="resourceID",
    )


#: Who works where: read by clients that assign tickets. Lockstep does not.
STAFF = (
    Entity(name="Departments", singular="Department", fields=DEPARTMENTS),
    _of_resources("ResourceRoleDepartments", "RoleDepartments", RESOURCE_ROLE_DEPARTMENTS),
    _of_resources("ResourceRoleQueues", "RoleQueues", RESOURCE_ROLE_QUEUES),
    _of_resources("ResourceServiceDeskRoles", "ServiceDeskRoles", RESOURCE_SERVICE_DESK_ROLES),
)
