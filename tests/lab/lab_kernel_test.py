"""Logical volumes that are active, and VLANs by the kernel alone, in a machine of its own whose kernel has both (lab_kernel_inside)."""
import pathlib
import unittest

from lab_kernel import MODULES, machine_run

HERE = pathlib.Path(__file__).resolve().parent
# Far more than it takes, even where much else runs.
PATIENCE = 1800


@unittest.skipUnless(MODULES.exists(), "scripts/setup-lab has a kernel for it on amd64 only")
class KernelTest(unittest.TestCase):
    def run_inside(self, name):
        status, said = machine_run(["env", f"--chdir={HERE}", "PYTHONDONTWRITEBYTECODE=1", "python3", "-m", "unittest", "-v",
                                    f"lab_kernel_inside.{name}"], PATIENCE)
        self.assertEqual(status, 0, said)

    def test_puppet(self):
        self.run_inside("PuppetInside")

    def test_salt(self):
        self.run_inside("SaltInside")


if __name__ == "__main__":
    unittest.main()
