"""How far ONNX Runtime's numbers are from PyTorch's: every network of the lessons, three sizes each, as one table.

`python benchmarks/onnx_parity.py` writes results/onnx_parity.csv. The networks are the small ones of tests/test_onnx.py, with seeded weights and
running statistics that are not those of a new network; each is exported, and the file is then used by a new process that must not import PyTorch.

The column `varied` says how the three sizes differ. Where PyTorch's network takes another size and the exported file does not, there is a further
file: a network that flattens its last map (such as `gan_critic`) has as many outputs as its picture has places, and a file has a fixed number of
them; a loop over the words of a text is written out. Where it says `batch`, the network itself takes no other size.
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
from test_onnx import NETWORKS, network  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from lesson7_lib.apps.onnx import state_places, to_onnx  # noqa: E402
from lesson7_lib.apps.onnx_model import OnnxModel  # noqa: E402
from lesson7_lib.core.env import set_seed  # noqa: E402
from lesson7_lib.core.training_state import reset_state  # noqa: E402

COLUMNS = ('network', 'varied', 'size', 'inputs', 'difference', 'largest number')
LIMIT = 1e-4  # of a difference
# Answers an example with each of the folders, without PyTorch. A state begins as zeros, and is then read on, token by token.
ALONE = """
import sys
import numpy as np
from lesson7_lib.apps.onnx_model import OnnxModel
for folder in sys.argv[1:]:
    model, given = OnnxModel(folder, threads=1), np.load(f'{folder}/in.npz')
    x = [given[f'arr_{k}'] for k in range(len(given.files))]
    shapes = [o['shape'] for o in model.facts['inputs'] if o['name'].startswith('state')]
    states = [np.zeros([x[0].shape[1] if k is None else k for k in o], np.float32) for o in shapes]
    for step in np.split(x[0], len(x[0])) if states else x[:1]:
        out, *states = model.run(step, *x[1:], *states)
    np.save(f'{folder}/out.npy', out)
assert not {'torch', 'torchvision'} & {o.split('.')[0] for o in sys.modules}
"""


def is_text(args: list[Tensor]) -> bool:
    "One input of numbers of words (steps, n)?"
    return len(args) == 1 and args[0].ndim == 2 and not args[0].is_floating_point()


def example(args: list[Tensor], i: int, is_sized: bool) -> list[Tensor]:
    "Inputs of the `i`-th size; only the batch is another one where not `is_sized`."
    made = []
    for x in args:
        shape = list(x.shape)
        shape[1 if is_text(args) else 0] += i
        if is_sized and x.ndim == 4:
            shape[2:] = [x.shape[2] + 3 * i, x.shape[3] + 4 * i]
        elif is_sized and is_text(args):
            shape[0] += 2 * i
        made.append(torch.randn(shape) if x.is_floating_point() else x.flatten()[torch.randint(x.numel(), shape)])
    return made


def answer(model: nn.Module, inputs: list[Tensor], in_steps: bool) -> Tensor:
    "PyTorch's, from an empty state on; `in_steps`: token by token, the last one's answer."
    reset_state(model)
    with torch.no_grad():
        for x in inputs[0].split(1) if in_steps else inputs[:1]:
            out = model(x, *inputs[1:])
    return out


def takes_sizes(model: nn.Module, args: list[Tensor], in_steps: bool) -> bool:
    "Does PyTorch's network answer at all three sizes?"
    if args[0].ndim != 4 and not is_text(args):
        return False
    try:
        return all(len(answer(model, example(args, i, True), in_steps)) for i in range(3))
    except (RuntimeError, ValueError, IndexError):  # PyTorch's words for a shape that a layer does not take
        return False


def fits(shapes: list[list], inputs: list[Tensor]) -> bool:
    "May these go into a file with inputs of such shapes?"
    return all(n in (None, k) for shape, x in zip(shapes, inputs) for n, k in zip(shape, x.shape))


def rows_of(name: str, folder: Path) -> list[dict]:
    "Exports one network and compares it at three sizes."
    model, args = network(name)
    in_steps = bool(state_places(model, args)[1])
    is_sized = takes_sizes(model, args, in_steps)
    set_seed(1)
    given = [example(args, i, is_sized) for i in range(3)]
    wanted = [answer(model, o, in_steps).numpy() for o in given]
    files: list[Path] = []
    shapes: list[list] = []  # of the inputs of the last file
    for i, inputs in enumerate(given):
        one = folder / str(i)
        if files and (in_steps or fits(shapes, inputs)):
            one.mkdir()
            for o in ('model.onnx', 'model.json'):
                (one / o).hardlink_to(files[-1] / o)
        else:
            reset_state(model)
            files.append(to_onnx(model, one, inputs=inputs))
            shapes = [o['shape'] for o in OnnxModel(one, threads=1).facts['inputs']]
        np.savez(one / 'in.npz', *[o.numpy() for o in inputs])
    subprocess.run([sys.executable, '-c', ALONE, *[str(folder / str(i)) for i in range(3)]], check=True, cwd=ROOT)
    what = f'batch and {"steps" if is_text(args) else "size"}' if is_sized else 'batch'
    if in_steps:
        what += ', one step at a time'
    if len(files) > 1:
        what += f', {len(files)} files'
    rows = []
    for i in range(3):
        got = np.load(folder / str(i) / 'out.npy')
        assert got.shape == wanted[i].shape, f'{name}: {got.shape} and {wanted[i].shape}'
        sizes = ' '.join('×'.join(map(str, o.shape)) for o in given[i])
        off, largest = abs(got - wanted[i]).max(), abs(wanted[i]).max()
        rows.append(dict(zip(COLUMNS, (name, what, i + 1, sizes, f'{off:.2g}', f'{largest:.3g}'))))
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
    "The command; names choose some networks, and the others' rows stay. 1: one is off by more than `LIMIT`, or fails."
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
        print(name, new[0]['varied'], *[o['difference'] for o in new], sep=', ', flush=True)
        known = table(file) | {name: new}
        with file.open('w', newline='', encoding='utf-8') as f:
            out = csv.DictWriter(f, COLUMNS, lineterminator='\n')
            out.writeheader()
            out.writerows(row for o in NETWORKS for row in known.get(o, []))
    rows = [row for o in table(file).values() for row in o]
    far = [o for o in rows if float(o['difference']) > LIMIT]
    same = [k for k, v in table(file).items() if all(float(o['difference']) == 0 for o in v)]
    found = {o['network'] for o in rows}
    print(f'{len(found)} of {len(NETWORKS)} networks, at most {max(float(o["difference"]) for o in rows):.2g}')
    print(
        f'too far: {far}; failed: {failed}; missing: {sorted(set(NETWORKS) - found)}; always the very same numbers: {same}'
    )
    return bool(far or failed)


if __name__ == '__main__':
    raise SystemExit(main())
