"""The same over a real puppetserver (JRuby) with a real certificate, against a stand-in that wants client certificates
of Puppet's CA, and against the real server. Takes minutes. Needs `scripts/setup-puppet --full` and the program
(VIRTAPI, or target/debug/virtapi)."""
import json
import subprocess
import time
import unittest

import puppet_documents as documents
from puppet_fleet import Fleet, canonical, of_document
from puppet_sandbox import TIMEOUT
from puppet_server import Server
from puppet_stub import ENC, HIERA, Stub, answer, document, raw, slow
from puppet_test import CHANGED, FAILED
from puppetserver_sandbox import SERVER, PuppetserverSandbox


class PuppetserverTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.sandbox = PuppetserverSandbox(documents.CERTNAME)
        cls.addClassCleanup(cls.sandbox.stop)
        cls.sandbox.start()
        cls.stub = Stub(cls.sandbox.tls())
        cls.addClassCleanup(cls.stub.stop)

    def setUp(self):
        self.stub.reset()
        self.sandbox.ask(self.stub.url)

    def assert_applied(self):
        status, said = self.sandbox.agent()
        self.assertEqual(status, CHANGED, said + self.sandbox.log()[-3000:])
        self.assertTrue(self.sandbox.applied.exists())

    def assert_stopped(self, *reasons):
        status, said = self.sandbox.agent()
        self.assertEqual(status, FAILED, said)
        self.assertFalse(self.sandbox.applied.exists(), said)
        for reason in reasons:
            self.assertIn(reason, said)

    def test_the_agent_gets_what_the_server_sent(self):
        self.assert_applied()
        resources = self.sandbox.catalog()
        for name, parameters in documents.classes(documents.hiera()).items():
            title = "::".join(part.capitalize() for part in name.split("::"))
            expected = {key: value for key, value in parameters.items() if value is not None}
            self.assertEqual(canonical(of_document(resources[f"Class[{title}]"]["parameters"])), canonical(expected), name)

    def test_one_question_each_for_a_catalog(self):
        self.assert_applied()
        self.stub.requests.clear()
        self.assert_applied()
        self.assertEqual((self.stub.count(ENC), self.stub.count(HIERA)), (1, 1))

    def test_nothing_is_applied_when_something_is_wrong(self):
        good = documents.safe(documents.hiera()).encode()
        faults = [
            ("unknown node", ENC, answer(404), "knows no such node (404)"),
            ("no classification", ENC, answer(200, b"{}", "application/yaml"), "missing field `classes`"),
            ("forbidden", ENC, answer(403), "403"),
            ("no data", HIERA, answer(404), "404 (unknown node)"),
            ("unauthorized", HIERA, answer(401, good), "401"),
            ("internal error", HIERA, answer(500, good), "500"),
            ("database away", HIERA, answer(503, good, Retry_After="1"), "503"),
            ("login page", HIERA, answer(200, good, "text/html"), "text/html"),
            ("empty", HIERA, answer(200), "is empty"),
            ("null", HIERA, document(None), "not a JSON object"),
            ("no meta", HIERA, document({"virtapi::roles": []}), "no virtapi::meta"),
            ("cut off", HIERA, answer(200, good[:-1]), "not JSON"),
            ("garbage", HIERA, answer(200, b"\x00\xff\xfe" * 50), "virtapi: "),
            ("closed", HIERA, raw(b""), "virtapi: "),
            ("cut connection", HIERA, raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                          b"Content-Length: 99999\r\n\r\n" + good[:100]), "virtapi: "),
            ("slow", HIERA, slow(3 * TIMEOUT), f"no answer within {TIMEOUT} s"),
        ]
        for name, path, fault, reason in faults:
            with self.subTest(name):
                self.stub.reset()
                self.stub.paths[path] = fault
                self.assert_stopped(reason)

    def test_an_outage_stops_runs_even_with_a_copy_of_the_classification(self):
        gone = Stub(self.sandbox.tls())
        self.sandbox.ask(gone.url)
        self.assert_applied()
        gone.stop()
        self.assert_stopped("virtapi: " + gone.url)

    def test_a_certificate_of_somebody_else_is_refused(self):
        self.sandbox.ask(self.stub.url, ca=str(self.sandbox.dir / "other.pem"))
        self.assert_stopped("other.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-days", "2",
                        "-keyout", "/dev/null", "-out", self.sandbox.dir / "other.pem"], check=True,
                       capture_output=True)
        self.assert_stopped("invalid peer certificate")

    def test_the_agent_gets_what_was_posted_to_the_real_server(self):
        server = Server()
        server.start()
        self.addCleanup(server.remove)
        fleet = Fleet(server)
        self.sandbox.ask(server.url, token=server.compiler_token().read_text())
        self.assert_applied()
        fleet.compare(self, self.sandbox.catalog())
        texts = fleet.documents()
        self.assertEqual(canonical(documents.read_as_yaml("jruby", texts)), canonical(list(map(json.loads, texts))))
        server.kill()
        self.assert_stopped("virtapi: " + server.url)

    def test_puppets_certificates_are_identities_until_they_are_revoked(self):
        sandbox, spare = self.sandbox, "hv09.example.com"
        server = Server(sandbox.cert, sandbox.key, sandbox.ca, sandbox.crl)
        server.start()
        self.addCleanup(server.remove)
        fleet = Fleet(server)
        server.post("nodes", fqdn=spare, state="running")
        # Classes and data by the puppetserver's own certificate, without a token: refused until it is a compiler's.
        sandbox.ask(server.url)
        self.assert_stopped("401")
        server.post("compilers", name="puppetserver", certname=SERVER, serves="all")
        self.assert_applied()
        fleet.compare(self, sandbox.catalog())
        server.write("PATCH", "/v1/compilers/puppetserver", {"serves": "filter", "node_filter": f"fqdn={spare}"})
        time.sleep(2)
        self.assert_stopped("knows no such node (404)")
        # The agent's certificate is good for its own document alone.
        own = sandbox.dir / f"agent/ssl/certs/{sandbox.certname}.pem"
        agent = own, sandbox.dir / f"agent/ssl/private_keys/{sandbox.certname}.pem"
        for path, status in ((f"/puppet/enc/{sandbox.certname}", 200), (f"/puppet/hiera/{sandbox.certname}", 200),
                             (f"/puppet/enc/{spare}", 404), ("/v1/nodes", 403)):
            self.assertEqual(server.get_with(*agent, path)[0], status, path)
        # One that the CA revokes is refused when the server has read the list, and the others are not.
        revoked, path = sandbox.issue(spare), f"/puppet/enc/{spare}"
        self.assertEqual(server.get_with(*revoked, path)[0], 200)
        sandbox.authority("revoke", "--certname", spare)
        end = time.monotonic() + 60
        while (answer := server.get_with(*revoked, path))[0] == 200:
            self.assertLess(time.monotonic(), end, "it is still taken")
            time.sleep(0.2)
        self.assertEqual(answer[0], 401)
        self.assertIn("is revoked", answer[2])
        self.assertEqual(server.get_with(*agent, f"/puppet/enc/{sandbox.certname}")[0], 200)


if __name__ == "__main__":
    unittest.main()
