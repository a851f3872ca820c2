"""All of it together, by Puppet."""
import unittest

from lab_whole import Lab
from lab_whole_scenario import WholeScenario


class WholeTest(WholeScenario, unittest.TestCase):
    lab_class = Lab
    refusals = {"cut_off": "the answer is not JSON", "without_meta": "the answer has no virtapi::meta", "not_ours": "virtapi enc"}


if __name__ == "__main__":
    unittest.main()
