"""`python -m gateway.local.prometheus --fd N --data-dir DIR --target URL`."""

from gateway.local.prometheus.app import create_app
from gateway.local.serving import serve, stand_in_arguments


def main() -> None:
    """Serve until SIGTERM."""
    parser = stand_in_arguments("A stand-in for Prometheus.")
    parser.add_argument("--target", required=True, help="URL of the text exposition, such as …/metrics")
    arguments = parser.parse_args()
    serve(create_app(arguments.data_dir, arguments.target), arguments.fd)


if __name__ == "__main__":
    main()
