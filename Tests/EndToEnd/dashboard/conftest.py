"""One headless Chromium for all tests of the dashboard."""

import pytest

from dashboard.chromium import Chromium


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
