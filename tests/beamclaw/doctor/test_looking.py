"""Facts are looked up while a node is at work."""

import threading
from pathlib import Path

from beamclaw.doctor.looking import open_to_others


def test_files_that_come_and_go_meanwhile_are_no_trouble(tmp_path: Path):
    tmp_path.chmod(0o700)
    (tmp_path / "beside").write_text("")
    (tmp_path / "beside").chmod(0o644)
    place, over = tmp_path / "at-work", threading.Event()
    files = [place / f"{number}" for number in range(50)]

    place.mkdir(mode=0o700)

    def work() -> None:
        while not over.is_set():
            for each in files:
                each.touch(0o600)
            for each in files:
                each.unlink()

    node = threading.Thread(target=work)
    node.start()
    try:
        for _ in range(200):
            assert open_to_others(tmp_path) == {"beside": 0o644}
    finally:
        over.set()
        node.join()
