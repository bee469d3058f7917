"""How often Python looks for objects that hold each other."""

import gc


def look_for_cycles_after(new_objects: int) -> None:
    """Look for cycles after so many new objects, never among those that are there now.

    For processes that hold many values and make no cycles of them: looking took a tenth to a fifth of their time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(new_objects)
