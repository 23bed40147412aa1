"""`python -m tests.docs`: write the tables of docs/reference.md and the README anew."""

from tests.docs.tables import README, REFERENCE, TABLES_OF_README, filled

REFERENCE.write_text(filled(REFERENCE.read_text()))
README.write_text(filled(README.read_text(), TABLES_OF_README))
