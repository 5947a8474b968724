"""Files that cannot be used: all of them are named at the end, not the first one alone."""

import logging
from collections.abc import Callable

__all__ = ["BrokenFiles"]

logger = logging.getLogger(__name__)
NAMED = 10


class BrokenFiles:
    """Collects the errors of files, so that hours of scanning are not lost to the first of them.

    Args:
        skip: Whether to leave such files out and say so, or to refuse them.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.errors: dict[str, Exception] = {}

    def attempt[T](self, action: Callable[[str], T], path: str) -> T | None:
        """The result for a file; None if it cannot be used."""
        try:
            return action(path)
        except (OSError, ValueError) as error:
            self.errors[path] = error
            return None

    def passes[T](self, check: Callable[[T], None], path: str, value: T) -> bool:
        """Whether what is known of a file stands a check, which raises an error if not."""
        try:
            check(value)
        except (OSError, ValueError) as error:
            self.errors[path] = error
        return path not in self.errors

    def report(self, count: int) -> None:
        """Say which of ``count`` files cannot be used.

        Raises:
            OSError: The only file's own.
            ValueError: The only file's own, or that of several, if they may not be left out.
        """
        if not self.errors:
            return
        if not self.skip and len(self.errors) == 1:
            raise next(iter(self.errors.values()))
        named = "\n".join(f"  {self.errors[path]}" for path in sorted(self.errors)[:NAMED])
        if self.skip:
            logger.warning("%d of %d files are left out, as asked for:\n%s", len(self.errors), count, named)
        else:
            raise ValueError(
                f"{len(self.errors)} of {count} files cannot be used. Repair or remove them, or leave them "
                f"out of an index by `xstars index ... --skip_broken`. The first of them:\n{named}"
            )
