"""What goes wrong with DynamoDB, in the gateway's terms."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from gateway.errors import DynamoDBError

RETRYABLE_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionInProgressException",
    }
)


class ConditionFailedError(Exception):
    """A write's condition did not hold; `failed` are the indexes of such writes in a transaction."""

    def __init__(self, failed: Sequence[int] = (0,)) -> None:
        super().__init__(f"the condition of write {', '.join(map(str, failed))} does not hold")
        self.failed = tuple(failed)


class TransactionConflictError(Exception):
    """Another transaction writes one of the same rows at this moment; nothing was written."""


@contextmanager
def translated(operation: str, target: object) -> Iterator[None]:
    """Raise what the SDK raises within the block as an error of the gateway's."""
    try:
        yield
    except ClientError as error:
        raise _from_client_error(error, operation, target) from error
    except (BotoCoreError, OSError, TimeoutError) as error:
        message = f"DynamoDB did not answer {operation} on {target}: {error}"
        raise DynamoDBError(message, retryable=True) from error


def _from_client_error(error: ClientError, operation: str, target: object) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError()
    if code == "TransactionCanceledException":
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
        failed = [index for index, reason in enumerate(reasons) if reason == "ConditionalCheckFailed"]
        if failed:
            return ConditionFailedError(failed)
        if any(reason in {"TransactionConflict", "ThrottlingError"} for reason in reasons):
            return TransactionConflictError()
    if code == "TransactionInProgressException":
        return TransactionConflictError()
    text = error.response.get("Error", {}).get("Message", "")
    return DynamoDBError(
        f"DynamoDB refused {operation} on {target}: {code}: {text}", retryable=code in RETRYABLE_CODES
    )
