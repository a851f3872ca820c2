"""All of it together, by Salt."""
import unittest

from lab_salt_whole import SaltLab
from lab_whole_scenario import WholeScenario


class SaltWholeTest(WholeScenario, unittest.TestCase):
    lab_class = SaltLab
    refusals = {"cut_off": "unusable answer", "without_meta": "virtapi.meta is missing", "not_ours": "unusable answer"}


if __name__ == "__main__":
    unittest.main()
