"""What several processes of one training must see alike."""

from collections.abc import Callable
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

Decided = TypeVar("Decided")


def decided_by_first(decide: Callable[[], Decided]) -> Decided:
    """What ``decide`` gives in the first process, in all of them, and its ValueError too.

    For what is looked up where it may change, as on a shared disk. Every process must call.
    """
    state = PartialState()
    answer: list[Any] = [None, None]
    if state.is_main_process:
        try:
            answer[0] = decide()
        except ValueError as error:
            answer[1] = str(error)
    if state.num_processes > 1:
        broadcast_object_list(answer)
    if answer[1] is not None:
        raise ValueError(answer[1])
    return answer[0]
