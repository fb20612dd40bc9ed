"""``hac bench``: how good, how fast and how small HAC is, beside the codecs that people would use instead."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hac_cli.cli.console import Console, common_options, count, model_names
from hac_cli.cores import cores
from hac_cli.errors import HacError, OutputError, UsageError

if TYPE_CHECKING:
    from hac_cli.eval.bench import Progress
    from hac_cli.eval.coders import Coder
    from hac_cli.eval.results import Results

_EXISTING = click.Path(path_type=Path)
_TIME_LIMIT = 120.0


@click.command()
@click.argument("folder", metavar="[DIR]", type=_EXISTING, required=False)
@click.option("--model", "models", metavar="NAME", shell_complete=model_names, multiple=True,
              help="A model to measure; may be repeated.")  # fmt: skip
@click.option("--weights", metavar="FILE", type=_EXISTING,
              help="Measure these weights, which are not released, in the model's place.")  # fmt: skip
@click.option("--fast", is_flag=True, help="Measure `hac compress --fast` as well.")
@click.option("--best", is_flag=True, help="Measure `hac compress --best` as well, which is slow.")
@click.option("--codecs", "codec_files", metavar="FILE.toml", type=_EXISTING, multiple=True,
              help="More codecs, as command templates; may be repeated.")  # fmt: skip
@click.option("--only", metavar="TEXT", multiple=True,
              help="Only codecs with TEXT in their name; may be repeated.")  # fmt: skip
@click.option("--metric", "extra_metrics", metavar="NAME", multiple=True,
              help="Measure dnsmos, wer or visqol as well; may be repeated.")  # fmt: skip
@click.option("--no-speed", is_flag=True, help="Don't measure speed and memory.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Clips coded at a time; as many as cores if not given.")
@click.option("--time-limit", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), default=_TIME_LIMIT,
              help="For one command of another codec; 120 if not given.")  # fmt: skip
@click.option("--results", "results_path", metavar="FILE", type=_EXISTING,
              help="Keep all results in FILE (JSON lines), clip by clip.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with what FILE holds already.")
@click.option("-f", "--force", is_flag=True, help="Overwrite files.")
@click.option("--html", "html_path", metavar="FILE", type=_EXISTING, help="Make a page to look at and listen to.")
@click.option("--html-clips", metavar="N", type=click.IntRange(min=0), default=10,
              help="How many clips can be heard there, worst first; 10 if not given.")  # fmt: skip
@click.option("--per-clip", is_flag=True, help="A table of every clip, too.")
@click.option("--csv", "as_csv", is_flag=True, help="A CSV line for each clip and codec instead of tables.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of tables.")
@click.option("--compare", metavar="OLD NEW", nargs=2, type=_EXISTING,
              help="Tell what changed between two results files; exit code 1 if something got worse.")  # fmt: skip
@common_options
@click.pass_obj
def bench(console: Console, /, folder: Path | None, compare: tuple[Path, Path] | None, **options: Any) -> None:
    """Measure quality, size and speed on the recordings in DIR.

    Each is coded by HAC and by Opus, Codec2 and Speex, as far as these are installed. What failed is listed, with
    exit code 1.
    """
    if compare:
        if folder:
            raise UsageError("--compare takes two results files and no folder")
        _compare(console, *compare, as_json=options["as_json"])
        return
    if folder is None:
        raise UsageError("name a folder of recordings, or --compare two results files")
    if options["as_csv"] and options["as_json"]:
        raise UsageError("--csv and --json can't both be printed; --results FILE keeps the JSON lines as well")
    results = _measure(console, folder, options)
    _show(console, results, options)
    for what, reason in results.failures:
        console.error(f"{what}: {reason}")
    if results.failures:
        raise click.exceptions.Exit(HacError.exit_code)


def _measure(console: Console, folder: Path, options: dict[str, Any]) -> Results:
    from hac_cli.eval import judges, metrics, report, results, speed
    from hac_cli.eval.bench import Bench

    results_path, html_path = options["results_path"], options["html_path"]
    if results_path and results_path == html_path:
        raise UsageError("--results and --html name one file; name two", str(html_path))
    _refuse_overwriting(results_path, options["force"] or options["resume"], "go on with it with --resume, or ")
    _refuse_overwriting(html_path, options["force"])
    if options["resume"] and not results_path:
        raise UsageError("--resume goes on with a results file; name it with --results")
    coders, missing_coders = _choose_coders(options)
    chosen, missing_metrics = metrics.available([*metrics.STANDARD, *judges.on_request(options["extra_metrics"])])
    plan = Bench(folder, coders, chosen, missing_coders | missing_metrics, options["jobs"] or cores())
    old = results.read(results_path) if options["resume"] and results_path.exists() else None
    with _progress(console, options["as_json"]) as progress:
        found = plan.run(old, results_path, progress)
        if not options["no_speed"] and not found.speed:
            found.speed = speed.measure(folder, list(found.run["clips"]), coders, progress)
        if results_path:
            found.write(results_path)
        if html_path:
            report.write(html_path, found, folder, coders, options["html_clips"], plan.jobs, progress)
    return found


def _choose_coders(options: dict[str, Any]) -> tuple[list[Coder], dict[str, str]]:
    """The codecs to measure, and how to get those that are not installed."""
    from hac_cli.eval import baselines
    from hac_cli.eval.coders import HacCoder
    from hac_cli.model import released

    names: Sequence[str] = options["models"] or [released.DEFAULT_MODEL]
    if options["weights"] and len(names) > 1:
        raise UsageError("--weights stands for one model; name one --model at most")
    if options["weights"]:
        released.read_config(options["weights"])  # before anything is measured
    files = [baselines.BUILT_IN, *options["codec_files"]]
    commands = [coder for file in files for coder in baselines.read(file, options["time_limit"])]
    efforts = ["normal", *(effort for effort in ("fast", "best") if options[effort])]
    coders: list[Coder] = [
        HacCoder(released.find(name).name, options["weights"], effort) for name in names for effort in efforts
    ]
    coders += commands
    if twice := {coder.name for coder in coders if [other.name for other in coders].count(coder.name) > 1}:
        raise UsageError(f"there are two codecs of the name {sorted(twice)[0]}; rename one")
    wanted = [text.lower() for text in options["only"]]
    coders = [coder for coder in coders if not wanted or any(text in coder.name.lower() for text in wanted)]
    missing = {coder.name: coder.install for coder in commands if coder in coders and coder.missing}
    coders = [coder for coder in coders if coder.name not in missing]
    if not coders:
        how = "; ".join(f"{name}: {install}" for name, install in missing.items())
        raise UsageError(f"no codec is left to measure; {how or 'check what --only says'}")
    return coders, missing


def _refuse_overwriting(path: Path | None, force: bool, else_: str = "") -> None:
    from hac_cli.audio.formats import RECORDINGS

    if path == Path("-"):
        raise UsageError("results and pages are files; --json and --csv give results to standard output")
    if path and path.suffix.lower() in {".hac", *RECORDINGS}:
        raise UsageError("is the name of a recording; name a file such as results.json or page.html", str(path))
    if path and path.exists() and not force:
        raise OutputError(f"exists; {else_}overwrite it with -f, or name another output", str(path))
    if path and not path.parent.is_dir():
        raise OutputError("its folder does not exist; create it first", str(path))


def _show(console: Console, results: Results, options: dict[str, Any]) -> None:
    from hac_cli.cli import bench_tables

    if options["as_json"]:
        for line in results.lines():
            console.show(line)
    elif options["as_csv"]:
        console.show(bench_tables.as_csv(results))
    else:
        bench_tables.show(results, per_clip=options["per_clip"])
        if options["results_path"]:
            console.say(f"results: {options['results_path']}")
        if options["html_path"]:
            console.say(f"page: {options['html_path']}")


def _compare(console: Console, old: Path, new: Path, as_json: bool) -> None:
    import json

    from hac_cli.cli import bench_tables
    from hac_cli.eval import compare, results

    changes = compare.compare(results.read(old), results.read(new))
    if as_json:
        for line in changes.lines():
            console.show(json.dumps(line, ensure_ascii=False))
    else:
        bench_tables.show_changes(changes)
    if changes.regressions:
        console.error(f"{new}: worse than {old} in {count(len(changes.regressions), 'way')}")
        raise click.exceptions.Exit(HacError.exit_code)


@contextlib.contextmanager
def _progress(console: Console, as_json: bool) -> Iterator[Progress]:
    """A bar on a terminal, else nothing."""
    if console.quiet or as_json or sys.stderr is None or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Terminal(stderr=True), transient=True) as bars:
        bars.console.show_cursor(True)  # Ctrl-C ends the process at once, and would leave it hidden
        yield _advance(bars)


def _advance(bars: Any) -> Callable[[str, int, int], None]:
    tasks: dict[str, Any] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what)
        bars.update(tasks[what], completed=done, total=total)

    return advance
