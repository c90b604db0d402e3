"""Dividing a group's partitions when the member that divides them does not know the topics for a moment.

After a restart of the broker the first metadata may come without topics. aiokafka's assignors then leave those topics out:
every member gets nothing, the group is stable, nothing is behind by its own reckoning, and nobody works until the metadata
is read anew, five minutes later by default. Seen in a drill (a broker killed while its workers slept and restarted) as
"No partition metadata for topic" in one worker's log, and four minutes of silence in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor

#: How old a client's metadata may get (ms), where the default is five minutes: whoever was misled notices by then.
METADATA_AGE_MS = 30_000


def knowing(assignor: type[AbstractPartitionAssignor], partitions: int) -> type[AbstractPartitionAssignor]:
    """The same assignor under the same name, which takes a topic that it does not see to have ``partitions`` partitions.

    For groups all of whose topics have that number; that they do is checked at the start (``topic_check``).
    """

    class Knowing(assignor):  # type: ignore[misc]
        @classmethod
        def assign(cls, cluster: Any, members: Mapping[str, Any]) -> Any:
            """As aiokafka's."""
            return super().assign(_Known(cluster, partitions), members)

    return Knowing


class _Known:
    """Cluster metadata as assignors ask it."""

    def __init__(self, cluster: Any, partitions: int) -> None:
        self._cluster = cluster
        self._partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int]:
        """The partition numbers of a topic."""
        return self._cluster.partitions_for_topic(topic) or set(range(self._partitions))
