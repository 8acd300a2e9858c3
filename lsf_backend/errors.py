# SPDX-License-Identifier: Apache-2.0
"""The one exception that the backend shows to people: a stable code, a sentence, a hint.

Codes are part of the protocol (``error`` events) and of the command line (exit codes).
"""

from __future__ import annotations

# Code -> whether the person can put it right alone (the command line exits with 2, or else 1).
ERROR_CODES: dict[str, bool] = {
    "audio_missing": True,
    "audio_unreadable": True,
    "audio_empty": True,
    "audio_too_short": True,
    "audio_silent": True,
    "range_invalid": True,
    "identity_invalid": True,
    "model_missing": True,
    "model_invalid": True,
    "engine_unavailable": True,
    "request_invalid": True,
    "busy": True,
    "output_unwritable": True,
    "internal": False,
}


class LsfError(Exception):
    """Something a person should read: ``message`` is one sentence, ``hint`` says what to do next.

    ``user_fault`` defaults to what the code usually means; pass it where our own file is at fault.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", *, user_fault: bool | None = None
    ) -> None:
        assert code in ERROR_CODES, code
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.user_fault = ERROR_CODES[code] if user_fault is None else user_fault

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
