"""How every Kafka client of ours connects: addresses, TLS, SASL; plaintext stays on this machine unless allowed."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

#: ``CompaniesObserved`` of a large tenant (20,000 companies of 100 bytes) passes Kafka's default of 1 MB.
MAX_RECORD_BYTES = 8 * 1024 * 1024


#: What to look at when Kafka does not answer.
LOOK_AT = "is it running, and are kafka.bootstrap_servers and kafka.security right?"


class KafkaOptionsError(ValueError):
    """Connection options that do not fit together or are not safe; one line that names the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """The connection options of all clients of one process. The fields are those of ``kafka.security`` in the settings.

    Raises ``KafkaOptionsError`` for an address without a port, half a set of options, or plaintext beyond loopback.
    """

    bootstrap_servers: str
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    allow_plaintext: bool = False

    def __post_init__(self) -> None:
        for server in self.servers:
            host, _, port = server.rpartition(":")
            if not host or not port.isdigit():
                raise KafkaOptionsError(f"kafka.bootstrap_servers: '{server}' is not host:port")
            if self.protocol.endswith("PLAINTEXT") and not self.allow_plaintext and not is_loopback(host):
                raise KafkaOptionsError(
                    f"kafka.bootstrap_servers: plaintext to {host} is refused because alerts and ticket texts would cross "
                    "the network in the clear; set kafka.security.protocol to SSL or SASL_SSL, or "
                    "kafka.security.allow_plaintext to true"
                )
        if self.protocol.startswith("SASL_") and not (self.mechanism and self.username and self.password):
            raise KafkaOptionsError(
                f"kafka.security: protocol {self.protocol} needs mechanism, username and password "
                "(LOCKSTEP_KAFKA__SECURITY__PASSWORD)"
            )
        if (self.key_file is None) != (self.cert_file is None):
            raise KafkaOptionsError("kafka.security: cert_file and key_file belong together; set both or none")

    @property
    def servers(self) -> list[str]:
        """The addresses, one by one."""
        return [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()] or [""]

    def security(self) -> dict[str, Any]:
        """The keyword arguments for aiokafka beside ``bootstrap_servers``. They hold secrets: never show them."""
        arguments: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            arguments["ssl_context"] = self._ssl_context()
        if self.protocol.startswith("SASL_"):
            arguments["sasl_mechanism"] = self.mechanism
            arguments["sasl_plain_username"] = self.username
            arguments["sasl_plain_password"] = self.password
        return arguments

    def client(self) -> dict[str, Any]:
        """The keyword arguments for any aiokafka client."""
        return {"bootstrap_servers": self.servers, **self.security()}

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file and self.key_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(name for name in (self.ca_file, self.cert_file, self.key_file) if name)
            why = error.strerror or type(error).__name__
            raise KafkaOptionsError(f"kafka.security: {files} cannot be used ({why})") from None
        return context


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name or address; nothing is looked up."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
