"""Logical volumes that are active, alone (lab_kernel_inside) and with machines on them (lab_kernel_machines), VLANs by the kernel alone,
and the second version of control groups, in a machine of its own whose kernel has all of that."""
import pathlib
import unittest

from lab_kernel import MODULES, machine_run

HERE = pathlib.Path(__file__).resolve().parent
# Far more than it takes, even where much else runs.
PATIENCE = 1800


@unittest.skipUnless(MODULES.exists(), "scripts/setup-lab has a kernel for it on amd64 only")
class KernelTest(unittest.TestCase):
    def run_inside(self, scenario):
        status, said = machine_run(["env", f"--chdir={HERE}", "PYTHONDONTWRITEBYTECODE=1", "python3", "-m", "unittest", "-v",
                                    scenario], PATIENCE)
        self.assertEqual(status, 0, said)

    def test_puppet(self):
        self.run_inside("lab_kernel_inside.PuppetInside")

    def test_salt(self):
        self.run_inside("lab_kernel_inside.SaltInside")

    def test_machines_by_puppet(self):
        self.run_inside("lab_kernel_machines.PuppetInside")

    def test_machines_by_salt(self):
        self.run_inside("lab_kernel_machines.SaltInside")


if __name__ == "__main__":
    unittest.main()
