"""What goes wrong with DynamoDB, in the gateway's terms."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from gateway.errors import DynamoDBError

logger = logging.getLogger(__name__)

RETRYABLE_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionInProgressException",
        "TransactionConflictException",
    }
)
RETRYABLE_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Of a transaction's cancellation, where no condition of it failed."""


class ConditionFailedError(Exception):
    """A write's condition did not hold; `failed` are the indexes of such writes in a transaction."""

    def __init__(self, failed: Sequence[int] = (0,)) -> None:
        super().__init__(f"the condition of write {', '.join(map(str, failed))} does not hold")
        self.failed = tuple(failed)


class RowsBusyError(Exception):
    """Another transaction writes one of the same rows at this moment, or too many do; nothing was written."""


@contextmanager
def translated(operation: str, target: object) -> Iterator[None]:
    """Raise what the SDK raises within the block as an error of the gateway's."""
    try:
        yield
    except ClientError as error:
        raise _from_client_error(error, operation, target) from error
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as error:
        logger.warning("DynamoDB did not answer %s on %s: %r", operation, target, error)
        raise DynamoDBError(f"DynamoDB did not answer {operation} on {target}.", retryable=True) from error


def _from_client_error(error: ClientError, operation: str, target: object) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError()
    if code == "TransactionCanceledException":
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
        failed = [index for index, reason in enumerate(reasons) if reason == "ConditionalCheckFailed"]
        if failed:
            return ConditionFailedError(failed)
        if RETRYABLE_REASONS.intersection(reasons):
            return RowsBusyError()
    if code in {"TransactionInProgressException", "TransactionConflictException"}:
        return RowsBusyError()
    # AWS's own words may name accounts and roles: they are for the operator, not for the caller.
    logger.warning("DynamoDB refused %s on %s: %s", operation, target, error)
    return DynamoDBError(f"DynamoDB refused {operation} on {target}: {code}", retryable=code in RETRYABLE_CODES)
