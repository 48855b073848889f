"""Optimizers, schedules of the learning rate, clipping, early stopping and averaging of weights.

Names, defaults and update rules follow ``torch.optim``. The steps run in C++ over all tensors of a group at
once, or, for tensors of the NumPy backend, as the formulas of `groundup.reference.optim`.

To accumulate gradients over n micro-batches, as if they were one batch, divide each loss by n and step after
the last::

    for x, y in micro_batches:
        (loss(model(x), y) / len(micro_batches)).backward()  # adds to .grad
    optimizer.step()
    optimizer.zero_grad()
"""

from groundup.nn.utils import clip_grad_norm_, clip_grad_value_
from groundup.optim import schedule
from groundup.optim import schedule as lr_scheduler  # PyTorch's name
from groundup.optim.adagrad import Adagrad
from groundup.optim.adam import Adam, AdamW
from groundup.optim.average import WeightAverage
from groundup.optim.early_stopping import EarlyStopping
from groundup.optim.optimizer import Optimizer
from groundup.optim.rmsprop import RMSprop
from groundup.optim.schedule import warmup_cosine
from groundup.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "EarlyStopping",
    "Optimizer",
    "RMSprop",
    "WeightAverage",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
    "schedule",
    "warmup_cosine",
]
