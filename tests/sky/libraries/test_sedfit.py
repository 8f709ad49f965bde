"""The one script that reads pickles reads nothing but arrays and tables."""

import importlib.util
import io
import os
import pickle
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts/sedfit.py"


class Malicious:
    def __reduce__(self):
        return os.system, ("touch /tmp/should-not-exist",)


@pytest.fixture(scope="module")
def sedfit():
    spec = importlib.util.spec_from_file_location("sedfit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("planted", [Malicious(), print, io.BytesIO, {"a": Path("x")}])
def test_nothing_but_data_is_unpickled(sedfit, planted):
    with pytest.raises(pickle.UnpicklingError, match="not on the list"):
        sedfit.Restricted(io.BytesIO(pickle.dumps(planted))).load()


def test_another_archive_is_refused(sedfit, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"other")
    with pytest.raises(SystemExit, match="sha256"):
        sedfit.fetch(tmp_path / "x.tar.gz")
