"""Who should go: candidates ordered by generalised time, with what speaks for and against each.

Everything that matters is counted in minutes, as transport planning does with comfort or risk
(generalised cost; Ortúzar and Willumsen, Modelling Transport, 4th ed., section 5.3): somebody of
another grid counts as if it took them some minutes longer. A weight can so be read, discussed and
set by people who know their city: "an open task is worth ten minutes".
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MOST_MINUTES = 1440.0  # a weight beyond a day could only hide somebody


@dataclass(frozen=True)
class Weights:
    """What counts how much, in minutes; `travel` is a factor on the minutes of the way.

    >>> Weights.of({"task": 5}).task
    5.0
    """

    travel: float = 1.0
    other_area: float = 8.0  # does not answer for the place and is not at home in its grid
    task: float = 10.0  # for each task that they have already
    skill: float = 10.0  # for each skill wanted that they lack
    home: float = 5.0  # where they are is not known: the home stands for it
    age: float = 0.2  # for each minute that the position is old

    @classmethod
    def of(cls, given: dict[str, object]) -> "Weights":
        """The weights with those given in place of the usual ones.

        Raises
        ------
        ValueError
            A name is not known, or a value is no number from 0 to 1,440.
        """
        names = [field.name for field in fields(cls)]
        for name, value in given.items():
            if name not in names:
                raise ValueError(f"there is no weight {name!r}; there are {', '.join(names)}")
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            if not (fits and 0 <= float(value) <= MOST_MINUTES):  # type: ignore[arg-type]
                raise ValueError(
                    f"the weight {name} is {value!r}; it has to be a number of minutes from 0 to "
                    f"{MOST_MINUTES:,.0f}"
                )
        return cls(**{name: float(value) for name, value in given.items()})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    Attributes
    ----------
    order : (n,) indices into the candidates as they were given
    minutes : (n,) generalised time of each candidate as given; inf where the way is not passable
    parts : minutes by criterion (the names of `Weights`), each (n,), adding up to `minutes`
    """

    order: Ints
    minutes: Floats
    parts: dict[str, Floats]


def rank(
    travel_s: Floats,
    responsible: Bools,
    tasks: Ints,
    missing_skills: Ints,
    age_s: Floats,
    weights: Weights | None = None,
) -> Ranking:
    """Order candidates by generalised time; equal ones stay as they were given.

    Parameters
    ----------
    travel_s : (n,) seconds to the place; NaN: it cannot be reached
    responsible : (n,) whether they answer for the place or are at home in its grid
    tasks : (n,) how many they have already
    missing_skills : (n,) how many of the skills wanted they lack
    age_s : (n,) age of their position in seconds; NaN: the home stands for it

    Examples
    --------
    >>> near = rank(np.array([300.0, 60.0]), np.array([True, False]), np.array([0, 0]),
    ...             np.array([0, 0]), np.array([30.0, 30.0]))
    >>> near.order.tolist(), near.minutes.round(1).tolist()
    ([0, 1], [5.1, 9.1])
    """
    w = weights or Weights()
    travel = np.where(np.isnan(travel_s), np.inf, travel_s) / 60
    unknown = np.isnan(age_s)
    parts = {
        # no factor makes a way passable, not even 0
        "travel": np.where(np.isinf(travel), np.inf, np.nan_to_num(travel, posinf=0) * w.travel),
        "other_area": np.where(responsible, 0.0, w.other_area),
        "task": tasks * w.task,
        "skill": missing_skills * w.skill,
        "home": np.where(unknown, w.home, 0.0),
        "age": np.where(unknown, 0.0, np.nan_to_num(age_s)) / 60 * w.age,
    }
    minutes: Floats = np.sum(list(parts.values()), axis=0) if len(travel_s) else np.empty(0)
    return Ranking(np.argsort(minutes, kind="stable"), minutes, parts)
