"""A U-Net trains in two processes (gloo, CPU) as in one: the bridges are arguments, not hooks, so each process has
its own maps.

Both kinds and an encoder with ways of its own, with `find_unused_parameters=False`: every parameter must get its gradient in every step.
"""

from copies import finish

CHILD = '''
import sys, torch, torch.distributed as dist, torch.nn.functional as F
from torch import nn, optim
from torch.nn.parallel import DistributedDataParallel as DDP
from lesson7_lib.resnet_mnist import conv_layer
from lesson7_lib.unet import DynamicUnet, FastUnet

rank, n, place = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)

class Own(nn.Module):
    "No chain: its maps are had by hooks that last as long as a forward pass."
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv_layer(3, 6, stride=2, norm_type=None), conv_layer(6, 6, norm_type=None), conv_layer(6, 8, stride=2, norm_type=None)
    def forward(self, x):
        x = self.a(x)
        return self.c(x+self.b(x))

def chain(): return nn.Sequential(*[conv_layer(i, o, stride=2, norm_type=None) for i,o in ((3,6),(6,8),(8,10))])

# one process sees all pictures, two see half of them each: the mean of their gradients is the same (no batch
# statistics, so that this is exact)
makes = [lambda: DynamicUnet(chain(), 3, bottle=True), lambda: DynamicUnet(Own(), 3, norm_type='Weight'), lambda: FastUnet(chain(), 3, widths=(8,8,8))]
if n > 1: dist.init_process_group('gloo', init_method='file://'+place+'/meet', rank=rank, world_size=n)
for i,make in enumerate(makes):
    torch.manual_seed(i)
    m, x, y = make(), torch.rand(4, 3, 24, 20), torch.randint(0, 3, (4, 24, 20))
    m.train()
    for o in m.modules():
        if isinstance(o, nn.BatchNorm2d): o.eval()
    d = DDP(m) if n > 1 else m
    opt = optim.SGD(m.parameters(), lr=.05)
    part = slice(rank*4//n, (rank+1)*4//n)
    for _ in range(3):
        F.cross_entropy(d(x[part]), y[part]).backward()
        assert all(p.grad is not None for p in m.parameters())
        opt.step()
        opt.zero_grad()
    torch.save(m.state_dict(), f'{place}/{n}_{rank}_{i}.pth')
if n > 1: dist.destroy_process_group()
'''


def train(originals, n, place):
    "Starts `n` processes and waits for them."
    processes = [
        originals.start(CHILD, rank, n, place, printed=place / f'{n}_{rank}.txt', cwd=place, limit=400)
        for rank in range(n)
    ]
    finish(processes)


def test_two_processes_as_one(originals, tmp_path):
    import torch

    train(originals, 1, tmp_path)
    train(originals, 2, tmp_path)
    for i in range(3):
        one, a, b = [torch.load(tmp_path / f'{k}_{i}.pth', weights_only=True) for k in ('1_0', '2_0', '2_1')]
        for k in one:
            assert torch.equal(a[k], b[k]), f'the processes differ: {k}'
            assert torch.allclose(one[k], a[k], rtol=1e-3, atol=1e-5), f'two processes end elsewhere than one: {k}'
