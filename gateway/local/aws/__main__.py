"""`python -m gateway.local.aws --fd N --data-dir DIR`: serve DynamoDB and S3 until SIGTERM."""

import signal
import sys

from gateway.local.aws.server import serve_aws
from gateway.local.aws.store import StoreError
from gateway.local.serving import stand_in_arguments


def main() -> None:
    """Serve until SIGTERM; what stands in the way is one line on stderr and exit code 1."""
    args = stand_in_arguments("DynamoDB and S3 stand-in (moto), kept in --data-dir").parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve_aws(args.fd, args.data_dir)
    except StoreError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
