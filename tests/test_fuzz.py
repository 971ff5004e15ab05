"""A share of `soak/fuzz.py`: damaged archives, pictures, masks, tables and texts are read or refused, nothing else."""

from soak import fuzz


def test_damaged_files():
    res = fuzz.run(1200, seed=5, kinds=['archives', 'pictures', 'masks', 'csv', 'texts'])
    assert [o for o in res if o['end'] not in ('read', 'refused')] == []
    assert {(o['kind'], o['end']) for o in res} == {(kind, end) for kind in fuzz.SETS for end in ('read', 'refused')}


def test_faults_are_seen(tmp_path, monkeypatch):
    "The tool itself: raw errors, the end of the process, time, a program that is started, a file outside."
    import os
    import time

    def outside(file):
        (tmp_path / 'outside').write_text('x')

    def spin(file):
        while True:
            time.process_time()

    faults = dict(
        raw=lambda file: {}['x'],
        crash=lambda file: os._exit(9),
        slow=spin,
        outside=outside,
        started=lambda file: os.system('true'),
    )
    monkeypatch.setattr(fuzz.strangers, 'SLOW', 0.1)
    for end, read in faults.items():
        monkeypatch.setitem(fuzz.READ, 'csv', (read, ValueError))
        found = [o['end'] for o in fuzz.run(2, kinds=['csv'])]
        assert found == ['outside' if end == 'started' else end] * 2
