"""Where the tests' files stand, whichever folder a test is in."""

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SHARED = TESTS / "shared"
CORPUS = TESTS / "corpus"
INJECTION = TESTS / "injection"
FISHERY = SHARED / "fishery"
