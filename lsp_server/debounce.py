"""How long to wait before the engine is asked: what is left of a pause that fits how long it takes.

Source: Copilot's remaining debounce (delay.ts: the pause counts from the keystroke, so what the editor and the server
have spent already is part of it) and tabby-agent's debouncer.ts (the engine's own time decides). A fast engine is asked
at each key; a slow one only in a pause, or a burst of keys would keep it busy with questions that nobody waits for.
Left out: the editors' own pauses (VS Code 50 ms, Neovim 200 ms), which are simply time that has passed.
"""

# An engine that is faster than this has answered before the next key of a fast typist (about 80 ms).
INSTANT_S = 0.05
# Longer than the time between two keys of a burst, shorter than what is felt as waiting.
MAX_PAUSE_S = 0.2


def remaining_pause_s(expected_s: float, since_keystroke_s: float) -> float:
    """What is left to wait, for an engine that takes `expected_s` for an answer."""
    pause_s = min(max(0.0, expected_s - INSTANT_S), MAX_PAUSE_S)
    return max(0.0, pause_s - max(0.0, since_keystroke_s))
