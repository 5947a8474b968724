"""Work on many files by threads, with a progress bar."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import Progress

__all__ = ["Batches", "in_batches"]

MOST = 64  # files per task: a task per file would hold a gigabyte of tasks for a million files
SHOWN = 50  # files, more of which get a progress bar


@dataclass(frozen=True)
class Batches:
    """Applies functions to files, some files per task.

    Args:
        pool: Threads to work in.
        progress: Gets a bar per call.
        size: Files per task.
    """

    pool: ThreadPoolExecutor
    progress: Progress
    size: int

    def __call__[T](
        self, title: str, function: Callable[[str], T], files: Sequence[str]
    ) -> Iterable[list[T]]:
        """Results of the tasks, in the order of the files."""
        bar = self.progress.add_task(title, total=len(files))

        def task(start: int) -> list[T]:
            results = []
            for file in files[start : start + self.size]:
                results.append(function(file))
                self.progress.advance(bar)
            return results

        return self.pool.map(task, range(0, len(files), self.size))


@contextmanager
def in_batches(files: int, workers: int | None) -> Iterator[Batches]:
    """Threads for a number of files; an error inside ends all work that has not begun.

    Args:
        files: How many there are to work on.
        workers: Threads; None: 4 more than there are processors.
    """
    workers = workers or 4 + (os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    try:
        with Progress(transient=True, disable=files <= SHOWN) as progress:
            yield Batches(pool, progress, min(MOST, 1 + files // (4 * workers)))
    finally:
        pool.shutdown(cancel_futures=True)
