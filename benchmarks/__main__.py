"""`python -m benchmarks [start] [pages]`: run benchmarks, print a table of each, and all of it as JSON."""

import json
import sys
from typing import Any

from benchmarks import start
from benchmarks.pages import run as pages


def main() -> None:
    """Run those that are named, or all."""
    figures: dict[str, Any] = {}
    for name in sys.argv[1:] or ("start", "pages"):
        match name:
            case "start":
                figures[name] = start.measure()
                for what, value in figures[name].items():
                    print(f"{what:<28}{value:>10.3f}")
            case "pages":
                figures[name] = pages.measure()
                pages.print_table(figures[name])
            case _:
                sys.exit(f"there is no benchmark {name}; there are start and pages")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
