"""What a returner sends, and that one return that is refused concerns no other."""

import datetime
import json
import logging

import pytest
from salt.exceptions import CommandExecutionError

RETURN = {"id": "hv01.example.com", "jid": "20261121202020202020", "fun": "state.apply", "return": {}, "retcode": 0}


def event(tag="salt/job/20261121202020202020/ret/hv01.example.com", **more):
    return {"tag": tag, "data": dict(RETURN, **more)}


def test_a_run_of_states_is_sent_as_it_is(server, returners, opts, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o600)
    opts["virtapi"]["token_file"] = str(token)
    server.answer = (204, {}, b"")
    returners("returner", dict(RETURN, **{"return": {"when": datetime.date(2026, 11, 21)}}))
    [(path, headers)] = server.requests
    assert path == "/salt/returns"
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer secret", "application/json")
    [body] = server.bodies
    assert json.loads(body) == dict(RETURN, **{"return": {"when": "2026-11-21"}})


@pytest.mark.parametrize("fun", ["test.ping", "cmd.run", "saltutil.sync_all"])
def test_what_is_of_no_states_is_not_sent(server, returners, fun):
    returners("returner", dict(RETURN, fun=fun))
    returners("event_return", [event(fun=fun)])
    assert not server.requests


def test_of_the_bus_only_returns_are_sent_and_each_by_itself(server, returners):
    server.answer = (204, {}, b"")
    others = [event(tag="salt/job/1/new"), event(tag="salt/auth"), {"tag": "minion_start", "data": {}}]
    returners("event_return", others + [event(), event(id="hv02.example.com")])
    assert [json.loads(body)["id"] for body in server.bodies] == ["hv01.example.com", "hv02.example.com"]


@pytest.mark.parametrize("status", [302, 400, 401, 404, 413, 500, 503])
def test_a_refusal_is_an_error_and_concerns_no_other(server, returners, caplog, status):
    server.answer = (status, {"Location": "/elsewhere"}, b"because")
    with pytest.raises(CommandExecutionError, match="HTTP status {}".format(status)):
        returners("returner", RETURN)
    with caplog.at_level(logging.ERROR):
        returners("event_return", [event(), event(id="hv02.example.com")])
    assert len(server.bodies) == 3
    assert "hv01.example.com" in caplog.text and "hv02.example.com" in caplog.text


def test_a_server_that_is_away_is_an_error(server, returners):
    server.stop()
    with pytest.raises(CommandExecutionError, match="/salt/returns"):
        returners("returner", RETURN)
