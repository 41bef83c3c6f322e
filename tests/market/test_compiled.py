"""The cache of compiled functions follows the sources."""

from pathlib import Path

from market.compiled import source_stamp


def house(root: Path) -> Path:
    for name in ("targeting", "sim"):
        (root / name).mkdir()
        (root / name / "a.py").write_text("x = 1\n")
    return root


def test_an_edit_in_any_compiling_package_gives_another_stamp(tmp_path: Path) -> None:
    root = house(tmp_path)
    before = source_stamp(root)
    assert source_stamp(root) == before
    (root / "targeting" / "a.py").write_text("x = 2\n")
    assert source_stamp(root) != before


def test_compiled_functions_use_the_stamped_folder() -> None:
    import numba

    import market.compiled
    from targeting.ledger import postable

    root = Path(market.compiled.__file__).parent.parent
    assert postable(5, 10, 10, 8, 0) == 2
    assert source_stamp(root) in numba.config.CACHE_DIR
    assert source_stamp(root) in postable.stats.cache_path
