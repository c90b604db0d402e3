"""Field tables of configuration items, their types and categories, products and user-defined fields."""

from __future__ import annotations

from connectors.sandbox.autotask_fields import Entity, table

CONFIGURATION_ITEMS = table("""
id long RO W
companyID integer R C ->Company W
productID integer R ->Product W
isActive boolean R W
referenceTitle string200 W
referenceNumber string100 W
serialNumber string100 W
configurationItemType integer P:configurationItemType W
configurationItemCategoryID integer ->ConfigurationItemCategory W
installDate datetime W
warrantyExpirationDate datetime W
location string100 W
notes string5000 W
contactID integer ->Contact W
vendorID integer ->Company
contractID integer ->Contract
contractServiceID long ->ContractService
serviceID long ->Service
serviceBundleID long ->ServiceBundle
companyLocationID integer ->CompanyLocation
parentConfigurationItemID integer ->ConfigurationItem
serviceLevelAgreementID integer P:sla
dailyCost double
hourlyCost double
monthlyCost double
perUseCost double
setupFee double
numberOfUsers double
rmmDeviceID long RO
rmmDeviceUID string255 RO
rmmOpenAlertCount integer RO
rmmDeviceAuditDescription string255 RO
rmmDeviceAuditExternalIPAddress string255 RO
rmmDeviceAuditHostname string255 RO
rmmDeviceAuditIPAddress string255 RO
rmmDeviceAuditMacAddress string255 RO
rmmDeviceAuditMobileNumber string255 RO
rmmDeviceAuditOperatingSystem string255 RO NQ
rmmDeviceAuditSNMPContact string255 RO
rmmDeviceAuditSNMPLocation string255 RO
rmmDeviceAuditSNMPName string255 RO
rmmDeviceAuditLastUser string50 RO
rmmDeviceAuditMemoryBytes long RO
rmmDeviceAuditStorageBytes long RO
rmmDeviceAuditMissingPatchCount integer RO
rmmDeviceAuditArchitectureID integer RO
rmmDeviceAuditDisplayAdaptorID integer RO
rmmDeviceAuditDomainID integer RO
rmmDeviceAuditManufacturerID integer RO
rmmDeviceAuditMobileNetworkOperatorID integer RO
rmmDeviceAuditModelID integer RO
rmmDeviceAuditMotherboardID integer RO
rmmDeviceAuditProcessorID integer RO
rmmDeviceAuditServicePackID integer RO
rmmDeviceAuditDeviceTypeID integer RO
rmmDeviceAuditAntivirusStatusID integer RO
rmmDeviceAuditBackupStatusID integer RO
rmmDeviceAuditPatchStatusID integer RO
rmmDeviceAuditSoftwareStatusID integer RO
rmmDeviceAuditFirmwareID integer RO
rmmVsaxDeviceID long RO
rmmDeviceUrl string255 RO
rmmIsInMaintenanceMode boolean RO
rmmIsMobileDeviceManagementEnrolled boolean RO
dattoSerialNumber string255 RO
dattoHostname string255 RO
deviceNetworkingID string100 RO
apiVendorID integer RO P:apiVendor
createDate datetime RO
createdByPersonID integer RO
lastModifiedTime datetime RO
lastActivityPersonID integer RO
lastActivityPersonType integer RO NQ P:personType
installedByID integer RO
installedByContactID integer RO
sourceChargeID integer RO
sourceChargeType integer RO
""")

TYPES = table("""
id long RO
name string100 R
isActive boolean R
""")

CATEGORIES = table("""
id long RO
name string100 R
nickname string3
isActive boolean R
displayColorRGB integer R P:displayColor
isGlobalDefault boolean RO
isClientPortalDefault boolean RO
""")

UDF_ASSOCIATIONS = table("""
id long RO
configurationItemCategoryID integer R C ->ConfigurationItemCategory
userDefinedFieldDefinitionID integer R C ->UserDefinedFieldDefinition
isRequired boolean
sortOrder integer RO
""")

PRODUCTS = table("""
id long RO
name string100 R
isActive boolean R
isSerialized boolean R
productBillingCodeID integer R ->BillingCode
description string2000
sku string50
manufacturerName string100
manufacturerProductName string50
vendorProductNumber string50
internalProductID string50
externalProductID string50
productCategory integer P:productCategory
defaultConfigurationItemCategoryID integer ->ConfigurationItemCategory
""")

UDF_DEFINITIONS = table("""
id long RO
name string45 R
udfType integer R C P:udfType
dataType integer R C P:udfDataType
description string128
defaultValue string1024
mergeVariableName string100
displayFormat integer P:udfDisplayFormat
numberOfDecimalPlaces integer
sortOrder integer
isActive boolean
isRequired boolean
isProtected boolean
isEncrypted boolean
isPrivate boolean
isVisibleToClientPortal boolean
createDate datetime RO
isFieldMapping boolean RO
""")

UDF_LIST_ITEMS = table("""
id long RO
udfFieldId integer R C ->UserDefinedFieldDefinition
valueForDisplay string128 R
valueForExport string128 R
isActive boolean
createDate datetime RO
""")

ENTITIES = (
    Entity(
        name="ConfigurationItems",
        singular="ConfigurationItem",
        legacy="InstalledProduct",
        fields=CONFIGURATION_ITEMS,
        create=True,
        update=True,
        udfs=True,
        webhooks=True,
        indexed=("companyID", "referenceNumber", "serialNumber"),
    ),
    Entity(
        name="ConfigurationItemTypes",
        singular="ConfigurationItemType",
        legacy="InstalledProductType",
        fields=TYPES,
        create=True,
        update=True,
        delete=True,
    ),
    Entity(
        name="ConfigurationItemCategories",
        singular="ConfigurationItemCategory",
        legacy="InstalledProductCategory",
        fields=CATEGORIES,
        create=True,
        update=True,
    ),
    Entity(
        name="ConfigurationItemCategoryUdfAssociations",
        singular="ConfigurationItemCategoryUdfAssociation",
        legacy="InstalledProductCategoryUdfAssociation",
        fields=UDF_ASSOCIATIONS,
        create=True,
        update=True,
        delete=True,
        parent="ConfigurationItemCategories",
        child="UdfAssociations",
        parent_field="configurationItemCategoryID",
    ),
    Entity(name="Products", singular="Product", fields=PRODUCTS, create=True, update=True, udfs=True),
    Entity(
        name="UserDefinedFieldDefinitions",
        singular="UserDefinedFieldDefinition",
        fields=UDF_DEFINITIONS,
        create=True,
        update=True,
    ),
    Entity(
        name="UserDefinedFieldListItems",
        singular="UserDefinedFieldListItem",
        fields=UDF_LIST_ITEMS,
        create=True,
        update=True,
        delete=True,
        parent="UserDefinedFieldDefinitions",
        child="ListItems",
        parent_field="udfFieldId",
    ),
)
