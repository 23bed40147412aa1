"""`python -m benchmarks`: run the benchmarks, print a table, and the same as JSON."""

import json

from benchmarks import start


def main() -> None:
    """Run them all."""
    figures = start.measure()
    for name, value in figures.items():
        print(f"{name:<28}{value:>10.3f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
