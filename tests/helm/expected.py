"""What two value sets are rendered to, committed so that a change of the chart is seen in what it makes.

`python -m tests.helm.expected` writes the files anew; read their diff before you commit it.
"""

from pathlib import Path

from tests.helm.chart import HERE, render_texts

SETS = ("minimal", "production")


def golden_file(name: str) -> Path:
    """Where the rendered manifests of a value set are kept."""
    return HERE / "golden" / f"{name}.yaml"


def golden_text(name: str) -> str:
    """The manifests of a value set as Helm 4 writes them, by template, and what it says after an install."""
    parts = []
    for path, text in sorted(render_texts(name).items()):
        body = "\n".join(line.rstrip() for line in text.strip().splitlines())
        if path == "NOTES.txt":
            body = "\n".join(f"# {line}".rstrip() for line in body.splitlines())
        if body:
            parts.append(f"---\n# Source: {path}\n{body}\n")
    return "".join(parts)


if __name__ == "__main__":
    for name in SETS:
        golden_file(name).write_text(golden_text(name))
