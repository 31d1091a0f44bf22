"""A learned embedding of their place for the tokens that the encoder's last layer leaves alone."""

import torch
from torch import Tensor, nn

from models.boxes.pyramid import Pyramid


class BackgroundEmbedding(nn.Module):
    """One table for columns and one for rows, for all levels; cells beyond a table take its last entry."""

    def __init__(self, embed_dim: int, table_size: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(table_size, embed_dim // 2)
        self.columns = nn.Embedding(table_size, embed_dim // 2)
        nn.init.uniform_(self.rows.weight)
        nn.init.uniform_(self.columns.weight)

    def forward(self, pyramid: Pyramid) -> Tensor:
        """(S, C) embeddings of the tokens' cells."""
        last = self.rows.num_embeddings - 1
        parts = [self.columns(pyramid.column.clamp(max=last)), self.rows(pyramid.row.clamp(max=last))]
        return torch.cat(parts, -1)
