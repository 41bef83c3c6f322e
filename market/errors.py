"""One small tree of errors. Every message says what was expected, what came and what to do.

    HireGraphError
    └── UserError (also ValueError)     the caller can mend it: CLI exit 2, HTTP 4xx
        ├── DataError                   a table, file or row is not what it has to be      422
        ├── ConfigError                 a setting is out of range or contradicts another    422
        ├── MoneyError                  an amount can not be represented exactly            422
        ├── ArtefactError               an artefact is missing, damaged or of another format
        ├── IndexInputError             a vector, id, term or k the index refuses           422
        ├── PlanError                   a planning problem with impossible numbers          422
        ├── NotFoundError               no such object (or not yours)                       404
        ├── AuthError                   no key, or a key that may not do this           401/403
        └── ConflictError               the object's state forbids this                     409

Anything else that escapes is a failure of ours: CLI exit 1, HTTP 500.
"""

from __future__ import annotations


class HireGraphError(Exception):
    """Root of everything this project raises on purpose."""

    code = "error"


class UserError(HireGraphError, ValueError):
    """Something the caller can mend. The message is one line, fit to be shown as it is."""

    code = "bad_request"
    status = 422


class DataError(UserError):
    """A table or file is not what it has to be.

    table names it, row is the 0-based row of the first offence (None: the whole table), remedy says what to do.
    """

    code = "bad_data"

    def __init__(self, table: str, problem: str, remedy: str, row: int | None = None) -> None:
        self.table, self.problem, self.remedy, self.row = table, problem, remedy, row
        where = table if row is None else f"{table}, row {row}"
        super().__init__(f"{where}: {problem}. {remedy}")


class ConfigError(UserError):
    code = "bad_setting"


class MoneyError(UserError):
    code = "bad_money"


class ArtefactError(UserError):
    code = "bad_artefact"


class IndexInputError(UserError):
    code = "bad_index_input"


class PlanError(UserError):
    code = "bad_plan"


class NotFoundError(UserError):
    code = "not_found"
    status = 404


class AuthError(UserError):
    code = "not_authorised"
    status = 401


class ConflictError(UserError):
    code = "conflict"
    status = 409
