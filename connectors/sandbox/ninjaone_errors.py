"""How the simulated NinjaOne API says no (reference sections 2.3 and 5.6)."""

from __future__ import annotations

from http import HTTPStatus

from connectors.sandbox.answers import Answer, json_answer


class ApiError(Exception):
    """A handler's refusal: becomes an application error body with ``status``."""

    def __init__(self, status: int, message: str, result_code: str = "FAILURE") -> None:
        super().__init__(message)
        self.status = status
        self.result_code = result_code


def application_error(status: int, incident: str, message: str | None = None, result_code: str = "FAILURE") -> Answer:
    """The error body of the application layer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    return json_answer(
        {
            "resultCode": result_code,
            "errorMessage": message or f"HTTP {status} {phrase}",
            "incidentId": incident,
        },
        status,
    )
