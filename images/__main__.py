"""`python -m images build NAME…`: build guests, or find them in the cache; print their disks."""

from __future__ import annotations

import sys

from images.cache import image


def main(arguments: list[str]) -> int:
    """Run a command; 2 when it is none."""
    match arguments:
        case ["build", *names] if names:
            for name in names:
                print(*image(name).disks, sep="\n")
        case ["demo"]:
            from images import demo

            return demo.main()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
