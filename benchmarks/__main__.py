"""`python -m benchmarks [start] [pages] [uploads]`: run benchmarks; a table of each, and all as JSON."""

import json
import sys
from typing import Any

from benchmarks import start, uploads
from benchmarks.pages import run as pages


def main() -> None:
    """Run those that are named, or all."""
    figures: dict[str, Any] = {}
    for name in sys.argv[1:] or ("start", "pages", "uploads"):
        match name:
            case "start":
                figures[name] = start.measure()
                for what, value in figures[name].items():
                    print(f"{what:<28}{value:>10.3f}")
            case "pages":
                figures[name] = pages.measure()
                pages.print_table(figures[name])
            case "uploads":
                figures[name] = uploads.measure()
                for what, value in figures[name].items():
                    print(f"{what:<28}{value:>10.1f}")
            case _:
                sys.exit(f"there is no benchmark {name}; there are start, pages and uploads")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
