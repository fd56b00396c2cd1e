"""Fuzz the readers of .mdl, XMILE, TOML, CSV, units and checks for a bounded time; what is no error of ours is kept.

With atheris installed (``pip install atheris``; it is no dependency) libFuzzer looks for inputs that reach new lines of
this package. Without it inputs are mutated blindly. The seeds are the cases of tests/shared/hostile_corpus.py. Of each
place in the code that raises, the first input is written to the folder of findings, with the traceback beside it; it
becomes a case of the corpus once it is mended.

    python tools/fuzz_readers.py --seconds 600 --findings findings
"""

import hashlib
import random
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "shared"))
#: Bytes of an input, seconds and MiB that one may take.
LONGEST, SLOW, MEMORY = 4096, 10, 2048
#: What a blind mutation puts in.
TOKENS = (b"(", b")", b"\n", b"~", b"|", b"[", b"]", b"\0", b"1e999", b'"', b"<", b"&")


class Fuzzer:
    """Readers, and what they did that they should not."""

    def __init__(self, findings: Path) -> None:
        from hostile_corpus import _READERS, good_model

        self.findings = findings
        self.readers = tuple(sorted(_READERS))
        self.folder = Path(tempfile.mkdtemp(prefix="cipark-fuzz-"))
        self.model = good_model(self.folder)
        self.count = 0
        self.places: set[str] = set()

    def __call__(self, data: bytes) -> None:
        """Give an input, whose first byte chooses the reader, to that reader."""
        from hostile_corpus import Case, said

        if not data:
            return
        self.count += 1
        case = Case("fuzz", self.readers[data[0] % len(self.readers)], data[1:])
        start = time.process_time()
        try:
            said(case, self.folder, self.model)
        except UnicodeDecodeError:
            # expressions and units are texts: their caller has decoded them
            if case.reader not in ("expression", "units"):
                self.keep(case.reader, data, traceback.format_exc())
        except Exception:
            self.keep(case.reader, data, traceback.format_exc())
        if time.process_time() - start > SLOW:
            self.keep(case.reader, data, f"slower than {SLOW} s")

    def keep(self, reader: str, data: bytes, text: str) -> None:
        """Write the first input of each place."""
        lines = [line.strip() for line in text.splitlines() if line.strip().startswith("File ")]
        place = f"{reader} {lines[-1] if lines else text} {text.splitlines()[-1][:60]}"
        if place in self.places:
            return
        self.places.add(place)
        self.findings.mkdir(parents=True, exist_ok=True)
        name = f"{reader}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        (self.findings / name).write_bytes(data[1:])
        (self.findings / f"{name}.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
        click.echo(f"found: {place}", err=True)

    def seeds(self) -> list[bytes]:
        """The cases of the corpus that are short."""
        from hostile_corpus import GOOD, Case, cases

        good = [Case("good", reader, text.encode()) for reader, text in GOOD.items()]
        return [
            bytes([self.readers.index(case.reader)]) + case.content
            for case in (*good, *cases())
            if len(case.content) < LONGEST
        ]


def blindly(fuzzer: Fuzzer, seconds: float, seed: int) -> None:
    """Mutate seeds at random: bytes, runs of bytes, pieces of other seeds."""
    rng = random.Random(seed)
    seeds = fuzzer.seeds()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at = rng.randint(1, max(1, len(data)))
            match rng.randint(0, 4):
                case 0:
                    data[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    del data[at : at + rng.randint(1, 30)]
                case 2:
                    data[at:at] = data[at : at + rng.randint(1, 60)]
                case 3:
                    donor = rng.choice(seeds)
                    start = rng.randrange(len(donor))
                    data[at:at] = donor[start : start + rng.randint(1, 60)]
                case _:
                    data[at:at] = rng.choice(
                        (b"(", b")", b"\n", b"~", b"|", b"[", b"]", b"\0", b"1e999", b'"', b"<", b"&")
                    )
        fuzzer(bytes(data[:LONGEST]))


def guided(findings: Path, seconds: float, seed: int) -> None:
    """Let libFuzzer look for new lines."""
    import atheris

    with atheris.instrument_imports(include=["cipark_sd"], enable_loader_override=False):
        import cipark_sd.checks.file
        import cipark_sd.ensembles
        import cipark_sd.frontends.changes_files
        import cipark_sd.frontends.model_file
        import cipark_sd.plotting.observed
        import cipark_sd.runs.design  # noqa: F401
    fuzzer = Fuzzer(findings)
    corpus = fuzzer.folder / "seeds"
    corpus.mkdir()
    for number, data in enumerate(fuzzer.seeds()):
        (corpus / str(number)).write_bytes(data)
    flags = [f"-max_total_time={seconds:.0f}", f"-max_len={LONGEST}", f"-seed={seed}", f"-rss_limit_mb={MEMORY}"]
    atheris.Setup(
        [sys.argv[0], *flags, f"-timeout={SLOW * 6}", "-verbosity=0", "-print_final_stats=1", str(corpus)], fuzzer
    )
    # it ends the process
    atheris.Fuzz()


@click.command(help=__doc__)
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--findings", default="findings", show_default=True, type=click.Path(path_type=Path))
@click.option("--blind", is_flag=True, help="Without atheris, even where it is installed.")
def main(seconds: float, seed: int, findings: Path, blind: bool) -> None:
    warnings.simplefilter("ignore")
    import importlib.util

    findings = findings.resolve()
    if not blind and importlib.util.find_spec("atheris"):
        guided(findings, seconds, seed)
    fuzzer = Fuzzer(findings)
    blindly(fuzzer, seconds, seed)
    click.echo(f"{fuzzer.count:,} inputs, {len(fuzzer.places)} findings")
    sys.exit(bool(fuzzer.places))


if __name__ == "__main__":
    main()
