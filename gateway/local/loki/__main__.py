"""`python -m gateway.local.loki --fd N --data-dir DIR`."""

from gateway.local.loki.app import create_app
from gateway.local.serving import serve, stand_in_arguments


def main() -> None:
    """Serve until SIGTERM."""
    arguments = stand_in_arguments("A stand-in for Loki.").parse_args()
    serve(create_app(arguments.data_dir), arguments.fd)


if __name__ == "__main__":
    main()
