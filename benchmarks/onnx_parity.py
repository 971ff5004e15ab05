"""How far ONNX Runtime's numbers are from PyTorch's: every network of the lessons, three sizes each, as one table.

`python benchmarks/onnx_parity.py` writes results/onnx_parity.csv. The networks are the small ones of tests/test_onnx.py; each is exported,
and the file is then used by a new process that must not import PyTorch.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from test_onnx import NETWORKS, example, network  # noqa: E402

from lesson7_lib.apps.onnx import state_places, to_onnx  # noqa: E402
from lesson7_lib.apps.onnx_model import OnnxModel  # noqa: E402
from lesson7_lib.core.training_state import reset_state  # noqa: E402

COLUMNS = ('network', 'size', 'inputs', 'difference', 'largest number')
# Answers all examples of a folder without PyTorch: a state begins as zeros.
ALONE = """
import sys
import numpy as np
from lesson7_lib.apps.onnx_model import OnnxModel
model, folder, n = OnnxModel(sys.argv[1], threads=1), sys.argv[1], int(sys.argv[2])
for i in range(n):
    given = np.load(f'{folder}/in_{i}.npz')
    x = [given[f'arr_{k}'] for k in range(len(given.files))]
    states = [o for o in model.facts['inputs'] if o['name'].startswith('state')]
    zeros = [np.zeros([x[0].shape[1] if k is None else k for k in o['shape']], np.float32) for o in states]
    np.save(f'{folder}/out_{i}.npy', model.run(*x, *zeros)[0])
assert not {'torch', 'torchvision'} & {o.split('.')[0] for o in sys.modules}
"""


def rows_of(name: str, folder: Path) -> list[dict]:
    "Exports one network and compares it at three sizes."
    model, args = network(name)
    there = OnnxModel(to_onnx(model, folder, inputs=args), threads=1)
    state_places(model, args)
    given, wanted = [], []
    for i in range(3):
        inputs = example(there.facts, args, i)
        reset_state(model)
        with torch.no_grad():
            wanted.append(model(*inputs).numpy())
        given.append(inputs)
        np.savez(folder / f'in_{i}.npz', *[o.numpy() for o in inputs])
    subprocess.run([sys.executable, '-c', ALONE, str(folder), '3'], check=True, cwd=ROOT)
    rows = []
    for i in range(3):
        got = np.load(folder / f'out_{i}.npy')
        assert got.shape == wanted[i].shape, f'{name}: {got.shape} and {wanted[i].shape}'
        sizes = ' '.join('×'.join(map(str, o.shape)) for o in given[i])
        largest = float(abs(wanted[i]).max())
        rows.append(dict(zip(COLUMNS, (name, i + 1, sizes, f'{abs(got - wanted[i]).max():.2g}', f'{largest:.3g}'))))
    return rows


def table(file: Path) -> dict[str, list[dict]]:
    "What an earlier run wrote: network -> its rows."
    res: dict[str, list[dict]] = {}
    if file.is_file():
        with file.open(newline='', encoding='utf-8') as f:
            for row in csv.DictReader(f):
                res.setdefault(row['network'], []).append(row)
    return res


def main() -> int:
    "The command; names choose some networks, and the others' rows stay. 1: one is off by more than 1e-4 of its largest number, or fails."
    torch.set_num_threads(1)
    file, failed = ROOT / 'results' / 'onnx_parity.csv', []
    for name in sys.argv[1:] or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                new = rows_of(name, Path(folder))
            except Exception as e:
                failed.append(name)
                print(f'{name}: {e}', flush=True)
                continue
        print(name, *[o['difference'] for o in new], flush=True)
        known = table(file) | {name: new}
        with file.open('w', newline='', encoding='utf-8') as f:
            out = csv.DictWriter(f, COLUMNS, lineterminator='\n')
            out.writeheader()
            out.writerows(row for o in NETWORKS for row in known.get(o, []))
    rows = [row for o in table(file).values() for row in o]
    far = [o for o in rows if float(o['difference']) > 1e-4 * max(1, float(o['largest number']))]
    found = {o['network'] for o in rows}
    print(
        f'{len(found)} of {len(NETWORKS)} networks, largest difference {max(float(o["difference"]) for o in rows):.2g}'
    )
    print(f'too far: {far}; failed: {failed}; missing: {sorted(set(NETWORKS) - found)}')
    return bool(far or failed)


if __name__ == '__main__':
    raise SystemExit(main())
