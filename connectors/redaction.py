"""One-line texts that are safe to log, publish and show: secrets out, control characters out, bounded length."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

#: What stands where a secret stood.
HIDDEN = "[hidden]"

#: Enough for a vendor's sentence and our advice; more would only make a log line unreadable.
LINE_LIMIT = 400

#: Credentials that are not ours to know in advance (tokens in answers) are found by the names around them.
_NAMED = re.compile(
    r"(?i)((?:bearer|basic)\s+|\"?(?:access_token|refresh_token|client_secret|password|apiintegrationcode)\"?\s*[:=]\s*\"?)"
    r"([^\s\"&,;}]{16,})"
)
#: No vendor makes a shorter secret; one that is must not blank out parts of words.
_WHOLE_FROM = 8
_BREAKS = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+|\s{2,}")


class Redactor:
    """Hides the given secrets, also base64- or URL-encoded, and whatever is named like a credential.

    A secret of fewer than eight characters is hidden where it stands alone, not within a word.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in filter(None, secrets):
            raw = secret.encode()
            forms.update((secret, quote(secret, safe=""), quote_plus(secret), base64.b64encode(raw).decode()))
        long = sorted((form for form in forms if len(form) >= _WHOLE_FROM), key=len, reverse=True)
        short = sorted(forms.difference(long), key=len, reverse=True)
        self._forms = long
        self._alone = [re.compile(rf"(?<!\w){re.escape(form)}(?!\w)") for form in short]

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms) + len(self._alone)} forms)"

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        for alone in self._alone:
            text = alone.sub(HIDDEN, text)
        return _NAMED.sub(lambda match: f"{match[1]}{HIDDEN}", text)

    def line(self, text: str, *, limit: int = LINE_LIMIT) -> str:
        """The text without secrets as one line of at most ``limit`` characters."""
        single = _BREAKS.sub(" ", self.text(text)).strip()
        return single if len(single) <= limit else f"{single[: limit - 1]}…"
