import numpy as np

from data.agreement import spelt


def test_codes_get_back_the_zeros_that_a_spreadsheet_took():
    codes = {"0633", "1622", "44060401000001", "7"}
    given = np.array(["633", "0633", "1622", "44060401000001", "7", "9", None, ""], object)
    got = ["0633", "0633", "1622", "44060401000001", "7", "9", "", ""]
    assert spelt(given, codes).tolist() == got


def test_a_layer_without_codes_knows_none():
    assert spelt(np.array(["1", None], object), set()).tolist() == ["1", ""]
