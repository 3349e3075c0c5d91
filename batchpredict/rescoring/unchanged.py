"""Whether input files are those that an earlier job read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchpredict import storage
from batchpredict.errors import NoInput
from batchpredict.ledger import each

# Files that are named.
_NAMED = 5


@dataclass(frozen=True)
class InputFile:
    """A file as the earlier job read it: `version` is "" where nothing told its content from another."""

    path: str
    size: int
    version: str


@dataclass
class Unchanged:
    """Looks at files and collects what has changed."""

    changed: int = 0
    named: list[str] = field(default_factory=list)
    _last: str = ""

    def look(self, files: Sequence[InputFile]) -> list[str]:
        """How the store says that each file is encoded, in their order; "" for one that has changed, too."""
        distinct = list(dict.fromkeys(files))
        if not distinct:
            return []
        found = each(distinct[0].path, _look, distinct)
        for file, (_, change) in zip(distinct, found, strict=True):
            # A large file may come again with the next ones.
            if change and file.path != self._last:
                self.changed += 1
                if len(self.named) < _NAMED:
                    self.named.append(f"'{file.path}' ({change})")
            self._last = file.path
        encodings = {file: encoding for file, (encoding, _) in zip(distinct, found, strict=True)}
        return [encodings[file] for file in files]

    def check(self) -> None:
        """Raises NoInput with the first files that have changed, and how many there are."""
        if not self.changed:
            return
        more = f" and {self.changed - len(self.named)} more" if self.changed > len(self.named) else ""
        are = "input file is not what it was" if self.changed == 1 else "input files are not what they were"
        raise NoInput(
            f"onlyErrorsOf: {self.changed} {are} when that job read {'it' if self.changed == 1 else 'them'}: "
            f"{', '.join(self.named)}{more}. Score them anew by a job of their own."
        )


def _look(file: InputFile) -> tuple[str, str]:
    """The encoding of a file, and what has changed; "" for nothing."""
    try:
        now = storage.info(file.path)
    except FileNotFoundError:
        return "", "is gone"
    except OSError as error:
        return "", f"cannot be read: {error}"
    if now.size != file.size:
        return "", f"had {file.size} bytes and has {now.size} now"
    if file.version and now.version != file.version:
        return "", "its content is another"
    return now.encoding, ""
