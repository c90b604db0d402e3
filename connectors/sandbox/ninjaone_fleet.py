"""The seeded tenant: organizations, locations, roles, policies, users, groups and devices."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.ninjaone_catalogue import FIRST, ROLES, SHARES, Row
from connectors.sandbox.ninjaone_devices import Device, DeviceFactory
from connectors.sandbox.world import World
from schemas.identity import derived_id

#: All seeded times lie before this instant (epoch seconds), so that a fleet is the same whenever it is made.
EPOCH = 1_760_000_000.0

_STREETS = ("Hafenstr.", "Market St", "Mill Lane", "Lindenallee", "Station Rd", "Bergweg")
_CITIES = ("Kiel", "Bristol", "Denver", "Graz", "Leeds", "Utrecht")
_USERS = (("Dana", "Reyes"), ("Mika", "Larsen"), ("Omar", "Haddad"), ("Priya", "Nair"))

FIRST_ORGANIZATION = 11
FIRST_LOCATION = 31
FIRST_DEVICE = 1001


def derived_uuid(*parts: str | int) -> str:
    """A UUID that is always the same for the same parts."""
    return str(uuid.UUID(hex=derived_id(*parts), version=4))


@dataclass(slots=True)
class Fleet:
    """All rows of a tenant by id, as the API shows them."""

    organizations: dict[int, Row] = field(default_factory=dict)
    locations: dict[int, Row] = field(default_factory=dict)
    roles: dict[int, Row] = field(default_factory=dict)
    policies: dict[int, Row] = field(default_factory=dict)
    users: dict[int, Row] = field(default_factory=dict)
    groups: dict[int, Row] = field(default_factory=dict)
    devices: dict[int, Device] = field(default_factory=dict)
    organization_fields: dict[int, dict[str, Any]] = field(default_factory=dict)

    def role_for(self, node_class: str) -> Row:
        """The first role of a node class, else the first role of all."""
        for role in self.roles.values():
            if role["nodeClass"] == node_class:
                return role
        return next(iter(self.roles.values()))

    def policy_for(self, node_class: str) -> int:
        """The policy that devices of a class have through their role."""
        for policy in self.policies.values():
            if policy["nodeClass"] == node_class:
                return int(policy["id"])
        return int(next(iter(self.policies)))

    def locations_of(self, organization_id: int) -> list[Row]:
        """Locations of an organization, by id."""
        return [row for row in self.locations.values() if row["organizationId"] == organization_id]


def seeded_fleet(world: World) -> Fleet:
    """The tenant of a world; equal worlds give equal tenants."""
    fleet = Fleet()
    _roles_and_policies(fleet)
    _people_and_groups(fleet)
    for name in world.organization_names():
        add_organization(fleet, name=name, world=world)
    _devices(fleet, world)
    return fleet


def add_organization(fleet: Fleet, *, name: str, world: World, description: str = "") -> Row:
    """A new organization with one location, sometimes two; ids go on from the greatest."""
    organization_id = max(fleet.organizations, default=FIRST_ORGANIZATION - 1) + 1
    source = world.random(f"organization {organization_id}")
    row: Row = {
        "id": organization_id,
        "name": name,
        "description": description,
        "userData": {},
        "nodeApprovalMode": "AUTOMATIC",
    }
    fleet.organizations[organization_id] = row
    for place in ("Main Office", "Warehouse")[: 1 + (source.random() < 0.3)]:
        location_id = max(fleet.locations, default=FIRST_LOCATION - 1) + 1
        fleet.locations[location_id] = {
            "id": location_id,
            "name": place,
            "address": f"{source.choice(_STREETS)} {source.randint(1, 90)}, {source.choice(_CITIES)}",
            "description": "",
            "userData": {},
            "organizationId": organization_id,
        }
    return row


def _roles_and_policies(fleet: Fleet) -> None:
    for place, (name, node_class, chassis) in enumerate(ROLES):
        fleet.roles[1 + place] = {
            "id": 1 + place,
            "name": name,
            "description": "",
            "nodeClass": node_class,
            "custom": False,
            "chassisType": chassis,
            "created": EPOCH - 40_000_000,
        }
    for place, node_class in enumerate(sorted({role[1] for role in ROLES})):
        fleet.policies[51 + place] = {
            "id": 51 + place,
            "name": f"{node_class.replace('_', ' ').title()} Policy",
            "description": "",
            "nodeClass": node_class,
            "updated": EPOCH - 9_000_000.5,
            "nodeClassDefault": True,
        }


def _people_and_groups(fleet: Fleet) -> None:
    for place, (first, last) in enumerate(_USERS):
        fleet.users[5 + place] = {
            "id": 5 + place,
            "uid": derived_uuid("user", place),
            "firstName": first,
            "lastName": last,
            "email": f"{first}.{last}@msp.example".lower(),
            "userType": "TECHNICIAN",
            "enabled": True,
            "administrator": place == 0,
        }
    for place, (name, expression) in enumerate(
        (
            ("All servers", "class in (WINDOWS_SERVER, LINUX_SERVER, MAC_SERVER)"),
            ("All workstations", "class in (WINDOWS_WORKSTATION, LINUX_WORKSTATION, MAC)"),
            ("Offline devices", "offline"),
        )
    ):
        fleet.groups[561 + place] = {"id": 561 + place, "name": name, "description": "", "df": expression}


def _devices(fleet: Fleet, world: World) -> None:
    source = world.random("devices")
    factory = DeviceFactory(epoch=EPOCH)
    classes, weights = zip(*SHARES, strict=True)
    organizations = list(fleet.organizations)
    host: int | None = None
    for place in range(world.devices):
        node_class = FIRST[place] if place < len(FIRST) else source.choices(classes, weights)[0]
        # Everybody gets a device first; afterwards the earlier customers are the bigger ones.
        organization = organizations[
            place if place < len(organizations) else int(len(organizations) * source.random() ** 1.5)
        ]
        location = source.choice(fleet.locations_of(organization))
        device = factory.make(
            device_id=FIRST_DEVICE + place,
            uid=derived_uuid("device", world.seed, place),
            organization=fleet.organizations[organization],
            location_id=location["id"],
            role=_role(fleet, node_class, source.random()),
            policy_id=fleet.policy_for(node_class),
            source=source,
            parent_id=host if node_class == "VMWARE_VM_GUEST" else None,
        )
        fleet.devices[device.id] = device
        if node_class == "VMWARE_VM_HOST":
            host = device.id


def _role(fleet: Fleet, node_class: str, chance: float) -> Row:
    if node_class == "WINDOWS_WORKSTATION" and chance < 0.55:
        return next(role for role in fleet.roles.values() if role["name"] == "Windows Laptop")
    return fleet.role_for(node_class)
