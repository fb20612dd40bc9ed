"""The optimizer's update of a matrix."""

import pytest
import torch

from hac_cli.train.muon import orthogonalized


@pytest.mark.parametrize(("precision", "error"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_an_update_keeps_directions_and_evens_out_their_sizes(precision, error):
    random = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(3, 24, 24, generator=random, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(3, 48, 24, generator=random, dtype=torch.float64))
    sizes = torch.logspace(0, -1.5, 24, dtype=torch.float64)
    update = orthogonalized((left * sizes @ right.mT).float(), precision).double()
    found = left.mT @ update @ right
    scales = found.diagonal(dim1=1, dim2=2)
    assert scales.min() > 0.65 and scales.max() < 1.25
    torch.testing.assert_close(found, torch.diag_embed(scales), atol=error, rtol=0)
