"""Pure codecs: bytes or text in, values out, and back; none of them opens a file.

What cannot be read raises `FormatError`; who knows which file it was says so to the user.
"""

from __future__ import annotations


class FormatError(ValueError):
    """The data is not what its format says; the message names the place and what was found."""
