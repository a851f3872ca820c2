"""The real Puppet against a stand-in for the server: what arrives in the catalog, and that nothing is applied when
something is wrong. Needs the Puppet agent (scripts/setup-puppet) and the program (VIRTAPI, or target/debug/virtapi)."""
import socket
import time
import unittest

import puppet_documents as documents
from puppet_fleet import canonical, of_document
from puppet_sandbox import TIMEOUT, Sandbox
from puppet_stub import ENC, HIERA, Stub, answer, document, raw, slow

# Exit statuses of `puppet apply --detailed-exitcodes`.
CHANGED = 2
FAILED = 1


class PuppetTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.stub = Stub()

    @classmethod
    def tearDownClass(cls):
        cls.stub.stop()

    def setUp(self):
        self.stub.reset()
        self.sandbox = Sandbox(documents.CERTNAME)
        self.addCleanup(self.sandbox.remove)
        self.sandbox.enc(self.stub.url)
        self.hiera(self.stub.url)

    def hiera(self, url, **options):
        level = {"name": "virtapi", "data_hash": "virtapi::data", "uri": url + "/puppet/hiera/%{trusted.certname}",
                 "options": {"timeout": TIMEOUT, **options}}
        self.sandbox.hiera(level)

    def assert_stopped(self, *reasons):
        """The run fails, says why in one line, and applies nothing."""
        status, said = self.sandbox.apply()
        self.assertEqual(status, FAILED, said)
        self.assertFalse(self.sandbox.applied.exists(), said)
        errors = [line for line in said.splitlines() if line.startswith("Error:") and "Facter" not in line]
        for reason in reasons:
            self.assertTrue(any(reason in line for line in errors), f"{reason!r} not in {errors}")

    def test_the_catalog_holds_what_the_server_sent(self):
        names = ", ".join(f"{name} => ${name}" for name in documents.PARAMETERS)
        self.sandbox.site(f"class shown($top_scope) {{}}\nclass {{ shown: top_scope => {{ {names} }} }}")
        resources, catalog = self.sandbox.compile()
        self.assertEqual(catalog["environment"], "production")
        for name, parameters in documents.classes(documents.hiera()).items():
            title = "::".join(part.capitalize() for part in name.split("::"))
            # Puppet leaves null out of a catalog's top level; inside of values it stays.
            expected = {key: value for key, value in parameters.items() if value is not None}
            self.assertEqual(canonical(of_document(resources[f"Class[{title}]"]["parameters"])),
                             canonical(expected), name)
        told = resources[f"Virtapi_document[{self.sandbox.certname}]"]["parameters"]
        self.assertLess(abs(time.time() - told["compiled_at"]), 60, "when it was compiled")
        self.assertEqual(told["max_age"], 86400)
        shown = resources["Class[Shown]"]["parameters"]["top_scope"]
        self.assertEqual(canonical(shown), canonical(documents.PARAMETERS))
        self.assertEqual((self.stub.count(ENC), self.stub.count(HIERA)), (1, 1), "requests for one compilation")

    def test_what_is_in_a_seed_is_in_no_log(self):
        self.sandbox.site("include virtapi::hypervisor\nnotice($virtapi::hypervisor::vms)\nnotice($virtapi::hypervisor::vms.values[0]['seed'])")
        status, said = self.sandbox.apply("--debug")
        self.assertEqual(status, CHANGED, said)
        self.assertIn("vm-7", said)
        kept = [path for path in self.sandbox.dir.glob("var/**/*") if path.is_file() and documents.SECRET.encode() in path.read_bytes()]
        self.assertEqual((documents.SECRET in said, kept), (False, []))

    def test_a_good_run_applies(self):
        self.assertEqual(self.sandbox.apply()[0], CHANGED)
        self.assertTrue(self.sandbox.applied.exists())

    def test_no_catalog_without_hiera_data(self):
        good = documents.safe(documents.hiera()).encode()
        latin = documents.safe(documents.hiera()).encode("utf-16-le")
        faults = {
            "unknown node": (answer(404), "404 (unknown node)"),
            "no content": (answer(204), "204"),
            "unauthorized": (answer(401, good), "401"),
            "forbidden": (answer(403, good), "403"),
            "internal error": (answer(500, good), "500"),
            "database away": (answer(503, good, Retry_After="1"), "503"),
            "unavailable": (answer(503, good), "503"),
            "redirect": (answer(302, b"", Location=self.stub.url + HIERA + "?"), "redirect"),
            "login page": (answer(200, good, "text/html"), "text/html"),
            "no content type": (answer(200, good, None), "content type ''"),
            "empty": (answer(200), "is empty"),
            "null": (document(None), "not a JSON object"),
            "list": (document([]), "not a JSON object"),
            "empty object": (document({}), "no virtapi::meta"),
            "no meta": (document({"virtapi::roles": []}), "no virtapi::meta"),
            "meta null": (document({"virtapi::meta": None}), "no virtapi::meta"),
            "cut off": (answer(200, good[:-1]), "not JSON"),
            "garbage": (answer(200, b"\x00\xff\xfe" * 50), "not UTF-8"),
            "utf-16": (answer(200, latin), ""),
            "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n"), ""),
            "closed": (raw(b""), ""),
            "cut connection": (raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
                                   + good[:100]), ""),
            "slow": (slow(3 * TIMEOUT), f"no answer within {TIMEOUT} s"),
        }
        for name, (fault, reason) in faults.items():
            with self.subTest(name):
                self.stub.reset()
                self.stub.paths[HIERA] = fault
                self.stub.paths[HIERA + "?"] = document(documents.hiera())
                self.assert_stopped(f"virtapi: {self.stub.url}{HIERA}: ", reason)

    def test_no_catalog_without_the_data_of_a_class(self):
        for key in ("virtapi::roles", "virtapi::hypervisor::vms", "virtapi::hypervisor::vg_name",
                    "virtapi::ceph::mon::port"):
            with self.subTest(key):
                data = documents.hiera()
                del data[key]
                self.stub.paths[HIERA] = document(documents.escape_interpolation(data))
                self.assert_stopped(f"'{key.rpartition('::')[2]}'")

    def test_no_catalog_without_classification(self):
        enc = documents.safe(documents.enc()).encode()
        faults = {
            "unknown node": (answer(404), "knows no such node (404)"),
            "forbidden": (answer(403, enc), "403 Forbidden"),
            "internal error": (answer(500, enc), "500 Internal Server Error"),
            "redirect": (answer(302, b"", Location=self.stub.url + ENC), "302 Found"),
            "garbage": (answer(200, b"\x00\xff\xfe"), "not UTF-8"),
            "empty": (answer(200, b"", "application/yaml"), "is empty"),
            "no classes": (document({"parameters": {}}), "missing field `classes`"),
            "cut off": (answer(200, enc[:-1]), "no ENC document"),
            "slow": (slow(3 * TIMEOUT), f"did not answer within {TIMEOUT} s"),
        }
        for name, (fault, reason) in faults.items():
            with self.subTest(name):
                self.stub.reset()
                self.stub.paths[ENC] = fault
                self.assert_stopped(reason)

    def test_an_outage_stops_runs_even_with_a_copy_of_the_classification(self):
        gone = Stub()
        self.sandbox.enc(gone.url)
        self.hiera(gone.url)
        self.assertEqual(self.sandbox.apply()[0], CHANGED)
        gone.stop()
        self.assert_stopped("virtapi: " + gone.url)
        # Where only the classes come from here, the copy carries the run.
        self.hiera(self.stub.url)
        self.assertEqual(self.sandbox.apply()[0], CHANGED)

    def test_a_refused_connection_stops_the_run(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = "http://127.0.0.1:%d" % free.getsockname()[1]
        self.hiera(url)
        self.assert_stopped("virtapi: " + url)
        self.sandbox.enc(url)
        self.assert_stopped("Connection refused")

    def test_headers_and_token(self):
        token = self.sandbox.dir / "token"
        token.write_text("s3cret\n", encoding="utf-8")
        self.hiera(self.stub.url, token_file=str(token), headers={"X-Rack": "12"})
        self.sandbox.compile()
        headers = next(headers for path, headers in self.stub.requests if path == HIERA)
        self.assertEqual((headers["Authorization"], headers["X-Rack"], headers["Accept"]),
                         ("Bearer s3cret", "12", "application/json"))
        token.write_text("\n", encoding="utf-8")
        self.assert_stopped("is empty")
        token.unlink()
        self.assert_stopped("No such file")

    def test_wrong_options_are_named(self):
        self.hiera(self.stub.url, timout=3)
        self.assert_stopped("timout")
        self.hiera(self.stub.url, timeout=0)
        self.assert_stopped("must be positive")

    def test_the_environment_can_be_left_to_the_agent(self):
        enc = {**documents.enc(), "environment": "nonexistent"}
        self.stub.paths[ENC] = document(enc, "application/yaml")
        self.assert_stopped("nonexistent")
        self.sandbox.enc(self.stub.url, "--no-environment")
        self.assertEqual(self.sandbox.apply()[0], CHANGED)


if __name__ == "__main__":
    unittest.main()
