"""The field table of contracts, as far as tickets need them (vendor Swagger 2.0). Only the control calls make any."""

from __future__ import annotations

from connectors.sandbox.autotask_fields import Entity, table

CONTRACTS = table("""
id long RO
companyID integer R ->Company
contractName string100 R
contractNumber string50
description string2000
isDefaultContract boolean
startDate datetime R
endDate datetime R
""")

ENTITIES = (Entity(name="Contracts", singular="Contract", fields=CONTRACTS, update=True, indexed=("companyID",)),)
