"""How many images the candidates of a search may be judged on, where there are images that no trial sees."""

from __future__ import annotations

from quantize.journal import Journal

SAMPLE = 4096
"""Images that tell a candidate's metric well enough to go on with it: with 4 % of them answered otherwise than by fp32,
the drop is known to 0.3 points."""

_TOTAL = 6 * SAMPLE
_SHARE = 3
_LEAST = 256
_STEP = "images of a candidate "


class ImageBudget:
    """The images that all candidates of a run may take together, whatever the number of images and of candidates.

    Each candidate may take a third of what is left, and 256 in any case: the first ones, among which the choice mostly
    is, are told apart well, and a hundred of them cannot take hours. What was spent is in the run's journal, so that a
    resumed run allows what an unbroken one would.
    """

    def __init__(self, journal: Journal, total: int = _TOTAL) -> None:
        """Set up.

        Args:
            journal: The run's.
            total: Images of all candidates together, but for the least that each may take.
        """
        self._journal, self._total = journal, total
        self._spent = {str(value["graph"]): int(value["images"]) for value in journal.values(_STEP)}

    def allowed(self, graph: str) -> int:
        """Return how many images a graph may be judged on."""
        left = self._total - sum(images for other, images in self._spent.items() if other != graph)
        return max(_LEAST, left // _SHARE)

    def spend(self, graph: str, images: int) -> None:
        """Record that a graph took so many images; what it took first counts."""
        step = self._journal.step(_STEP + graph, lambda: {"graph": graph, "images": images})
        self._spent[graph] = int(step["images"])
