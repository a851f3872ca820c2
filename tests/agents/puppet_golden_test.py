"""The golden files of tests/golden: what the Puppet module makes of each document is what every tool has to make of it."""
import json
import subprocess
import unittest
import xml.etree.ElementTree

from puppet_sandbox import ROOT

GOLDEN = ROOT / "tests/golden"


def canonical(text):
    """C14N 2.0, in which neither indentation nor the order of attributes counts."""
    return xml.etree.ElementTree.canonicalize(text, strip_text=True)


class GoldenTest(unittest.TestCase):
    maxDiff = None

    def test_every_document(self):
        cases = sorted(path.parent for path in GOLDEN.glob("*/document.json"))
        self.assertGreater(len(cases), 3)
        for case in cases:
            with self.subTest(case.name):
                made = self.made(case)
                expected = {path.stem: path.read_text(encoding="utf-8") for path in case.glob("*.xml")}
                self.assertEqual(set(made["domains"]), set(expected))
                for domain, text in expected.items():
                    self.assertEqual(canonical(made["domains"][domain]), canonical(text))
                    # This module writes the golden form itself, so that a difference can be read.
                    self.assertEqual(made["domains"][domain], text)
                filters = {path.stem: path.read_text(encoding="utf-8") for path in case.glob("nwfilter/*.xml")}
                self.assertEqual(made["filters"], filters)
                configurations = {path.stem: path.read_text(encoding="utf-8") for path in case.glob("*.config")}
                self.assertEqual(made["containers"], configurations)
                bridges = json.loads((case / "bridges.json").read_text(encoding="utf-8"))
                self.assertEqual(made["bridges"], bridges)
                for name, bridge in bridges.items():
                    names = [name, bridge["tap"], *bridge["cable"], bridge["segment_bridge"], bridge["carrier"]]
                    self.assertLessEqual(max(len(each or "") for each in names), 15, "the kernel allows 15 characters")

    def test_every_removal(self):
        cases = json.loads((GOLDEN / "removals.json").read_text(encoding="utf-8"))
        self.assertGreater(len(cases), 10)
        for case, plan in zip(cases, self.made(GOLDEN / "removals.json"), strict=True):
            with self.subTest(case["about"]):
                self.assertEqual(plan, case["plan"])

    def test_every_refusal_of_a_container(self):
        cases = json.loads((GOLDEN / "containers/refused.json").read_text(encoding="utf-8"))
        for case, reasons in zip(cases, self.made(GOLDEN / "containers/refused.json"), strict=True):
            with self.subTest(case["about"]):
                self.assertEqual(reasons, case["reasons"])

    def test_every_snapshot(self):
        cases = json.loads((GOLDEN / "snapshots/plans.json").read_text(encoding="utf-8"))
        made = self.made(GOLDEN / "snapshots/plans.json")
        self.assertEqual(set(made), set(cases))
        for kind, examples in cases.items():
            for case, plan in zip(examples, made[kind], strict=True):
                with self.subTest(f"{kind}: {case['about']}"):
                    self.assertEqual(plan, case["plan"])

    def test_every_tunnel(self):
        cases = json.loads((GOLDEN / "tunnels.json").read_text(encoding="utf-8"))
        for case, tunnels in zip(cases, self.made(GOLDEN / "tunnels.json"), strict=True):
            with self.subTest(case["about"]):
                self.assertEqual(tunnels, case["tunnels"])
                self.assertLessEqual(max(map(len, tunnels or {"": None})), 15)

    @staticmethod
    def made(case):
        run = subprocess.run(["ruby", ROOT / "tests/agents/puppet_golden.rb", case], capture_output=True,
                             encoding="utf-8", check=False)
        if run.returncode != 0:
            raise AssertionError(run.stderr)
        return json.loads(run.stdout)


if __name__ == "__main__":
    unittest.main()
