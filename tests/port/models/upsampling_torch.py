"""An autoencoder in PyTorch: grouped and transposed convolutions, group normalisation, resizing, softmax."""

from torch import nn
from torch.nn import functional


def make(faults=()):
    return Upsampling()


class Upsampling(nn.Module):
    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(4, 8, 3, padding=1, groups=4)
        self.norm = nn.GroupNorm(4, 8)
        self.square = nn.Conv2d(8, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 8, 2, 2)
        self.up = nn.ConvTranspose2d(8, 6, 3, 2, 1, 1)
        self.last = nn.Conv2d(6, 4, 1)

    def forward(self, x):
        x = functional.silu(self.norm(self.depthwise(x)))
        x = functional.relu(self.square(x))
        x = functional.relu(self.up(self.down(x)))
        x = functional.interpolate(x, size=(12, 12), mode="bilinear", align_corners=False)
        return functional.softmax(self.last(x), 1)
