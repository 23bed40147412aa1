"""`python -m gateway.local.builder`: the Builder Service stand-in as a process."""

import os
from pathlib import Path

from gateway.local.builder.app import create_app
from gateway.local.builder.config import BuilderConfig, Dialect, Mode
from gateway.local.serving import serve, stand_in_arguments


def main() -> None:
    """Serve until SIGTERM; AWS's region, endpoint and credentials come from the environment."""
    parser = stand_in_arguments("The Builder Service of one machine.")
    parser.add_argument("--registry", type=Path, required=True, help="folder that images are pushed into")
    parser.add_argument("--kubernetes-url", required=True, help="base URL of the Kubernetes API")
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.WASM, help="what is built")
    parser.add_argument("--dialect", type=Dialect, choices=list(Dialect), default=Dialect.RUNNING)
    parser.add_argument("--namespaces", default="default", help="namespaces that exist, comma-separated")
    parser.add_argument("--table", required=True, help="DynamoDB table for the builder's own items")
    parser.add_argument("--bucket", required=True, help="S3 bucket for sources and artifacts")
    parser.add_argument("--step-timeout-s", type=float, default=60, help="seconds for each step of a build")
    arguments = parser.parse_args()
    config = BuilderConfig(
        data_dir=arguments.data_dir,
        registry=arguments.registry,
        kubernetes_url=arguments.kubernetes_url,
        table=arguments.table,
        bucket=arguments.bucket,
        mode=arguments.mode,
        dialect=arguments.dialect,
        namespaces=tuple(arguments.namespaces.split(",")),
        aws_region=os.environ.get("AWS_REGION", "ap-northeast-2"),
        aws_endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
        step_timeout_s=arguments.step_timeout_s,
    )
    serve(create_app(config), arguments.fd)


if __name__ == "__main__":
    main()
