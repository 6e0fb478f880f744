"""`python -m mirclr`, and what torchrun starts in every process."""

from __future__ import annotations

from mirclr.cli.main import main

if __name__ == "__main__":
    main()
