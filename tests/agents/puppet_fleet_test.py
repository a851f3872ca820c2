"""The real Puppet against the real server: what is posted over HTTP is what the catalog holds, and when the server or
its database dies, or the node is gone, nothing is applied."""
import base64
import json
import socket
import unittest

from puppet_documents import CERTNAME, read_as_yaml
from puppet_fleet import PARAMETERS, Fleet, canonical
from puppet_sandbox import TIMEOUT, Sandbox
from puppet_server import Server
from puppet_test import CHANGED, FAILED

# Some resources, as --detailed-exitcodes tells it.
FAILED_IN_PART = 4


class FleetTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.addClassCleanup(cls.server.remove)
        cls.fleet = Fleet(cls.server)
        cls.token = cls.server.compiler_token()

    def setUp(self):
        self.sandbox = Sandbox(CERTNAME)
        self.addCleanup(self.sandbox.remove)
        self.sandbox.enc(self.server.url, "--token-file", str(self.token))
        self.sandbox.hiera({"name": "virtapi", "data_hash": "virtapi::data",
                            "options": {"timeout": TIMEOUT, "token_file": str(self.token)},
                            "uri": self.server.url + "/puppet/hiera/%{trusted.certname}"})

    def assert_stopped(self, *reasons):
        status, said = self.sandbox.apply()
        self.assertEqual(status, FAILED, said)
        self.assertFalse(self.sandbox.applied.exists(), said)
        for reason in reasons:
            self.assertIn(reason, said)

    def assert_applied(self):
        status, said = self.sandbox.apply()
        self.assertEqual(status, CHANGED, said)

    def test_the_catalog_holds_what_was_posted(self):
        names = ", ".join(f"{name} => ${name}" for name in PARAMETERS)
        self.sandbox.site(f"class shown($top_scope) {{}}\nclass {{ shown: top_scope => {{ {names} }} }}")
        resources, catalog = self.sandbox.compile()
        self.assertEqual(catalog["environment"], "production")
        self.fleet.compare(self, resources)
        shown = resources["Class[Shown]"]["parameters"]["top_scope"]
        self.assertEqual(canonical(shown), canonical(PARAMETERS))

    def test_psych_reads_the_documents_as_json_readers_do(self):
        texts = self.fleet.documents()
        self.assertEqual(canonical(read_as_yaml("ruby", texts)), canonical(list(map(json.loads, texts))))

    def test_a_key_is_as_long_as_psych_reads_it(self):
        node = {"fqdn": "hv09.example.com", "state": "running"}
        # Escaped, each character is six, and a YAML key has at most 1024.
        for name in ("a" * 1000, "\u0085" * 170):
            self.server.write("PUT", "/v1/nodes/hv09.example.com", {**node, "parameters": {"a": {name: 1}}})
            text = self.server.get("/puppet/enc/hv09.example.com")[2]
            self.assertEqual(read_as_yaml("ruby", [text]), [json.loads(text)])
        for name in ("a" * 1030, "\u0085" * 171, "<<"):
            with self.assertRaisesRegex(AssertionError, "422"):
                self.server.post("nodes", **node, parameters={"a": {name: 1}})

    def test_what_puppet_would_not_take_as_a_parameter_is_refused(self):
        for name in ("facts", "trusted", "server_facts", "name", "title", "module_name", "clientcert", "environment",
                     "roles", "", "1a", "a-b", "a::b", "A", "ä"):
            with self.assertRaisesRegex(AssertionError, "422", msg=name):
                self.server.post("nodes", fqdn="hv09.example.com", state="running", parameters={name: 1})

    def test_hiera_http_gets_what_it_needs(self):
        # As hiera_http 3.4.0 with lookup_http 1.0 sends it, with the options `headers: {Accept: application/json}`,
        # `auth_user` and `auth_pass`.
        password = base64.b64encode(b"hiera:" + self.token.read_bytes()).decode()

        def ask(path):
            request = (f"GET {path} HTTP/1.1\r\nAccept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\n"
                       f"Authorization: Basic {password}\r\nAccept: */*\r\nAccept: application/json\r\nUser-Agent: Ruby\r\nConnection: close\r\n"
                       f"Host: {self.server.url.removeprefix('http://')}\r\n\r\n")
            host, port = self.server.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), 10) as connection:
                connection.sendall(request.encode())
                answer = connection.makefile("rb").read()
            head, _, body = answer.partition(b"\r\n\r\n")
            return int(head.split()[1]), head.decode().lower(), body

        status, head, body = ask(f"/puppet/hiera/{CERTNAME}?role=hypervisor")
        self.assertEqual(status, 200, body)
        self.assertIn("content-type: application/json", head)
        self.assertNotIn("transfer-encoding", head)
        data = json.loads(body)
        self.assertTrue(all(key.startswith("virtapi::") for key in data), data.keys())
        self.assertEqual(ask(f"/puppet/hiera/{CERTNAME}/virtapi::hypervisor::cores")[::2], (200, b"16"))
        for path, expected in ((f"/puppet/hiera/{CERTNAME}/lookup_options", 404), (f"/puppet/hiera/{CERTNAME}/x", 404),
                               ("/puppet/hiera/unknown.example.com", 404), ("/puppet/hiera/", 400),
                               ("/puppet/hiera//virtapi::roles", 400)):
            status, head, body = ask(path)
            self.assertEqual(status, expected, path)
            self.assertNotIn("location:", head)

    def test_each_run_is_reported(self):
        secret = self.token.read_text(encoding="ascii").strip()
        self.sandbox.report(self.server.url.replace("://", f"://any:{secret}@") + "/puppet/reports")
        self.assert_applied()
        self.sandbox.site("exec { '/bin/false': }")
        status, said = self.sandbox.apply()
        self.assertEqual(status, CHANGED + FAILED_IN_PART, said)
        # A report that is not taken fails no run, so it is seen here only.
        runs = json.loads(self.server.get(f"/v1/runs?node={CERTNAME}&sort=id")[2])["items"]
        self.assertEqual([(run["status"], run["failed"]) for run in runs], [("changed", 0), ("failed", 1)], runs)
        self.assertTrue(any("'/bin/false' returned 1" in message["message"] for message in runs[1]["messages"]), runs)

    def test_a_node_that_has_applied_its_document_is_in_sync(self):
        secret = self.token.read_text(encoding="ascii").strip()
        self.sandbox.report(self.server.url.replace("://", f"://any:{secret}@") + "/puppet/reports")
        # One without roles: a sandbox converges no machines.
        self.sandbox.certname = "st09.example.com"
        self.server.post("nodes", fqdn="st09.example.com", state="running")

        def status():
            node = json.loads(self.server.get("/v1/nodes/st09.example.com")[2])
            return node["status"], node["applied_generation"] == node["desired_generation"]

        self.assertEqual(status(), ("unmanaged", False))
        self.assert_applied()
        self.assertEqual(status(), ("in_sync", True))
        self.server.write("PATCH", "/v1/nodes/st09.example.com", {"location": "rack 9"})
        self.assertEqual(status(), ("pending", False))
        self.assert_applied()
        self.assertEqual(status(), ("in_sync", True))

    def test_an_unknown_node_stops_the_run(self):
        self.sandbox.certname = "hv02.example.com"
        self.assert_stopped("knows no such node (404)")
        self.server.post("nodes", fqdn="hv02.example.com", state="running")
        self.assert_applied()
        self.server.write("DELETE", "/v1/nodes/hv02.example.com")
        self.assert_stopped("knows no such node (404)")

    def test_a_dead_server_stops_runs_until_it_is_back(self):
        self.assert_applied()
        self.server.kill()
        try:
            self.assert_stopped(f"virtapi: {self.server.url}")
        finally:
            self.server.start()
        self.assert_applied()

    def test_a_dead_database_stops_runs(self):
        self.assert_applied()
        postgres = self.server.kill_postgres()
        try:
            self.assert_stopped("the server answered 429 or 503")
        finally:
            self.server.kill()
            self.server.wait_for_end(postgres)
            self.server.start()
        self.assert_applied()


if __name__ == "__main__":
    unittest.main()
