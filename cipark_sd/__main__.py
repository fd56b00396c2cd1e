"""``python -m cipark_sd`` is ``cipark``: for a Python whose scripts are not on the path."""

from cipark_sd.commands.cli import main

if __name__ == "__main__":
    main()
