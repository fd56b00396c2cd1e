"""Where the tests' files stand, whichever folder a test is in."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SHARED = TESTS / "shared"
CORPUS = TESTS / "corpus"
INJECTION = TESTS / "injection"
FISHERY = SHARED / "fishery"


def script(path: Path) -> ModuleType:
    """A file outside the packages as a module; others may have its name, and it may import what stands beside it."""
    name = f"{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
