"""What a Windows guest does by itself when it first starts: pure generators of what is put there.

`items` says what is to be done, `script` writes the one script that does it, and `trigger` the
files and registry values by which Windows starts that script. Nothing here sees a guest.
"""
