"""What a whole file comes to: its length, its sizes, its bitrate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """What a whole file holds: ``samples`` and ``frames`` per channel, sizes in bytes."""

    sample_rate: int
    samples: int
    frames: int
    blocks: int
    file_bytes: int
    payload_bytes: int

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate

    @property
    def bitrate(self) -> float | None:
        """Bits a second of the whole file, container included; None for a file of no samples."""
        return 8 * self.file_bytes / self.seconds if self.samples else None

    @property
    def payload_bitrate(self) -> float | None:
        """Bits a second of the data blocks' payloads alone; None for a file of no samples."""
        return 8 * self.payload_bytes / self.seconds if self.samples else None
