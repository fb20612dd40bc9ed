"""What a run tells: JSON lines in its folder always, TensorBoard where it is installed, and a line for people."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from hac_cli.errors import output_errors


class Journal:
    """``write('log', ...)`` adds a line to ``log.jsonl`` and its numbers to TensorBoard's curves.

    On a terminal ``show`` moves a bar on standard error, else it prints lines; ``quiet`` does neither.
    """

    def __init__(self, folder: Path, quiet: bool = False) -> None:
        self.folder, self.quiet = folder, quiet
        self.board: Any = None
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"))
        self.bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            self.bar = Progress(TextColumn("{task.fields[left]} left"), BarColumn(20), TaskProgressColumn(),
                                TextColumn("{task.description}"), console=Console(stderr=True))  # fmt: skip
            self.task = self.bar.add_task("compiling", total=1.0, left="?")
            self.bar.start()

    def write(self, name: str, values: dict[str, Any]) -> None:
        step = values["step"]
        rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in values.items()}
        path = self.folder / f"{name}.jsonl"
        with output_errors(str(path)), path.open("a") as file:
            file.write(json.dumps(rounded) + "\n")
        if self.board:
            for key, value in values.items():
                if isinstance(value, (int, float)) and key != "step":
                    self.board.add_scalar(f"{name}/{key}", value, step)

    def show(self, values: dict[str, Any], progress: float = 0.0, seconds_left: float = math.inf) -> None:
        """One line of numbers; ``progress`` is the share of the budget that is used."""
        numbers = {key: value for key, value in values.items() if isinstance(value, (int, float))}
        text = " ".join(f"{key} {value:.4g}" for key, value in numbers.items())
        left = f"{seconds_left / 60:.0f} min" if math.isfinite(seconds_left) else "?"
        if self.bar:
            self.bar.update(self.task, completed=progress, description=text, left=left)
        elif not self.quiet:
            print(f"{text} left {left}", flush=True)

    def close(self) -> None:
        if self.bar:
            self.bar.stop()
        if self.board:
            self.board.close()
