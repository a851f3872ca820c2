"""From which golden image a raw volume is made, and from which it is not; the copy itself is the lab's to try."""

import hashlib
import struct

import pytest
from salt.exceptions import CommandExecutionError
from virtapi_golden_image import GoldenImage

CONTENTS = b"x" * 600


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "golden"
    path.write_bytes(CONTENTS)

    def of(kind="raw", checksum=None, place=path):
        return GoldenImage({"path": "/srv/vol-1.raw", "backing": {"path": str(place), "format": kind, "checksum": checksum}})

    of.path = path
    return of


def refused(what):
    with pytest.raises(CommandExecutionError) as error:
        what()
    return str(error.value)


def test_one_that_is_here_and_no_larger_is_taken(image):
    image().check(600)
    image().check_contents()
    image.path.write_bytes(b"QFI\xfb" + struct.pack(">IQIIQ", 3, 0, 0, 16, 700))
    image("qcow2").check(700)


def test_one_that_is_not_here_too_large_or_of_another_format_is_an_error(image):
    here = "/srv/vol-1.raw: the golden image {}".format(image.path)
    assert refused(lambda: image(place=str(image.path) + "x").check(600)) == here + "x is not here"
    assert refused(lambda: image().check(599)) == here + " has 600 bytes, the volume only 599"
    assert refused(lambda: image("qcow2").check(600)) == here + " is no qcow2"


@pytest.mark.parametrize("kind", ["sha256", "sha512"])
def test_the_checksum_is_that_of_the_file(image, kind):
    right = "{}:{}".format(kind, hashlib.new(kind, CONTENTS).hexdigest())
    image(checksum=right).check_contents()
    message = refused(image(checksum="{}:{}".format(kind, "0" * 64)).check_contents)
    assert message == "/srv/vol-1.raw: the golden image {} is another one: its checksum is {}".format(image.path, right)
