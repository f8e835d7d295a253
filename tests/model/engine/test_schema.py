"""The border does not change unnoticed."""

import hashlib

from model.engine import api
from model.engine.schema import SCHEMA_FILE, schema_json

# One line per version that was ever committed. Never edit a line: a changed border is a new version and a new line.
DIGESTS = {
    1: "7843c7e4ad45c7a70ef1609ac155092576f1c35a427566c3fc049529fb11d1fa",
    2: "b84653310c86fc462a9e7ce9a921da61736c483b4eed749d2b058bcc41bfaf66",
    3: "5133f7b8097e6b03d84b3c4e1afae3d4167946d989590f297fe84d8b688c5851",
    4: "7179719eb1e636de8de57f9fee68a86244be14e3467ddf11ec44af8fda388040",
    5: "11cb230285b740afee2aefc39abd7cf2a5676fa126dc27e7d554b310db34ee2c",
    6: "8d77f90e4c32bbf34baa5ee4a6d2f020e81d7a82d83f4d8d0f7040d4fac2b939",
    7: "f6e6e5f3865f2576ec28789a5eb4f85a2ad9a8db38476e63d2ff5f8ed7502a12",
}


def test_the_committed_schema_is_the_one_of_the_structs():
    assert SCHEMA_FILE.read_text("utf-8") == schema_json()


def test_a_changed_border_has_a_new_version():
    digest = hashlib.sha256(schema_json().encode()).hexdigest()
    assert DIGESTS[api.API_VERSION] == digest
    assert max(DIGESTS) == api.API_VERSION
