"""stub for now"""
from dataclasses import dataclass
@dataclass(frozen=True)
class DemoOptions:
    leave: bool
    database: str
    redis_url: str
    contacts: int
    port: int | None
def play_demo(options: DemoOptions) -> bool:
    return False
