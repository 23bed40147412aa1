"""The errors of the gateway, one tree; the schema and the web routes translate them once, at the edge.

GatewayError                        INTERNAL_SERVER_ERROR
├── InvalidInputError               VALIDATION_ERROR
│   └── PlaceTakenError             VALIDATION_ERROR
├── NotFoundError                   NOT_FOUND
├── ConflictError                   CONFLICT
├── NotDeployedError                NOT_DEPLOYED
├── FunctionDisabledError           FUNCTION_DISABLED
├── PayloadTooLargeError            PAYLOAD_TOO_LARGE
├── OperationTimeoutError           TIMEOUT
└── UpstreamError
    ├── DynamoDBError               DYNAMODB_ERROR
    │   └── TableNotReadyError      DYNAMODB_ERROR
    ├── S3Error                     S3_ERROR
    ├── KubernetesError             KUBERNETES_ERROR
    ├── BuilderError                BUILDER_ERROR
    │   ├── BuilderBusyError        BUILDER_ERROR
    │   └── BuilderConnectionError  BUILDER_CONNECTION_ERROR
    ├── LokiError                   LOKI_ERROR
    │   └── LokiConnectionError     LOKI_CONNECTION_ERROR
    └── PrometheusError             PROMETHEUS_ERROR
        └── PrometheusConnectionError  PROMETHEUS_CONNECTION_ERROR

A message names system, operation and key, and never a secret: it is shown to the caller as it is.
"""

from typing import Any, ClassVar


class GatewayError(Exception):
    """What the gateway can say about a failure; its message is meant for the caller."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    retryable: bool = False
    upstream: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        details: dict[str, Any] | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.details = details
        if retryable is not None:
            self.retryable = retryable

    @property
    def extensions(self) -> dict[str, Any]:
        """The GraphQL error's `extensions`: code always, the rest where it is known."""
        known: dict[str, Any] = {"code": self.code, "retryable": self.retryable}
        if self.field is not None:
            known["field"] = self.field
        if self.upstream is not None:
            known["upstream"] = self.upstream
        if self.details is not None:
            known["details"] = self.details
        return known


class InvalidInputError(GatewayError):
    """The caller sent a value that can't be accepted; `field` is its path below `input`."""

    code = "VALIDATION_ERROR"


class PlaceTakenError(InvalidInputError):
    """A function would be deployed as the SpinApp of another, which `details` names."""


class NotFoundError(GatewayError):
    """What was asked for does not exist."""

    code = "NOT_FOUND"


class ConflictError(GatewayError):
    """The state of the object forbids the operation; `details` names what stands in the way."""

    code = "CONFLICT"


class NotDeployedError(GatewayError):
    """The function was never deployed, so that there is nothing to call."""

    code = "NOT_DEPLOYED"


class FunctionDisabledError(GatewayError):
    """The function is DISABLED and accepts no invocation."""

    code = "FUNCTION_DISABLED"


class PayloadTooLargeError(GatewayError):
    """A body, file or source is larger than the setting that bounds it."""

    code = "PAYLOAD_TOO_LARGE"


class OperationTimeoutError(GatewayError):
    """The whole operation took longer than it may."""

    code = "TIMEOUT"
    retryable = True


class UpstreamError(GatewayError):
    """A system behind the gateway answered with an error, or not at all."""


class DynamoDBError(UpstreamError):
    """DynamoDB refused or could not be reached."""

    code = "DYNAMODB_ERROR"
    upstream = "dynamodb"


class TableNotReadyError(DynamoDBError):
    """The table is not what the gateway needs; the message says what to do."""


class S3Error(UpstreamError):
    """S3 refused or could not be reached."""

    code = "S3_ERROR"
    upstream = "s3"


class KubernetesError(UpstreamError):
    """The Kubernetes API refused or could not be reached."""

    code = "KUBERNETES_ERROR"
    upstream = "kubernetes"


class BuilderError(UpstreamError):
    """The Builder Service answered with an error."""

    code = "BUILDER_ERROR"
    upstream = "builder"


class BuilderBusyError(BuilderError):
    """The Builder Service takes nothing at this moment: what it was sent, it has surely not accepted."""

    retryable = True


class BuilderConnectionError(BuilderError):
    """The Builder Service did not answer."""

    code = "BUILDER_CONNECTION_ERROR"
    retryable = True


class LokiError(UpstreamError):
    """Loki answered with an error."""

    code = "LOKI_ERROR"
    upstream = "loki"


class LokiConnectionError(LokiError):
    """Loki did not answer."""

    code = "LOKI_CONNECTION_ERROR"
    retryable = True


class PrometheusError(UpstreamError):
    """Prometheus answered with an error."""

    code = "PROMETHEUS_ERROR"
    upstream = "prometheus"


class PrometheusConnectionError(PrometheusError):
    """Prometheus did not answer."""

    code = "PROMETHEUS_CONNECTION_ERROR"
    retryable = True
