"""`python -m benchmarks [start] [local] [pages] [uploads] [subscriptions]`: a table of each, and all as JSON.

Without names all are run; `--subscribers 1000` has that many instead of 10,000, `--before` the gateway without its
fast paths among the contestants for the pages.
"""

import argparse
import json
from typing import Any

from benchmarks import local, start, uploads
from benchmarks.pages import run as pages
from benchmarks.subscriptions import run as subscriptions

NAMES = ("start", "local", "pages", "uploads", "subscriptions")


def main() -> None:
    """Run those that are named, or all."""
    figures: dict[str, Any] = {}
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="|".join(NAMES))
    parser.add_argument("--subscribers", type=int, default=subscriptions.SUBSCRIBERS)
    parser.add_argument("--before", action="store_true")
    told = parser.parse_args()
    for name in told.names or NAMES:
        match name:
            case "start":
                figures[name] = start.measure()
                for what, value in figures[name].items():
                    print(f"{what:<28}{value:>10.3f}")
            case "local":
                figures[name] = local.measure()
                for what, value in figures[name].items():
                    print(f"{what:<32}{value:>10.1f}")
            case "pages":
                figures[name] = pages.measure(before=told.before)
                pages.print_table(figures[name])
            case "uploads":
                figures[name] = uploads.measure()
                for what, value in figures[name].items():
                    print(f"{what:<28}{value:>10.1f}")
            case "subscriptions":
                figures[name] = subscriptions.measure(told.subscribers)
                subscriptions.print_table(figures[name])
            case _:
                parser.error(f"there is no benchmark {name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
