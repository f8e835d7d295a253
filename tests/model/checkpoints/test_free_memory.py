"""Free memory as Linux tells it, with and without a container around."""

from pathlib import Path

from model.checkpoints.free_memory import free_bytes, free_ram_bytes


def machine(folder: Path, available_kb: int, group: str = "/", limits: dict[str, tuple[str, int, int]] | None = None):
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal:  99999999 kB\nMemAvailable:   {available_kb} kB\n")
    (proc / "self" / "cgroup").write_text(f"0::{group}\n")
    for name, (limit, taken, cached) in (limits or {}).items():
        place = cgroups / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "memory.max").write_text(f"{limit}\n")
        (place / "memory.current").write_text(f"{taken}\n")
        (place / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
    return proc, cgroups


def test_without_a_container_the_machine_counts(tmp_path: Path) -> None:
    assert free_ram_bytes(*machine(tmp_path, 2_000)) == 2_000 * 1024


def test_the_tightest_group_counts_and_its_file_cache_does_not(tmp_path: Path) -> None:
    places = machine(
        tmp_path,
        10_000_000,
        "/outer/inner",
        {"outer": ("5000000", 3_000_000, 500_000), "outer/inner": ("max", 1_000, 0)},
    )
    assert free_ram_bytes(*places) == 2_500_000


def test_a_group_that_took_all_leaves_nothing(tmp_path: Path) -> None:
    assert free_ram_bytes(*machine(tmp_path, 10_000, "/a", {"a": ("1000", 3_000, 500)})) == 0


def test_this_machine_has_some() -> None:
    size = free_bytes("cpu")
    assert size is not None
    assert size > 10**6
