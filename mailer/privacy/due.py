"""How long a request of a person may take (GDPR, article 12(3); Regulation 1182/71, article 3). Pure.

One month from receipt, two more where the request is hard, if the person is told why within the first one. A period of
months ends on the day of the same number, the last of the month where there is none; one that ends on a Saturday or
Sunday ends on the Monday after it.
"""

import calendar
from datetime import date, timedelta

MONTHS, EXTENDED_MONTHS = 1, 3
_SATURDAY = 5


def due_on(received_on: date, *, is_extended: bool = False) -> date:
    """Return the last day on which a request may be answered."""
    day = add_months(received_on, EXTENDED_MONTHS if is_extended else MONTHS)
    return day + timedelta(days=7 - day.weekday()) if day.weekday() >= _SATURDAY else day


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later (or earlier), the last of the month where there is none."""
    month = day.year * 12 + day.month - 1 + months
    year, place = divmod(month, 12)
    return date(year, place + 1, min(day.day, calendar.monthrange(year, place + 1)[1]))
