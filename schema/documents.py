"""Documents as they are parsed, measured and validated: once for each text, however often it is sent.

Only valid documents are kept, so that the cache holds what clients work with and not what a scanner sends.
"""

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    SKIP,
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OverlappingFieldsCanBeMergedRule,
    TypeInfo,
    TypeInfoVisitor,
    ValidationContext,
    ValueNode,
    ValuesOfCorrectTypeRule,
    VariableNode,
    Visitor,
    VisitorAction,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.utilities import validate_input_literal
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.errors import (
    BAD_REQUEST,
    GRAPHQL_VALIDATION_FAILED,
    QUERY_TOO_COMPLEX,
    VALIDATION_ERROR,
    coded,
    literal_field,
)
from schema.executor import Plans
from schema.input_lists import ListPath, check_lists, find_lists
from schema.limits import MAX_COST, MAX_TOKENS, OperationMeasure, check_size, measure, too_complex

MAX_CACHED_CHARACTERS = 250_000
"""Of all documents together. A tree takes 100 to 280 bytes a character: 70 MB at worst, a few in practice."""
MAX_VALIDATION_ERRORS = 20
"""Enough to mend a query by; finding more costs time."""
MAX_COMPARISONS = 20_000
"""Steps of the rule that fields of one name agree: quadratic in repetitions, of which real pages have none."""
ABORTED = "Validation aborted."
"""What graphql-core says when those are used up."""


class MergeableFieldsRule(OverlappingFieldsCanBeMergedRule):
    """The rule on fields of one name of the specification, within less: graphql-core's own budget is 3 s."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = MAX_COMPARISONS


class ArgumentValuesRule(ValuesOfCorrectTypeRule):
    """The rule on literals of the specification; its errors are about the caller's values and name the field."""

    def is_valid_value_node(self, node: ValueNode, input_type: GraphQLInputType | None) -> VisitorAction:
        """Check a whole literal, its parts included."""

        def note(error: GraphQLError, path: list[str | int]) -> None:
            field = literal_field(self.context.document, node, path, error.message)
            self.report_error(coded(error, VALIDATION_ERROR, field=field))

        if input_type is not None:
            validate_input_literal(node, input_type, note, None, None, self.context.hide_suggestions)
        return SKIP


_OWN_RULES: dict[type[ASTValidationRule], type[ASTValidationRule]] = {
    OverlappingFieldsCanBeMergedRule: MergeableFieldsRule,
    ValuesOfCorrectTypeRule: ArgumentValuesRule,
}


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document with all that is known of it before it is run."""

    node: DocumentNode
    measures: dict[str | None, OperationMeasure]
    errors: tuple[GraphQLError, ...] = ()
    plans: Plans = field(default_factory=Plans)
    lists: tuple[ListPath, ...] = ()
    """Where in the variables a list may be."""
    mentions: Counter[str] = field(default_factory=Counter)
    """How often each variable is named, where it is defined included."""
    fields: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The names of the fields that are selected on each type, anywhere."""

    def check(
        self, operation_name: str | None, variables: dict[str, Any] | None
    ) -> tuple[list[GraphQLError], int]:
        """Say what forbids to run this operation with these variables, and what it costs."""
        if self.errors:
            return list(self.errors), 0
        if operation_name is None and len(self.measures) > 1:
            return [coded(GraphQLError("operationName has to say which operation to run."), BAD_REQUEST)], 0
        measured = self.measures.get(operation_name or next(iter(self.measures), None))
        if measured is None:
            return [], 0
        too_long = check_lists(self.lists, variables)
        if too_long is not None:
            return [too_long], 0
        cost = measured.cost(variables)
        return ([too_complex("cost", cost, MAX_COST)] if cost > MAX_COST else []), cost


class Documents:
    """The cache of a schema's prepared documents, the least recently used going first."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool) -> None:
        self._schema = schema
        self._suggestions = introspection
        rules: list[type[ASTValidationRule]] = [_OWN_RULES.get(rule, rule) for rule in specified_rules]
        rules += [MaybeNullValidationRule, OneOfInputValidationRule]
        if not introspection:
            rules.append(NoSchemaIntrospectionCustomRule)
        self._rules = tuple(rules)
        self._prepared: OrderedDict[str, PreparedDocument] = OrderedDict()
        self._characters = 0
        self._parsed: tuple[str, DocumentNode] | None = None

    def find(self, text: str) -> PreparedDocument | None:
        """Look a text up that was prepared earlier and is valid."""
        found = self._prepared.get(text)
        if found is not None:
            self._prepared.move_to_end(text)
        return found

    def parsed(self, text: str) -> DocumentNode | None:
        """Find the tree of a valid text, or of the one that was parsed last."""
        if found := self.find(text):
            return found.node
        return self._parsed[1] if self._parsed is not None and self._parsed[0] == text else None

    def parse(self, text: str) -> DocumentNode:
        """Parse a text within the limit of tokens, unless that was done; may raise GraphQLSyntaxError."""
        node = self.parsed(text)
        if node is None:
            node = parse(text, max_tokens=MAX_TOKENS)
            self._parsed = (text, node)
        return node

    def prepare(self, text: str, node: DocumentNode) -> PreparedDocument:
        """Measure and validate a parsed document; what is too large is not looked at further."""
        try:
            measures = measure(self._schema, node)
        except GraphQLError as error:
            return PreparedDocument(node, {}, (error,))
        errors = [error for measured in measures.values() for error in check_size(measured)]
        errors = errors or [
            _coded(error)
            for error in validate(
                self._schema,
                node,
                self._rules,
                max_errors=MAX_VALIDATION_ERRORS,
                hide_suggestions=not self._suggestions,
            )
        ]
        lists = () if errors else find_lists(self._schema, node)
        prepared = PreparedDocument(node, measures, tuple(errors), lists=lists)
        if not errors:
            types = TypeInfo(self._schema)
            visit(node, TypeInfoVisitor(types, _Mentions(prepared, types)))
            self._keep(text, prepared)
        return prepared

    def _keep(self, text: str, prepared: PreparedDocument) -> None:
        replaced = self._prepared.pop(text, None)
        self._characters += 0 if replaced else len(text)
        self._prepared[text] = prepared
        while self._characters > MAX_CACHED_CHARACTERS:
            oldest, _ = self._prepared.popitem(last=False)
            self._characters -= len(oldest)


class _Mentions(Visitor):
    def __init__(self, found: PreparedDocument, types: TypeInfo) -> None:
        super().__init__()
        self._found = found
        self._types = types

    def enter_variable(self, node: VariableNode, *_args: Any) -> None:
        self._found.mentions[node.name.value] += 1

    def enter_field(self, node: FieldNode, *_args: Any) -> None:
        type_ = self._types.get_parent_type()
        if type_ is not None:
            self._found.fields[type_.name].add(node.name.value)


def _coded(error: GraphQLError) -> GraphQLError:
    if error.message == ABORTED:
        message = (
            f"The operation repeats fields too often: comparing them takes more than {MAX_COMPARISONS} steps."
        )
        return coded(GraphQLError(message), QUERY_TOO_COMPLEX)
    return error if error.extensions else coded(error, GRAPHQL_VALIDATION_FAILED)
