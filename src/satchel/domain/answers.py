"""What became of a request to an address that somebody typed, in words. Pure."""

SILENT = {
    "ClientConnectorDNSError": "its name does not resolve",
    "ClientConnectorError": "nobody listens there",
    "ClientConnectorCertificateError": "its certificate is not trusted",
    "ServerDisconnectedError": "it hung up without an answer",
    "TimeoutError": "it does not answer in time",
    "ServerTimeoutError": "it does not answer in time",
    "ConnectionTimeoutError": "it cannot be reached in time",
}


def in_words(result: str) -> str:
    """`result`: an HTTP status, or the name of what went wrong."""
    return f"answered {result}" if result.isdigit() else SILENT.get(result, f"it does not answer as it should, {result}")
