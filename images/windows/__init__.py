"""Synthetic Windows guests: disks with what a converter looks at, and nothing of Microsoft's.

`guest.Windows` says what a guest is, `build.build` makes its disk in about half a second, without
root and without an appliance: NTFS by mkntfs and wimlib, FAT by mtools, hives by hivex. That none
of it is the converter's own code is on purpose: what the converter reads and writes is judged by
others.

The hives have the keys, names and types that Windows has, as far as anything here reads them; the
programs are headers, except for two that are really started (`vbr.asm`, `bootmgfw.asm`): they say
that they were, and stop.
"""
