"""The filter of list calls: text to a small tree, and what that tree means. Knows no database."""

from batchpredict.service.filters.text import parse
from batchpredict.service.filters.tree import (
    JOB_FIELDS,
    MODEL_FIELDS,
    VERSION_FIELDS,
    And,
    Comparison,
    Fields,
    Filter,
    FilterInvalid,
    Kind,
    Not,
    Or,
    Values,
    matches,
    prefix_of,
)

__all__ = [
    "JOB_FIELDS",
    "MODEL_FIELDS",
    "VERSION_FIELDS",
    "And",
    "Comparison",
    "Fields",
    "Filter",
    "FilterInvalid",
    "Kind",
    "Not",
    "Or",
    "Values",
    "matches",
    "parse",
    "prefix_of",
]
