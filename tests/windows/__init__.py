"""What a Windows disk has on it, as others read it: nothing here is the converter's own code.

Before and after a conversion can be compared file by file, key by key, byte by byte. Filesystems
are read by dissect, hives by dissect and by python-registry (which must agree), and the partition
table and the boot configuration data by decoders written for the tests.
"""

import pytest

pytest.register_assert_rewrite("tests.windows.comparison", "tests.windows.hives")
