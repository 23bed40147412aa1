"""`python -m tests.docs`: write the tables of docs/reference.md anew."""

from tests.docs.tables import REFERENCE, filled

REFERENCE.write_text(filled(REFERENCE.read_text()))
