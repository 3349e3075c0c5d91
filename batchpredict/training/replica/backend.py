"""Runs one hook of a build backend (PEP 517) in this interpreter, as a process of its own.

The argument is a JSON object: `backend` as in pyproject.toml, `hook` (`build_wheel` or `build_sdist`), `folder`,
where the result goes, `paths`, which are looked at first for modules, and `settings` of the backend. The working
directory is the project. The last line of stdout is the result's name.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys


def main() -> None:
    asked = json.loads(sys.argv[1])
    # In the place of this file's folder, whose modules are none that a project means.
    sys.path[:1] = asked["paths"]
    module, _, attribute = asked["backend"].partition(":")
    found = functools.reduce(getattr, filter(None, attribute.split(".")), importlib.import_module(module))
    print(getattr(found, asked["hook"])(asked["folder"], asked["settings"]))


if __name__ == "__main__":
    main()
