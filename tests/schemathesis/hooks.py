"""What is not asked: an administrator who takes its own token away, or itself, would ask everything else as nobody."""
import schemathesis

# The first user, and the first two tokens: the one that the server made, and the one that is asked with.
KEPT = {"/v1/users/{key}": {"1", "admin"}, "/v1/tokens/{key}": {"1", "2"}, "/v1/tokens/{key}/secret": {"1", "2"}}


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Asks for another object instead, which is not there."""
    key = (case.path_parameters or {}).get("key")
    if case.method not in ("GET", "HEAD") and str(key).split(".")[0] in KEPT.get(case.path, ()):
        case.path_parameters["key"] = "999999"


@schemathesis.hook
def filter_failure(_context, failure, case, response):
    """Leaves out that a method which HTTP does not have yet (QUERY) is answered with 400: Rocket cannot name it, so it
    is refused before there is a route that could say 405."""
    unknown = case.method not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
    return not (unknown and response.status_code == 400 and type(failure).__name__ == "UnsupportedMethodResponse")
