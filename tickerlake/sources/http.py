"""What every vendor reached over HTTP has in common: authorities, a few attempts, and faults told apart.

Proxies and certificate authorities come from HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and
SSL_CERT_FILE.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TypeVar

from curl_cffi.const import CurlECode
from curl_cffi.requests.exceptions import CertificateVerifyError, DNSError, ProxyError, RequestException, Timeout
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from tickerlake.errors import SourceError, Unavailable

ATTEMPTS = 3
"""Attempts per request, if the fault is transient."""
CONNECT_SECONDS = 4.0
ANSWER_SECONDS = 10.0

_PERMANENT = (CurlECode.COULDNT_CONNECT, CurlECode.SSL_CACERT_BADFILE, CurlECode.SSL_CERTPROBLEM)
T = TypeVar("T")


class Transient(Unavailable):
    """A fault that may not recur at the next attempt."""


def authorities() -> str | bool:
    """The file of the trusted authorities, or True for curl's own."""
    # curl_cffi also reads SSL_CERT_FILE, but only when it is imported.
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return next(filter(None, map(os.environ.get, names)), True)


def attempt(request: Callable[[], T], pause: Callable[[float], None]) -> T:
    """What `request` returns, asked `ATTEMPTS` times while it raises Transient; then Unavailable."""
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(initial=1, max=8),
        retry=retry_if_exception_type(Transient),
        sleep=pause,
        reraise=True,
    )
    try:
        return attempts(request)
    except Transient as error:
        raise Unavailable(f"{error} ({ATTEMPTS} attempts); collect again later") from error


def unreachable(vendor: str, error: RequestException, timeout: tuple[float, float]) -> SourceError:
    """The SourceError for a request to `vendor` that got no answer within `timeout`, to connect and to answer."""
    text = re.sub(r"^Failed to perform, curl: \(\d+\) |\.? See https://curl\.se/\S+.*$", "", one_line(str(error)))
    if isinstance(error, Timeout) and text.startswith("Operation timed out"):
        return Transient(f"{vendor} did not answer within {sum(timeout):g} seconds")
    if isinstance(error, Timeout | ProxyError | DNSError | CertificateVerifyError) or error.code in _PERMANENT:
        return Unavailable(f"{vendor} cannot be reached: {text}; check the network, HTTPS_PROXY and REQUESTS_CA_BUNDLE")
    return Transient(f"{vendor} cannot be reached: {text}")


def one_line(text: str) -> str:
    """`text` without line breaks."""
    return " ".join(text.split())
